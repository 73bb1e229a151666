// SPDX-License-Identifier: BSD-2-Clause
// The stack in a page where it cannot be, and an exception: its delivery is what faults.
#include "tests/guests/hostile/hostile.h"

enum { MIDDLE = 0x800, IST_DF = 1 };

static _Noreturn void undefined_on(uint64_t stack)
{
	// The handler, if there is one that can run, comes back to the UD2.
	__asm__ volatile("mov %0, %%rsp\n1:\tud2\n\tjmp 1b" : : "r"(stack) : "memory");
	__builtin_unreachable();
}

static void undefined(uint64_t page)
{
	uint64_t stack = hostile_page((enum hostile_page)page);

	if (!stack)
		return;
	hostile_idt_load();
	undefined_on(stack + MIDDLE);
}

// A double fault has a stack that can be used, and its handler tries again, for ever.
static void undefined_and_handled(uint64_t page)
{
	static uint8_t good[4096] __attribute__((aligned(16)));
	uint64_t stack = hostile_page((enum hostile_page)page);

	if (!stack)
		return;
	hostile_idt_load();
	hostile_idt_ist(8, IST_DF, (uint64_t)(good + sizeof(good)));
	undefined_on(stack + MIDDLE);
}

// The same by interrupts that come while an ordinary instruction is executed, which nobody may
// take for the one that faults.
static void interrupts(uint64_t page)
{
	uint64_t stack = hostile_page((enum hostile_page)page);
	uint64_t cell = 0;

	if (!stack)
		return;
	hostile_idt_load();
	kernel_apic_send(this_cpu()->apic_id, 0x40);
	__asm__ volatile("mov %0, %%rsp\n\tsti\n1:\tmov %%rax, (%1)\n\tjmp 1b"
			 :
			 : "r"(stack + MIDDLE), "r"(&cell)
			 : "memory");
	__builtin_unreachable();
}

const struct mode stack_modes[] = {
	{ "stack-hypercall", undefined, PAGE_HYPERCALL },
	{ "stack-tsc", undefined, PAGE_TSC },
	{ "stack-apic", undefined, PAGE_APIC },
	{ "stack-sim", undefined, PAGE_SIM },
	{ "stack-hole", undefined, PAGE_HOLE },
	{ "handled-hypercall", undefined_and_handled, PAGE_HYPERCALL },
	{ "handled-apic", undefined_and_handled, PAGE_APIC },
	{ "interrupt-hypercall", interrupts, PAGE_HYPERCALL },
	{ "interrupt-apic", interrupts, PAGE_APIC },
	{ "interrupt-hole", interrupts, PAGE_HOLE },
	{ NULL, NULL, 0 },
};
