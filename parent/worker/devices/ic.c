// SPDX-License-Identifier: BSD-2-Clause
// See ic.h.
#include "parent/worker/devices/ic.h"

#include <stdio.h>
#include <time.h>

#include "base/macros.h"
#include "parent/common/text.h"
#include "parent/worker/log.h"
#include "parent/worker/worker.h"

// From 1601 to 1970, in units of 100 ns.
#define EPOCH_100NS (11644473600ull * 10000000)

static uint64_t time_of_day(void *context)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return EPOCH_100NS + (uint64_t)now.tv_sec * 10000000 + (uint64_t)now.tv_nsec / 100;
}

static bool reference_time(void *context, uint64_t *time)
{
	return worker_reference_time(((struct ic_device *)context)->device.worker, time);
}

// A key ends with the first space of its line: it may have none itself.
static void replace_spaces(char *key, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (key[i] == ' ')
			key[i] = '?';
}

// A line for `info`: a pair that is too long for what room is left is left out, and counted.
static void take_pair(void *context, uint32_t pool, const char *key, const char *value)
{
	static const char *const pools[] = { "external", "guest", "auto", "auto-external",
		"auto-internal" };
	struct ic_device *self = context;
	char *line = self->told + self->told_length;
	const size_t room = sizeof(self->told) - self->told_length;
	const int length = snprintf(line, room, "kvp.%s.%s %s",
		pool < ARRAY_SIZE(pools) ? pools[pool] : "unknown", key, value);

	if (length < 0 || (size_t)length + 1 > room) {
		self->left_out++;
		return;
	}
	replace_spaces(line, (size_t)length - strlen(value) - 1);
	text_make_printable(line);
	line[length] = '\n';
	self->told_length += (size_t)length + 1;
}

static int32_t read_file(void *context, void *bytes, uint32_t size)
{
	struct ic_device *self = context;

	return control_verb_read(&self->device.worker->control, self->verb, bytes, size);
}

bool ic_attach(struct device *device, struct failure *failure)
{
	struct ic_device *ic = (struct ic_device *)device;

	ic->host = (struct ic_host){ .context = ic,
		.time_of_day = time_of_day,
		.reference_time = reference_time,
		.pair = take_pair,
		.read = read_file };
	ic->config = (struct ic_config){ .component = device->row->detail, .host = &ic->host };
	device->config = &ic->config;
	return true;
}

// --- verbs ---

static bool has_agreed(const struct device *device)
{
	return device->served && ((const struct ic_vsp *)device->vsp)->state >= IC_READY;
}

static void end_verb(struct ic_device *self, const char *error)
{
	const struct verb *verb = self->verb;
	char *line = self->told + self->told_length;
	const size_t room = sizeof(self->told) - self->told_length;

	self->verb = NULL;
	// What is known is told in any case, and what is not with it.
	if (error && (verb->flags & VERB_TELLS)) {
		const int length =
			snprintf(line, room, "%s.problem %s\n", self->device.vmbus.name, error);

		self->told_length += length > 0 && (size_t)length < room ? (size_t)length : 0;
		error = NULL;
	}
	device_verb_done(&self->device, verb, error);
}

const char *ic_begin_verb(struct device *device, const struct device_request *request)
{
	struct ic_device *self = (struct ic_device *)device;
	struct ic_vsp *ic = (struct ic_vsp *)device->vsp;
	const struct ic_order order = { request->verb->argument,
		request->seconds * 1000 / IC_ORDER_TICK_MS, request->words, request->words_length };

	if (self->verb || (has_agreed(device) && !ic_begin(ic, &order)))
		return "The child has been asked before and has not answered yet.";
	self->verb = request->verb;
	self->told_length = self->left_out = 0;
	if (!has_agreed(device)) {
		snprintf(self->sentence, sizeof(self->sentence),
			"The child has no driver for its %s channel, or no daemon behind it.",
			device->vmbus.name);
		end_verb(self, self->sentence);
		return NULL;
	}
	loop_timer_start(&device->ticks, IC_ORDER_TICK_MS);
	device_loop_serve(device);
	return NULL;
}

