// SPDX-License-Identifier: BSD-2-Clause
// See memory.h.
#include "parent/worker/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "parent/worker/platform/layout.h"

// Maps `size` bytes aligned to LAYOUT_MEMORY_UNIT, so that a 2 MiB page of ours can be one of the
// guest's too: maps more than that and gives back both ends.
static uint8_t *map_aligned(uint64_t size)
{
	uint64_t slack = LAYOUT_MEMORY_UNIT;
	uint8_t *base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t head;

	if (base == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)base & (slack - 1);
	if (head)
		munmap(base, head);
	if (slack - head)
		munmap(base + head + size, slack - head);
	madvise(base + head, size, MADV_HUGEPAGE); // a hint: a kernel without it is only slower
	madvise(base + head, size, MADV_DONTFORK);
	madvise(base + head, size, MADV_DONTDUMP);
	return base + head;
}

static bool create_part(
	struct guest_memory_part *part, uint64_t gpa, uint64_t size, struct failure *failure)
{
	*part = (struct guest_memory_part){ .gpa = gpa, .size = size };
	if (!size)
		return true;
	part->host = map_aligned(size);
	if (part->host)
		return true;
	part->size = 0;
	return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
		"The root partition has no %llu MiB of memory for the child: %s.",
		(unsigned long long)(size / LAYOUT_MIB), strerror(errno));
}

bool guest_memory_create(struct guest_memory *memory, uint64_t size, struct failure *failure)
{
	uint64_t low = size < LAYOUT_LOW_RAM_END ? size : LAYOUT_LOW_RAM_END;

	memset(memory, 0, sizeof(*memory));
	if (size < LAYOUT_MEMORY_MIN || size > LAYOUT_MEMORY_MAX || size % LAYOUT_MEMORY_UNIT)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"A child's memory is a multiple of 2 MiB, from 16 MiB to 60 GiB.");
	if (create_part(&memory->parts[0], 0, low, failure) &&
		create_part(&memory->parts[1], LAYOUT_HIGH_RAM_BASE, size - low, failure))
		return true;
	guest_memory_destroy(memory);
	return false;
}

void guest_memory_destroy(struct guest_memory *memory)
{
	for (int i = 0; i < GUEST_MEMORY_PARTS; i++)
		if (memory->parts[i].size)
			munmap(memory->parts[i].host, memory->parts[i].size);
	memset(memory, 0, sizeof(*memory));
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t gpa, uint64_t length)
{
	for (int i = 0; i < GUEST_MEMORY_PARTS; i++) {
		const struct guest_memory_part *part = &memory->parts[i];
		uint64_t offset = gpa - part->gpa;

		if (gpa >= part->gpa && offset < part->size && length <= part->size - offset)
			return part->host + offset;
	}
	return NULL;
}

static void *page_for_vmbus(void *context, uint64_t gpa_page)
{
	if (gpa_page > UINT64_MAX >> VMBUS_PAGE_SHIFT)
		return NULL;
	return guest_memory_at(context, gpa_page << VMBUS_PAGE_SHIFT, VMBUS_PAGE_SIZE);
}

struct vmbus_memory guest_memory_for_vmbus(struct guest_memory *memory)
{
	return (struct vmbus_memory){ .context = memory, .page = page_for_vmbus };
}
