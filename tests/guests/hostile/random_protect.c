// SPDX-License-Identifier: BSD-2-Clause
#include "tests/guests/hostile/random.h"

#define MIB   (1ull << 20)
#define LARGE (2 * MIB)
#define APIC  0xfee00000ull
#define CODE  (KERNEL_PTE_PRESENT | KERNEL_PTE_WRITABLE)
#define DATA  (CODE | KERNEL_PTE_NX)

enum { TRAMPOLINE = 0x8000, ACPI = 0xe0000 };

// Sets the flags of the pages from FROM up to TO; 0: not there.
static bool set(uint64_t from, uint64_t to, uint64_t flags)
{
	for (uint64_t at = from; at < to; at += KERNEL_PAGE_SIZE) {
		volatile uint64_t *pte = kernel_pte((void *)at);

		if (!pte)
			return false;
		*pte = flags ? at | flags : 0;
	}
	return true;
}

// Large pages that are whole.
static void unmap_large(uint64_t from, uint64_t to)
{
	const uint64_t *pdpt = (uint64_t *)(kernel_pml4[0] & KERNEL_PTE_ADDRESS);

	for (uint64_t at = from; at < to; at += LARGE)
		((uint64_t *)(pdpt[at >> 30] & KERNEL_PTE_ADDRESS))[at / LARGE % 512] = 0;
}

// The end of the RAM that the kernel is in.
static uint64_t ram_end(void)
{
	struct kernel_region region;
	uint64_t end = 0;

	for (uint32_t i = 0; kernel_memory_region(i, &region); i++)
		if (region.ram && region.base + region.size > end)
			end = region.base + region.size;
	return end;
}

bool random_protect(void)
{
	uint64_t image = (uint64_t)kernel_image_start, end = ram_end();
	uint64_t data = (uint64_t)kernel_data_start & -(uint64_t)KERNEL_PAGE_SIZE;
	uint64_t arena = (uint64_t)random_arena,
		 arena_end = arena + RANDOM_PAGES * KERNEL_PAGE_SIZE;
	bool done = set(0, TRAMPOLINE, 0) && set(TRAMPOLINE + KERNEL_PAGE_SIZE, ACPI, 0) &&
		    set(ACPI, MIB, KERNEL_PTE_PRESENT) && set(MIB, image, 0) &&
		    set(image, data, KERNEL_PTE_PRESENT) && set(data, end, DATA) &&
		    set(APIC + KERNEL_PAGE_SIZE, APIC + LARGE, 0) &&
		    set(arena - KERNEL_PAGE_SIZE, arena, 0) &&
		    set(arena_end, arena_end + KERNEL_PAGE_SIZE, 0);

	for (uint32_t i = 0; i < RANDOM_VPS && done; i++)
		done = set((uint64_t)random_vps[i].code,
			(uint64_t)random_vps[i].code + sizeof(random_vps[i].code), CODE);
	unmap_large(end, APIC);
	unmap_large(APIC + LARGE, 1ull << 32);
	kernel_flush_tlb();
	return done;
}
