// SPDX-License-Identifier: BSD-2-Clause
// The SDK's seam to the processor, for unit tests: a machine in memory (machine.h).
#pragma once

#include <stdint.h>

struct arch_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

struct arch_table {
	uint16_t limit;
	uint64_t base;
};

struct arch_cpuid arch_cpuid(uint32_t leaf);
uint64_t arch_rdmsr(uint32_t msr);
void arch_wrmsr(uint32_t msr, uint64_t value);
uint64_t arch_rdtsc(void);
void arch_out8(uint16_t port, uint8_t value);
void arch_out16(uint16_t port, uint16_t value);
void arch_pause(void);
uint64_t arch_irq_save(void);
void arch_irq_restore(uint64_t flags);
void arch_halt_with_interrupts(void);
_Noreturn void arch_stop(void);
uint64_t arch_cr0(void);
uint64_t arch_cr3(void);
uint64_t arch_cr4(void);
struct arch_table arch_gdt(void);
struct arch_table arch_idt(void);
uint16_t arch_cs(void);
uint16_t arch_ss(void);
