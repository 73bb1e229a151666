// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's own page tables.
#include "hypervisor/x86/memory.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/boot.h"
#include "hypervisor/x86/cpu.h"

enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_UNCACHED = 0x18, PTE_LARGE = 0x80 };
#define PTE_NX	   BIT(63)
#define PTE_ADDR   0x000ffffffffff000ull
#define LARGE_PAGE 0x200000ull

extern char image_start[], text_end[], rodata_end[], image_end[];

struct spa_range hypervisor_memory[2] = { { 0x200000, 0x400000 } };
uint64_t reserve_next;
uint64_t host_cr3;
static uint64_t *host_pml4;

uint64_t memory_top(void)
{
	uint64_t top = 0;

	for_each_memory_range(m)
	{
		if (m->type == MEMORY_RAM)
			top = MAX(top, m->base + m->length);
	}
	return top;
}

// What the hypervisor needs: the frame table, for the root's second-level map all tables down to
// 4 KiB (so that no split can ever fail), the direct map, and a fixed part for processors, VPs and
// the trace.
void memory_reserve_init(void)
{
	uint64_t top = memory_top(), need = top / PAGE_SIZE * 2 + top / 512 + top / LARGE_PAGE * 8;

	need = ALIGN_UP(need + (8ul << 20), LARGE_PAGE);
	for_each_memory_range(m)
	{
		uint64_t end = ALIGN_DOWN(MIN(m->base + m->length, 1ull << 32), LARGE_PAGE);

		if (m->type == MEMORY_RAM && end > m->base && end - m->base > need &&
			end > RESERVE->end)
			*RESERVE = (struct spa_range){ end - need, end };
	}
	reserve_next = RESERVE->base;
	if (!RESERVE->end)
		panic("too little memory: the hypervisor needs %lu MiB in one piece below 4 GiB",
			need >> 20);
	for (unsigned int i = 0; i < boot_info.module_count; i++)
		if (boot_info.modules[i].end > RESERVE->base)
			panic("too little memory: module %u reaches into the hypervisor's %lu MiB",
				i, need >> 20);
}

void *boot_alloc(unsigned int pages)
{
	void *p = spa_to_va(reserve_next);

	reserve_next += pages * PAGE_SIZE;
	if (reserve_next > RESERVE->end)
		panic("the boot memory is used up");
	memset(p, 0, pages * PAGE_SIZE);
	return p;
}

// The entry that maps VA at LEVEL (0: 4 KiB, 1: 2 MiB), with the tables above it.
static uint64_t *entry_for(uint64_t va, int level)
{
	uint64_t *table = host_pml4;

	for (int at = 3; at > level; at--) {
		uint64_t *entry = &table[va >> (12 + 9 * at) & 511];

		if (!*entry)
			*entry = va_to_spa(boot_alloc(1)) | PTE_PRESENT | PTE_WRITE;
		table = spa_to_va(*entry & PTE_ADDR);
	}
	return &table[va >> (12 + 9 * level) & 511];
}

static void map_page(uint64_t va, uint64_t spa, uint64_t flags)
{
	*entry_for(va, 0) = spa | flags | PTE_PRESENT;
}

static void map_image(void)
{
	for (uint64_t va = (uint64_t)image_start; va < (uint64_t)image_end; va += PAGE_SIZE) {
		uint64_t flags = va < (uint64_t)text_end     ? 0
				 : va < (uint64_t)rodata_end ? PTE_NX
							     : PTE_NX | PTE_WRITE;

		map_page(va, va - HV_IMAGE_BASE, flags);
	}
}

// RAM and what firmware keeps its tables in. The image's own frame is left out: it has one mapping
// only, which is W^X.
static void map_direct(void)
{
	for_each_memory_range(m)
	{
		if (m->base >= 1ull << 32 && m->type != MEMORY_RAM)
			continue;
		for (uint64_t spa = ALIGN_DOWN(m->base, LARGE_PAGE); spa < m->base + m->length;
			spa += LARGE_PAGE)
			if (spa != hypervisor_memory[0].base)
				*entry_for(DIRECT_MAP + spa, 1) =
					spa | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_NX;
	}
}

void memory_init(void)
{
	uint32_t features = cpuid(7, 0).ebx;

	if (!host_pml4) {
		host_pml4 = boot_alloc(1);
		host_cr3 = va_to_spa(host_pml4);
		map_image();
		map_direct();
	}
	write_cr3(host_cr3);
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (features & BIT(7) ? CR4_SMEP : 0) |
		  (features & BIT(20) ? CR4_SMAP : 0));
}

volatile uint32_t *map_device(uint64_t spa)
{
	uint64_t va = DEVICES_BASE + (spa & 0xfffff000);

	map_page(va, spa, PTE_NX | PTE_WRITE | PTE_UNCACHED);
	return (volatile uint32_t *)va;
}

void *map_stack(unsigned int index)
{
	uint64_t base = STACKS_BASE + index * 2 * PCPU_STACK_SIZE + PCPU_STACK_SIZE;
	char *pages = boot_alloc(PCPU_STACK_SIZE / PAGE_SIZE);

	for (uint64_t at = 0; at < PCPU_STACK_SIZE; at += PAGE_SIZE)
		map_page(base + at, va_to_spa(pages + at), PTE_NX | PTE_WRITE);
	return (void *)base;
}
