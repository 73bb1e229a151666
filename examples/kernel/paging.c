// SPDX-License-Identifier: BSD-2-Clause
// Page tables beyond what start.S makes: single pages of 4 KiB.
#include "examples/kernel/internal.h"

#include "lumen/platform.h"

#define TABLE (KERNEL_PTE_PRESENT | KERNEL_PTE_WRITABLE | KERNEL_PTE_USER)

enum { LEVELS = 4, ENTRIES = 512 };

// What a large page mapped, page by page.
static void fill(uint64_t *table, uint64_t large)
{
	for (uint64_t i = 0; i < ENTRIES; i++)
		table[i] = (large & ~KERNEL_PTE_LARGE) + i * KERNEL_PAGE_SIZE;
}

// The table below an entry, made if there is none; NULL: no memory.
static uint64_t *table_below(uint64_t *entry)
{
	uint64_t *table;

	if (*entry & KERNEL_PTE_PRESENT && !(*entry & KERNEL_PTE_LARGE))
		return (uint64_t *)(*entry & KERNEL_PTE_ADDRESS);
	table = lumen_alloc_pages(1);
	if (!table)
		return NULL;
	if (*entry & KERNEL_PTE_PRESENT)
		fill(table, *entry);
	// Nothing is flushed: a translation that is still cached says the same.
	__atomic_store_n(entry, (uint64_t)table | TABLE, __ATOMIC_RELEASE);
	return table;
}

volatile uint64_t *kernel_pte(const volatile void *address)
{
	static uint32_t tables_lock;
	uint64_t *table = kernel_pml4;
	uint64_t flags = lock(&tables_lock);

	for (int level = LEVELS - 1; level > 0 && table; level--)
		table = table_below(&table[(uint64_t)address >> (12 + 9 * level) & (ENTRIES - 1)]);
	unlock(&tables_lock, flags);
	return table ? &table[(uint64_t)address >> 12 & (ENTRIES - 1)] : NULL;
}
