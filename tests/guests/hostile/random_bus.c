// SPDX-License-Identifier: BSD-2-Clause
// See random_bus.h: the connection, messages, and rings.
#include "tests/guests/hostile/bus.h"
#include "tests/guests/hostile/random_bus.h"

#include "guest-sdk/vmbus_internal.h"
#include "lumen/storage.h"

#define PATIENCE 300000000ull // ns; what is confused on purpose often does not answer

enum { GPADLS = 8 };

static struct lumen_vmbus *bus;
static struct lumen_channel *channel; // of a disk controller; NULL: not open
static uint32_t gpadls[GPADLS];
static struct vmbus_packet packet;

// --- the connection ---

static void forget(void)
{
	if (channel)
		lumen_channel_close(channel);
	if (channel && lumen_channel_rescinded(channel))
		lumen_channel_release(channel);
	channel = NULL;
	for (unsigned int i = 0; i < GPADLS; i++)
		gpadls[i] = 0;
}

static bool connect(struct random_vp *vp)
{
	static const uint32_t versions[] = { 0, 0, 0, VMBUS_VERSION_5_1, VMBUS_VERSION_4_0,
		VMBUS_VERSION_3_0, VMBUS_VERSION_2_4 };

	if (bus) {
		forget();
		lumen_vmbus_disconnect(bus);
		bus = NULL;
	}
	if (bus_connect(random_of(vp, versions), PATIENCE, &bus)) {
		bus = NULL;
		return false;
	}
	return true;
}

static bool open_channel(struct random_vp *vp)
{
	const struct lumen_channel_config config = { .send_pages =
							     1 + (uint32_t)random_below(vp, 8),
		.receive_pages = 1 + (uint32_t)random_below(vp, 8) };

	if (!bus && !connect(vp))
		return false;
	forget();
	channel = random_one_in(vp, 8) ? lumen_vmbus_find(bus, NULL, (uint32_t)random_below(vp, 4))
				       : lumen_storage_find(bus, 0);
	if (channel && !lumen_channel_open(channel, &config))
		return true;
	channel = NULL;
	return false;
}

bool random_bus_usable(struct random_vp *vp)
{
	if (channel && !lumen_channel_rescinded(channel))
		return true;
	// If nothing else helps, a new connection does.
	return open_channel(vp) || (random_one_in(vp, 2) && connect(vp) && open_channel(vp));
}

// --- messages ---

// What fields of messages hold: ids that may be right.
static uint32_t any_id(struct random_vp *vp)
{
	if (random_one_in(vp, 4))
		return (uint32_t)random_value(vp);
	return random_one_in(vp, 2) ? (uint32_t)random_below(vp, 5) : random_of(vp, gpadls);
}

static bool message(struct random_vp *vp)
{
	static const uint32_t connections[] = { 1, 4, 4, 4 };
	uint32_t words[VMBUS_MESSAGE_MAX / 4];
	uint64_t size = random_one_in(vp, 2) ? random_below(vp, VMBUS_MESSAGE_MAX + 1)
					     : 16 + random_below(vp, 30);

	for (unsigned int i = 0; i < VMBUS_MESSAGE_MAX / 4; i++)
		words[i] = any_id(vp);
	words[0] = (uint32_t)random_below(vp, VMBUS_MESSAGE_TYPE_COUNT + 2);
	words[1] = random_one_in(vp, 8) ? words[1] : 0;
	return !bus_post(random_of(vp, connections), 1, words, (uint32_t)size);
}

// A list of pages that need not be there, in messages of any length.
static bool gpadl_anywhere(struct random_vp *vp)
{
	struct {
		struct vmbus_gpadl_header header;
		uint32_t bytes, offset; // of the range
		uint32_t pages[2 * 24];
	} gpadl = { .header.header.type = VMBUS_MESSAGE_GPADL_HEADER };
	uint64_t count = 1 + random_below(vp, 24);

	gpadl.header.relid = any_id(vp);
	gpadl.header.gpadl = any_id(vp);
	gpadl.header.range_count = random_one_in(vp, 8) ? (uint16_t)random_value(vp) : 1;
	gpadl.header.length = (uint16_t)(8 + 8 * count);
	gpadl.bytes = random_one_in(vp, 4) ? (uint32_t)random_value(vp)
					   : (uint32_t)count * KERNEL_PAGE_SIZE;
	gpadl.offset = random_one_in(vp, 4) ? (uint32_t)random_value(vp) : 0;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t page = random_page(vp) >> 12;

		gpadl.pages[2 * i] = (uint32_t)page;
		gpadl.pages[2 * i + 1] = (uint32_t)(page >> 32);
	}
	if (random_one_in(vp, 8))
		gpadl.header.length = (uint16_t)random_value(vp);
	return !bus_post(4, 1, &gpadl, (uint32_t)(28 + 8 * count));
}

