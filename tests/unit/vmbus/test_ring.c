// SPDX-License-Identifier: BSD-2-Clause
// The ring: what goes in comes out, signals come when and only when they must, and a peer that
// breaks the ring gets a named error for good.
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus/ring.h"

#include "base/macros.h"

#define PAGES_MAX 9

// A ring whose pages lie in the opposite order in memory, with both ends.
struct fixture {
	_Alignas(4096) uint8_t memory[PAGES_MAX][VMBUS_PAGE_SIZE];
	void *pages[PAGES_MAX];
	struct vmbus_ring_control *control;
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	uint64_t buffer[8192];
	struct vmbus_packet packet;
};

static struct fixture *fixture_new(uint32_t page_count)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	uint32_t i;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < page_count; i++)
		f->pages[i] = f->memory[page_count - 1 - i];
	f->control = f->pages[0];
	cr_assert_eq(vmbus_ring_reader_init(&f->reader, f->pages, page_count), VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_writer_init(&f->writer, f->pages, page_count), VMBUS_RING_OK);
	return f;
}

static enum vmbus_ring_status put(
	struct fixture *f, uint16_t type, uint64_t id, const void *payload, uint32_t length)
{
	struct vmbus_piece piece = { payload, length };
	struct vmbus_packet_out out = {
		.type = type, .transaction_id = id, .payload = &piece, .payload_count = 1
	};

	return vmbus_ring_write(&f->writer, &out);
}

static enum vmbus_ring_status get(struct fixture *f)
{
	return vmbus_ring_read(&f->reader, f->buffer, sizeof(f->buffer), &f->packet);
}

// Puts raw words into the ring's data and makes them visible, as a broken peer would.
static void put_raw(struct fixture *f, const uint64_t *words, uint32_t count)
{
	memcpy(f->pages[1], words, count * 8);
	f->control->in = count * 8;
}

Test(ring, wire_layout_is_hyper_vs)
{
	struct fixture *f = fixture_new(2);
	static const uint64_t expected[] = { 0x0000000300020006, 0x1122334455667788,
		0x0000000000434241, 0x0000000000000000 };

	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0x1122334455667788, "ABC", 3), VMBUS_RING_OK);
	cr_assert_eq(f->control->in, 0, "published before the commit");
	vmbus_ring_writer_commit(&f->writer);
	cr_assert_eq(f->control->in, 32);
	cr_assert_eq(memcmp(f->pages[1], expected, sizeof(expected)), 0);
	cr_assert_eq(f->control->feature_bits, 1);
	// The footer of the second one holds where it began, in the upper half.
	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0, NULL, 0), VMBUS_RING_OK);
	cr_assert_eq(((uint64_t *)f->pages[1])[6], 32ull << 32);
}

Test(ring, random_packets_arrive_in_order_and_whole)
{
	uint32_t page_count;

	for (page_count = 2; page_count <= PAGES_MAX; page_count += 7) {
		struct fixture *f = fixture_new(page_count);
		uint32_t size = (page_count - 1) * 4096, sent = 0, received = 0, i;
		uint8_t payload[40000];

		srand(7);
		while (received < 20000) {
			// A packet's length and contents follow from its number, both ends know it.
			uint32_t turns = (uint32_t)rand() % 8;

			while (turns-- && sent < 20000) {
				uint32_t length = (sent * 2654435761u >> 7) % (size - 24 - 8);

				for (i = 0; i < length; i++)
					payload[i] = (uint8_t)(sent + i * 31);
				if (put(f, VMBUS_PACKET_IN_BAND, sent, payload, length))
					break;
				sent++;
				if (rand() % 3 == 0)
					vmbus_ring_writer_commit(&f->writer);
			}
			vmbus_ring_writer_commit(&f->writer);
			turns = (uint32_t)rand() % 8;
			while (turns-- && get(f) == VMBUS_RING_OK) {
				uint32_t length = (received * 2654435761u >> 7) % (size - 24 - 8);

				cr_assert_eq(f->packet.transaction_id, received);
				cr_assert_eq(f->packet.payload_length, (length + 7) / 8 * 8);
				for (i = 0; i < length; i++)
					cr_assert_eq(
						f->packet.payload[i], (uint8_t)(received + i * 31));
				for (; i < f->packet.payload_length; i++)
					cr_assert_eq(f->packet.payload[i], 0, "padding");
				received++;
			}
			vmbus_ring_reader_commit(&f->reader);
		}
		cr_assert_eq(f->reader.status, VMBUS_RING_OK);
		cr_assert_eq(f->writer.status, VMBUS_RING_OK);
	}
}

