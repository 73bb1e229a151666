// SPDX-License-Identifier: BSD-2-Clause
// Packets: copied out of a ring once, checked, and described; or assembled into one.
#include "vmbus/packet.h"

#include <string.h>

#include "vmbus/ring.h"
#include "vmbus/ring_copy.h"

#define DESCRIPTOR_SIZE (uint32_t)sizeof(struct vmbus_packet_descriptor)
#define FOOTER_SIZE	(uint32_t)sizeof(struct vmbus_packet_footer)
#define LENGTH_MAX	(0xFFFFu * 8)

// Returns the bytes from `offset` (already around the end) to the end of their page, at most
// `limit`.
static uint8_t *run(
	const struct vmbus_ring_pages *pages, uint32_t offset, uint32_t limit, uint32_t *length)
{
	uint32_t in_page = offset % VMBUS_PAGE_SIZE;

	*length = VMBUS_PAGE_SIZE - in_page;
	if (*length > limit)
		*length = limit;
	return (uint8_t *)pages->data[offset / VMBUS_PAGE_SIZE] + in_page;
}

static void copy_out(
	const struct vmbus_ring_pages *pages, uint32_t offset, void *to, uint32_t length)
{
	uint8_t *bytes = to;
	uint32_t n;

	while (length) {
		const uint8_t *from = run(pages, offset, length, &n);

		memcpy(bytes, from, n);
		bytes += n;
		length -= n;
		offset = vmbus_ring_offset(pages, offset, n);
	}
	// From here on the copy counts: the compiler must not look at the shared bytes again.
	__asm__ volatile("" : : "r"(to) : "memory");
}

// Copies to the ring, or zeroes it where `from` is NULL. Returns the offset behind.
static uint32_t copy_in(
	const struct vmbus_ring_pages *pages, uint32_t offset, const void *from, uint32_t length)
{
	const uint8_t *bytes = from;
	uint32_t n;

	while (length) {
		uint8_t *to = run(pages, offset, length, &n);

		if (bytes) {
			memcpy(to, bytes, n);
			bytes += n;
		} else {
			memset(to, 0, n);
		}
		length -= n;
		offset = vmbus_ring_offset(pages, offset, n);
	}
	return offset;
}

static enum vmbus_ring_status check_descriptor(
	const struct vmbus_packet_descriptor *descriptor, uint32_t available, uint32_t size)
{
	uint32_t offset = descriptor->data_offset8 * 8u;
	uint32_t length = descriptor->length8 * 8u;

	// The footer must be there, but says nothing that the ring does not know: nobody reads it.
	if (offset < DESCRIPTOR_SIZE || length < offset || available - FOOTER_SIZE < length)
		return VMBUS_RING_BAD_LENGTHS;
	if (descriptor->flags & ~VMBUS_PACKET_FLAG_COMPLETION_REQUESTED)
		return VMBUS_RING_BAD_FLAGS;
	if (length > size)
		return VMBUS_RING_PACKET_TOO_LARGE;
	return VMBUS_RING_OK;
}

// Takes one range off the words at *at (of `end`). Each turn of the caller's loop consumes a word.
static bool parse_range(const uint64_t **at, const uint64_t *end, struct vmbus_gpa_range *range)
{
	struct vmbus_gpa_range_header header;
	uint64_t pages;

	if (*at == end)
		return false;
	memcpy(&header, *at, sizeof(header));
	pages = vmbus_pages_spanned(header.byte_offset, header.byte_count);
	if (header.byte_offset >= VMBUS_PAGE_SIZE || pages > (uint64_t)(end - *at - 1))
		return false;
	range->byte_count = header.byte_count;
	range->byte_offset = header.byte_offset;
	range->pfn_count = (uint32_t)pages;
	range->pfns = *at + 1;
	*at += 1 + pages;
	return true;
}

static enum vmbus_ring_status parse_gpa_direct(
	struct vmbus_packet *packet, const uint64_t *words, const uint64_t *end)
{
	struct vmbus_gpa_direct_header header;
	uint32_t i;

	if (words == end)
		return VMBUS_RING_BAD_LENGTHS;
	memcpy(&header, words++, sizeof(header));
	if (!header.range_count || header.range_count > VMBUS_PACKET_MAX_RANGES)
		return VMBUS_RING_BAD_RANGE_COUNT;
	for (i = 0; i < header.range_count; i++) {
		if (!parse_range(&words, end, &packet->ranges[i]))
			return VMBUS_RING_BAD_RANGE;
	}
	packet->range_count = header.range_count;
	return VMBUS_RING_OK;
}

static enum vmbus_ring_status parse_transfer(
	struct vmbus_packet *packet, const uint64_t *words, const uint64_t *end)
{
	struct vmbus_transfer_header header;

	if (words == end)
		return VMBUS_RING_BAD_LENGTHS;
	memcpy(&header, words++, sizeof(header));
	if (header.range_count > (uint64_t)(end - words))
		return VMBUS_RING_BAD_RANGE_COUNT;
	packet->range_count = header.range_count;
	packet->transfer_set_id = header.transfer_set_id;
	packet->transfer_ranges = (const struct vmbus_transfer_range *)words;
	return VMBUS_RING_OK;
}

