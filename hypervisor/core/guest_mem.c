// SPDX-License-Identifier: BSD-2-Clause
// Guest memory is reached through the direct map, page by page. No lock: what gpa_map_lookup()
// finds stays what it is until this processor's next quiescent point.
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/x86/memory.h"

// The bytes of the page at ADDRESS from there on, at most SIZE. NULL: not mapped for ACCESS.
static void *window(
	struct partition *partition, uint64_t address, unsigned int access, size_t *size)
{
	uint64_t offset = address % PAGE_SIZE, spa_page;

	if (!gpa_map_lookup(&partition->gpa, address >> PAGE_SHIFT, access, &spa_page))
		return NULL;
	*size = MIN(*size, PAGE_SIZE - offset);
	return (char *)page_to_va(spa_page) + offset;
}

static bool in_range(gpa_t start, size_t size)
{
	uint64_t end;

	return !__builtin_add_overflow(start.value, size, &end) && end <= BIT(GPA_BITS);
}

bool guest_read(struct partition *partition, gpa_t from, void *to, size_t size)
{
	char *out = to;

	if (!in_range(from, size))
		return false;
	while (size) {
		size_t chunk = size;
		const void *page = window(partition, from.value, GPA_READ, &chunk);

		if (!page)
			return false;
		memcpy(out, page, chunk);
		out += chunk;
		from.value += chunk;
		size -= chunk;
	}
	return true;
}

bool guest_write(struct partition *partition, gpa_t to, const void *from, size_t size)
{
	const char *in = from;

	if (!in_range(to, size))
		return false;
	while (size) {
		size_t chunk = size;
		void *page = window(partition, to.value, GPA_WRITE, &chunk);

		if (!page)
			return false;
		memcpy(page, in, chunk);
		in += chunk;
		to.value += chunk;
		size -= chunk;
	}
	return true;
}