Test(ring, a_full_ring_is_full_to_eight_bytes)
{
	struct fixture *f = fixture_new(2);
	static uint8_t payload[4096];
	uint32_t most = 4096 - 8 - 8 - 16;

	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0, payload, most + 1), VMBUS_RING_UNWRITABLE);
	cr_assert_eq(f->writer.status, VMBUS_RING_OK);
	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0, payload, most), VMBUS_RING_OK);
	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0, payload, 0), VMBUS_RING_FULL);
	vmbus_ring_writer_commit(&f->writer);
	cr_assert_eq(f->control->in, 4088);
	cr_assert_eq(get(f), VMBUS_RING_OK);
	cr_assert_eq(f->packet.payload_length, most);
	cr_assert_eq(get(f), VMBUS_RING_EMPTY);
	// Room comes back with the commit, not with the read.
	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0, payload, 0), VMBUS_RING_FULL);
	vmbus_ring_reader_commit(&f->reader);
	cr_assert_eq(put(f, VMBUS_PACKET_IN_BAND, 0, payload, most), VMBUS_RING_OK);
}

Test(ring, writer_refuses_what_no_descriptor_can_say)
{
	struct fixture *f = fixture_new(2);
	struct vmbus_piece pieces[2] = { { "x", UINT32_MAX }, { "y", 100 } };
	struct vmbus_packet_out out = { .type = 6, .payload = pieces, .payload_count = 2 };

	cr_assert_eq(vmbus_ring_write(&f->writer, &out), VMBUS_RING_UNWRITABLE);
	out.payload_count = 0;
	pieces[0].length = 4;
	out.header = pieces;
	out.header_count = 1;
	cr_assert_eq(vmbus_ring_write(&f->writer, &out), VMBUS_RING_UNWRITABLE, "header of 4");
	cr_assert_eq(vmbus_ring_packet_room(0, 0xFFFF * 8 - 16), 0xFFFF * 8 + 8);
	cr_assert_eq(vmbus_ring_packet_room(0, 0xFFFF * 8 - 15), 0);
	cr_assert_eq(vmbus_ring_packet_room(UINT32_MAX, UINT32_MAX), 0);
}

Test(ring, writer_signals_empty_to_not_empty_only)
{
	struct fixture *f = fixture_new(2);

	cr_assert_not(vmbus_ring_writer_commit(&f->writer), "nothing written");
	put(f, 6, 1, NULL, 0);
	cr_assert(vmbus_ring_writer_commit(&f->writer));
	cr_assert_not(vmbus_ring_writer_commit(&f->writer), "the same once more");
	put(f, 6, 2, NULL, 0);
	cr_assert_not(vmbus_ring_writer_commit(&f->writer), "was not empty");
	get(f);
	get(f);
	put(f, 6, 3, NULL, 0);
	cr_assert_not(vmbus_ring_writer_commit(&f->writer), "reader has not said that it read");
	get(f);
	vmbus_ring_reader_commit(&f->reader);
	put(f, 6, 4, NULL, 0);
	put(f, 6, 5, NULL, 0);
	cr_assert(vmbus_ring_writer_commit(&f->writer), "a batch into an empty ring");
}

