// SPDX-License-Identifier: BSD-2-Clause
// Defences against what processors speculate (docs/hypervisor.md, Speculation), and the registers
// by which guests defend themselves. What the processor does not have costs nothing.
#pragma once

#include "hypervisor/core/vp.h"

// What this machine's processors have, or need: the same on all.
extern struct speculation {
	bool automatic_ibrs;	// EFER: guests do not steer the hypervisor's branches
	bool ibpb;		// PRED_CMD: what was learnt of branches can be forgotten
	bool spec_ctrl;		// a VP's SPEC_CTRL is in the processor's while it is loaded
	bool virt_spec_ctrl;	// the same for VIRT_SPEC_CTRL
	bool fill_return_stack; // returns of the hypervisor would go by what a guest has left
} speculation;

// Once, before processors are enabled; a backend may then take over some of it. Then on each of
// them.
void speculation_init(void);
void speculation_enable(void);

// VP becomes, ceases to be, the one whose registers this processor holds. If the last one was
// another partition's, that must not steer its branches.
void speculation_load(const struct vp *vp);
void speculation_save(struct vp *vp);

// After a guest: what returns are predicted by is none of its own.
void speculation_fill_return_stack(void);
