// SPDX-License-Identifier: BSD-2-Clause
// Timer queues: sorted lists, as a processor has few timers armed at a time (five for each VP that ran on it).
#include "hypervisor/core/timer.h"
#include "hypervisor/core/pcpu.h"

void timer_queue_init(struct timer_queue *queue)
{
	list_init(&queue->armed);
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	list_init(&timer->link);
	timer->queue = NULL;
	timer->fire = fire;
}

void timer_cancel(struct timer *timer)
{
	struct timer_queue *queue;

	// The timer may fire and be armed elsewhere while we wait for the lock: look again until it holds still.
	while ((queue = READ_ONCE(timer->queue))) {
		spin_lock(&queue->lock);
		if (timer->queue == queue) {
			list_remove(&timer->link);
			WRITE_ONCE(timer->queue, NULL);
		}
		spin_unlock(&queue->lock);
	}
}

void timer_arm(struct timer *timer, uint64_t deadline)
{
	struct timer_queue *queue = &this_cpu()->timers;
	struct timer *later;

	timer_cancel(timer);
	spin_lock(&queue->lock);
	timer->deadline = deadline;
	list_for_each(later, &queue->armed, link)
		if (later->deadline > deadline)
			break;
	list_insert_before(&later->link, &timer->link);
	WRITE_ONCE(timer->queue, queue);
	spin_unlock(&queue->lock);
	this_cpu()->timers_changed = true;
}

uint64_t timers_run(uint64_t now)
{
	struct timer_queue *queue = &this_cpu()->timers;
	struct timer *timer;
	uint64_t next;

	for (;;) {
		spin_lock(&queue->lock);
		timer = list_first(&queue->armed, struct timer, link);
		next = timer ? timer->deadline : UINT64_MAX;
		if (next > now)
			break;
		list_remove(&timer->link);
		WRITE_ONCE(timer->queue, NULL);
		spin_unlock(&queue->lock);
		timer->fire(timer);
	}
	spin_unlock(&queue->lock);
	return next;
}
