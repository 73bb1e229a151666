// SPDX-License-Identifier: BSD-2-Clause
// The scheduler: which VP each processor runs. Each has a run queue (run_queue.h); VPs of children
// move to idle processors.
#pragma once

#include "hypervisor/core/run_queue.h"
#include "hypervisor/core/vp.h"

// The processor's main loop: picks and runs VPs for ever, halts when there are none.
void sched_run(void) __attribute__((noreturn));

// Makes a blocked VP runnable and sees that a processor takes it. No run queue's lock is held.
void sched_wake(struct vp *vp);

// Own VP: it has nothing to run for. False: it has after all (something came in between), go on.
bool sched_block(struct vp *vp);

// Should the running VP leave the processor (slice over, or somebody better waits)?
bool sched_should_yield(void);

// Fires due timers and sets the processor's interrupt timer for the next one or the end of the
// slice. Own processor.
void timers_update(void);

// What a VP of CPU's may have of it has changed: it looks again.
void sched_look_again(struct pcpu *cpu);

// VP, paused for good and a grace period ago, is on no run queue any more.
void sched_remove(struct vp *vp);
