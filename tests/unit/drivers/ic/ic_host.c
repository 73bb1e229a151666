// SPDX-License-Identifier: BSD-2-Clause
// See ic_host.h.
#include "ic_host.h"

#include <string.h>

#include "drivers/proto/pipe.h"

struct ic_raw_host ic_host;

static struct {
	uint16_t type;
	uint32_t length;
	uint8_t bytes[16384];
} last;

// What a VSC has sent is taken out of the ring.
static void note(struct lumen_channel *channel, const struct vmbus_packet_out *out)
{
	const struct vmbus_packet *packet = &channel->host.packet;
	struct pipe_header pipe;

	(void)out;
	lumen_channel_flush(channel);
	rig_check(rig_read(&channel->host) && packet->type == VMBUS_PACKET_IN_BAND);
	memcpy(&pipe, packet->payload, sizeof(pipe));
	memcpy(&ic_host.header, packet->payload + 8, sizeof(ic_host.header));
	rig_check(pipe.type == PIPE_TYPE_DATA &&
		  pipe.size == sizeof(ic_host.header) + ic_host.header.size &&
		  pipe.size + sizeof(pipe) <= packet->payload_length &&
		  ic_host.header.size <= sizeof(ic_host.body));
	memcpy(ic_host.body, packet->payload + 28, ic_host.header.size);
	ic_host.transaction_id = packet->transaction_id;
	ic_host.sent++;
}

static void say_again(void)
{
	for (int i = 0; ic_host.endless && i < 100; i++)
		rig_say(&rig.channels[0].host, last.type, 99, last.bytes, last.length);
}

void ic_host_create(const struct vmbus_guid *type)
{
	rig_create(0);
	memset(&ic_host, 0, sizeof(ic_host));
	rig.reference_time = IC_HOST_REFERENCE;
	rig.on_sent = note;
	rig.on_commit = say_again;
	rig_offer(0, type, NULL, NULL);
}

void ic_host_signal(void)
{
	rig.channels[0].signalled = true;
	rig_run();
}

void ic_host_packet(uint16_t type, const void *bytes, uint32_t length)
{
	last.type = type;
	last.length = length;
	memcpy(last.bytes, bytes, length);
	if (rig.channels[0].open)
		rig_check(rig_say(&rig.channels[0].host, type, 99, bytes, length));
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
