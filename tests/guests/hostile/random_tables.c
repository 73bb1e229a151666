// SPDX-License-Identifier: BSD-2-Clause
// Random places for what the processor uses by itself: stacks, descriptor tables, page tables.
#include "tests/guests/hostile/random.h"

enum { WINDOW_SLOT = 16 };

// --- stacks ---

static uint64_t any_stack(struct random_vp *vp)
{
	return random_solid_address(vp) & (random_one_in(vp, 8) ? ~0ull : ~7ull);
}

// The exception is delivered there, or it is a double fault, which has a good stack.
static bool stack_and_fault(struct random_vp *vp)
{
	__asm__ volatile("mov %0, %%rsp\n\tud2" : : "r"(any_stack(vp)) : "memory");
	return true;
}

// An interrupt instead, which comes between two instructions.
static bool stack_and_interrupt(struct random_vp *vp)
{
	random_ipi(vp->index, 32 + (uint32_t)random_below(vp, 224));
	__asm__ volatile("mov %0, %%rsp\n\tsti\n\tnop\n\tpause\n\tpause\n\tud2"
			 :
			 : "r"(any_stack(vp))
			 : "memory");
	return true;
}

static bool stack_and_push(struct random_vp *vp)
{
	__asm__ volatile("mov %0, %%rsp\n\tpush %%rax\n\tpushfq\n\tpop %%rax\n\tcall 1f\n1:\tud2"
			 :
			 : "r"(any_stack(vp))
			 : "rax", "memory");
	return true;
}

// --- tables ---

static bool lidt(uint64_t base, uint16_t limit)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { limit, base };

	__asm__ volatile("lidt %0\n\tud2" : : "m"(pointer) : "memory");
	return true;
}

static void copy(void *to, const void *from, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

// A copy of the interrupt table in which something is different.
static bool interrupt_table(struct random_vp *vp)
{
	uint64_t *table = (uint64_t *)random_ram(vp);

	copy(table, random_idt(), KERNEL_PAGE_SIZE);
	// The gate of #UD: another stack, another segment, other code, not there.
	table[2 * 6 + random_below(vp, 2)] ^= 1ull << random_below(vp, 64);
	vp->cpu->tss.ist[1 + random_below(vp, 6)] = random_solid_address(vp);
	return lidt((uint64_t)table, KERNEL_PAGE_SIZE - 1);
}

// One that is nowhere: the child's end, if there is no table after all.
static bool interrupt_table_anywhere(struct random_vp *vp)
{
	return lidt(random_address(vp), (uint16_t)random_value(vp));
}

static bool segment_table(struct random_vp *vp)
{
	uint64_t *table = (uint64_t *)random_ram(vp), base = (uint64_t)table;
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { 0xffff, base };

	copy(table, kernel_boot_gdt, 8 * GDT_FIXED);
	table[GDT_FIXED + random_below(vp, 16)] = random_value(vp);
	table[2 + random_below(vp, 30)] = random_value(vp);
	__asm__ volatile("lgdt %0" : : "m"(pointer));
	switch (random_below(vp, 4)) {
	case 0:
		__asm__ volatile("mov %w0, %%ss" : : "r"(random_below(vp, 256)));
		break;
	case 1:
		__asm__ volatile("ltr %w0" : : "r"(random_below(vp, 256)));
		break;
	case 2:
		__asm__ volatile("lldt %w0" : : "r"(random_below(vp, 256)));
		break;
	default:
		__asm__ volatile("mov %w0, %%fs\n\tmov %w0, %%gs" : : "r"(random_below(vp, 256)));
	}
	return true;
}

static bool segment_table_anywhere(struct random_vp *vp)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { (uint16_t)random_value(vp), random_address(vp) };

	__asm__ volatile("lgdt %0\n\tud2" : : "m"(pointer) : "memory");
	return true;
}

static uint64_t any_entry(struct random_vp *vp)
{
	uint64_t flags = random_one_in(vp, 8) ? random_u64(vp) : random_below(vp, 0x200) | 3;

	return (random_solid_page(vp) & KERNEL_PTE_ADDRESS) | (flags & ~KERNEL_PTE_ADDRESS);
}

// An entry of the window's tables leads anywhere, at any level, and is used.
static bool page_table(struct random_vp *vp)
{
	uint64_t level = random_below(vp, RANDOM_TABLES), index = random_below(vp, 4);
	uint64_t at = random_solid_address(vp);

	if (level < RANDOM_TABLES - 1)
		index = level ? 0 : WINDOW_SLOT + vp->index;
	vp->tables[level][index] = any_entry(vp);
	kernel_flush_tlb();
	at = (uint64_t)(WINDOW_SLOT + vp->index) << 39 | (at & 0x3fff);
	at |= random_below(vp, RANDOM_SLOTS) << 12;
	if (random_one_in(vp, 2))
		__asm__ volatile("movl (%0), %%eax" : : "r"(at) : "rax", "memory");
	else
		__asm__ volatile("movl $1, (%0)" : : "r"(at) : "memory");
	return true;
}

// All translations by a copy of the tables, which may be a page of the hypervisor's.
static bool root_table(struct random_vp *vp)
{
	uint64_t *table = (uint64_t *)random_ram(vp);

	copy(table, kernel_pml4, KERNEL_PAGE_SIZE);
	table[1 + random_below(vp, 511)] = any_entry(vp);
	table[WINDOW_SLOT + vp->index] = any_entry(vp);
	__asm__ volatile("mov %0, %%cr3"
			 :
			 : "r"((uint64_t)table | random_below(vp, 0x20))
			 : "memory");
	__asm__ volatile("movl (%0), %%eax"
			 :
			 : "r"((uint64_t)(WINDOW_SLOT + vp->index) << 39)
			 : "rax", "memory");
	return true;
}

static bool root_table_anywhere(struct random_vp *vp)
{
	__asm__ volatile("mov %0, %%cr3\n\tud2" : : "r"(random_page(vp)) : "memory");
	return true;
}

struct random_action random_tables[] = {
	{ .name = "stack-fault", .run = stack_and_fault, .weight = 500 },
	{ .name = "stack-interrupt", .run = stack_and_interrupt, .weight = 200 },
	{ .name = "stack-push", .run = stack_and_push, .weight = 200 },
	{ .name = "idt", .run = interrupt_table, .weight = 200 },
	{ .name = "idt-anywhere", .run = interrupt_table_anywhere, .weight = 1 },
	{ .name = "gdt", .run = segment_table, .weight = 200 },
	{ .name = "gdt-anywhere", .run = segment_table_anywhere, .weight = 1 },
	{ .name = "page-table", .run = page_table, .weight = 200 },
	{ .name = "cr3", .run = root_table, .weight = 200 },
	{ .name = "cr3-anywhere", .run = root_table_anywhere, .weight = 1 },
	{ .name = NULL },
};
