// SPDX-License-Identifier: BSD-2-Clause
// The shutdown component: asks a guest to power off, as a power button would, or to restart. The
// guest has to have a driver for it, and may refuse. One that knows no restart is to power off.
#include "base/macros.h"
#include "drivers/proto/shutdown.h"
#include "drivers/vsp/ic/components.h"

static const struct ic_version versions[] = SHUTDOWN_VERSIONS;

static bool knows_restart(const struct ic_version *version)
{
	return version->major > 3 || (version->major == 3 && version->minor >= 1);
}

static uint16_t shutdown_question(struct ic_vsp *ic, void *body)
{
	struct shutdown_message *message = body;

	message->reason = SHUTDOWN_REASON_PLANNED;
	message->flags = ic->argument;
	if (!knows_restart(&ic->dialect.message))
		message->flags &= ~SHUTDOWN_FLAG_RESTART;
	return sizeof(*message);
}

const struct ic_component shutdown_component = {
	.class = { IC_CLASS("shutdown", SHUTDOWN_GUID), IC_ORDERED },
	.type = IC_MESSAGE_SHUTDOWN,
	.versions = { versions, ARRAY_SIZE(versions) },
	.body_max = sizeof(struct shutdown_message),
	.question = shutdown_question,
};
