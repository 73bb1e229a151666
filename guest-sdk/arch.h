// SPDX-License-Identifier: BSD-2-Clause
// The instructions that the SDK needs from the processor. Internal. This is the one seam to the
// machine: unit tests put another "guest-sdk/arch.h" before this one in the include path.
#ifndef GUEST_SDK_ARCH_H
#define GUEST_SDK_ARCH_H

#include <stdint.h>

struct arch_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

// What SGDT and SIDT store.
struct arch_table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static inline struct arch_cpuid arch_cpuid(uint32_t leaf)
{
	struct arch_cpuid r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(0));
	return r;
}

static inline uint64_t arch_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void arch_wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory");
}

// Not before the loads that come before it in the program.
static inline uint64_t arch_rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

static inline void arch_out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void arch_out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void arch_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

// Interrupts off; returns RFLAGS of before.
static inline uint64_t arch_irq_save(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

// Interrupts on if they were on in `flags`.
static inline void arch_irq_restore(uint64_t flags)
{
	if (flags & 1 << 9)
		__asm__ volatile("sti" : : : "memory");
}

// Sleeps with interrupts on until one comes; off again after. STI's shadow lasts until HLT, so none
// is lost between them.
static inline void arch_halt_with_interrupts(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline _Noreturn void arch_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

static inline uint64_t arch_cr0(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr0, %0" : "=r"(value));
	return value;
}

static inline uint64_t arch_cr3(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr3, %0" : "=r"(value));
	return value;
}

static inline uint64_t arch_cr4(void)
{
	uint64_t value;

	__asm__ volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

static inline struct arch_table arch_gdt(void)
{
	struct arch_table table;

	__asm__ volatile("sgdt %0" : "=m"(table));
	return table;
}

static inline struct arch_table arch_idt(void)
{
	struct arch_table table;

	__asm__ volatile("sidt %0" : "=m"(table));
	return table;
}

static inline uint16_t arch_cs(void)
{
	uint16_t selector;

	__asm__ volatile("movw %%cs, %0" : "=r"(selector));
	return selector;
}

static inline uint16_t arch_ss(void)
{
	uint16_t selector;

	__asm__ volatile("movw %%ss, %0" : "=r"(selector));
	return selector;
}

#endif
