// SPDX-License-Identifier: BSD-2-Clause
// The registers of local APICs, and the physical one, which is the hypervisor's alone: x2APIC mode
// where the processor has it, else the MMIO page.
#pragma once

#include "hypervisor/core/lib.h"

struct vp;

// The x2APIC MSR - 0x800, or the offset in the page / 16.
enum apic_register {
	APIC_ID = 0x02,
	APIC_VERSION = 0x03,
	APIC_TPR = 0x08,
	APIC_APR = 0x09,
	APIC_PPR = 0x0a,
	APIC_EOI = 0x0b,
	APIC_RRD = 0x0c,
	APIC_LDR = 0x0d,
	APIC_DFR = 0x0e,
	APIC_SVR = 0x0f,
	APIC_ISR = 0x10, // eight of them
	APIC_TMR = 0x18,
	APIC_IRR = 0x20,
	APIC_ESR = 0x28,
	APIC_ICR = 0x30,
	APIC_ICR_HIGH = 0x31,
	APIC_LVT_TIMER = 0x32, // then thermal, performance
	APIC_LVT_LINT0 = 0x35,
	APIC_LVT_LINT1 = 0x36,
	APIC_LVT_ERROR = 0x37,
	APIC_TIMER_INITIAL = 0x38,
	APIC_TIMER_CURRENT = 0x39,
	APIC_TIMER_DIVIDE = 0x3e,
	APIC_SELF_IPI = 0x3f,
	APIC_REGISTERS = 0x40,
};

#define APIC_BASE_ADDRESS 0xfee00000ull // after power-on
#define APIC_BASE_BSP	  BIT(8)
#define APIC_BASE_EXTD	  BIT(10)
#define APIC_BASE_ENABLE  BIT(11)

#define SVR_ENABLE BIT(8)

#define LVT_VECTOR	    0xffu
#define LVT_MASKED	    BIT(16)
#define LVT_TIMER_MODE(lvt) ((lvt) >> 17 & 3)
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };

// On each processor, with interrupts off; the first call maps the page and calibrates the timer
// against the TSC.
void apic_enable(void);
uint32_t apic_id(void);

// COMMAND: a vector, IPI_INIT, or IPI_STARTUP with a page below 1 MiB.
enum { IPI_STARTUP = 0x600, IPI_INIT = 0x8500 };
void apic_send_ipi(uint32_t apic_id, uint32_t command);

// One-shot: an IRQ_VECTOR_TIMER interrupt at about TSC value DEADLINE, perhaps a little early;
// UINT64_MAX = none.
void apic_timer_set(uint64_t deadline);

void apic_eoi(void);
bool apic_is_level(unsigned int vector);    // trigger mode of an interrupt in service
unsigned int apic_highest_in_service(void); // 0 = none

// The root's device interrupts may use logical destinations (flat or cluster) that it set up in its
// virtual APIC: own VP of the root, copies LDR and DFR to the physical one.
void phys_apic_mirror_ldr(struct vp *vp);
