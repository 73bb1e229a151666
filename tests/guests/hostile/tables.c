// SPDX-License-Identifier: BSD-2-Clause
// What the processor reads by itself in pages where it cannot be: page tables, interrupt table,
// descriptor table.
#include "tests/guests/hostile/hostile.h"

#define SOMEWHERE 0x7000000000ull // nothing is mapped there

static _Noreturn void undefined(void)
{
	__asm__ volatile("1:\tud2\n\tjmp 1b");
	__builtin_unreachable();
}

// All translations through the page. A page that can be written holds the right tables.
static void root_table(uint64_t page)
{
	uint64_t table = hostile_page((enum hostile_page)page);

	if (!table)
		return;
	for (unsigned int i = 0; page == PAGE_SIM && i < 512; i++)
		((volatile uint64_t *)table)[i] = kernel_pml4[i];
	hostile_idt_load();
	__asm__ volatile("mov %0, %%cr3" : : "r"(table) : "memory");
	undefined();
}

// One translation through the page, used by a load: what reads the page is the walk, not the load.
static void last_table(uint64_t page)
{
	uint64_t table = hostile_page((enum hostile_page)page);
	volatile uint64_t *pte = kernel_pte((void *)SOMEWHERE);
	uint64_t *pml4e = &kernel_pml4[SOMEWHERE >> 39 & 511], *pdpte, *pde;

	if (!table || !kernel_check(pte, "tables are made"))
		return;
	pdpte = (uint64_t *)(*pml4e & KERNEL_PTE_ADDRESS) + (SOMEWHERE >> 30 & 511);
	pde = (uint64_t *)(*pdpte & KERNEL_PTE_ADDRESS) + (SOMEWHERE >> 21 & 511);
	*pde = table | (*pde & ~KERNEL_PTE_ADDRESS);
	kernel_flush_tlb();
	hostile_idt_load();
	for (uint64_t at = SOMEWHERE;; at = SOMEWHERE + (at + 0x1000) % 0x200000)
		__asm__ volatile("mov (%0), %%eax" : : "r"(at) : "rax", "memory");
}

struct pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static void interrupt_table(uint64_t page)
{
	uint64_t table = hostile_page((enum hostile_page)page);
	const struct pointer pointer = { 0xfff, table };

	if (!table)
		return;
	hostile_idt_load();
	for (unsigned int i = 0; page == PAGE_SIM && i < 512; i++)
		((volatile uint64_t *)table)[i] = ((const uint64_t *)hostile_idt())[i];
	__asm__ volatile("lidt %0" : : "m"(pointer));
	undefined();
}

static void descriptor_table(uint64_t page)
{
	uint64_t table = hostile_page((enum hostile_page)page);
	const struct pointer pointer = { 0xfff, table };

	if (!table)
		return;
	hostile_idt_load();
	for (unsigned int i = 0; page == PAGE_SIM && i < GDT_ENTRIES; i++)
		((volatile uint64_t *)table)[i] = this_cpu()->gdt[i];
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	undefined();
}

const struct mode table_modes[] = {
	{ "cr3-hypercall", root_table, PAGE_HYPERCALL },
	{ "cr3-tsc", root_table, PAGE_TSC },
	{ "cr3-apic", root_table, PAGE_APIC },
	{ "cr3-sim", root_table, PAGE_SIM },
	{ "cr3-hole", root_table, PAGE_HOLE },
	{ "walk-hypercall", last_table, PAGE_HYPERCALL },
	{ "walk-apic", last_table, PAGE_APIC },
	{ "walk-hole", last_table, PAGE_HOLE },
	{ "idt-hypercall", interrupt_table, PAGE_HYPERCALL },
	{ "idt-apic", interrupt_table, PAGE_APIC },
	{ "idt-sim", interrupt_table, PAGE_SIM },
	{ "idt-hole", interrupt_table, PAGE_HOLE },
	{ "gdt-hypercall", descriptor_table, PAGE_HYPERCALL },
	{ "gdt-apic", descriptor_table, PAGE_APIC },
	{ "gdt-sim", descriptor_table, PAGE_SIM },
	{ "gdt-hole", descriptor_table, PAGE_HOLE },
	{ NULL, NULL, 0 },
};
