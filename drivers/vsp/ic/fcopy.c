// SPDX-License-Identifier: BSD-2-Clause
// The file copy component: writes a file in the guest, of which one block at a time is in memory.
// An order's words are the file's size, in decimal digits, and its path in the guest; its argument
// is FCOPY_START, and then what comes next. A copy that fails on its way is cancelled; one that the
// guest has refused to start is not: it might take the file that it did not overwrite.
#include "drivers/proto/fcopy.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/utf16.h"
#include "drivers/vsp/ic/backend.h"
#include "drivers/vsp/ic/components.h"

enum { OVER = FCOPY_CANCEL + 1, PATH_MAX_BYTES = FCOPY_NAME_UNITS * 3 };

static const struct ic_version versions[] = FCOPY_VERSIONS;

static uint16_t refuse(struct ic_vsp *ic, uint32_t status)
{
	ic->result = status;
	ic->argument = OVER;
	return 0;
}

// Returns UINT64_MAX for what is no number.
static uint64_t file_size(const struct ic_vsp *ic)
{
	uint64_t size = 0;

	for (const char *digit = ic_word(ic, 0); *digit; digit++)
		if (*digit < '0' || *digit > '9' || __builtin_mul_overflow(size, 10, &size) ||
			__builtin_add_overflow(size, (uint64_t)(*digit - '0'), &size))
			return UINT64_MAX;
	return size;
}

// Takes the path apart behind its last slash.
static bool put_names(struct fcopy_start *message, const char *path)
{
	const char *slash = strrchr(path, '/');
	const size_t length = slash ? (size_t)(slash + 1 - path) : 0;
	char folder[PATH_MAX_BYTES];

	if (!slash || !slash[1] || length >= sizeof(folder))
		return false;
	memcpy(folder, path, length);
	folder[length] = 0;
	return utf16_from_utf8(message->path, FCOPY_NAME_UNITS, folder) &&
	       utf16_from_utf8(message->name, FCOPY_NAME_UNITS, slash + 1);
}

static uint16_t start(struct ic_vsp *ic, void *body)
{
	struct fcopy_start *message = body;

	message->size = file_size(ic);
	message->flags = FCOPY_FLAG_OVERWRITE | FCOPY_FLAG_CREATE_PATH;
	if (message->size == UINT64_MAX || !put_names(message, ic_word(ic, 1)))
		return refuse(ic, IC_STATUS_INVALID);
	ic->memory = 0; // how much of the file has gone
	ic->argument = message->size ? FCOPY_WRITE : FCOPY_COMPLETE;
	return sizeof(*message);
}

static uint16_t cancel(struct ic_vsp *ic, void *body)
{
	((struct fcopy_header *)body)->operation = FCOPY_CANCEL;
	ic->argument = OVER;
	return sizeof(struct fcopy_header);
}

static uint16_t write_block(struct ic_vsp *ic, void *body)
{
	struct fcopy_write *message = body;
	const uint64_t left = file_size(ic) - ic->memory;
	const int32_t got = ic->host->read(ic->host->context, message->data,
		left < FCOPY_BLOCK ? (uint32_t)left : FCOPY_BLOCK);

	if (!got)
		return IC_NOT_YET;
	if (got < 0 || (uint64_t)got > left) {
		ic->result = IC_STATUS_ABORT;
		return cancel(ic, body);
	}
	message->header.operation = FCOPY_WRITE;
	message->offset = ic->memory;
	message->size = (uint32_t)got;
	ic->memory += (uint32_t)got;
	if (ic->memory == file_size(ic))
		ic->argument = FCOPY_COMPLETE;
	return FCOPY_WRITE_SIZE;
}

static uint16_t complete(struct ic_vsp *ic, void *body)
{
	((struct fcopy_header *)body)->operation = FCOPY_COMPLETE;
	ic->argument = OVER;
	return sizeof(struct fcopy_header);
}

static uint16_t fcopy_question(struct ic_vsp *ic, void *body)
{
	static uint16_t (*const questions[])(struct ic_vsp * ic, void *body) = {
		[FCOPY_START] = start,
		[FCOPY_WRITE] = write_block,
		[FCOPY_COMPLETE] = complete,
	};
	const bool started = ic->step > 1 || ic->result == IC_STATUS_TIMEOUT;

	if (ic->argument >= ARRAY_SIZE(questions))
		return 0;
	if (ic->result && !(ic->step && started))
		return refuse(ic, ic->result);
	return ic->result ? cancel(ic, body) : questions[ic->argument](ic, body);
}

const struct ic_component fcopy_component = {
	.class = { IC_CLASS("fcopy", FCOPY_GUID), IC_ORDERED },
	.type = IC_MESSAGE_FCOPY,
	.versions = { versions, ARRAY_SIZE(versions) },
	.body_max = sizeof(struct fcopy_write),
	.words_max = 4096,
	.series = true,
	.lasting = true,
	.question = fcopy_question,
};
