// SPDX-License-Identifier: BSD-2-Clause
// What a worker that has been taken over tries.
#pragma once

#include <stdbool.h>

#include "parent/worker/worker.h"
#include "parent/worker/devices/storage.h"

struct attack {
	const char *name;
	// Returns whether it did what it must not be able to do.
	bool (*try)(struct worker *worker);
};

// What reaches out of the process: to fail, whatever system calls there are.
extern const struct attack attacks_on_others[];
extern const unsigned attacks_on_others_count;

// What is no harm by itself, and only the list of system calls refuses.
extern const struct attack attacks_by_calls[];
extern const unsigned attacks_by_calls_count;

// The child's first disk.
static inline struct block_file *first_disk(struct worker *worker)
{
	return ((struct storage_device *)synthetic_at(worker, 0))->disks[0].file;
}