static bool make_gpadl(struct random_vp *vp)
{
	uint32_t *gpadl = &random_of(vp, gpadls);
	uint64_t first = random_below(vp, RANDOM_PAGES);

	if (!random_bus_usable(vp))
		return false;
	if (*gpadl)
		return !lumen_gpadl_destroy(channel, *gpadl);
	return !lumen_gpadl_create(channel, random_arena + first * KERNEL_PAGE_SIZE,
		1 + (uint32_t)random_below(vp, RANDOM_PAGES - first), gpadl);
}

// --- rings ---

static bool spoil_ring(struct random_vp *vp)
{
	struct vmbus_ring_control *control;

	if (!random_bus_usable(vp))
		return false;
	control = random_one_in(vp, 2) ? channel->writer.pages.control
				       : channel->reader.pages.control;
	((uint32_t *)control)[random_below(vp, 4)] =
		random_one_in(vp, 2) ? (uint32_t)random_value(vp)
				     : (uint32_t)random_below(vp, 8 * KERNEL_PAGE_SIZE) & ~7u;
	lumen_hypercall_fast(HvCallSignalEvent, channel->protocol->offer.connection_id, 0);
	return true;
}

// Anything where the next packet would be, as if it were one.
static bool spoil_packet(struct random_vp *vp)
{
	uint8_t bytes[256];
	const struct vmbus_piece piece = { bytes, (uint32_t)random_below(vp, sizeof(bytes)) };
	struct vmbus_packet_out out = { .type = (uint16_t)random_below(vp, 16),
		.flags = (uint16_t)random_below(vp, 4),
		.transaction_id = random_u64(vp),
		.payload = &piece,
		.payload_count = 1 };
	uint32_t at;

	if (!random_bus_usable(vp))
		return false;
	random_fill(vp, bytes, sizeof(bytes));
	at = channel->writer.in;
	if (lumen_channel_queue(channel, &out))
		return false;
	if (random_one_in(vp, 4))
		((uint16_t *)channel->writer.pages
				.data[at / KERNEL_PAGE_SIZE])[at % KERNEL_PAGE_SIZE / 2 +
							      random_below(vp, 4)] =
			(uint16_t)random_value(vp);
	lumen_channel_flush(channel);
	return true;
}

bool random_bus_send(const struct vmbus_packet_out *packet_out)
{
	return channel && !lumen_channel_send(channel, packet_out);
}

bool random_bus_receive(struct random_vp *vp)
{
	static uint64_t buffer[4096];
	unsigned int count = 0;

	(void)vp;
	if (!channel)
		return false;
	while (count < 64 && !lumen_channel_receive(channel, buffer, sizeof(buffer), &packet))
		count++;
	lumen_channel_unmask(channel);
	return count;
}

static struct random_action random_bus[] = {
	{ .name = "connect", .run = connect, .weight = 20 },
	{ .name = "open", .run = open_channel, .weight = 50 },
	{ .name = "message", .run = message, .weight = 50 },
	{ .name = "gpadl-anywhere", .run = gpadl_anywhere, .weight = 50 },
	{ .name = "gpadl", .run = make_gpadl, .weight = 100 },
	{ .name = "ring", .run = spoil_ring, .weight = 20 },
	{ .name = "packet", .run = spoil_packet, .weight = 20 },
	{ .name = "receive", .run = random_bus_receive, .weight = 300 },
	{ .name = NULL },
};

static struct random_action *const groups[] = { random_bus, random_storage, NULL };

static void run(uint64_t unused)
{
	struct random_vp *vp = &random_vps[0];

	(void)unused;
	random_arena = lumen_alloc_pages(RANDOM_PAGES);
	random_count = 1;
	if (!kernel_check(random_arena && bus_prepare(), "hypercalls and memory"))
		return;
	random_begin(groups);
	random_seed(vp);
	for (;;) {
		struct random_action *action = random_choose(vp);

		random_look();
		random_count_end(action, action->run(vp) ? RANDOM_DONE : RANDOM_REFUSED);
	}
}

const struct mode random_bus_modes[] = {
	{ "random-bus", run, 0 },
	{ NULL, NULL, 0 },
};
