// SPDX-License-Identifier: BSD-2-Clause
// The kernel below a disk (parent/worker/backends/block_system.h), with faults on demand: it fails
// a write-back once, takes no requests, is interrupted, or hangs.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { FAKE_SUBMITS = 16 };

struct fake_block_system {
	// The errno that the next fdatasync or RWF_DSYNC write to end gets, and no other: as a
	// kernel does whose write-back has failed. Atomic.
	int sync_error;
	// What the next submissions to a ring give: a negative errno, or how many are taken at
	// most; all, after the first 0.
	int submits[FAKE_SUBMITS];
	uint32_t submit_calls;
	uint32_t discards; // atomic
	bool cold;	   // atomic; the page cache has nothing that is asked for (RWF_NOWAIT)
	// Atomic: calls that change or flush hang, and rings take nothing, until it is false again.
	bool hangs;
	bool close_hangs; // atomic; close() does
};

extern struct fake_block_system fake_block_system;
