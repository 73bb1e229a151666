// SPDX-License-Identifier: BSD-2-Clause
// The heartbeat component's VSC: who answers is alive.
#include "base/macros.h"
#include "drivers/proto/heartbeat.h"
#include "drivers/vsc/ic/ic_vsc.h"

static uint32_t heartbeat_take(
	struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event)
{
	uint64_t sequence;

	(void)ic;
	(void)event;
	memcpy(&sequence, body + offsetof(struct heartbeat_message, sequence), sizeof(sequence));
	sequence++;
	memcpy(body + offsetof(struct heartbeat_message, sequence), &sequence, sizeof(sequence));
	return IC_STATUS_OK;
}

lumen_status lumen_heartbeat_open(struct lumen_vmbus *bus, struct lumen_ic **ic_out)
{
	static const struct ic_version versions[] = HEARTBEAT_VERSIONS;
	static const struct ic_component component = {
		.type = HEARTBEAT_GUID,
		.message = IC_MESSAGE_HEARTBEAT,
		.versions = { versions, ARRAY_SIZE(versions) },
		.size = sizeof(uint64_t), // older messages have no state
		.take = heartbeat_take,
	};

	return ic_open(bus, &component, NULL, ic_out);
}
