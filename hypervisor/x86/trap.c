// SPDX-License-Identifier: BSD-2-Clause
// Exceptions of the hypervisor itself: fix-ups for MSRs that may not exist, and panic for the rest.
#include "hypervisor/x86/trap.h"
#include "hypervisor/core/log.h"
#include "hypervisor/x86/cpu.h"

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, rsvd;
};

static struct idt_gate idt[256];
static const uint64_t gdt[] = { 0, 0x00af9b000000ffffull, 0x00cf9b000000ffffull, 0x00cf93000000ffffull };

struct fixup {
	uint64_t at, go_on;
};
extern const struct fixup fixup_table_start[], fixup_table_end[];

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

void trap_init(void)
{
	struct table_pointer idtr = { sizeof(idt) - 1, (uint64_t)idt };
	struct table_pointer gdtr = { sizeof(gdt) - 1, (uint64_t)gdt };

	for (int i = 0; i < 256; i++) {
		uint64_t entry = (uint64_t)trap_entries + i * 16;

		idt[i] = (struct idt_gate){ entry, 8, 0, 0x8e, entry >> 16, entry >> 32, 0 };
	}
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("lidt %0" : : "m"(idtr));
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
	      "RAX %016lx RBX %016lx RCX %016lx RDX %016lx\nRSI %016lx RDI %016lx RBP %016lx R8  %016lx",
		frame->vector, frame->error_code, frame->rip, read_cr2(), frame->rsp, frame->rax, frame->rbx,
		frame->rcx, frame->rdx, frame->rsi, frame->rdi, frame->rbp, frame->r8);
}

#define FIXUP(label_at, label_go_on)                            \
	".pushsection .fixup_table, \"a\"\n\t.quad " label_at ", " label_go_on "\n\t.popsection\n"

bool msr_rd_safe(uint32_t msr, uint64_t *value)
{
	uint32_t lo, hi;
	bool ok;

	__asm__ volatile("xorl %%r8d, %%r8d\n1:\trdmsr\n\tincl %%r8d\n2:\tmovb %%r8b, %2\n" FIXUP("1b", "2b")
			 : "=a"(lo), "=d"(hi), "=r"(ok)
			 : "c"(msr)
			 : "r8");
	*value = (uint64_t)hi << 32 | lo;
	return ok;
}

bool msr_wr_safe(uint32_t msr, uint64_t value)
{
	bool ok;

	__asm__ volatile("xorl %%r8d, %%r8d\n1:\twrmsr\n\tincl %%r8d\n2:\tmovb %%r8b, %0\n" FIXUP("1b", "2b")
			 : "=r"(ok)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "r8", "memory");
	return ok;
}
