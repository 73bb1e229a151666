// SPDX-License-Identifier: BSD-2-Clause
// The local APIC of this processor (APM2 16).
#include "examples/kernel/internal.h"

#define MSR_APIC_BASE	 0x1b
#define APIC_BASE_EXTD	 (1ull << 10)
#define APIC_ADDRESS	 0xfee00000ull
#define MSR_X2APIC_FIRST 0x800
#define MSR_X2APIC_ICR	 0x830

#define APIC_TPR      0x80
#define APIC_EOI      0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_ICR      0x300
#define APIC_ICR_HIGH 0x310

#define SPURIOUS_ENABLE (1u << 8)
#define ICR_PENDING	(1u << 12)

// Plain moves, whatever the compiler would like: hypervisors do not emulate every instruction
// there.
static uint32_t mmio_read(uint32_t offset)
{
	uint32_t value;

	__asm__ volatile("movl (%1), %0" : "=r"(value) : "r"(APIC_ADDRESS + offset) : "memory");
	return value;
}

static void mmio_write(uint32_t offset, uint32_t value)
{
	__asm__ volatile("movl %0, (%1)" : : "r"(value), "r"(APIC_ADDRESS + offset) : "memory");
}

uint32_t kernel_apic_read(uint32_t offset)
{
	if (this_cpu()->x2apic)
		return (uint32_t)kernel_rdmsr(MSR_X2APIC_FIRST + offset / 16);
	return mmio_read(offset);
}

void kernel_apic_write(uint32_t offset, uint32_t value)
{
	if (this_cpu()->x2apic)
		kernel_wrmsr(MSR_X2APIC_FIRST + offset / 16, value);
	else
		mmio_write(offset, value);
}

void kernel_apic_start(void)
{
	this_cpu()->x2apic = kernel_rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD;
	kernel_apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	kernel_apic_write(APIC_TPR, 0);
}

void kernel_eoi(void)
{
	kernel_apic_write(APIC_EOI, 0);
}

void kernel_apic_send(uint32_t apic_id, uint32_t command)
{
	uint64_t flags = irq_save(); // the two halves of ICR belong together

	if (this_cpu()->x2apic) {
		kernel_wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
	} else {
		mmio_write(APIC_ICR_HIGH, apic_id << 24);
		mmio_write(APIC_ICR, command);
		while (mmio_read(APIC_ICR) & ICR_PENDING)
			kernel_relax();
	}
	irq_restore(flags);
}