Test(ring, masked_reader_is_left_alone_and_looks_again)
{
	struct fixture *f = fixture_new(2);

	vmbus_ring_reader_mask(&f->reader);
	cr_assert_eq(f->control->interrupt_mask, 1);
	cr_assert_eq(get(f), VMBUS_RING_EMPTY);
	put(f, 6, 1, NULL, 0);
	cr_assert_not(vmbus_ring_writer_commit(&f->writer));
	cr_assert(vmbus_ring_reader_unmask(&f->reader), "must be told that something came");
	cr_assert_eq(get(f), VMBUS_RING_OK);
	vmbus_ring_reader_commit(&f->reader);
	cr_assert_not(vmbus_ring_reader_unmask(&f->reader));
	cr_assert_eq(f->control->interrupt_mask, 0);
	put(f, 6, 1, NULL, 0);
	cr_assert(vmbus_ring_writer_commit(&f->writer));
}

// Fills the ring with packets that take 1024 bytes each (three: a fourth would need all).
static void fill(struct fixture *f)
{
	static uint8_t payload[1000];

	while (put(f, 6, 0, payload, sizeof(payload)) == VMBUS_RING_OK)
		;
	vmbus_ring_writer_commit(&f->writer);
}

Test(ring, reader_signals_a_writer_that_waits_when_it_fits)
{
	struct fixture *f = fixture_new(2);

	fill(f);
	cr_assert_eq(f->control->in, 3072);
	get(f);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader), "nobody waits");
	// Free are now 4096 - 2048 - 8 = 2040 bytes.
	cr_assert(vmbus_ring_writer_wait(&f->writer, 2040), "fits already");
	cr_assert_not(vmbus_ring_writer_wait(&f->writer, 3000));
	cr_assert_eq(f->control->pending_send_size, 3000);
	get(f);
	cr_assert(vmbus_ring_reader_commit(&f->reader), "2040 to 3064: fits now");
	get(f);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader), "fitted before");
	put(f, 6, 0, NULL, 0);
	cr_assert_eq(f->control->pending_send_size, 0, "a write ends the wait");
}

Test(ring, reader_gives_no_false_hope)
{
	struct fixture *f = fixture_new(2);

	fill(f);
	cr_assert_not(vmbus_ring_writer_wait(&f->writer, 4000));
	get(f);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader));
	get(f);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader));
	get(f);
	cr_assert(vmbus_ring_reader_commit(&f->reader));
}

Test(ring, reader_honours_the_feature_bit_and_odd_sizes)
{
	struct fixture *f = fixture_new(2);

	fill(f);
	f->control->feature_bits = 0;
	f->control->pending_send_size = 2000;
	get(f);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader), "not announced");
	f->control->feature_bits = 1;
	f->control->pending_send_size = 4095; // "when it is empty"
	get(f);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader));
	get(f);
	cr_assert(vmbus_ring_reader_commit(&f->reader));
}

Test(ring, one_publication_and_one_signal_for_a_batch)
{
	struct fixture *f = fixture_new(2);

	fill(f);
	cr_assert_not(vmbus_ring_writer_wait(&f->writer, 1024));
	get(f);
	get(f);
	get(f);
	cr_assert_eq(f->control->out, 0);
	cr_assert(vmbus_ring_reader_commit(&f->reader));
	cr_assert_eq(f->control->out, 3072);
	cr_assert_not(vmbus_ring_reader_commit(&f->reader));
}

Test(ring, bad_pages_are_refused)
{
	struct fixture *f = fixture_new(3);
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;

	cr_assert_eq(vmbus_ring_reader_init(&reader, f->pages, 1), VMBUS_RING_BAD_PAGES);
	cr_assert_eq(vmbus_ring_reader_init(&reader, f->pages, 0), VMBUS_RING_BAD_PAGES);
	cr_assert_eq(vmbus_ring_writer_init(&writer, f->pages, 0x80000000), VMBUS_RING_BAD_PAGES);
	f->pages[2] = NULL;
	cr_assert_eq(vmbus_ring_writer_init(&writer, f->pages, 3), VMBUS_RING_BAD_PAGES);
	// What failed to begin may be used without harm.
	cr_assert_eq(vmbus_ring_read(&reader, f->buffer, 64, &f->packet), VMBUS_RING_BAD_PAGES);
	cr_assert_not(vmbus_ring_reader_commit(&reader));
	cr_assert_not(vmbus_ring_reader_unmask(&reader));
	vmbus_ring_reader_mask(&reader);
	cr_assert_not(vmbus_ring_writer_commit(&writer));
	cr_assert(vmbus_ring_writer_wait(&writer, 64));
}

