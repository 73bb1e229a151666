// SPDX-License-Identifier: BSD-2-Clause
// For the backends: the border between the hypervisor and a guest.
#pragma once

#include "hypervisor/core/backend.h"
#include "hypervisor/core/pcpu.h"

// Right before VP enters the guest. False: somebody has asked for something, stay out.
static inline bool guest_enter(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	// From here on others must kick us. What they asked for before, we see now: pairs with vp_kick().
	__atomic_fetch_add(&vp->guest_seq, 1, __ATOMIC_SEQ_CST);
	if (unlikely(READ_ONCE(vp->requests) | READ_ONCE(cpu->attention))) {
		__atomic_fetch_add(&vp->guest_seq, 1, __ATOMIC_SEQ_CST);
		vp->recheck = true;
		return false;
	}
	__atomic_fetch_add(&cpu->quiescent, 1, __ATOMIC_RELEASE);
	return true;
}

// Right after.
static inline void guest_leave(struct vp *vp)
{
	__atomic_fetch_add(&this_cpu()->quiescent, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&vp->guest_seq, 1, __ATOMIC_SEQ_CST);
}

// Does what the exit asks for. True: what was decided for the last entry still holds, enter again at once.
bool vp_handle_exit(struct vp *vp, const struct vp_exit *exit);
