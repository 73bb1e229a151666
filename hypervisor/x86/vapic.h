// SPDX-License-Identifier: BSD-2-Clause
// The virtual local APIC (APM2 chapter 16): xAPIC and x2APIC, in software. Interrupt requests may
// come from any processor; everything else belongs to the VP's own.
#pragma once

#include "hypervisor/core/lib.h"

struct vp;
struct partition;

enum vapic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };

struct vapic {
	uint32_t id;	      // initial APIC id
	uint64_t irr[4];      // atomic: requested
	uint64_t level[4];    // atomic: the pending request is level-triggered (TMR at acceptance)
	uint64_t auto_eoi[4]; // atomic: the pending request ends itself (TLFS: SINTx AutoEOI)
	uint64_t isr[4];
	uint64_t tmr[4]; // level-triggered, of those in service
	uint32_t tpr, ldr, dfr, svr, esr, esr_shadow;
	uint64_t icr;
	uint32_t lvt[LVT_COUNT];
	uint32_t timer_divide, timer_initial;
	uint64_t timer_start; // host TSC at which the running count was (or would have been) loaded
	uint64_t timer_due;   // host TSC of the next expiry; 0 = not running
	uint64_t tsc_deadline; // guest TSC; 0 = disarmed
	bool no_eoi_offered;   // the assist page tells the guest that it need not write EOI
};

enum vapic_irq_flags { VAPIC_EDGE = 0, VAPIC_LEVEL = 1, VAPIC_AUTO_EOI = 2 };

// Own VP or paused. INIT keeps the id and APIC base; power-on makes VP 0 the bootstrap processor,
// in xAPIC mode.
void vapic_reset(struct vp *vp, bool power_on);

// The frequency of the APIC timer before its divider (HV_X64_MSR_APIC_FREQUENCY).
#define VAPIC_TIMER_HZ 200000000ull

// Requests VECTOR (16..255) of VP and makes sure that it notices. Any context. False: the APIC is
// disabled, or the vector illegal.
bool vapic_interrupt(struct vp *vp, unsigned int vector, enum vapic_irq_flags flags);

// An EOI ended level-triggered VECTOR of VP, own VP. The root's goes on to the physical APIC, a
// child's to its parent. Not ours.
void vapic_level_eoi(struct vp *vp, unsigned int vector);

// Own VP: the vector that may be delivered now (its class is above the processor priority), or -1.
int vapic_pending(const struct vp *vp);

// Is any interrupt requested, whether or not its priority suffices?
bool vapic_requested(const struct vp *vp);

// The processor is asked to deliver VECTOR: it is not requested any more, so that the next request
// of the same vector counts. Then the processor has either taken it (-> in service, or done with
// auto-EOI) or is not to deliver it after all (-> requested).
void vapic_offered(struct vp *vp, unsigned int vector);
void vapic_accepted(struct vp *vp, unsigned int vector);
void vapic_withdrawn(struct vp *vp, unsigned int vector);
void vapic_eoi(struct vp *vp);

// The EOI assist (TLFS: EOI MSR / VP assist page): after each exit, and before each entry (after
// vapic_pending).
void vapic_assist_collect(struct vp *vp);
void vapic_assist_offer(struct vp *vp);

// TPR as CR8 (0..15).
uint64_t vapic_get_cr8(const struct vp *vp);
void vapic_set_cr8(struct vp *vp, uint64_t cr8);

// x2APIC MSRs, IA32_APIC_BASE, IA32_TSC_DEADLINE and HV_X64_MSR_EOI/ICR/TPR. False: #GP.
bool vapic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value);
bool vapic_write_msr(struct vp *vp, uint32_t msr, uint64_t value);

// Is GPA in VP's xAPIC page?
bool vapic_at(const struct vp *vp, uint64_t gpa);
// A second-level fault at GPA by the instruction at RIP: true if it hit that page (and was
// emulated, or gave #GP).
bool vapic_mmio(struct vp *vp, uint64_t gpa);

// The APIC timer (vp->timers[VP_APIC_TIMER]) expired; own VP.
void vapic_timer_expired(struct vp *vp);

// Delivers an interrupt in APIC terms within a partition. The sender of an IPI, or NULL. False: no
// VP matches or the mode is not supported.
struct vapic_message {
	uint32_t dest; // an APIC id or logical set
	bool logical, level;
	uint8_t delivery; // ICR: 0 fixed, 1 lowest, 2 SMI, 4 NMI, 5 INIT, 6 SIPI
	uint8_t vector;
	uint8_t shorthand; // ICR: 0 none, 1 self, 2 all, 3 all but self
};
bool vapic_deliver(
	struct partition *partition, struct vp *sender, const struct vapic_message *message);
