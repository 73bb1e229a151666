// SPDX-License-Identifier: BSD-2-Clause
// Exceptions of the hypervisor itself: fix-ups for MSRs that may not exist, and panic for the rest.
#include "hypervisor/core/log.h"
#include "hypervisor/x86/boot.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/irq.h"

struct trap_frame { // as trap.S pushes it
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error_code, rip, cs, rflags, rsp, ss;
};
void trap_handle(struct trap_frame *frame);

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, rsvd;
};
static struct idt_gate idt[256];
extern const uint64_t boot_gdt[4];
extern char trap_entries[];

struct fixup {
	uint64_t at, go_on;
};
extern const struct fixup fixup_table_start[], fixup_table_end[];

void trap_init(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uint64_t)idt },
				  gdtr = { sizeof(boot_gdt) - 1, (uint64_t)boot_gdt };

	for (int i = 0; i < 256; i++) {
		uint64_t entry = (uint64_t)trap_entries + i * 16;

		idt[i] = (struct idt_gate){ entry, 8, 0, 0x8e, entry >> 16, entry >> 32, 0 };
	}
	__asm__ volatile("lgdt %0\n\tlidt %1" : : "m"(gdtr), "m"(idtr));
}

static bool fix_up(struct trap_frame *frame)
{
	for (const struct fixup *f = fixup_table_start; f < fixup_table_end; f++) {
		if (f->at == frame->rip) {
			frame->rip = f->go_on;
			return true;
		}
	}
	return false;
}

void trap_handle(struct trap_frame *frame)
{
	if (frame->vector >= 32) {
		irq_note(frame->vector);
		return;
	}
	if (frame->vector == 2)
		return; // NMI: whoever opened the window passes it on
	if (frame->vector == 13 && fix_up(frame))
		return;
	panic("exception %lu (error %lx) at %lx, CR2 %lx, RSP %lx\n"
	      "RAX %016lx RBX %016lx RCX %016lx RDX %016lx\n"
	      "RSI %016lx RDI %016lx RBP %016lx R8  %016lx",
		frame->vector, frame->error_code, frame->rip, read_cr2(), frame->rsp, frame->rax,
		frame->rbx, frame->rcx, frame->rdx, frame->rsi, frame->rdi, frame->rbp, frame->r8);
}

// INSTRUCTION, with OK (R8) 0 after a #GP and 1 otherwise.
#define SAFELY(instruction)                                                                        \
	"xorl %%r8d, %%r8d\n1:\t" instruction "\n\tincl %%r8d\n2:\n"                               \
	".pushsection .fixup_table, \"a\"\n\t.quad 1b, 2b\n\t.popsection"

bool msr_rd_safe(uint32_t msr, uint64_t *value)
{
	register uint32_t ok __asm__("r8");
	uint32_t lo, hi;

	__asm__ volatile(SAFELY("rdmsr") : "=a"(lo), "=d"(hi), "=r"(ok) : "c"(msr));
	*value = (uint64_t)hi << 32 | lo;
	return ok;
}

bool msr_wr_safe(uint32_t msr, uint64_t value)
{
	register uint32_t ok __asm__("r8");

	__asm__ volatile(SAFELY("wrmsr")
			 : "=r"(ok)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
	return ok;
}
