// SPDX-License-Identifier: BSD-2-Clause
// Timer queues: sorted lists, as a processor has few timers armed at a time (five for each VP that
// ran on it).
#include "hypervisor/core/timer.h"
#include "hypervisor/core/pcpu.h"

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	list_init(&timer->link);
	timer->queue = NULL;
	timer->fire = fire;
}

static void take_off(struct timer *timer)
{
	list_remove(&timer->link);
	WRITE_ONCE(timer->queue, NULL);
}

void timer_cancel(struct timer *timer)
{
	struct timer_queue *queue;

	// It may fire and be armed elsewhere while we wait for the lock: until it holds still.
	while ((queue = READ_ONCE(timer->queue))) {
		spin_guard(&queue->lock);
		if (timer->queue == queue)
			take_off(timer);
	}
}

void timer_arm(struct timer *timer, uint64_t deadline)
{
	struct timer_queue *queue = &this_cpu()->timers;
	struct timer *later;

	timer_cancel(timer);
	this_cpu()->timers_changed = true;
	spin_guard(&queue->lock);
	timer->deadline = deadline;
	list_for_each (later, &queue->armed, link)
		if (later->deadline > deadline)
			break;
	list_insert_before(&later->link, &timer->link);
	WRITE_ONCE(timer->queue, queue);
}

static struct timer *take_due(struct timer_queue *queue, uint64_t now, uint64_t *next)
{
	struct timer *first;

	spin_guard(&queue->lock);
	first = list_first(&queue->armed, struct timer, link);
	*next = first ? first->deadline : UINT64_MAX;
	if (*next > now)
		return NULL;
	take_off(first);
	return first;
}

uint64_t timers_run(uint64_t now)
{
	struct timer *timer;
	uint64_t next;

	while ((timer = take_due(&this_cpu()->timers, now, &next)))
		timer->fire(timer);
	return next;
}