Test(ring, starts_where_the_indices_are_and_refuses_wrong_ones)
{
	struct fixture *f = fixture_new(2);
	static const uint32_t bad[] = { 4, 4096, 4100, 0xFFFFFFF8 };
	size_t i;

	f->control->in = f->control->out = 4080;
	cr_assert_eq(vmbus_ring_reader_init(&f->reader, f->pages, 2), VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_writer_init(&f->writer, f->pages, 2), VMBUS_RING_OK);
	put(f, 6, 5, "over the end", 12);
	vmbus_ring_writer_commit(&f->writer);
	cr_assert_eq(get(f), VMBUS_RING_OK);
	cr_assert_str_eq((const char *)f->packet.payload, "over the end");

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		f->control->in = 0;
		f->control->out = bad[i];
		cr_assert_eq(
			vmbus_ring_reader_init(&f->reader, f->pages, 2), VMBUS_RING_BAD_OUT_INDEX);
		cr_assert_eq(
			vmbus_ring_writer_init(&f->writer, f->pages, 2), VMBUS_RING_BAD_OUT_INDEX);
		f->control->in = bad[i];
		cr_assert_eq(
			vmbus_ring_writer_init(&f->writer, f->pages, 2), VMBUS_RING_BAD_IN_INDEX);
	}
}

Test(ring, a_broken_ring_stays_broken)
{
	static const uint32_t bad[] = { 4, 7, 4096, 4104, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fixture *f = fixture_new(2);

		f->control->in = bad[i];
		cr_assert_eq(get(f), VMBUS_RING_BAD_IN_INDEX);
		f->control->in = 0;
		cr_assert_eq(get(f), VMBUS_RING_BAD_IN_INDEX, "repaired");
		cr_assert_not(vmbus_ring_reader_unmask(&f->reader));
		fill(f);
		f->control->out = bad[i];
		cr_assert_eq(put(f, 6, 0, f->buffer, 1000), VMBUS_RING_BAD_OUT_INDEX);
		f->control->out = 0;
		cr_assert_eq(put(f, 6, 0, NULL, 0), VMBUS_RING_BAD_OUT_INDEX, "repaired");
	}
}

