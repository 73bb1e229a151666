// SPDX-License-Identifier: BSD-2-Clause
// What the files of the virtual local APIC share: register numbers (x2APIC MSR - 0x800, xAPIC
// offset / 16) and their bits.
#pragma once

#include "hypervisor/core/partition.h"
#include "hypervisor/core/vp.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/vapic.h"

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

#define ESR_SEND_ILLEGAL_VECTOR	   BIT(5)
#define ESR_RECEIVE_ILLEGAL_VECTOR BIT(6)
#define ESR_ILLEGAL_REGISTER	   BIT(7)

enum vapic_mode { VAPIC_DISABLED, VAPIC_XAPIC, VAPIC_X2APIC };

// Of any VP (its owner may change it at the same time).
static inline enum vapic_mode vapic_mode(const struct vp *vp)
{
	uint64_t base = READ_ONCE(vp->apic_base);

	if (!(base & APIC_BASE_ENABLE))
		return VAPIC_DISABLED;
	return base & APIC_BASE_EXTD ? VAPIC_X2APIC : VAPIC_XAPIC;
}

// The logical id in x2APIC mode (APM2 16.14): a function of the APIC id.
static inline uint32_t vapic_x2apic_ldr(const struct vp *vp)
{
	return vp->apic.id >> 4 << 16 | 1u << (vp->apic.id & 15);
}

// Processor priority (APM2 16.6.4), 0..255.
uint64_t vapic_ppr(const struct vp *vp);

// Sets ERROR bits of the error status register and raises the LVT error interrupt.
void vapic_error(struct vp *vp, uint32_t error);

// A write to the interrupt command register, DEST in its high half as the VP's mode has it.
void vapic_send_icr(struct vp *vp, uint64_t icr);

void vapic_timer_stop(struct vp *vp);
void vapic_timer_set_initial(struct vp *vp, uint64_t count);
void vapic_timer_set_divide(struct vp *vp, uint64_t divide);
uint64_t vapic_timer_current(const struct vp *vp);
void vapic_timer_set_lvt(struct vp *vp, uint32_t lvt);
uint64_t vapic_tsc_deadline(const struct vp *vp);
void vapic_set_tsc_deadline(struct vp *vp, uint64_t guest_tsc);

// The register file. REGISTER < APIC_REGISTERS. False: x2APIC answers #GP; xAPIC reads 0 and notes
// an illegal register.
bool vapic_read_register(struct vp *vp, unsigned int reg, uint64_t *value);
bool vapic_write_register(struct vp *vp, unsigned int reg, uint64_t value);
