// SPDX-License-Identifier: BSD-2-Clause
// The VPs that wait for a processor, in two levels: the partitions share its time by their weights,
// however many VPs they have, and the VPs of a partition share the partition's.
//
// What that promises: of any time T in which a partition always has a VP that waits or runs on a
// processor, it gets at least T * weight / (sum of the weights of those that have one there), less
// a slice for each of them. Its virtual time is never less than the floor less a slice, grows as it
// runs and no faster, and the least is next.
#pragma once

#include "hypervisor/core/fair.h"

struct vp;

// A partition on one processor. Guarded by the lock of that processor's run queue.
struct share {
	struct fair fair;      // among the partitions; waits if it has VPs that do, and is not the
			       // current one
	struct fair_queue vps; // that wait: vp->fair
	uint64_t rsvd[2];      // so that no two processors' lie in one cache line
};
_Static_assert(sizeof(struct share) == 64, "a cache line");

struct run_queue {
	struct spinlock lock; // guards the rest, and run_state, fair, due and cpu of VPs whose
			      // vp->cpu this is; leaf
	struct fair_queue shares; // struct share
	struct list capped;	  // VPs that have had what their cap allows: vp->fair, by vp->due
	uint32_t queued;	  // VPs that wait in shares
	struct vp *current;
	uint64_t current_since; // TSC
	uint64_t slice_end;	// TSC; UINT64_MAX while nothing ends the current VP's turn
};

enum { CPU_CAP_FULL = 0x10000 }; // TLFS: HvPartitionPropertyCpuCap: fractions of a processor

void run_queue_init(struct run_queue *rq);
void shares_init(struct share *shares); // of a partition: one per processor

// All that follow: with the lock held; VP's processor is the queue's.

// VP, which neither waits nor runs, waits from now on. After a sleep: run_queue_wake().
void run_queue_add(struct run_queue *rq, struct vp *vp);
void run_queue_wake(struct run_queue *rq, struct vp *vp);

// VP, which waits (VP_QUEUED or VP_CAPPED), does not any more.
void run_queue_remove(struct run_queue *rq, struct vp *vp);

// VP, which neither waits nor runs, goes to another processor: leaves here, then (with that one's
// lock) arrives there.
void run_queue_leave(struct vp *vp);
void run_queue_arrive(struct vp *vp);

// The VP whose turn is next, or NULL.
struct vp *run_queue_first(const struct run_queue *rq);

// A VP that waits and is WANTED: also one that waits for the current one of its partition.
struct vp *run_queue_find(const struct run_queue *rq, bool (*wanted)(const struct vp *vp));

// VP, which waits, becomes the current one. Then the current one is none, and waits if it still
// would run.
void run_queue_start(struct run_queue *rq, struct vp *vp, uint64_t now);
void run_queue_stop(struct run_queue *rq, uint64_t now);

// Charges the current VP for its time until NOW. True: its turn is over.
bool run_queue_turn_over(struct run_queue *rq, uint64_t now);

// Lets go of VPs that may run again at NOW; when to ask next. *ANY: there were some.
uint64_t run_queue_tick(struct run_queue *rq, uint64_t now, bool *any);
