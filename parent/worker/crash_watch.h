// SPDX-License-Identifier: BSD-2-Clause
// What becomes of a child that has reported a crash: it may print its last words and write a dump
// of itself (Linux' crash kernel boots after the report), but it must not spin for ever. Portable.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "parent/common/child_config.h"

enum {
	CRASH_TICK_MS = 1000,	   // crash_watch_tick() is called so often
	CRASH_WORDS_TICKS = 1,	   // --on-crash kill: for the last words
	CRASH_HALTED_TICKS = 5,	   // nothing runs: no kernel with a timer sleeps for so long
	CRASH_SPIN_TICKS = 10,	   // it was at one place so much more often than elsewhere
	CRASH_SPIN_BYTES = 512,	   // of code, that are one place
	CRASH_QUIET_TICKS = 120,   // it does something, but nothing that anybody notices
	CRASH_MAX_TICKS = 30 * 60, // nobody dumps for so long
};

// What is seen of a child.
struct crash_sample {
	uint64_t run_time; // of its VPs; the unit does not matter
	uint64_t halts;	   // of the VP that crashed
	uint64_t rip;	   // its place
	uint64_t activity; // changes when it does what a kernel does that boots or writes
};

struct crash_watch {
	uint32_t ticks, halted_ticks, spin_ticks, quiet_ticks;
	uint64_t spin_rip;
	struct crash_sample last;
};

// Another tick has passed. Returns whether the child is to be ended now.
bool crash_watch_tick(
	struct crash_watch *watch, enum child_on_crash mode, const struct crash_sample *sample);
