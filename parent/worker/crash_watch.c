// SPDX-License-Identifier: BSD-2-Clause
// See crash_watch.h.
#include "parent/worker/crash_watch.h"

// The place where a loop spins is that of most samples, but not of those in its timer's interrupts:
// a vote for the majority (Boyer and Moore). Returns how much it leads.
static uint32_t vote(struct crash_watch *watch, uint64_t rip)
{
	uint64_t distance = rip > watch->spin_rip ? rip - watch->spin_rip : watch->spin_rip - rip;

	if (watch->spin_ticks && distance >= CRASH_SPIN_BYTES)
		return watch->spin_ticks - 1;
	if (!watch->spin_ticks)
		watch->spin_rip = rip;
	return watch->spin_ticks + 1;
}

static void look(struct crash_watch *watch, const struct crash_sample *sample)
{
	const struct crash_sample *last = &watch->last;
	bool quiet = watch->ticks++ && sample->activity == last->activity;
	bool halted = quiet && sample->run_time == last->run_time;
	bool awake = quiet && !halted && sample->halts == last->halts;

	watch->quiet_ticks = quiet ? watch->quiet_ticks + 1 : 0;
	watch->halted_ticks = halted ? watch->halted_ticks + 1 : 0;
	watch->spin_ticks = awake ? vote(watch, sample->rip) : 0;
	watch->last = *sample;
}

bool crash_watch_tick(
	struct crash_watch *watch, enum child_on_crash mode, const struct crash_sample *sample)
{
	look(watch, sample);
	switch (mode) {
	case CHILD_CRASH_KILL:
		return watch->ticks >= CRASH_WORDS_TICKS;
	case CHILD_CRASH_KEEP:
		return false;
	default:
		return watch->halted_ticks >= CRASH_HALTED_TICKS ||
		       watch->spin_ticks >= CRASH_SPIN_TICKS ||
		       watch->quiet_ticks >= CRASH_QUIET_TICKS || watch->ticks >= CRASH_MAX_TICKS;
	}
}
