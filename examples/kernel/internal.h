// SPDX-License-Identifier: BSD-2-Clause
// What the files of the kernel base share among themselves.
#pragma once

#include "examples/kernel/kernel.h"

// Vectors of the base's own.
#define VECTOR_TICK	0xfc // local APIC timer: ends waits in time
#define VECTOR_WAKE	0xfd // from another processor: look again
#define VECTOR_SPURIOUS 0xff

enum { GDT_FIXED = 6, GDT_TSS = GDT_FIXED, GDT_ENTRIES = GDT_FIXED + 2 };

struct kernel_tss {
	uint32_t rsvd0;
	uint64_t rsp[3];
	uint64_t rsvd1;
	uint64_t ist[7];
	uint64_t rsvd2;
	uint16_t rsvd3, io_map;
} __attribute__((packed)); // misaligned by its first word
_Static_assert(sizeof(struct kernel_tss) == 104, "APM2 12.2.5");

struct kernel_job {
	void (*function)(void *context);
	void *context;
};

// A processor. GS points to it.
struct kernel_cpu {
	struct kernel_cpu *self;
	uint64_t resume; // of kernel_try(): RSP, or 0
	struct kernel_fault fault;
	uint32_t index, apic_id, vp_index;
	bool x2apic;
	bool vp_index_known;
	bool ticks; // its APIC timer runs
	uint32_t online;
	uint32_t busy; // has a job
	struct kernel_job job;
	void *stack; // its top, for processors other than the first
	uint64_t gdt[GDT_ENTRIES];
	struct kernel_tss tss;
	uint8_t fault_stack[4096] __attribute__((aligned(16))); // for double faults
	uint8_t ring0_stack[8192] __attribute__((aligned(16))); // for what interrupts ring 3
};

static inline struct kernel_cpu *this_cpu(void)
{
	struct kernel_cpu *cpu;

	__asm__("mov %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

static inline uint64_t irq_save(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; pop %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void irq_restore(uint64_t flags)
{
	if (flags & 0x200)
		kernel_irq_on();
}

// Locks are words: 0 is free. Interrupts are off while one is held.
static inline uint64_t lock(uint32_t *word)
{
	uint64_t flags = irq_save();

	while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
		kernel_relax();
	return flags;
}

static inline void unlock(uint32_t *word, uint64_t flags)
{
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
	irq_restore(flags);
}

// start.S
extern uint32_t kernel_boot_magic, kernel_boot_data;
extern const uint64_t kernel_boot_gdt[GDT_FIXED];
extern uint64_t kernel_pml4[512];
extern uint8_t kernel_boot_stack_end[];
extern const uint8_t kernel_trampoline[], kernel_trampoline_end[];
extern uint64_t kernel_ap_stack;
void kernel_ap_entry(void);

// The linker script
extern uint8_t kernel_image_start[], kernel_data_start[], kernel_image_end[];

// boot.c
_Noreturn void kernel_boot(void);

// memory.c: takes a range of physical memory for good.
void memory_start(void);
void memory_reserve(uint64_t base, uint64_t size);

// interrupt.c
void interrupts_start(void);
void kernel_interrupt(struct kernel_frame *frame);

// cpu.c
void cpu_start(struct kernel_cpu *cpu, uint32_t index);
struct kernel_cpu *cpu_boot(void);

// wait.c: sleeps while *word is `value`, or some milliseconds.
void wait_while(const uint32_t *word, uint32_t value);
void wake_all(void);
void wait_start(void);
