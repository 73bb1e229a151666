// SPDX-License-Identifier: BSD-2-Clause
// The one door to a peer's memory: from guest page numbers to host pointers, a page at a time.
// Rings, VSPs and everything else that touches memory shared with a guest come through here.
#ifndef VMBUS_MEMORY_H
#define VMBUS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define VMBUS_PAGE_SHIFT 12
#define VMBUS_PAGE_SIZE	 4096u

// A guest's memory, given by the embedder. The pointers that it hands out stay good until the
// embedder has told the users of the guest (channels, requests in flight) to stop.
struct vmbus_memory {
	void *context;
	// Returns the host address of the 4096 bytes of guest page `gpa_page` (GPA >> 12), or NULL
	// if that page is not the guest's RAM. May be called with any value; must not block.
	void *(*page)(void *context, uint64_t gpa_page);
};

// A list of guest bytes as VMBus describes it: `byte_count` bytes, beginning at `byte_offset` in
// page pfns[0]. Whoever fills one in guarantees byte_offset < 4096 and that pfn_count pages are
// exactly the pages that the bytes need. `pfns` is private memory, never the peer's.
struct vmbus_gpa_range {
	uint32_t byte_count;
	uint32_t byte_offset;
	uint32_t pfn_count;
	const uint64_t *pfns;
};

// A run of bytes within one page of the guest, at a host address.
struct vmbus_segment {
	uint8_t *data;
	uint32_t length; // in bytes, 1 to 4096
};

// Returns the host address of a guest page, or NULL if it is not the guest's RAM.
static inline void *vmbus_memory_page(const struct vmbus_memory *memory, uint64_t gpa_page)
{
	return memory->page(memory->context, gpa_page);
}

// Returns how many pages `byte_count` bytes from `byte_offset` of the first page touch. 64 bits:
// the sum of two untrusted 32-bit numbers cannot overflow.
static inline uint64_t vmbus_pages_spanned(uint32_t byte_offset, uint32_t byte_count)
{
	return ((uint64_t)byte_offset + byte_count + VMBUS_PAGE_SIZE - 1) >> VMBUS_PAGE_SHIFT;
}

// Finds the bytes of `range` that begin `offset` bytes into it and lie in one page, at most `limit`
// of them. Returns false if `offset` is at or behind the end, `limit` is 0, or the page is not RAM.
bool vmbus_memory_segment(const struct vmbus_memory *memory, const struct vmbus_gpa_range *range,
	uint32_t offset, uint32_t limit, struct vmbus_segment *segment);

// Returns whether every page of `range` is the guest's RAM.
bool vmbus_memory_range_present(
	const struct vmbus_memory *memory, const struct vmbus_gpa_range *range);

// Copies `length` bytes from `offset` bytes into the range to private memory, each byte read once.
// Returns false, with `to` in part written, if the range is too short or has a page that is not
// RAM.
bool vmbus_memory_read(const struct vmbus_memory *memory, const struct vmbus_gpa_range *range,
	uint32_t offset, void *to, uint32_t length);

// Copies `length` bytes from private memory to `offset` bytes into the range. Same failures; the
// guest's memory may be in part written.
bool vmbus_memory_write(const struct vmbus_memory *memory, const struct vmbus_gpa_range *range,
	uint32_t offset, const void *from, uint32_t length);

#endif
