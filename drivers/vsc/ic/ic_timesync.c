// SPDX-License-Identifier: BSD-2-Clause
// The time synchronisation component's VSC: a sample of the host's clock, with the reference time
// at which it was right.
#include "base/macros.h"
#include "drivers/proto/timesync.h"
#include "drivers/vsc/ic/ic_vsc.h"
#include "lumen/clock.h"

_Static_assert(sizeof(struct lumen_time_sample) <= sizeof(uint64_t[IC_EVENT_WORDS]), "event");

// Up to 3.0 hosts do not say when the sample was right: half a round trip before it came.
static void timesync_old(const uint8_t *body, struct lumen_time_sample *sample)
{
	struct timesync_message message;

	memcpy(&message, body, TIMESYNC_MESSAGE_SIZE);
	sample->utc_100ns = message.host_time;
	sample->reference_100ns = lumen_clock_100ns() - message.round_trip / 2;
	sample->flags = message.flags;
}

static void timesync_new(const uint8_t *body, struct lumen_time_sample *sample)
{
	struct timesync_reference reference;

	memcpy(&reference, body, TIMESYNC_REFERENCE_SIZE);
	sample->utc_100ns = reference.host_time;
	sample->reference_100ns = reference.reference_time;
	sample->flags = reference.flags;
	sample->leap_indicator = reference.leap_indicator;
	sample->stratum = reference.stratum;
}

static uint32_t timesync_take(
	struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event)
{
	struct lumen_time_sample sample = { 0 };

	if (ic->dialect.message.major >= 4)
		timesync_new(body, &sample);
	else if (body_size >= TIMESYNC_MESSAGE_SIZE)
		timesync_old(body, &sample);
	else
		return ic_refuse(ic);
	sample.flags &= LUMEN_TIME_SET | LUMEN_TIME_SAMPLE;
	memcpy(event->words, &sample, sizeof(sample));
	event->due = sample.flags; // else a probe
	return IC_STATUS_OK;
}

static void timesync_tell(const struct lumen_ic *ic, const uint64_t *words)
{
	const struct lumen_time_handler *receiver = ic->handlers;
	struct lumen_time_sample sample;

	memcpy(&sample, words, sizeof(sample));
	receiver->sample(receiver->context, &sample);
}

lumen_status lumen_time_open(struct lumen_vmbus *bus, const struct lumen_time_handler *receiver,
	struct lumen_ic **ic_out)
{
	static const struct ic_version versions[] = TIMESYNC_VERSIONS;
	static const struct ic_component component = {
		.type = TIMESYNC_GUID,
		.message = IC_MESSAGE_TIMESYNC,
		.versions = { versions, ARRAY_SIZE(versions) },
		.size = TIMESYNC_REFERENCE_SIZE, // the shorter of the two
		.take = timesync_take,
		.tell = timesync_tell,
	};

	return ic_open(bus, &component, receiver, ic_out);
}
