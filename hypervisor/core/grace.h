// SPDX-License-Identifier: BSD-2-Clause
// Grace periods: when may something that was found without a lock be used again? A handler runs to
// completion, so a processor that is in a guest or idles has forgotten all that it looked up. Who
// frees: first takes the object out of where it is found, then waits (quiesce_wait), or sets it
// aside and asks later (grace_over).
#pragma once

#include "hypervisor/core/lib.h"

#define PCPU_MAX 64 // physical processors

// What each processor's guest_seq was at the beginning; odd: it had or has passed a quiescent
// point.
struct grace {
	uint64_t seq[PCPU_MAX];
};

// What has been unlinked before this call can be used again once grace_over() says so. This
// processor counts as having passed: its caller uses no such object any more.
void grace_begin(struct grace *grace);

// Never waits; changes GRACE. It becomes true once each processor has ended the handler that it was
// in at the beginning: that depends on no guest.
bool grace_over(struct grace *grace);

// Waits for a grace period. Management hypercalls only, and no locks held: a processor that waits
// counts as quiescent, and nobody may wait for it in turn.
void quiesce_wait(void);
