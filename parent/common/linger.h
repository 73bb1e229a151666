// SPDX-License-Identifier: BSD-2-Clause
// What a worker had open in an io_uring stays open for a while behind its end, however that came:
// the kernel lets go when all that was begun has ended, in its own time. Who needs the same thing
// next waits for that.
#pragma once

#include <stdbool.h>
#include <time.h>

enum { LINGER_TRIES = 200, LINGER_INTERVAL_NS = 10000000 }; // 2 s in all

// Between two tries (*tries is 0 before the first). Returns false if there were enough.
static inline bool linger(unsigned int *tries)
{
	const struct timespec interval = { .tv_nsec = LINGER_INTERVAL_NS };

	return ++*tries < LINGER_TRIES && !nanosleep(&interval, NULL);
}
