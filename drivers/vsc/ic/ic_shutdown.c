// SPDX-License-Identifier: BSD-2-Clause
// The shutdown component's VSC: what the host asks for becomes a call of the kernel's.
#include "base/macros.h"
#include "drivers/proto/shutdown.h"
#include "drivers/vsc/ic/ic_vsc.h"

typedef void shutdown_handler(void *context);

// Which handler a request's flags ask for, by the offset in struct lumen_shutdown_handlers.
static const struct {
	uint32_t flags; // without SHUTDOWN_FLAG_FORCE
	size_t handler;
} shutdown_requests[] = {
	{ 0, offsetof(struct lumen_shutdown_handlers, power_off) },
	{ SHUTDOWN_FLAG_RESTART, offsetof(struct lumen_shutdown_handlers, restart) },
	{ SHUTDOWN_FLAG_HIBERNATE, offsetof(struct lumen_shutdown_handlers, hibernate) },
};

static shutdown_handler *shutdown_handler_for(const struct lumen_ic *ic, uint32_t flags)
{
	for (size_t i = 0; i < ARRAY_SIZE(shutdown_requests); i++) {
		const uint8_t *handlers = ic->handlers;
		shutdown_handler *asked;

		if (shutdown_requests[i].flags != flags)
			continue;
		memcpy(&asked, handlers + shutdown_requests[i].handler, sizeof(asked));
		return asked;
	}
	return NULL;
}

static uint32_t shutdown_take(
	struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event)
{
	uint32_t flags;

	memcpy(&flags, body + offsetof(struct shutdown_message, flags), sizeof(flags));
	flags &= ~SHUTDOWN_FLAG_FORCE;
	if (!shutdown_handler_for(ic, flags))
		return IC_STATUS_FAIL;
	*event = (struct ic_event){ .due = true, .words = { flags } };
	return IC_STATUS_OK;
}

static void shutdown_tell(const struct lumen_ic *ic, const uint64_t *words)
{
	const struct lumen_shutdown_handlers *handlers = ic->handlers;

	shutdown_handler_for(ic, (uint32_t)words[0])(handlers->context);
}

lumen_status lumen_shutdown_open(struct lumen_vmbus *bus,
	const struct lumen_shutdown_handlers *handlers, struct lumen_ic **ic_out)
{
	static const struct ic_version versions[] = SHUTDOWN_VERSIONS;
	static const struct ic_component component = {
		.type = SHUTDOWN_GUID,
		.message = IC_MESSAGE_SHUTDOWN,
		.versions = { versions, ARRAY_SIZE(versions) },
		.size = offsetof(struct shutdown_message, text),
		.take = shutdown_take,
		.tell = shutdown_tell,
	};

	return ic_open(bus, &component, handlers, ic_out);
}
