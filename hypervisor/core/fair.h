// SPDX-License-Identifier: BSD-2-Clause
// Weighted fair queueing: who waits for a turn, in the order of virtual time, which is the time
// that one has had, divided by its weight. Virtual times are compared by their difference: they may
// wrap. The caller's lock guards all.
#pragma once

#include "hypervisor/core/lib.h"

struct fair {
	struct list link; // in fair_queue.waiting, or linked to itself
	uint64_t vruntime;
};

struct fair_queue {
	struct list waiting; // struct fair, by vruntime
	uint64_t floor;	     // the least virtual time of those who wait and who runs; only grows
};

static inline void fair_queue_init(struct fair_queue *queue)
{
	list_init(&queue->waiting);
	queue->floor = 0;
}

static inline bool fair_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

// The one whose turn is next, or NULL.
static inline struct fair *fair_first(const struct fair_queue *queue)
{
	return list_first(&queue->waiting, struct fair, link);
}

// Behind those of the same virtual time.
static inline void fair_insert(struct fair_queue *queue, struct fair *fair)
{
	struct fair *later;

	list_for_each (later, &queue->waiting, link)
		if (fair_before(fair->vruntime, later->vruntime))
			break;
	list_insert_before(&later->link, &fair->link);
}

// Who comes back from a sleep is at most CREDIT ahead of the others: nobody saves time up.
static inline void fair_join(const struct fair_queue *queue, struct fair *fair, uint64_t credit)
{
	if (fair_before(fair->vruntime, queue->floor - credit))
		fair->vruntime = queue->floor - credit;
}

// RUNNING, who does not wait now, has got on. The floor follows.
static inline void fair_advance(struct fair_queue *queue, const struct fair *running)
{
	const struct fair *first = fair_first(queue);
	uint64_t least = running->vruntime;

	if (first && fair_before(first->vruntime, least))
		least = first->vruntime;
	if (fair_before(queue->floor, least))
		queue->floor = least;
}

// FAIR changes queues, with what it is ahead or behind: leaves one, and arrives at the other.
static inline void fair_leave(const struct fair_queue *queue, struct fair *fair)
{
	fair->vruntime -= queue->floor;
}

static inline void fair_arrive(const struct fair_queue *queue, struct fair *fair)
{
	fair->vruntime += queue->floor;
}