Test(ring, bad_descriptors_have_their_names)
{
	static const struct {
		uint64_t words[6];
		uint32_t count;
		enum vmbus_ring_status status;
	} rows[] = {
		{ { 0 }, 1, VMBUS_RING_SHORT_DESCRIPTOR },
		{ { 0 }, 2, VMBUS_RING_SHORT_DESCRIPTOR },
		{ { 0x0000000200010006 }, 3, VMBUS_RING_BAD_LENGTHS }, // payload in the descriptor
		{ { 0x0000000200030006 }, 3, VMBUS_RING_BAD_LENGTHS }, // payload behind the end
		{ { 0x0000000300020006 }, 3, VMBUS_RING_BAD_LENGTHS }, // over the footer
		{ { 0x0000FFFF00020006 }, 6, VMBUS_RING_BAD_LENGTHS },
		{ { 0x0000000000000006 }, 3, VMBUS_RING_BAD_LENGTHS },
		{ { 0x0002000200020006 }, 3, VMBUS_RING_BAD_FLAGS },
		{ { 0x8001000200020006 }, 3, VMBUS_RING_BAD_FLAGS },
		{ { 0x0000000200020000 }, 3, VMBUS_RING_BAD_TYPE },
		{ { 0x0000000200020008 }, 3, VMBUS_RING_BAD_TYPE },
		{ { 0x000000020002000A }, 3, VMBUS_RING_BAD_TYPE },
		{ { 0x000000020002FFFF }, 3, VMBUS_RING_BAD_TYPE },
		{ { 0x0001000200020006 }, 3, VMBUS_RING_OK },
		{ { 0x000000020002000B }, 3, VMBUS_RING_OK },
		{ { 0x0000000200020009 }, 3, VMBUS_RING_BAD_LENGTHS },	   // no range header
		{ { 0x0000000300030009 }, 4, VMBUS_RING_BAD_RANGE_COUNT }, // no range
		{ { 0x0000000300030009, 0, 33ull << 32 }, 4, VMBUS_RING_BAD_RANGE_COUNT },
		{ { 0x0000000300030009, 0, 1ull << 32 }, 4, VMBUS_RING_BAD_RANGE },
		{ { 0x0000000400040009, 0, 1ull << 32, 1 }, 5, VMBUS_RING_BAD_RANGE }, // no page
		{ { 0x0000000500050009, 0, 1ull << 32, 4097 }, 6, VMBUS_RING_BAD_RANGE },
		{ { 0x0000000500050009, 0, 1ull << 32, 0xFFFFFFFF }, 6, VMBUS_RING_BAD_RANGE },
		{ { 0x0000000500050009, 0, 1ull << 32, 1 | 4096ull << 32 }, 6,
			VMBUS_RING_BAD_RANGE },
		{ { 0x0000000500050009, 0, 1ull << 32, 1 | 0xFFFFFFFFull << 32 }, 6,
			VMBUS_RING_BAD_RANGE },
		{ { 0x0000000500050009, 0, 1ull << 32, 4096 }, 6, VMBUS_RING_OK },
		{ { 0x0000000500050009, 0, 2ull << 32, 4096 }, 6, VMBUS_RING_BAD_RANGE },
		{ { 0x0000000200020007 }, 3, VMBUS_RING_BAD_LENGTHS },
		{ { 0x0000000300030007, 0, 1ull << 32 }, 4, VMBUS_RING_BAD_RANGE_COUNT },
		{ { 0x0000000400040007, 0, 1ull << 32 }, 5, VMBUS_RING_OK },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct fixture *f = fixture_new(2);

		put_raw(f, rows[i].words, rows[i].count);
		cr_assert_eq(get(f), rows[i].status, "row %zu: %s", i,
			vmbus_ring_status_name(f->reader.status));
		if (rows[i].status) {
			put_raw(f, rows[13].words, rows[13].count);
			cr_assert_eq(get(f), rows[i].status, "row %zu does not stay broken", i);
		}
	}
}

Test(ring, a_packet_must_fit_the_readers_buffer)
{
	struct fixture *f = fixture_new(2);
	static uint8_t payload[120];

	put(f, 6, 0, payload, 112);
	put(f, 6, 0, payload, 113);
	vmbus_ring_writer_commit(&f->writer);
	cr_assert_eq(vmbus_ring_read(&f->reader, f->buffer, 128, &f->packet), VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_read(&f->reader, f->buffer, 128, &f->packet),
		VMBUS_RING_PACKET_TOO_LARGE);
}

