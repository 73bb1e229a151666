// SPDX-License-Identifier: BSD-2-Clause
// Walking and copying ranges of guest pages.
#include "vmbus/memory.h"

#include <stddef.h>
#include <string.h>

bool vmbus_memory_segment(const struct vmbus_memory *memory, const struct vmbus_gpa_range *range,
	uint32_t offset, uint32_t limit, struct vmbus_segment *segment)
{
	uint64_t position = (uint64_t)range->byte_offset + offset;
	uint64_t index = position >> VMBUS_PAGE_SHIFT;
	uint32_t in_page = position % VMBUS_PAGE_SIZE;
	uint32_t length = VMBUS_PAGE_SIZE - in_page;
	uint8_t *page;

	if (offset >= range->byte_count || !limit || index >= range->pfn_count)
		return false;
	if (length > range->byte_count - offset)
		length = range->byte_count - offset;
	if (length > limit)
		length = limit;
	page = vmbus_memory_page(memory, range->pfns[index]);
	if (!page)
		return false;
	segment->data = page + in_page;
	segment->length = length;
	return true;
}

bool vmbus_memory_range_present(
	const struct vmbus_memory *memory, const struct vmbus_gpa_range *range)
{
	uint32_t i;

	for (i = 0; i < range->pfn_count; i++) {
		if (!vmbus_memory_page(memory, range->pfns[i]))
			return false;
	}
	return true;
}

bool vmbus_memory_read(const struct vmbus_memory *memory, const struct vmbus_gpa_range *range,
	uint32_t offset, void *to, uint32_t length)
{
	struct vmbus_segment segment;
	uint8_t *bytes = to;

	while (length) {
		if (!vmbus_memory_segment(memory, range, offset, length, &segment))
			return false;
		memcpy(bytes, segment.data, segment.length);
		bytes += segment.length;
		offset += segment.length;
		length -= segment.length;
	}
	// From here on the copy counts: the compiler must not look at the shared bytes again.
	__asm__ volatile("" : : "r"(to) : "memory");
	return true;
}

bool vmbus_memory_write(const struct vmbus_memory *memory, const struct vmbus_gpa_range *range,
	uint32_t offset, const void *from, uint32_t length)
{
	struct vmbus_segment segment;
	const uint8_t *bytes = from;

	while (length) {
		if (!vmbus_memory_segment(memory, range, offset, length, &segment))
			return false;
		memcpy(segment.data, bytes, segment.length);
		bytes += segment.length;
		offset += segment.length;
		length -= segment.length;
	}
	return true;
}
