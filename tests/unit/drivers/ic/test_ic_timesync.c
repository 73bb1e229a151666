// SPDX-License-Identifier: BSD-2-Clause
// The time synchronisation component's VSC: samples of both layouts, and what is none.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/timesync.h"
#include "ic_host.h"

#define REQUEST (IC_FLAG_TRANSACTION | IC_FLAG_REQUEST)

static const struct vmbus_guid guid = TIMESYNC_GUID;
static const struct ic_version versions[] = TIMESYNC_VERSIONS;
static struct lumen_ic *ic;
static struct lumen_time_sample seen;
static uint32_t samples;

static void on_sample(void *context, const struct lumen_time_sample *sample)
{
	cr_assert_eq(context, &samples);
	seen = *sample;
	samples++;
}

static void open_with(uint16_t count)
{
	static const struct lumen_time_handler handler = { on_sample, &samples };

	samples = 0;
	ic_host_create(&guid);
	cr_assert_eq(lumen_time_open(NULL, &handler, &ic), LUMEN_OK);
	ic_host_negotiate(versions, count);
}

static void close_it(void)
{
	lumen_ic_close(ic);
	cr_assert_eq(rig.pages, 0);
}

Test(timesync, a_sample_of_version_4_has_its_reference_time)
{
	const struct timesync_reference message = {
		.host_time = 1ull << 60,
		.reference_time = 777,
		.flags = TIMESYNC_FLAG_SYNC | 0xF0, // the others mean nothing
		.leap_indicator = 1,
		.stratum = 3,
	};

	open_with(3);
	ic_host_message(IC_MESSAGE_TIMESYNC, REQUEST, &message, TIMESYNC_REFERENCE_SIZE);
	cr_assert_eq(ic_host.header.status, IC_STATUS_OK);
	cr_assert_eq(samples, 1);
	cr_assert_eq(seen.utc_100ns, 1ull << 60);
	cr_assert_eq(seen.reference_100ns, 777);
	cr_assert_eq(seen.flags, LUMEN_TIME_SET);
	cr_assert_eq(seen.leap_indicator, 1);
	cr_assert_eq(seen.stratum, 3);
	close_it();
}

Test(timesync, an_older_sample_was_right_half_a_round_trip_ago)
{
	const struct timesync_message message = {
		.host_time = 42,
		.round_trip = 200,
		.flags = TIMESYNC_FLAG_SAMPLE,
	};

	open_with(2);
	ic_host_message(IC_MESSAGE_TIMESYNC, REQUEST, &message, TIMESYNC_MESSAGE_SIZE);
	cr_assert_eq(samples, 1);
	cr_assert_eq(seen.utc_100ns, 42);
	cr_assert_eq(seen.reference_100ns, IC_HOST_REFERENCE - 100);
	cr_assert_eq(seen.flags, LUMEN_TIME_SAMPLE);
	close_it();
}

Test(timesync, a_probe_and_a_message_cut_short_tell_nothing)
{
	const struct timesync_message message = { .flags = TIMESYNC_FLAG_SYNC };
	const struct timesync_message probe = { 0 };

	open_with(2);
	ic_host_message(IC_MESSAGE_TIMESYNC, REQUEST, &probe, TIMESYNC_MESSAGE_SIZE);
	cr_assert_eq(ic_host.header.status, IC_STATUS_OK);
	ic_host_message(IC_MESSAGE_TIMESYNC, REQUEST, &message, TIMESYNC_MESSAGE_SIZE - 1);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ic_host_message(IC_MESSAGE_TIMESYNC, REQUEST, &message, TIMESYNC_REFERENCE_SIZE - 1);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	cr_assert_eq(samples, 0);
	close_it();
}
