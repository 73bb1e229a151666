// SPDX-License-Identifier: BSD-2-Clause
// How long a child lives after it has reported a crash. Time is the number of calls.
#include <criterion/criterion.h>

#include "parent/worker/crash_watch.h"

enum { FOR_EVER = 3 * CRASH_MAX_TICKS };

static struct crash_watch watch;

// What a child does. SPINNING: in a loop, with its timer on; COMPUTING: here and there.
enum doing { DUMPING, SPINNING, COMPUTING, IDLE, HALTED };

// Lets it do that for some ticks. Returns at which of them it is ended, or 0.
static unsigned ticks(enum child_on_crash mode, enum doing doing, unsigned count)
{
	static struct crash_sample sample;
	static unsigned all;

	for (unsigned i = 1; i <= count; i++) {
		bool in_interrupt = ++all % 5 == 0;

		sample.activity += doing == DUMPING;
		sample.run_time += doing != HALTED;
		sample.halts += doing == IDLE;
		sample.rip = 0xffffffff81000000 + all % 7 * 16;
		if (in_interrupt || doing == DUMPING || doing == COMPUTING)
			sample.rip += (all + 1) * 0x2000;
		if (crash_watch_tick(&watch, mode, &sample))
			return i;
	}
	return 0;
}

Test(crash_watch, kill_leaves_a_second_for_last_words)
{
	cr_assert_eq(ticks(CHILD_CRASH_KILL, DUMPING, FOR_EVER), CRASH_WORDS_TICKS);
}

Test(crash_watch, keep_is_for_ever)
{
	cr_assert_eq(ticks(CHILD_CRASH_KEEP, SPINNING, FOR_EVER), 0);
	cr_assert_eq(ticks(CHILD_CRASH_KEEP, HALTED, FOR_EVER), 0);
}

Test(crash_watch, who_halts_is_ended_soon)
{
	cr_assert_eq(ticks(CHILD_CRASH_WAIT, HALTED, FOR_EVER), CRASH_HALTED_TICKS + 1);
}

Test(crash_watch, who_spins_is_ended_a_little_later)
{
	unsigned ended = ticks(CHILD_CRASH_WAIT, SPINNING, FOR_EVER);

	cr_assert(ended > CRASH_SPIN_TICKS && ended <= 2 * CRASH_SPIN_TICKS, "%u", ended);
}

Test(crash_watch, who_computes_or_sleeps_in_silence_has_more_time)
{
	cr_assert_eq(ticks(CHILD_CRASH_WAIT, COMPUTING, CRASH_QUIET_TICKS / 2), 0);
	cr_assert_eq(ticks(CHILD_CRASH_WAIT, IDLE, FOR_EVER), CRASH_QUIET_TICKS / 2 + 1);
}

// A crash kernel: silent while it unpacks itself, then now and then; it waits for its disk.
Test(crash_watch, who_dumps_may_go_on)
{
	cr_assert_eq(ticks(CHILD_CRASH_WAIT, COMPUTING, CRASH_QUIET_TICKS), 0);
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(ticks(CHILD_CRASH_WAIT, DUMPING, 10), 0);
		cr_assert_eq(ticks(CHILD_CRASH_WAIT, SPINNING, CRASH_SPIN_TICKS - 1), 0);
		cr_assert_eq(ticks(CHILD_CRASH_WAIT, IDLE, 30), 0);
		cr_assert_eq(ticks(CHILD_CRASH_WAIT, HALTED, CRASH_HALTED_TICKS - 1), 0);
		cr_assert_eq(ticks(CHILD_CRASH_WAIT, COMPUTING, 30), 0);
	}
	cr_assert_eq(ticks(CHILD_CRASH_WAIT, DUMPING, 1), 0);
	cr_assert_leq(ticks(CHILD_CRASH_WAIT, SPINNING, FOR_EVER), 2 * CRASH_SPIN_TICKS);
}

Test(crash_watch, nobody_dumps_for_ever)
{
	cr_assert_eq(ticks(CHILD_CRASH_WAIT, DUMPING, FOR_EVER), CRASH_MAX_TICKS);
}
