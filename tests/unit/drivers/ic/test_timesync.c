// SPDX-License-Identifier: BSD-2-Clause
// The time synchronisation component's VSP: what each version is told, and when a clock is to be
// set rather than steered.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/timesync.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

static const uint64_t morning = 133700000000000000; // some time in 2024
static struct timesync_reference told;

// What the next tick, or the beginning, tells a guest of version 4.
static uint8_t tell(void)
{
	cr_assert(vsp_poll(vsp()) & VSP_SIGNAL);
	cr_assert(receive());
	cr_assert_eq(header.type, IC_MESSAGE_TIMESYNC);
	cr_assert_eq(header.size, TIMESYNC_REFERENCE_SIZE);
	memcpy(&told, body, TIMESYNC_REFERENCE_SIZE);
	respond(body, TIMESYNC_REFERENCE_SIZE);
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	return told.flags;
}

static uint8_t tell_after(int64_t host_100ns, int64_t reference_100ns)
{
	rig.time_of_day += (uint64_t)host_100ns;
	rig.reference_time += (uint64_t)reference_100ns;
	vsp_tick(vsp());
	return tell();
}

static void begin(void)
{
	ic_guest_agree(&timesync_component, (struct ic_version){ 4, 0 });
	rig.time_of_day = morning;
	rig.reference_time = 7000;
}

Test(timesync, the_first_is_to_be_set_and_the_next_are_samples)
{
	begin();
	cr_assert_eq(tell(), TIMESYNC_FLAG_SYNC);
	cr_assert_eq(told.host_time, morning);
	cr_assert_eq(told.reference_time, 7000);
	for (int tick = 0; tick < 3; tick++) {
		cr_assert_eq(tell_after(50000000, 50000000), TIMESYNC_FLAG_SAMPLE);
		cr_assert_eq(told.host_time, rig.time_of_day);
		cr_assert_eq(told.reference_time, rig.reference_time);
		move();
	}
}

Test(timesync, a_clock_that_jumps_is_to_be_set)
{
	begin();
	tell();
	cr_assert_eq(tell_after(50040000, 50000000), TIMESYNC_FLAG_SAMPLE, "4 ms are steered");
	cr_assert_eq(tell_after(49920000, 50000000), TIMESYNC_FLAG_SAMPLE, "and back");
	cr_assert_eq(tell_after(50120000, 50000000), TIMESYNC_FLAG_SYNC, "8 ms in all are not");
	cr_assert_eq(tell_after(50000000, 50000000), TIMESYNC_FLAG_SAMPLE);
	cr_assert_eq(tell_after(600000000, 0), TIMESYNC_FLAG_SYNC, "the child stood for a minute");
	cr_assert_eq(tell_after(-72000000000, 50000000), TIMESYNC_FLAG_SYNC, "the host's was set");
	cr_assert_eq(tell_after(50000000, 50000000), TIMESYNC_FLAG_SAMPLE);
}

Test(timesync, nothing_is_told_without_a_reference)
{
	ic_guest_reference_fails = true;
	begin();
	for (int tick = 0; tick < 3; tick++) {
		vsp_poll(vsp());
		cr_assert(!receive());
		cr_assert(!ic_asked(ic()));
		move();
		vsp_tick(vsp());
	}
	ic_guest_reference_fails = false;
	cr_assert_eq(tell(), TIMESYNC_FLAG_SYNC, "the first that is told");
	cr_assert_eq(ic()->questions, 1);
}

Test(timesync, older_versions_are_told_in_their_own_form)
{
	static const struct ic_version old[] = { { 1, 0 }, { 3, 0 } };
	struct timesync_message message;

	for (int i = 0; i < 2; i++) {
		ic_guest_agree(&timesync_component, old[i]);
		rig.time_of_day = morning;
		cr_assert(vsp_poll(vsp()) & VSP_SIGNAL);
		cr_assert(receive());
		cr_assert_eq(header.size, TIMESYNC_MESSAGE_SIZE);
		memcpy(&message, body, TIMESYNC_MESSAGE_SIZE);
		cr_assert_eq(message.host_time, morning);
		cr_assert_eq(message.round_trip, 0);
		cr_assert_eq(message.flags, TIMESYNC_FLAG_SYNC);
	}
}