void ic_forget_verb(struct device *device)
{
	struct ic_device *self = (struct ic_device *)device;

	if (!self->verb)
		return;
	end_verb(self, "There is nobody any more who waits for it.");
	ic_cancel((struct ic_vsp *)device->vsp);
	device_loop_serve(device);
}

// The same number means another thing if the child says it; one that it cannot mean is shown as it
// is.
static const char *sentence_for(struct ic_device *self, const struct ic_vsp *ic)
{
	static const struct {
		uint32_t status;
		bool ours; // not of the child's
		const char *sentence;
	} known[] = {
		{ IC_STATUS_OK, true, NULL },
		{ IC_STATUS_ABORT, true, "The file has become shorter." },
		{ IC_STATUS_INVALID, true,
			"What the child is to be told is too long, or no UTF-8." },
		{ IC_STATUS_TIMEOUT, true, "The child does not answer in time." },
		{ IC_STATUS_NOT_FOUND, false, "The child has no such adapter." },
		{ IC_STATUS_NOT_SUPPORTED, false,
			"The child's driver does not know such a request." },
		{ IC_STATUS_DISK_FULL, false, "The child's disk is full." },
		{ IC_STATUS_NO_MORE, false, "The child has no such key." },
	};
	const uint32_t status = ic_status(ic);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].status == status && !(known[i].ours && ic_refused(ic)))
			return known[i].sentence;
	snprintf(self->sentence, sizeof(self->sentence), "The child refuses (status 0x%08x).",
		status);
	return self->sentence;
}

void ic_flags(struct device *device, uint32_t flags)
{
	struct ic_device *self = (struct ic_device *)device;

	if ((flags & (IC_ANSWERED | IC_LATE)) && self->verb)
		end_verb(self, sentence_for(self, (struct ic_vsp *)device->vsp));
	if (flags & IC_SILENT)
		log_limited(&self->silences, "%s: the child does not answer any more",
			device->vmbus.name);
	if (flags & IC_BACK)
		log_limited(&self->silences, "%s: the child answers again", device->vmbus.name);
}

// An order that is under way when the channel goes is not answered any more.
void ic_closing(struct device *device)
{
	struct ic_device *self = (struct ic_device *)device;

	if (self->verb)
		end_verb(self, "The child has closed the channel instead of answering.");
}

// --- what is known ---

static const char *beat(const struct device *device)
{
	const struct ic_vsp *ic = (const struct ic_vsp *)device->vsp;

	if (!has_agreed(device) || !ic->answers)
		return "none";
	return ic->late_row >= ic->component->silent_late ||
			       __atomic_load_n(&device->worker->crash_reported, __ATOMIC_RELAXED)
		       ? "lost"
		       : "ok";
}

void ic_stat(struct device *device, struct stat_text *text)
{
	const struct ic_component *component = device->row->detail;
	const struct ic_vsp *ic = (const struct ic_vsp *)device->vsp;
	const char *name = device->vmbus.name;

	if (component->silent_late)
		stat_line(text, "%s.state %s", name, beat(device));
	if (!has_agreed(device))
		return;
	stat_line(text, "%s.version %u.%u", name, ic->dialect.message.major,
		ic->dialect.message.minor);
	if (component->measures)
		stat_line(text, "%s.%s %lld", name, component->measures, (long long)ic->measured);
}

void ic_tell(struct device *device, struct stat_text *text)
{
	struct ic_device *self = (struct ic_device *)device;

	ic_stat(device, text);
	if (self->told_length)
		stat_line(text, "%.*s", (int)self->told_length - 1, self->told);
	if (self->left_out)
		stat_line(text, "%s.left_out %u", device->vmbus.name, self->left_out);
}
