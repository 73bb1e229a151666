// SPDX-License-Identifier: BSD-2-Clause
// The frames of all sources of a capture, in the order of their times, until its end.
#include "parent/ctl/capture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "parent/ctl/ctl.h"

enum {
	NS_PER_S = 1000000000,
	NS_PER_MS = 1000000,
	// With several sources a frame waits so long for earlier ones of the others, whose way here
	// may be longer. Not more: the kernel has room for a few megabytes of what waits behind it.
	HOLD_MS = 20,
	LOOK_MS = 5,	       // at a source that cannot say that it has something
	TURN_FRAMES = 4096,    // between two looks at the signals
	LAST_FRAMES = 1 << 20, // that are written at the end
};

uint64_t capture_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int capture_write_failed(const struct capture *capture)
{
	return ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s cannot be written: %s.",
		capture->output ? capture->output : "Standard output", strerror(errno));
}

// --- frames ---

// Returns the source whose next frame is the earliest, or NULL if none has one.
static struct capture_source *earliest(struct capture *capture)
{
	struct capture_source *found = NULL;

	for (unsigned i = 0; i < capture->used; i++) {
		struct capture_source *source = &capture->sources[i];

		if (!source->full && !source->ended)
			source->full = source->class->next(source);
		if (source->full && (!found || source->frame.time < found->frame.time))
			found = source;
	}
	return found;
}

// Returns the number of a source's interface: those that are unwanted have none.
static uint32_t interface_of(const struct capture *capture, const struct capture_source *source)
{
	uint32_t number = 0;

	for (const struct capture_source *at = capture->sources; at < source; at++)
		number += !at->unwanted;
	return number;
}

// So many frames at most, of those until a time. Returns 0, or an exit status after saying why.
static int write_frames(struct capture *capture, unsigned most, uint64_t until)
{
	struct capture_source *source;

	while (most-- && capture->frames < capture->count && (source = earliest(capture)) &&
		source->frame.time <= until) {
		source->frame.interface = interface_of(capture, source);
		if (!pcapng_write_frame(capture->file, &source->frame))
			return capture_write_failed(capture);
		source->full = false;
		source->frames++;
		capture->frames++;
	}
	// For who reads the other end of a pipe.
	return fflush(capture->file) ? capture_write_failed(capture) : 0;
}

static uint64_t hold(const struct capture *capture)
{
	return capture->used > 1 ? HOLD_MS * NS_PER_MS : 0;
}

// The child has ended: whatever could say so has done so.
static bool all_have_ended(const struct capture *capture)
{
	for (unsigned i = 0; i < capture->used; i++)
		if (capture->sources[i].fd >= 0 && !capture->sources[i].ended)
			return false;
	return true;
}

// Waits for a signal, something to read, or the time at which something is to be done. Returns
// false for a signal.
static bool wait_for_more(const struct capture *capture)
{
	struct pollfd polls[1 + CAPTURE_SOURCES] = { { .fd = capture->signals, .events = POLLIN } };
	int ms = -1;

	for (unsigned i = 0; i < CAPTURE_SOURCES; i++) {
		const struct capture_source *source = &capture->sources[i];
		const bool used = i < capture->used && !source->ended;

		polls[1 + i] = (struct pollfd){ .fd = used && !source->full ? source->fd : -1,
			.events = POLLIN };
		if (used && (source->full || source->fd < 0))
			ms = LOOK_MS;
	}
	return poll(polls, ARRAY_SIZE(polls), ms) < 0 ? errno == EINTR : !polls[0].revents;
}

int capture_follow(struct capture *capture)
{
	uint64_t until;
	int status = 0;

	while (!status && capture->frames < capture->count && !all_have_ended(capture) &&
		wait_for_more(capture))
		status = write_frames(capture, TURN_FRAMES, capture_now() - hold(capture));
	if (status)
		return status;
	until = capture_now();
	for (unsigned i = 0; i < capture->used; i++)
		capture->sources[i].last = true;
	return write_frames(capture, LAST_FRAMES, until);
}

int capture_finish(struct capture *capture)
{
	const uint64_t now = capture_now();
	int status = 0;

	for (unsigned i = 0; i < capture->used; i++) {
		struct capture_source *source = &capture->sources[i];

		status = status ? status : source->status;
		if (source->unwanted)
			continue;
		if (source->class->finish)
			source->class->finish(source);
		if (!pcapng_write_statistics(capture->file, interface_of(capture, source), now,
			    source->frames + source->lost, source->lost))
			return capture_write_failed(capture);
		fprintf(stderr, "lumenctl: %s: %llu frames; %llu more came too fast.\n",
			source->class->name, (unsigned long long)source->frames,
			(unsigned long long)source->lost);
	}
	return fflush(capture->file) ? capture_write_failed(capture) : status;
}
