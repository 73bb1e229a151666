// SPDX-License-Identifier: BSD-2-Clause
// A point in time up to which something is waited for, however often the wait is taken up again.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef uint64_t deadline_ns; // of CLOCK_MONOTONIC

static inline deadline_ns deadline_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline deadline_ns deadline_in_ms(uint32_t ms)
{
	return deadline_now() + ms * 1000000ull;
}

// Returns how many milliseconds are left: 0 when it is over. A time-out for poll().
static inline int deadline_left_ms(deadline_ns deadline)
{
	deadline_ns now = deadline_now();

	return deadline > now ? (int)((deadline - now + 999999) / 1000000) : 0;
}

// Waits for a thread to end. Returns false if it has not by then.
static inline bool deadline_join(pthread_t thread, deadline_ns deadline)
{
	const struct timespec until = { .tv_sec = (time_t)(deadline / 1000000000u),
		.tv_nsec = (long)(deadline % 1000000000u) };

	return !pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
}