static enum vmbus_ring_status parse_packet(struct vmbus_packet *packet, const uint8_t *bytes,
	const struct vmbus_packet_descriptor *descriptor)
{
	uint32_t offset = descriptor->data_offset8 * 8u;
	const uint64_t *words = (const uint64_t *)(const void *)(bytes + DESCRIPTOR_SIZE);
	const uint64_t *end = (const uint64_t *)(const void *)(bytes + offset);

	packet->type = descriptor->type;
	packet->flags = descriptor->flags;
	packet->transaction_id = descriptor->transaction_id;
	packet->payload = bytes + offset;
	packet->payload_length = descriptor->length8 * 8u - offset;
	packet->range_count = 0;
	packet->transfer_set_id = 0;
	packet->transfer_ranges = NULL;
	switch (packet->type) {
	case VMBUS_PACKET_IN_BAND:
	case VMBUS_PACKET_COMPLETION:
		return VMBUS_RING_OK;
	case VMBUS_PACKET_GPA_DIRECT:
		return parse_gpa_direct(packet, words, end);
	case VMBUS_PACKET_TRANSFER_PAGES:
		return parse_transfer(packet, words, end);
	default:
		return VMBUS_RING_BAD_TYPE;
	}
}

enum vmbus_ring_status vmbus_ring_read(
	struct vmbus_ring_reader *reader, void *buffer, uint32_t size, struct vmbus_packet *packet)
{
	struct vmbus_packet_descriptor descriptor;
	enum vmbus_ring_status status;
	uint32_t available, length;

	status = vmbus_ring_reader_look(reader, &available);
	if (status)
		return status;
	if (available < DESCRIPTOR_SIZE + FOOTER_SIZE)
		return reader->status = VMBUS_RING_SHORT_DESCRIPTOR;

	// The descriptor is read once. What the packet's copy says in its place does not count.
	copy_out(&reader->pages, reader->out, &descriptor, sizeof(descriptor));
	reader->status = check_descriptor(&descriptor, available, size);
	if (reader->status)
		return reader->status;
	length = descriptor.length8 * 8u;
	memcpy(buffer, &descriptor, sizeof(descriptor));
	copy_out(&reader->pages, vmbus_ring_offset(&reader->pages, reader->out, DESCRIPTOR_SIZE),
		(uint8_t *)buffer + DESCRIPTOR_SIZE, length - DESCRIPTOR_SIZE);
	reader->status = parse_packet(packet, buffer, &descriptor);
	if (!reader->status)
		vmbus_ring_reader_advance(reader, length + FOOTER_SIZE);
	return reader->status;
}

uint32_t vmbus_ring_packet_room(uint32_t header_length, uint32_t payload_length)
{
	uint64_t length = (uint64_t)DESCRIPTOR_SIZE + header_length + payload_length;

	length = (length + 7) & ~7ull;
	return length > LENGTH_MAX ? 0 : (uint32_t)length + FOOTER_SIZE;
}

// Adds up pieces; what does not fit 32 bits comes out as a length that no packet can have.
static uint32_t pieces_length(const struct vmbus_piece *pieces, uint32_t count)
{
	uint32_t sum = 0, i;

	for (i = 0; i < count; i++) {
		if (__builtin_add_overflow(sum, pieces[i].length, &sum))
			return UINT32_MAX;
	}
	return sum;
}

static uint32_t copy_pieces(const struct vmbus_ring_pages *pages, uint32_t offset,
	const struct vmbus_piece *pieces, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (pieces[i].length)
			offset = copy_in(pages, offset, pieces[i].data, pieces[i].length);
	}
	return offset;
}

enum vmbus_ring_status vmbus_ring_write(
	struct vmbus_ring_writer *writer, const struct vmbus_packet_out *packet)
{
	const struct vmbus_ring_pages *pages = &writer->pages;
	uint32_t header_length = pieces_length(packet->header, packet->header_count);
	uint32_t payload_length = pieces_length(packet->payload, packet->payload_count);
	uint32_t total = vmbus_ring_packet_room(header_length, payload_length);
	struct vmbus_packet_descriptor descriptor;
	struct vmbus_packet_footer footer = { .packet_offset = writer->in };
	enum vmbus_ring_status status;
	uint32_t offset;

	if (writer->status)
		return writer->status;
	if (!total || total > pages->size - 8 || header_length % 8)
		return VMBUS_RING_UNWRITABLE;
	status = vmbus_ring_writer_look(writer, total);
	if (status)
		return status;

	descriptor.type = packet->type;
	descriptor.data_offset8 = (uint16_t)((DESCRIPTOR_SIZE + header_length) / 8);
	descriptor.length8 = (uint16_t)((total - FOOTER_SIZE) / 8);
	descriptor.flags = packet->flags;
	descriptor.transaction_id = packet->transaction_id;
	offset = copy_in(pages, writer->in, &descriptor, sizeof(descriptor));
	offset = copy_pieces(pages, offset, packet->header, packet->header_count);
	offset = copy_pieces(pages, offset, packet->payload, packet->payload_count);
	offset = copy_in(pages, offset, NULL, -payload_length % 8);
	copy_in(pages, offset, &footer, sizeof(footer));
	vmbus_ring_writer_advance(writer, total);
	return VMBUS_RING_OK;
}
