// SPDX-License-Identifier: BSD-2-Clause
// The file copy component's VSC: one file at a time, which is completed or cancelled.
#include "base/macros.h"
#include "drivers/common/utf16.h"
#include "drivers/proto/fcopy.h"
#include "drivers/vsc/ic/ic_vsc.h"

#define FCOPY_TEXT_SIZE	  ((FCOPY_NAME_UNITS - 1) * 3 + 1) // in UTF-8
#define FCOPY_DATA_OFFSET offsetof(struct fcopy_write, data)

_Static_assert(LUMEN_IC_EXISTS == IC_STATUS_EXISTS, "answers");
_Static_assert(LUMEN_IC_FULL == IC_STATUS_DISK_FULL, "answers");

// The component's state.
struct fcopy {
	bool copying;	  // the kernel has begun with a file
	uint64_t size;	  // of it
	uint64_t written; // bytes that the kernel has taken
	char path[FCOPY_TEXT_SIZE], name[FCOPY_TEXT_SIZE];
};

static struct fcopy *fcopy_of(struct lumen_ic *ic)
{
	return (void *)ic->state;
}

static void fcopy_abandon(struct lumen_ic *ic)
{
	const struct lumen_fcopy_handlers *handlers = ic->handlers;
	const bool copying = fcopy_of(ic)->copying;

	fcopy_of(ic)->copying = false;
	if (copying)
		handlers->cancel(handlers->context);
}

static bool fcopy_is_name(const char *name)
{
	const char *at = name;

	while (*at && *at != '/' && *at != '\\')
		at++;
	return at != name && !*at;
}

static bool fcopy_take_texts(struct fcopy *fcopy, const uint8_t *body)
{
	return utf16_to_utf8(fcopy->path, sizeof(fcopy->path),
		       body + offsetof(struct fcopy_start, path), FCOPY_NAME_UNITS) &&
	       utf16_to_utf8(fcopy->name, sizeof(fcopy->name),
		       body + offsetof(struct fcopy_start, name), FCOPY_NAME_UNITS) &&
	       fcopy_is_name(fcopy->name);
}

static uint32_t fcopy_start(struct lumen_ic *ic, const uint8_t *body, uint32_t body_size)
{
	const struct lumen_fcopy_handlers *handlers = ic->handlers;
	struct fcopy *fcopy = fcopy_of(ic);
	lumen_ic_answer answer;
	uint32_t flags;

	(void)body_size;
	if (fcopy->copying || !fcopy_take_texts(fcopy, body))
		return ic_refuse(ic);
	memcpy(&flags, body + offsetof(struct fcopy_start, flags), sizeof(flags));
	memcpy(&fcopy->size, body + offsetof(struct fcopy_start, size), sizeof(fcopy->size));
	fcopy->written = 0;
	answer = handlers->start(
		handlers->context, &(struct lumen_fcopy_file){
					   .path = fcopy->path,
					   .name = fcopy->name,
					   .size = fcopy->size,
					   .overwrite = flags & FCOPY_FLAG_OVERWRITE,
					   .create_path = flags & FCOPY_FLAG_CREATE_PATH,
				   });
	fcopy->copying = answer == LUMEN_IC_DONE;
	return answer;
}

static uint32_t fcopy_write(struct lumen_ic *ic, const uint8_t *body, uint32_t body_size)
{
	const struct lumen_fcopy_handlers *handlers = ic->handlers;
	struct fcopy *fcopy = fcopy_of(ic);
	lumen_ic_answer answer;
	uint64_t offset;
	uint32_t size;

	memcpy(&offset, body + offsetof(struct fcopy_write, offset), sizeof(offset));
	memcpy(&size, body + offsetof(struct fcopy_write, size), sizeof(size));
	if (!fcopy->copying || size > body_size - FCOPY_DATA_OFFSET || size > FCOPY_BLOCK ||
		size > fcopy->size || offset > fcopy->size - size)
		return ic_refuse(ic);
	answer = handlers->write(handlers->context, offset, body + FCOPY_DATA_OFFSET, size);
	if (answer == LUMEN_IC_DONE)
		fcopy->written += size;
	return answer;
}

// A host that has left something out does not get a success for it.
static uint32_t fcopy_complete(struct lumen_ic *ic, const uint8_t *body, uint32_t body_size)
{
	const struct lumen_fcopy_handlers *handlers = ic->handlers;
	struct fcopy *fcopy = fcopy_of(ic);

	(void)body;
	(void)body_size;
	if (!fcopy->copying || fcopy->written < fcopy->size) {
		fcopy_abandon(ic);
		return ic_refuse(ic);
	}
	fcopy->copying = false;
	return handlers->complete(handlers->context);
}

// A host to which the answer to its start came too late does not know whether there is anything.
static uint32_t fcopy_cancel(struct lumen_ic *ic, const uint8_t *body, uint32_t body_size)
{
	(void)body;
	(void)body_size;
	fcopy_abandon(ic);
	return IC_STATUS_OK;
}

static const struct {
	uint32_t size; // of the shortest request
	uint32_t (*take)(struct lumen_ic *ic, const uint8_t *body, uint32_t body_size);
} fcopy_operations[] = {
	[FCOPY_START] = { sizeof(struct fcopy_start), fcopy_start },
	[FCOPY_WRITE] = { FCOPY_DATA_OFFSET, fcopy_write },
	[FCOPY_COMPLETE] = { 0, fcopy_complete },
	[FCOPY_CANCEL] = { 0, fcopy_cancel },
};

static uint32_t fcopy_take(
	struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event)
{
	uint32_t operation;

	(void)event;
	memcpy(&operation, body + offsetof(struct fcopy_header, operation), sizeof(operation));
	if (operation >= ARRAY_SIZE(fcopy_operations) ||
		body_size < fcopy_operations[operation].size)
		return ic_refuse(ic);
	return fcopy_operations[operation].take(ic, body, body_size);
}

lumen_status lumen_fcopy_open(struct lumen_vmbus *bus, const struct lumen_fcopy_handlers *handlers,
	struct lumen_ic **ic_out)
{
	static const struct ic_version versions[] = FCOPY_VERSIONS;
	static const struct ic_component component = {
		.type = FCOPY_GUID,
		.message = IC_MESSAGE_FCOPY,
		.versions = { versions, ARRAY_SIZE(versions) },
		.size = sizeof(struct fcopy_header),
		.state_size = sizeof(struct fcopy),
		.polled = true,
		.take = fcopy_take,
		.abandon = fcopy_abandon,
	};

	return ic_open(bus, &component, handlers, ic_out);
}
