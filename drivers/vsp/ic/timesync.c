// SPDX-License-Identifier: BSD-2-Clause
// The time synchronisation component: tells the guest the time of day, every five seconds. Most of
// what it tells are samples; a guest is to set its clock by one that says so: the first, and each
// that finds the host's clock elsewhere than the guest's reference time has led it to expect: after
// a pause, a restore, or when somebody has set the host's clock.
#include "base/macros.h"
#include "drivers/proto/timesync.h"
#include "drivers/vsp/ic/backend.h"
#include "drivers/vsp/ic/components.h"

enum {
	PERIOD_MS = 5000,   // as Hyper-V does
	JUMP_100NS = 50000, // 5 ms
};

static const struct ic_version versions[] = TIMESYNC_VERSIONS;

// The component remembers when the guest's reference time began, as the host saw it.
static uint8_t timesync_flags(struct ic_vsp *ic, uint64_t host_time, uint64_t reference_time)
{
	const uint64_t begin = host_time - reference_time;
	const uint64_t moved = begin - ic->memory + JUMP_100NS;

	ic->measured = (int64_t)(begin - ic->memory) / 10;
	if (moved <= 2 * JUMP_100NS)
		return TIMESYNC_FLAG_SAMPLE;
	ic->measured = 0;
	ic->memory = begin;
	return TIMESYNC_FLAG_SYNC;
}

static uint16_t timesync_question(struct ic_vsp *ic, void *body)
{
	const struct ic_host *host = ic->host;
	uint64_t reference_time, host_time;
	uint8_t flags;

	// Without it the guest would take its whole uptime for a delay.
	if (!host->reference_time(host->context, &reference_time))
		return 0;
	host_time = host->time_of_day(host->context);
	flags = timesync_flags(ic, host_time, reference_time);
	if (ic->dialect.message.major >= 4) {
		*(struct timesync_reference *)body = (struct timesync_reference){
			.host_time = host_time, .reference_time = reference_time, .flags = flags
		};
		return TIMESYNC_REFERENCE_SIZE;
	}
	*(struct timesync_message *)body =
		(struct timesync_message){ .host_time = host_time, .flags = flags };
	return TIMESYNC_MESSAGE_SIZE;
}

const struct ic_component timesync_component = {
	.class = { IC_CLASS("timesync", TIMESYNC_GUID), .tick_ms = PERIOD_MS, .asks = true,
		.tick = ic_tick },
	.type = IC_MESSAGE_TIMESYNC,
	.versions = { versions, ARRAY_SIZE(versions) },
	.body_max = sizeof(struct timesync_message),
	.ask_at_once = true,
	.measures = "offset_us",
	.question = timesync_question,
};
