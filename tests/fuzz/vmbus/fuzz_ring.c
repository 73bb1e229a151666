// SPDX-License-Identifier: BSD-2-Clause
// A ring whose other end writes what the input says: control words and data, between our calls.
#include <stdlib.h>
#include <string.h>

#include "vmbus/ring.h"

#define PAGES 3

static _Alignas(4096) uint8_t memory[PAGES][VMBUS_PAGE_SIZE];
static uint64_t buffer[512];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void require_inside(const void *at, uint64_t length)
{
	uint64_t offset = (uint64_t)((const uint8_t *)at - (const uint8_t *)buffer);

	require(offset <= sizeof(buffer) && length <= sizeof(buffer) - offset);
}

// All that a packet points to lies in our buffer, and its ranges are what struct vmbus_gpa_range
// says.
static void check_packet(const struct vmbus_packet *packet)
{
	uint32_t i;

	require_inside(packet->payload, packet->payload_length);
	require(!(packet->flags & ~VMBUS_PACKET_FLAG_COMPLETION_REQUESTED));
	if (packet->type == VMBUS_PACKET_TRANSFER_PAGES)
		require_inside(packet->transfer_ranges, 8ull * packet->range_count);
	if (packet->type != VMBUS_PACKET_GPA_DIRECT)
		return;
	require(packet->range_count && packet->range_count <= VMBUS_PACKET_MAX_RANGES);
	for (i = 0; i < packet->range_count; i++) {
		const struct vmbus_gpa_range *range = &packet->ranges[i];

		require_inside(range->pfns, 8ull * range->pfn_count);
		require(range->byte_offset < VMBUS_PAGE_SIZE);
		require((uint64_t)range->byte_offset + range->byte_count <=
			(uint64_t)range->pfn_count * VMBUS_PAGE_SIZE);
	}
}

static void try_read(struct vmbus_ring_reader *reader)
{
	enum vmbus_ring_status before = reader->status, status;
	struct vmbus_packet packet;

	status = vmbus_ring_read(reader, buffer, sizeof(buffer), &packet);
	require(!before || status == before);
	if (status == VMBUS_RING_OK)
		check_packet(&packet);
}

static void try_write(struct vmbus_ring_writer *writer, uint8_t amount)
{
	static const uint8_t bytes[4096];
	struct vmbus_piece piece = { bytes, amount * 16u };
	struct vmbus_packet_out packet = {
		.type = VMBUS_PACKET_COMPLETION, .payload = &piece, .payload_count = 1
	};
	enum vmbus_ring_status before = writer->status, status;

	status = vmbus_ring_write(writer, &packet);
	require(!before || status == before);
	require(writer->in < (PAGES - 1) * VMBUS_PAGE_SIZE && writer->in % 8 == 0);
	if (status == VMBUS_RING_FULL)
		vmbus_ring_writer_wait(writer, vmbus_ring_packet_room(0, piece.length));
}

// The peer writes a packet with a plausible descriptor, contents from the input, and moves `in` on.
static size_t peer_packet(struct vmbus_ring_reader *reader, const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { 6, 7, 9, 9, 9, 0xB, 5, 9 };
	struct vmbus_ring_control *control = (struct vmbus_ring_control *)memory[0];
	uint8_t packet[512] = { 0 };
	struct vmbus_packet_descriptor descriptor = {
		.type = types[data[1] % 8],
		.data_offset8 = data[2] % 16,
		.length8 = data[3] % 32,
		.flags = data[1] >> 7,
	};
	size_t contents = descriptor.length8 * 8u, i;

	if (contents > size - 4)
		contents = size - 4;
	memcpy(packet, &descriptor, sizeof(descriptor));
	memcpy(packet + sizeof(descriptor), data + 4, contents);
	for (i = 0; i < sizeof(packet); i++)
		memory[1 + (reader->out + i) / VMBUS_PAGE_SIZE % 2]
		      [(reader->out + i) % VMBUS_PAGE_SIZE] = packet[i];
	control->in = (reader->out + descriptor.length8 * 8u + 8) % (2 * VMBUS_PAGE_SIZE);
	return 4 + contents;
}

// Instructions: 0 peer writes a control word, 1 peer writes 8 bytes of data where the next packet
// is, 2 read, 3 commit, 4 unmask, 5 write, 6 commit, 7 peer
// writes a packet.
static size_t step(struct vmbus_ring_reader *reader, struct vmbus_ring_writer *writer,
	const uint8_t *data, size_t size)
{
	uint32_t word, offset;

	switch (data[0] % 8) {
	case 0:
		if (size < 6)
			return size;
		memcpy(&word, data + 2, 4);
		memcpy(memory[0] + data[1] % 20 * 4, &word, 4);
		return 6;
	case 1:
		if (size < 10)
			return size;
		offset = (reader->out + data[1] % 16 * 8) % ((PAGES - 1) * VMBUS_PAGE_SIZE);
		memcpy((uint8_t *)memory + VMBUS_PAGE_SIZE + offset, data + 2, 8);
		return 10;
	case 2:
		try_read(reader);
		return 1;
	case 3:
		vmbus_ring_reader_commit(reader);
		return 1;
	case 4:
		vmbus_ring_reader_mask(reader);
		vmbus_ring_reader_unmask(reader);
		return 1;
	case 5:
		try_write(writer, size > 1 ? data[1] : 0);
		return size > 1 ? 2 : 1;
	case 6:
		vmbus_ring_writer_commit(writer);
		return 1;
	default:
		return size < 4 ? size : peer_packet(reader, data, size);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *pages[PAGES] = { memory[0], memory[1], memory[2] };
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	size_t used;

	memset(memory, 0, sizeof(memory));
	if (size >= 8) {
		memcpy(memory[0], data, 8);
		data += 8;
		size -= 8;
	}
	vmbus_ring_reader_init(&reader, pages, PAGES);
	if (vmbus_ring_writer_init(&writer, pages, PAGES) != VMBUS_RING_OK)
		return 0;
	for (; size; data += used, size -= used)
		used = step(&reader, &writer, data, size);
	return 0;
}
