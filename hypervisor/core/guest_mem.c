// SPDX-License-Identifier: BSD-2-Clause
// Guest memory is reached through the direct map, page by page. No lock: what gpa_map_lookup()
// finds stays what it is until this processor's next quiescent point.
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/x86/memory.h"

// Copies page by page from MEMORY to BUFFER, or (ACCESS is GPA_WRITE) the other way.
static bool copy(
	struct partition *partition, gpa_t memory, char *buffer, size_t size, unsigned int access)
{
	uint64_t at = memory.value, end, spa_page;

	if (__builtin_add_overflow(at, size, &end) || end > BIT(GPA_BITS))
		return false;
	while (at < end) {
		size_t chunk = MIN(end - at, PAGE_SIZE - at % PAGE_SIZE);
		char *page;

		if (!gpa_map_lookup(&partition->gpa, at >> PAGE_SHIFT, access, &spa_page))
			return false;
		page = (char *)page_to_va(spa_page) + at % PAGE_SIZE;
		if (access == GPA_WRITE)
			memcpy(page, buffer, chunk);
		else
			memcpy(buffer, page, chunk);
		buffer += chunk;
		at += chunk;
	}
	return true;
}

bool guest_read(struct partition *partition, gpa_t from, void *to, size_t size)
{
	return copy(partition, from, to, size, GPA_READ);
}

bool guest_write(struct partition *partition, gpa_t to, const void *from, size_t size)
{
	return copy(partition, to, (char *)from, size, GPA_WRITE);
}