Test(ring, gpa_direct_ranges_are_parsed)
{
	struct fixture *f = fixture_new(2);
	struct {
		struct vmbus_gpa_direct_header header;
		struct vmbus_gpa_range_header first;
		uint64_t first_pages[3];
		struct vmbus_gpa_range_header second;
		uint64_t second_pages[1];
	} ranges = { { 0xDEAD, 2 }, { 8000, 512 }, { 10, 12, 11 }, { 0x10, 0xFF0 }, { 99 } };
	struct vmbus_piece header = { &ranges, sizeof(ranges) }, payload = { "request", 7 };
	struct vmbus_packet_out out = { .type = VMBUS_PACKET_GPA_DIRECT,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.header = &header,
		.header_count = 1,
		.payload = &payload,
		.payload_count = 1 };

	cr_assert_eq(vmbus_ring_write(&f->writer, &out), VMBUS_RING_OK);
	vmbus_ring_writer_commit(&f->writer);
	cr_assert_eq(get(f), VMBUS_RING_OK);
	cr_assert_eq(f->packet.flags, VMBUS_PACKET_FLAG_COMPLETION_REQUESTED);
	cr_assert_eq(f->packet.range_count, 2);
	cr_assert_eq(f->packet.ranges[0].byte_count, 8000);
	cr_assert_eq(f->packet.ranges[0].byte_offset, 512);
	cr_assert_eq(f->packet.ranges[0].pfn_count, 3);
	cr_assert_eq(f->packet.ranges[0].pfns[1], 12);
	cr_assert_eq(f->packet.ranges[1].pfn_count, 1);
	cr_assert_eq(f->packet.ranges[1].pfns[0], 99);
	cr_assert_str_eq((const char *)f->packet.payload, "request");
	// The copy is the truth: what the peer changes afterwards is not seen.
	memset(f->pages[1], 0xFF, 4096);
	cr_assert_eq(f->packet.ranges[0].pfns[2], 11);
	cr_assert_str_eq((const char *)f->packet.payload, "request");
}

Test(ring, transfer_ranges_are_parsed)
{
	struct fixture *f = fixture_new(2);
	struct {
		struct vmbus_transfer_header header;
		struct vmbus_transfer_range ranges[40];
	} pages = { { 0xCAFE, 1, 40 }, { [39] = { 1500, 0x1000 } } };
	struct vmbus_piece header = { &pages, sizeof(pages) };
	struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_TRANSFER_PAGES, .header = &header, .header_count = 1
	};

	cr_assert_eq(vmbus_ring_write(&f->writer, &out), VMBUS_RING_OK);
	vmbus_ring_writer_commit(&f->writer);
	cr_assert_eq(get(f), VMBUS_RING_OK);
	cr_assert_eq(f->packet.range_count, 40);
	cr_assert_eq(f->packet.transfer_set_id, 0xCAFE);
	cr_assert_eq(f->packet.transfer_ranges[39].byte_count, 1500);
	cr_assert_eq(f->packet.payload_length, 0);
}

// Two processors. Each end sleeps when it may, by the rules of ring.h: if one signal that is needed
// does not come, the test hangs and its timeout fails it.
#define CONCURRENT_PACKETS 300000

struct concurrent {
	struct fixture *f;
	sem_t to_reader, to_writer;
	uint32_t wrong;
};

static void *concurrent_reader(void *argument)
{
	struct concurrent *c = argument;
	struct vmbus_packet packet;
	uint64_t buffer[64];
	uint32_t next = 0;

	for (;;) {
		do {
			vmbus_ring_reader_mask(&c->f->reader);
			while (!vmbus_ring_read(&c->f->reader, buffer, sizeof(buffer), &packet)) {
				c->wrong += packet.transaction_id != next++;
				if (next % 5 == 0 && vmbus_ring_reader_commit(&c->f->reader))
					sem_post(&c->to_writer);
			}
			if (vmbus_ring_reader_commit(&c->f->reader))
				sem_post(&c->to_writer);
		} while (vmbus_ring_reader_unmask(&c->f->reader));
		if (next == CONCURRENT_PACKETS || c->f->reader.status)
			return NULL;
		sem_wait(&c->to_reader);
	}
}

