// SPDX-License-Identifier: BSD-2-Clause
// From whatever an action has made of its processor back to one that can go on: every gate of the
// interrupt table leads to code that needs no memory until it has good page tables and a good
// stack, and knows by CPUID where it is.
#include "tests/guests/hostile/random.h"

#include "hypercall/msr.h"

#define MSR_EFER    0xc0000080u
#define MSR_GS_BASE 0xc0000101u
#define EFER_GOOD   0xd00u // LME, LMA, NXE
#define CR0_GOOD    0x80010033ull
#define CR4_GOOD    0x620ull
#define DR7_NONE    0x400ull
#define TABLE_BITS  (KERNEL_PTE_PRESENT | KERNEL_PTE_WRITABLE | KERNEL_PTE_USER)

#define TSS_SELECTOR  (GDT_TSS * 8)
#define TSS_AVAILABLE 0x89ull
#define IST_FAULT     1

#define GATE_INTERRUPT 0x8e

enum { VECTORS = 256, STUB_SIZE = 16, NMI = 2, DOUBLE_FAULT = 8, MACHINE_CHECK = 18 };

struct gate { // APM2 4.8.3
	uint16_t offset0, selector;
	uint8_t ist, type;
	uint16_t offset16;
	uint32_t offset32, rsvd;
};

struct random_vp random_vps[RANDOM_VPS];
static struct gate idt[VECTORS] __attribute__((aligned(KERNEL_PAGE_SIZE)));

// The stacks' tops; for the code below, and not to be written (random_protect()).
extern uint8_t *const random_stacks[RANDOM_VPS];
#define TOP(i) random_vps[i].stack + sizeof(random_vps[i].stack)
uint8_t *const random_stacks[RANDOM_VPS] = { TOP(0), TOP(1), TOP(2), TOP(3) };
#undef TOP

_Static_assert(RANDOM_VPS == 4, "the AND below");

__asm__(".text\n"
	".balign 16\n"
	"random_stubs:\n"
	".set vector, 0\n"
	".rept 256\n"
	"	.balign 16\n"
	"	mov $vector, %ebp\n"
	"	jmp random_gate\n"
	"	.set vector, vector + 1\n"
	".endr\n"
	"random_gate:\n"
	"	cld\n"
	"	mov $kernel_pml4, %eax\n"
	"	mov %cr3, %rbx\n"
	"	cmp %rax, %rbx\n"
	"	je 1f\n"
	"	mov %rax, %cr3\n"
	"1:\n"
	"	mov $1, %eax\n"
	"	cpuid\n"
	"	shr $24, %ebx\n"
	"	and $3, %ebx\n"
	"	mov random_stacks(, %rbx, 8), %rsp\n"
	"	mov %ebp, %edi\n"
	"	call random_arrive\n"
	"	ud2\n"
	// NMIs are blocked until the next IRET.
	".globl random_unblock\n"
	"random_unblock:\n"
	"	mov %rsp, %rax\n"
	"	push $0x10\n"
	"	push %rax\n"
	"	push $2\n"
	"	push $0x08\n"
	"	push $1f\n"
	"	iretq\n"
	"1:	ret\n");
_Static_assert(KERNEL_CS == 0x08 && KERNEL_SS == 0x10, "the frame above");

extern const uint8_t random_stubs[];
void random_unblock(void);

struct random_vp *random_this(void)
{
	return &random_vps[kernel_cpuid(1, 0).ebx >> 24 & (RANDOM_VPS - 1)];
}

bool random_idt_make(void)
{
	volatile uint64_t *pte = kernel_pte(idt);

	for (unsigned int i = 0; i < VECTORS; i++) {
		uint64_t at = (uint64_t)random_stubs + i * STUB_SIZE;
		bool own = i == NMI || i == DOUBLE_FAULT || i == MACHINE_CHECK;

		idt[i] = (struct gate){ .offset0 = (uint16_t)at,
			.offset16 = (uint16_t)(at >> 16),
			.offset32 = (uint32_t)(at >> 32),
			.selector = KERNEL_CS,
			.ist = own ? IST_FAULT : 0,
			.type = GATE_INTERRUPT };
	}
	if (pte)
		*pte &= ~KERNEL_PTE_WRITABLE;
	kernel_invlpg(idt);
	return pte;
}

