// SPDX-License-Identifier: BSD-2-Clause
// One-shot timers in TSC ticks, kept in one queue per processor and driven by its local APIC timer.
#pragma once

#include "hypervisor/core/lib.h"

struct timer_queue;

struct timer {
	struct list link;
	struct timer_queue *queue;	   // that it is on, NULL = idle; changes under queue->lock
	uint64_t deadline;		   // TSC
	void (*fire)(struct timer *timer); // on the queue's processor, no lock held
};

struct timer_queue {
	struct spinlock lock; // leaf lock
	struct list armed;    // by deadline
};

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));

// Arms TIMER (again) on this processor's queue. A past deadline fires at the next timers_run().
void timer_arm(struct timer *timer, uint64_t deadline);

// After it returns the timer is idle; FIRE may still be running on another processor.
void timer_cancel(struct timer *timer);

// Fires what is due on this processor and returns the next deadline (UINT64_MAX: none).
uint64_t timers_run(uint64_t now);
