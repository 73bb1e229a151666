// SPDX-License-Identifier: BSD-2-Clause
// The physical local APIC, which is the hypervisor's alone: x2APIC mode where the processor has it, else the MMIO page.
#pragma once

#include "hypervisor/core/lib.h"

struct vp;

// On each processor, with interrupts off; the first call maps the page and calibrates the timer against the TSC.
void apic_enable(void);
uint32_t apic_id(void);

void apic_send_ipi(uint32_t apic_id, unsigned int vector);
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, unsigned int page);

// One-shot: an IRQ_VECTOR_TIMER interrupt at about TSC value DEADLINE, perhaps a little early; UINT64_MAX = none.
void apic_timer_set(uint64_t deadline);

void apic_eoi(void);
bool apic_is_level(unsigned int vector);      // trigger mode of an interrupt in service
unsigned int apic_highest_in_service(void); // 0 = none

// The root's device interrupts may use logical destinations (flat or cluster) that it set up in its virtual APIC: own VP of
// the root, copies LDR and DFR to the physical one.
void phys_apic_mirror_ldr(struct vp *vp);