const void *random_idt(void)
{
	return idt;
}

struct pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

// The same as the base has them, with our interrupt table.
static void mend_tables(struct random_vp *vp)
{
	struct kernel_cpu *cpu = vp->cpu;
	const struct pointer gdt = { sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt };
	const struct pointer table = { sizeof(idt) - 1, (uint64_t)idt };
	uint64_t tss = (uint64_t)&cpu->tss;

	for (size_t i = 0; i < GDT_FIXED; i++)
		cpu->gdt[i] = kernel_boot_gdt[i];
	cpu->gdt[GDT_TSS] = (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 | TSS_AVAILABLE << 40 |
			    (tss >> 24 & 0xff) << 56;
	cpu->gdt[GDT_TSS + 1] = tss >> 32;
	cpu->tss.ist[IST_FAULT - 1] = (uint64_t)(vp->fault_stack + sizeof(vp->fault_stack));
	cpu->tss.rsp[0] = (uint64_t)(cpu->ring0_stack + sizeof(cpu->ring0_stack));
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2; lldt %w3"
			 :
			 : "m"(gdt), "m"(table), "r"(TSS_SELECTOR), "r"(0)
			 : "memory");
	__asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%ss; mov %1, %%fs; mov %1, %%gs"
			 :
			 : "r"(KERNEL_SS), "r"(0));
	kernel_wrmsr(MSR_GS_BASE, (uint64_t)cpu);
}

// The way to the window's pages.
static void mend_window(struct random_vp *vp)
{
	bool changed = false;

	for (unsigned int i = 0; i + 1 < RANDOM_TABLES; i++) {
		uint64_t *entry = &vp->tables[i][i ? 0 : 16 + vp->index];
		uint64_t good = (uint64_t)vp->tables[i + 1] | TABLE_BITS;

		changed |= (*entry & ~KERNEL_PTE_ACCESSED) != good;
		*entry = good;
	}
	if (changed)
		kernel_flush_tlb();
}

// Only what is wrong, as most of it costs an exit or a flush.
static void mend(struct random_vp *vp)
{
	uint64_t cr4, cr0, dr7;

	__asm__ volatile("mov %%cr4, %0; mov %%cr0, %1; mov %%dr7, %2"
			 : "=r"(cr4), "=r"(cr0), "=r"(dr7));
	if (cr4 != CR4_GOOD)
		__asm__ volatile("mov %0, %%cr4" : : "r"(CR4_GOOD));
	if (cr0 != CR0_GOOD)
		__asm__ volatile("mov %0, %%cr0" : : "r"(CR0_GOOD));
	if (dr7 != DR7_NONE)
		__asm__ volatile("mov %0, %%dr7" : : "r"(DR7_NONE));
	if (kernel_rdmsr(MSR_EFER) != EFER_GOOD)
		kernel_wrmsr(MSR_EFER, EFER_GOOD);
	mend_tables(vp);
	mend_window(vp);
	random_unblock();
}

void random_count_end(struct random_action *action, uint32_t vector)
{
	uint32_t *count = &action->faulted;

	if (vector == RANDOM_DONE)
		count = &action->done;
	else if (vector == RANDOM_REFUSED)
		count = &action->refused;
	__atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

// An interrupt has come, or looks as if: it is ended, if that can be.
static void end_interrupt(struct random_vp *vp)
{
	if (!vp->ending) {
		vp->ending = true;
		kernel_wrmsr(HV_X64_MSR_EOI, 0);
	}
	vp->ending = false;
}

_Noreturn void random_end(uint32_t how)
{
	__asm__ volatile("mov %0, %%ebp\n\tjmp random_gate" : : "r"(how));
	__builtin_unreachable();
}

_Noreturn void random_next(struct random_vp *vp, uint32_t vector)
{
	mend(vp);
	if (vp->action)
		random_count_end(vp->action, vector);
	vp->action = NULL;
	if (vector >= 32 && vector < VECTORS)
		end_interrupt(vp);
	random_act(vp);
}

_Noreturn void random_arrive(uint32_t vector);
_Noreturn void random_arrive(uint32_t vector)
{
	random_next(random_this(), vector);
}
