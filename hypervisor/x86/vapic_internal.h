// SPDX-License-Identifier: BSD-2-Clause
// What the files of the virtual local APIC share.
#pragma once

#include "hypervisor/core/partition.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/cpu.h"

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
