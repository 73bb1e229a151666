// SPDX-License-Identifier: BSD-2-Clause
// See ic_host.h.
#include "ic_host.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/proto/pipe.h"
#include "lumen/platform.h"
#include "lumen/spin.h"

struct lumen_channel {
	struct lumen_channel_config config;
	uint16_t type;
	uint32_t length;
	bool there;
	uint8_t payload[16384];
};

struct ic_host ic_host;
static struct lumen_channel channel;
static struct vmbus_guid offered;
static bool locked;

static void check(bool condition)
{
	if (!condition)
		abort();
}

void ic_host_create(const struct vmbus_guid *type)
{
	memset(&ic_host, 0, sizeof(ic_host));
	memset(&channel, 0, sizeof(channel));
	offered = *type;
}

void ic_host_signal(void)
{
	check(!locked);
	if (ic_host.open)
		channel.config.handler(channel.config.context, &channel);
	check(!locked);
}

void ic_host_packet(uint16_t type, const void *bytes, uint32_t length)
{
	channel.type = type;
	channel.length = length;
	memcpy(channel.payload, bytes, length);
	channel.there = true;
	ic_host_signal();
}

void ic_host_message(uint16_t type, uint8_t flags, const void *body, uint16_t size)
{
	struct {
		struct pipe_header pipe;
		struct ic_header header;
		uint8_t body[sizeof(ic_host.body)];
	} message = {
		.pipe = { PIPE_TYPE_DATA, sizeof(struct ic_header) + size },
		.header = { .type = type, .size = size, .transaction_id = 77, .flags = flags },
	};

	memcpy(message.body, body, size);
	ic_host_packet(VMBUS_PACKET_IN_BAND, &message, 28u + size);
}

void ic_host_negotiate(const struct ic_version *versions, uint16_t count)
{
	struct {
		struct ic_negotiate counts;
		struct ic_version versions[10];
	} offer = { .counts = { 2, count, 0 }, .versions = { { 1, 0 }, { 3, 0 } } };

	memcpy(&offer.versions[2], versions, count * sizeof(*versions));
	ic_host_message(IC_MESSAGE_NEGOTIATE, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST, &offer,
		(uint16_t)(8 + (2 + count) * sizeof(*versions)));
}

// --- the SDK below the VSC ---

void *lumen_alloc_pages(size_t count)
{
	ic_host.pages += (uint32_t)count;
	return calloc(count, LUMEN_PAGE_SIZE);
}

void lumen_free_pages(void *pages, size_t count)
{
	ic_host.pages -= (uint32_t)count;
	free(pages);
}

uint64_t lumen_spin_lock_irq(struct lumen_spinlock *lock)
{
	(void)lock;
	check(!locked);
	locked = true;
	return 0;
}

void lumen_spin_unlock_irq(struct lumen_spinlock *lock, uint64_t state)
{
	(void)lock;
	(void)state;
	check(locked);
	locked = false;
}

uint32_t lumen_this_vp(void)
{
	return 0;
}

uint64_t lumen_now_ns(void)
{
	return 0;
}

uint64_t lumen_clock_100ns(void);
uint64_t lumen_clock_100ns(void)
{
	return 123456;
}

void lumen_wake(const uint32_t *word)
{
	(void)word;
}

struct lumen_channel *lumen_vmbus_find(
	struct lumen_vmbus *bus, const struct vmbus_guid *type, uint32_t index)
{
	(void)bus;
	return index == 0 && !memcmp(type, &offered, sizeof(offered)) ? &channel : NULL;
}

lumen_status lumen_channel_open(
	struct lumen_channel *opened, const struct lumen_channel_config *config)
{
	if (ic_host.open_status != LUMEN_OK)
		return ic_host.open_status;
	opened->config = *config;
	ic_host.open = true;
	return LUMEN_OK;
}

void lumen_channel_close(struct lumen_channel *closed)
{
	(void)closed;
	check(!locked && ic_host.open);
	ic_host.open = false;
}

bool lumen_channel_rescinded(const struct lumen_channel *asked)
{
	(void)asked;
	return ic_host.rescinded;
}

void lumen_channel_wait(
	struct lumen_channel *waited, const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	(void)deadline_ns;
	check(!locked && waited == &channel);
	ic_host.slept += *word == value;
}

lumen_status lumen_channel_send(struct lumen_channel *to, const struct vmbus_packet_out *packet)
{
	const uint8_t *frame = packet->payload[0].data;

	(void)to;
	check(locked && packet->payload_count == 2 && packet->payload[0].length == 28);
	if (ic_host.full)
		return LUMEN_BUSY;
	memcpy(&ic_host.header, frame + 8, sizeof(ic_host.header));
	check(packet->payload[1].length <= sizeof(ic_host.body));
	memcpy(ic_host.body, packet->payload[1].data, packet->payload[1].length);
	ic_host.transaction_id = packet->transaction_id;
	ic_host.sent++;
	return LUMEN_OK;
}

void lumen_channel_flush(struct lumen_channel *flushed)
{
	(void)flushed;
}

lumen_status lumen_channel_receive(
	struct lumen_channel *from, void *buffer, uint32_t size, struct vmbus_packet *packet)
{
	check(locked);
	if (!from->there)
		return LUMEN_BUSY;
	from->there = ic_host.endless;
	check(from->length <= size);
	memcpy(buffer, from->payload, from->length);
	*packet = (struct vmbus_packet){
		.type = from->type,
		.transaction_id = 99,
		.payload = buffer,
		.payload_length = from->length,
	};
	return LUMEN_OK;
}

bool lumen_channel_unmask(struct lumen_channel *unmasked)
{
	check(locked);
	ic_host.unmasked++;
	return unmasked->there;
}
