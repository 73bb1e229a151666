// SPDX-License-Identifier: BSD-2-Clause
// What belongs to a processor: its segments, its task state, and GS.
#include "examples/kernel/internal.h"

#define MSR_GS_BASE 0xc0000101
#define APIC_ID	    0x20
#define TSS_TYPE    0x89 // 64-bit, available

enum { TSS_SELECTOR = GDT_TSS * 8 };

struct kernel_cpu *cpu_boot(void)
{
	static struct kernel_cpu boot;

	return &boot;
}

static void load_segments(struct kernel_cpu *cpu)
{
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer = { sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt };
	uint64_t tss = (uint64_t)&cpu->tss;

	for (size_t i = 0; i < GDT_FIXED; i++)
		cpu->gdt[i] = kernel_boot_gdt[i];
	// APM2 4.8.3: a descriptor of 16 bytes, the base in four pieces.
	cpu->gdt[GDT_TSS] = (sizeof(cpu->tss) - 1) | (tss & 0xffffff) << 16 |
			    (uint64_t)TSS_TYPE << 40 | (tss >> 24 & 0xff) << 56;
	cpu->gdt[GDT_TSS + 1] = tss >> 32;
	cpu->tss.ist[0] = (uint64_t)(cpu->fault_stack + sizeof(cpu->fault_stack));
	cpu->tss.rsp[0] = (uint64_t)(cpu->ring0_stack + sizeof(cpu->ring0_stack));
	cpu->tss.io_map = sizeof(cpu->tss);
	__asm__ volatile("lgdt %0; ltr %w1" : : "m"(pointer), "r"(TSS_SELECTOR) : "memory");
}

void cpu_start(struct kernel_cpu *cpu, uint32_t index)
{
	load_segments(cpu);
	cpu->self = cpu;
	cpu->index = index;
	kernel_wrmsr(MSR_GS_BASE, (uint64_t)cpu);
	interrupts_start();
	kernel_apic_start();
	cpu->apic_id = kernel_apic_read(APIC_ID) >> (cpu->x2apic ? 0 : 24);
	cpu->online = 1;
}

uint32_t kernel_this_processor(void)
{
	return this_cpu()->index;
}
