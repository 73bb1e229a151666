// SPDX-License-Identifier: BSD-2-Clause
// The backup component: freezes the guest's file systems, once it says that it can, and thaws them.
// The argument of an order is the operation. A guest that has not frozen, or not in time, is
// thawed: it may have frozen some, or do it late, and nobody would thaw them.
#include "drivers/proto/vss.h"

#include "base/macros.h"
#include "drivers/vsp/ic/components.h"

static const struct ic_version versions[] = VSS_VERSIONS;

enum { FREEZING, FREEZING_FAILED, THAWING, STEPS_MAX = 3 };

// What is asked, step by step; 0 ends it.
static const uint8_t operations[][STEPS_MAX] = {
	[FREEZING] = { VSS_HOT_BACKUP, VSS_FREEZE },
	[FREEZING_FAILED] = { 0, 0, VSS_THAW },
	[THAWING] = { VSS_THAW },
};

static uint8_t next_operation(const struct ic_vsp *ic)
{
	const unsigned row = ic->argument != VSS_FREEZE ? THAWING
			     : ic->result		? FREEZING_FAILED
							: FREEZING;

	return ic->step < STEPS_MAX ? operations[row][ic->step] : 0;
}

static uint16_t vss_question(struct ic_vsp *ic, void *body)
{
	struct vss_message *message = body;

	message->operation = next_operation(ic);
	return message->operation ? sizeof(*message) : 0;
}

const struct ic_component vss_component = {
	.class = { IC_CLASS("vss", VSS_GUID), IC_ORDERED },
	.type = IC_MESSAGE_VSS,
	.versions = { versions, ARRAY_SIZE(versions) },
	.body_max = sizeof(struct vss_message),
	.series = true,
	.question = vss_question,
};