Test(ring, no_signal_is_lost_between_two_processors, .timeout = 60)
{
	struct concurrent c = { .f = fixture_new(2) };
	static uint8_t payload[400];
	pthread_t thread;
	uint32_t i;

	sem_init(&c.to_reader, 0, 0);
	sem_init(&c.to_writer, 0, 0);
	cr_assert_eq(pthread_create(&thread, NULL, concurrent_reader, &c), 0);
	for (i = 0; i < CONCURRENT_PACKETS; i++) {
		uint32_t length = i * 2654435761u % sizeof(payload);

		while (put(c.f, 6, i, payload, length) == VMBUS_RING_FULL) {
			if (vmbus_ring_writer_commit(&c.f->writer))
				sem_post(&c.to_reader);
			if (!vmbus_ring_writer_wait(
				    &c.f->writer, vmbus_ring_packet_room(0, length)))
				sem_wait(&c.to_writer);
		}
		if (i % 3 == 0 && vmbus_ring_writer_commit(&c.f->writer))
			sem_post(&c.to_reader);
	}
	if (vmbus_ring_writer_commit(&c.f->writer))
		sem_post(&c.to_reader);
	pthread_join(thread, NULL);
	cr_assert_eq(c.wrong, 0);
	cr_assert_eq(c.f->reader.status, VMBUS_RING_OK);
	cr_assert_eq(c.f->control->out, c.f->control->in);
}

// The two races of ring.c's [EMPTY] and [FULL], tried many times: both ends take their step at the
// same moment, and at least one of them must see what the other did.
#define RACES 200000

struct race {
	struct fixture *f;
	uint32_t round; // both ends go when it changes
	uint32_t done;	// the reader's last round
	bool full;	// which race
	bool seen;	// by the reader
};

static void wait_for(const uint32_t *word, uint32_t value)
{
	uint32_t spins = 0;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value) {
		if (++spins % 4096 == 0)
			sched_yield();
	}
}

// Brings the control page's line to this processor, and then lets a little time pass, differently
// much in each round: the two steps are to fall together.
static void take_position(const struct race *race, uint32_t delay)
{
	volatile uint32_t left = delay;

	(void)*(volatile uint32_t *)&race->f->control->rsvd_z[0];
	while (left)
		left--;
}

static void *race_reader(void *argument)
{
	struct race *race = argument;
	uint32_t round;

	for (round = 1; round <= RACES; round++) {
		wait_for(&race->round, round);
		take_position(race, 20);
		race->seen = race->full ? vmbus_ring_reader_commit(&race->f->reader)
					: vmbus_ring_reader_unmask(&race->f->reader);
		__atomic_store_n(&race->done, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

Test(ring, of_two_ends_that_race_one_sees_the_other, .timeout = 100)
{
	static uint8_t payload[3000];
	int full;

	for (full = 0; full <= 1; full++) {
		struct race race = { .f = fixture_new(2), .full = full };
		struct fixture *f = race.f;
		pthread_t thread;
		uint32_t round;
		bool seen;

		cr_assert_eq(pthread_create(&thread, NULL, race_reader, &race), 0);
		for (round = 1; round <= RACES; round++) {
			if (full) { // the ring is full, and all of it read but not given back
				put(f, 6, 0, payload, 3000);
				vmbus_ring_writer_commit(&f->writer);
				get(f);
			} else {
				vmbus_ring_reader_mask(&f->reader);
				put(f, 6, 0, NULL, 0);
			}
			__atomic_store_n(&race.round, round, __ATOMIC_RELEASE);
			take_position(&race, 10 + round % 64);
			seen = full ? vmbus_ring_writer_wait(&f->writer, 3024)
				    : vmbus_ring_writer_commit(&f->writer);
			wait_for(&race.done, round);
			if (!seen && !race.seen)
				break;
			if (!full) {
				get(f);
				vmbus_ring_reader_commit(&f->reader);
			}
		}
		cr_assert_gt(round, RACES, "race %d lost in round %u", full, round);
		pthread_join(thread, NULL);
	}
}

Test(ring, every_status_has_a_name)
{
	int i, j;

	for (i = 0; i < VMBUS_RING_STATUS_COUNT; i++) {
		cr_assert_not_null(vmbus_ring_status_name(i));
		for (j = 0; j < i; j++)
			cr_assert_str_neq(vmbus_ring_status_name(i), vmbus_ring_status_name(j));
	}
}
