// SPDX-License-Identifier: BSD-2-Clause
// Exceptions that can happen in their own delivery or handler (#DB, #AC), single steps, and the end
// of an NMI.
#include "tests/guests/hostile/hostile.h"

#define RFLAGS_TF (1ull << 8)
#define RFLAGS_AC (1ull << 18)
#define CR0_AM	  (1ull << 18)
#define DR6_BS	  (1ull << 14)

#define DR7_LOCAL0	(1u << 0)
#define DR7_WRITE_8BYTE (9u << 16) // breakpoint 0
#define ICR_NMI		0x400u
#define NO_SELECTOR	0xfff8u

enum { DB = 1, NMI = 2, UD = 6, GP = 13, AC = 17, IST_DB = 1 };

// The #DB's frame lies on the breakpoint: on a processor each delivery is a reason for the next.
static void breakpoint_on_stack(uint64_t unused)
{
	static uint64_t stack[512] __attribute__((aligned(16)));
	volatile uint64_t *slot = &stack[511];

	(void)unused;
	hostile_idt_load();
	hostile_idt_ist(DB, IST_DB, (uint64_t)(stack + 512));
	__asm__ volatile("mov %0, %%dr0" : : "r"(slot));
	__asm__ volatile("mov %0, %%dr7" : : "r"((uint64_t)(DR7_LOCAL0 | DR7_WRITE_8BYTE)));
	for (;;)
		*slot = 0;
}

// Its page and the next one: start.S maps memory for ring 0.
static void for_user(const void *at)
{
	for (unsigned int i = 0; i < 2; i++, at = (const uint8_t *)at + KERNEL_PAGE_SIZE) {
		*kernel_pte(at) |= KERNEL_PTE_USER;
		kernel_invlpg(at);
	}
}

// The handler, in ring 3 where alignment is checked, does again what it is to handle.
static void alignment_in_handler(uint64_t unused)
{
	static uint64_t stack[512] __attribute__((aligned(16)));
	extern const uint8_t hostile_misaligned[];
	uint64_t cr0;

	(void)unused;
	hostile_idt_load();
	hostile_idt_user(AC, hostile_misaligned);
	for_user(hostile_misaligned);
	for_user(stack);
	for_user(stack + 256);
	__asm__ volatile("mov %%cr0, %0\n\tor %1, %0\n\tmov %0, %%cr0" : "=&r"(cr0) : "r"(CR0_AM));
	__asm__ volatile(
		"mov %%rsp, %%rcx\n\tpushq %0\n\tpushq %1\n\tpushq %2\n\tpushq %3\n\tpushq %4\n\t"
		"iretq\n"
		"hostile_misaligned:\n\tlea 256(%%rsp), %%rbx\n\tand $-16, %%rbx\n"
		"1:\tmov 1(%%rbx), %%rax\n\tjmp 1b"
		:
		: "i"(KERNEL_USER_SS), "r"((uint64_t)(stack + 256)), "r"(RFLAGS_AC | 2),
		"i"(KERNEL_USER_CS), "r"(hostile_misaligned)
		: "rax", "rbx", "rcx", "memory");
	__builtin_unreachable();
}

static volatile uint64_t steps, steps_with_bs;

static void count_step(struct kernel_frame *frame)
{
	uint64_t dr6;

	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	steps++;
	steps_with_bs += !!(dr6 & DR6_BS);
	frame->rflags &= ~RFLAGS_TF;
}

// With interrupts off nothing but the single step's own #DB ends the HLT.
static void step_over_halt(uint64_t unused)
{
	(void)unused;
	kernel_set_handler(DB, count_step);
	kernel_irq_off();
	__asm__ volatile("pushfq\n\torq %0, (%%rsp)\n\tpopfq\n\thlt" : : "i"(RFLAGS_TF) : "memory");
	kernel_check(steps == 1 && steps_with_bs == 1, "the step over HLT is one #DB (%lu)", steps);
}

static volatile uint64_t undefined;

static void count_trap(struct kernel_frame *frame)
{
	steps += !(frame->rflags & RFLAGS_TF);
}

static void skip_undefined(struct kernel_frame *frame)
{
	undefined++;
	frame->rip++;
}

// INT1 is a #DB of its own, behind the instruction. (To QEMU 7.2 it is undefined.)
static void one_byte_trap(uint64_t unused)
{
	(void)unused;
	kernel_set_handler(DB, count_trap);
	kernel_set_handler(UD, skip_undefined);
	for (unsigned int i = 0; i < 3; i++)
		__asm__ volatile(".byte 0xf1" : : : "memory");
	kernel_check(steps + undefined == 3 && !(steps && undefined),
		"three INT1 are three exceptions (%lu, %lu)", steps, undefined);
}

static volatile uint32_t nmis, faults, traced;

static void send_nmi(void)
{
	kernel_apic_send(this_cpu()->apic_id, ICR_NMI);
}

// The first one comes back to where it cannot, while the second one waits.
static void take_nmi(struct kernel_frame *frame)
{
	if (nmis++)
		return;
	send_nmi();
	frame->cs = NO_SELECTOR;
}

static void mend_return(struct kernel_frame *frame)
{
	faults++;
	traced += !!(frame->rflags & RFLAGS_TF);
	((uint64_t *)frame->rsp)[1] = KERNEL_CS;
}

static void return_faults(uint64_t unused)
{
	(void)unused;
	kernel_set_handler(DB, count_step);
	kernel_set_handler(NMI, take_nmi);
	kernel_set_handler(GP, mend_return);
	send_nmi();
	for (unsigned int i = 0; i < 100000000 && nmis < 2; i++)
		kernel_relax();
	kernel_check(nmis == 2, "both NMIs came (%u)", nmis);
	kernel_check(faults == 1, "the first one's IRET faulted (%u)", faults);
	kernel_check(!traced && !steps, "nobody has seen a single step (%u, %lu)", traced, steps);
}

const struct mode debug_modes[] = {
	{ "db-own-stack", breakpoint_on_stack, 0 },
	{ "ac-in-ac", alignment_in_handler, 0 },
	{ "step-halt", step_over_halt, 0 },
	{ "int1", one_byte_trap, 0 },
	{ "iret-faults", return_faults, 0 },
	{ NULL, NULL, 0 },
};
