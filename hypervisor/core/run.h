// SPDX-License-Identifier: BSD-2-Clause
// For the backends: the border between the hypervisor and a guest.
#pragma once

#include "hypervisor/core/backend.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/stats.h"
#include "hypervisor/core/trace.h"

// Right before VP enters the guest. False: somebody has asked for something, stay out.
static inline bool guest_enter(struct vp *vp, struct pcpu *cpu)
{
	// From here on others must kick us. What they asked for before, we see now: pairs with vp_kick().
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

typedef void exit_handler(struct vp *vp, const struct vp_exit *exit);
extern exit_handler *const exit_handlers[EXIT_REASONS];

// After these exits what was decided for the entry still holds, unless the handler says otherwise (vp->recheck).
extern const bool exit_changes_nothing[EXIT_REASONS];

// What the processor did with the interrupt that it was offered, and with the EOI assist.
void collect_interrupts(struct vp *vp);

// Does what the exit asks for. True: what was decided for the last entry still holds, enter again at once.
static inline bool vp_handle_exit(struct vp *vp, const struct vp_exit *exit)
{
	if (vp->offered_vector >= 0 || vp->apic.no_eoi_offered)
		collect_interrupts(vp);
	if (!exit_changes_nothing[exit->reason]) {
		vp->recheck = true;
		trace(LUMEN_TRACE_VP_EXIT, vp, exit->vendor_code, vp->regs.rip);
	}
	stats_count_exit(vp, exit->reason);
	exit_handlers[exit->reason](vp, exit);
	return !vp->recheck;
}
