// SPDX-License-Identifier: BSD-2-Clause
// See ic.h.
#include "parent/worker/devices/ic.h"

#include <stdio.h>
#include <time.h>

#include "parent/worker/worker.h"

// From 1601 to 1970, in units of 100 ns.
#define EPOCH_100NS (11644473600ull * 10000000)

static uint64_t time_of_day(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_REALTIME, &now);
	return EPOCH_100NS + (uint64_t)now.tv_sec * 10000000 + (uint64_t)now.tv_nsec / 100;
}

static bool reference_time(void *context, uint64_t *time)
{
	return worker_reference_time(context, time);
}

bool ic_attach(struct device *device, struct failure *failure)
{
	struct ic_device *ic = (struct ic_device *)device;

	(void)failure;
	ic->host = (struct ic_host){ device->worker, time_of_day, reference_time };
	ic->config = (struct ic_config){ .component = device->row->detail, .host = &ic->host };
	device->config = &ic->config;
	return true;
}

// --- shutdown ---

static const char *begin_stop(struct device *device)
{
	struct ic_vsp *ic = (struct ic_vsp *)device->vsp;

	if (!device->served || ic->state < IC_READY)
		return "The child has no driver for its shutdown channel: it must power off by "
		       "itself, or be killed.";
	if (!ic_ask(ic, 0))
		return "The child has been asked before and has not answered yet.";
	device_loop_serve(device);
	return NULL;
}

const struct device_verb shutdown_verbs[] = { { "stop", begin_stop }, { NULL, NULL } };

void shutdown_flags(struct device *device, uint32_t flags)
{
	const uint32_t status = ic_status((struct ic_vsp *)device->vsp);
	char sentence[80];

	if (!(flags & IC_ANSWERED))
		return;
	snprintf(sentence, sizeof(sentence), "The child refuses to power off (status 0x%08x).",
		status);
	device_verb_done(device, &shutdown_verbs[0], status == IC_STATUS_OK ? NULL : sentence);
}

// A request that is under way when the channel goes is not answered any more.
void shutdown_closing(struct device *device)
{
	if (ic_asked((struct ic_vsp *)device->vsp))
		device_verb_done(device, &shutdown_verbs[0],
			"The child has closed its shutdown channel instead of answering.");
}
