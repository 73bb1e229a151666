// SPDX-License-Identifier: BSD-2-Clause
// The heartbeat component: asks the guest every two seconds whether it is alive. One that has not
// answered is not asked again, but counted (ic.h: late).
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/heartbeat.h"
#include "drivers/vsp/ic/components.h"

enum {
	PERIOD_MS = 2000, // as Hyper-V does
	SILENT_LATE = 5,  // ticks: a processor that is shared may be away for some
};

static const struct ic_version versions[] = HEARTBEAT_VERSIONS;

static uint16_t heartbeat_question(struct ic_vsp *ic, void *body)
{
	struct heartbeat_message *message = body;

	message->sequence = ic->memory;
	return sizeof(*message);
}

static bool heartbeat_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	uint64_t sequence;

	if (message->header.size < sizeof(sequence))
		return false;
	memcpy(&sequence, message->body, sizeof(sequence));
	if (sequence != ic->memory + 1)
		return false;
	ic->memory = sequence;
	return true;
}

const struct ic_component heartbeat_component = {
	.class = { IC_CLASS("heartbeat", HEARTBEAT_GUID), .tick_ms = PERIOD_MS, .asks = true,
		.tick = ic_tick },
	.type = IC_MESSAGE_HEARTBEAT,
	.versions = { versions, ARRAY_SIZE(versions) },
	.body_max = sizeof(struct heartbeat_message),
	.ask_at_once = true,
	.silent_late = SILENT_LATE,
	.question = heartbeat_question,
	.answer = heartbeat_answer,
};
