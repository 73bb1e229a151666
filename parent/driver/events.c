// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// The root's event flags (those of MSHV_SINT_EVENTS): handed out to event ports, each wakes an
// eventfd.
#include "driver.h"

#include <linux/bitmap.h>
#include <linux/eventfd.h>
#include <linux/rcupdate.h>

static DEFINE_MUTEX(used_lock); // guards used
static DECLARE_BITMAP(used, HV_EVENT_FLAGS_COUNT);

// Whom a flag wakes; written by its owner, read by the interrupt handler under RCU.
static struct eventfd_ctx __rcu *eventfds[HV_EVENT_FLAGS_COUNT];

void mshv_event_signaled(unsigned int flag)
{
	struct eventfd_ctx *eventfd = rcu_dereference(eventfds[flag]);

	if (eventfd)
		eventfd_signal(eventfd, 1);
}

int mshv_events_alloc(struct eventfd_ctx *eventfd, unsigned int count, unsigned int *first)
{
	unsigned long start;
	unsigned int i;

	mutex_lock(&used_lock);
	start = bitmap_find_next_zero_area(used, HV_EVENT_FLAGS_COUNT, 0, count, 0);
	if (start < HV_EVENT_FLAGS_COUNT)
		bitmap_set(used, start, count);
	mutex_unlock(&used_lock);
	if (start >= HV_EVENT_FLAGS_COUNT)
		return -ENOSPC;
	for (i = 0; i < count; i++)
		rcu_assign_pointer(eventfds[start + i], eventfd);
	*first = start;
	return 0;
}

void mshv_events_unhook(unsigned int first, unsigned int count)
{
	while (count--)
		RCU_INIT_POINTER(eventfds[first + count], NULL);
}

void mshv_events_free(unsigned int first, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		mshv_synic_clear_flag(first + i);
	mutex_lock(&used_lock);
	bitmap_clear(used, first, count);
	mutex_unlock(&used_lock);
}
