// SPDX-License-Identifier: BSD-2-Clause
// What keeps a worker busy, or breaks the protocol with it: long requests, floods of messages, a
// broken ring.
#include "tests/guests/hostile/bus.h"

#include "guest-sdk/vmbus_internal.h"
#include "lumen/storage.h"

// POSTS: a parent keeps so many until it has looked at them; one more, and it may end the child.
enum { REQUESTS = 256, POSTS = 1024, LONG_BLOCKS = 512 };

static struct lumen_storage *open_storage(struct lumen_vmbus **bus)
{
	const struct lumen_storage_config config = { .depth = REQUESTS };
	struct lumen_storage *storage = NULL;
	struct lumen_channel *channel;

	if (!kernel_check(!bus_connect(0, 0, bus), "connected"))
		return NULL;
	channel = lumen_storage_find(*bus, 0);
	kernel_check(channel && !lumen_storage_open(channel, &config, &storage), "storage is open");
	return storage;
}

// --- requests without end ---

static void again(struct lumen_request *request)
{
	lumen_storage_queue(request);
}

// All of the disk, with a pattern, by so many requests at once, again and again.
static void write_same(uint64_t unused)
{
	static struct lumen_request requests[REQUESTS];
	static uint8_t pattern[4096] __attribute__((aligned(4096))) = { 1 };
	struct lumen_vmbus *bus;
	struct lumen_storage *storage = bus_prepare() ? open_storage(&bus) : NULL;
	struct lumen_disk *disk = storage ? lumen_storage_disk(storage, 0) : NULL;
	struct lumen_segment segment;

	(void)unused;
	if (!kernel_check(disk && disk->can_write_same, "there is a disk that writes patterns"))
		return;
	segment = (struct lumen_segment){ .source = pattern, .length = disk->block_size };
	for (unsigned int i = 0; i < REQUESTS; i++) {
		requests[i] = (struct lumen_request){ .disk = disk,
			.operation = LUMEN_WRITE_SAME,
			.count = disk->blocks,
			.segments = &segment,
			.segment_count = 1,
			.done = again };
		lumen_storage_queue(&requests[i]);
	}
	lumen_storage_kick(storage);
	kernel_print("hostile: under way\n");
	for (;;) {
		lumen_storage_poll(storage);
		lumen_storage_kick(storage);
	}
}

// --- a broken ring ---

// The host takes a channel away that breaks its protocol. It offers it again to the same kernel's
// next connection, as it would to the kernel that comes by kexec.
static void broken_channel(uint64_t unused)
{
	const struct lumen_channel_config config = { .send_pages = 2, .receive_pages = 2 };
	struct lumen_channel *channel;
	struct lumen_storage *storage;
	struct lumen_vmbus *bus;
	uint64_t deadline;

	(void)unused;
	if (!kernel_check(bus_prepare() && !bus_connect(0, 0, &bus), "connected"))
		return;
	channel = lumen_storage_find(bus, 0);
	if (!kernel_check(channel && !lumen_channel_open(channel, &config), "opened"))
		return;
	channel->writer.pages.control->in = 3;
	lumen_hypercall_fast(HvCallSignalEvent, channel->protocol->offer.connection_id, 0);
	deadline = lumen_deadline_ns(10000000000ull);
	while (!lumen_channel_rescinded(channel) && !lumen_is_due(deadline))
		lumen_channel_wait(channel, lumen_vmbus_changes(bus), *lumen_vmbus_changes(bus),
			lumen_deadline_ns(10000000));
	kernel_check(lumen_channel_rescinded(channel), "the host takes the channel away");
	lumen_channel_close(channel);
	kernel_check(!lumen_vmbus_disconnect(bus), "disconnected");
	storage = open_storage(&bus);
	kernel_check(storage && lumen_storage_disk(storage, 0), "and there is its disk again");
}

// --- floods ---

// Messages that are answered, to a kernel that does not take the answers.
static void ask(uint64_t count)
{
	struct vmbus_message_header offers = { .type = VMBUS_MESSAGE_REQUEST_OFFERS };
	struct vmbus_initiate_contact contact = { .header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
		.version = VMBUS_VERSION_4_0 };
	uint64_t taken = 0;

	for (uint64_t i = 0; i < count; i++) {
		if (i % 64)
			taken += !bus_post(1, 1, &offers, sizeof(offers));
		else
			taken += !bus_post(1, 1, &contact, sizeof(contact));
	}
	kernel_print("hostile: %lu of %lu messages were taken\n", taken, count);
}

static void posts(uint64_t unused)
{
	(void)unused;
	if (!kernel_check(bus_prepare(), "hypercalls"))
		return;
	for (;;)
		ask(POSTS);
}

static void posts_and_halts(uint64_t unused)
{
	(void)unused;
	if (!kernel_check(bus_prepare(), "hypercalls"))
		return;
	ask(POSTS);
	kernel_irq_off();
	for (;;)
		__asm__ volatile("hlt");
}

const struct mode device_modes[] = {
	{ "write-same", write_same, 0 },
	{ "broken-channel", broken_channel, 0 },
	{ "posts", posts, 0 },
	{ "posts-and-halts", posts_and_halts, 0 },
	{ NULL, NULL, 0 },
};
