// SPDX-License-Identifier: BSD-2-Clause
// For the backends: the border between the hypervisor and a guest.
#pragma once

#include "hypercall/stats.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"

// Right before VP enters the guest. False: somebody has asked for something, stay out.
static inline bool guest_enter(struct vp *vp, struct pcpu *cpu)
{
	// From here on others must kick us. What they asked for before, we see now: pairs with
	// vp_kick().
	__atomic_fetch_add(&cpu->guest_seq, 1, __ATOMIC_SEQ_CST);
	if (likely(!(READ_ONCE(vp->requests) | READ_ONCE(cpu->attention))))
		return true;
	__atomic_fetch_add(&cpu->guest_seq, 1, __ATOMIC_SEQ_CST);
	vp->recheck = true;
	return false;
}

// Right after.
static inline void guest_leave(struct pcpu *cpu)
{
	__atomic_fetch_add(&cpu->guest_seq, 1, __ATOMIC_SEQ_CST);
}

// The handler of the exit.
void vp_handle_other_exit(struct vp *vp, const struct vp_exit *exit);

extern const struct exit_kind {
	uint8_t counter;      // of hypercall/stats.h
	bool changes_nothing; // unless the handler says otherwise (vp->recheck)
} exit_kinds[EXIT_REASONS];

// What the processor did with the interrupt that it was offered, and with the EOI assist.
void collect_interrupts(struct vp *vp);

// Does what the exit asks for. True: what was decided for the last entry still holds, enter again
// at once.
static inline bool vp_handle_exit(struct vp *vp, const struct vp_exit *exit)
{
	const struct exit_kind *kind = &exit_kinds[exit->reason];

	if (vp->offered_vector >= 0 || vp->apic.no_eoi_offered)
		collect_interrupts(vp);
	if (!kind->changes_nothing) {
		vp->recheck = true;
		trace(LUMEN_TRACE_VP_EXIT, vp, exit->vendor_code, vp->regs.rip);
	}
	vp_count(vp, kind->counter);
	if (likely(exit->reason == EXIT_HYPERCALL))
		hypercall_exit(vp, exit);
	else
		vp_handle_other_exit(vp, exit);
	return !vp->recheck;
}
