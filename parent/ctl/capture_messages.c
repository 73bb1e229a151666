// SPDX-License-Identifier: BSD-2-Clause
// The messages between a child and its VMBus server, as its worker says: one that its child may
// have taken over, so nothing of it is taken that does not make sense.
#include "parent/ctl/capture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "parent/ctl/ctl.h"

enum { RECORDS_PER_CALL = 256 }; // of those that nobody wants

static struct {
	struct capture_record record;
	size_t length; // of it that has come
	uint64_t next; // its number, if none is lost
} messages;

static int open_messages(struct capture_source *source, const struct capture_worker *worker)
{
	source->fd = worker->fd;
	messages.next = worker->hello.next;
	snprintf(source->description, sizeof(source->description), "lumen child %s: VMBus messages",
		source->child);
	return 0;
}

// Returns whether the record is whole.
static bool receive(struct capture_source *source)
{
	const size_t left = sizeof(messages.record) - messages.length;
	const ssize_t got =
		recv(source->fd, (char *)&messages.record + messages.length, left, MSG_DONTWAIT);

	if (got > 0)
		messages.length += (size_t)got;
	else
		source->ended = !got || (errno != EAGAIN && errno != EINTR);
	if (messages.length < sizeof(messages.record))
		return false;
	messages.length = 0;
	return true;
}

static bool makes_sense(const struct capture_record *record)
{
	const struct capture_vmbus *message = &record->message;

	return message->version == CAPTURE_VERSION && message->length <= sizeof(record->payload) &&
	       (message->direction == CAPTURE_TO_HOST || message->direction == CAPTURE_TO_GUEST) &&
	       record->number >= messages.next && record->number != UINT64_MAX;
}

static bool take(struct capture_source *source)
{
	const struct capture_record *record = &messages.record;
	const uint64_t now = capture_now();
	const uint32_t length = sizeof(record->message) + record->message.length;

	if (!makes_sense(record)) {
		source->ended = true;
		source->status = ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"What the worker says of the messages makes no sense.");
		return false;
	}
	source->frame = (struct pcapng_frame){
		.time = record->time < now ? record->time : now, // nobody waits for its future
		.inbound = record->message.direction == CAPTURE_TO_GUEST,
		.lost = record->number - messages.next,
		.bytes = &record->message,
		.captured = length,
		.length = length,
	};
	source->lost += record->number - messages.next;
	messages.next = record->number + 1;
	return true;
}

static bool next_message(struct capture_source *source)
{
	for (unsigned i = 0; i < RECORDS_PER_CALL && receive(source); i++)
		if (!take(source) || !source->unwanted)
			return !source->ended;
	return false;
}

const struct capture_source_class capture_messages = { .name = "vmbus",
	.link_type = CAPTURE_LINKTYPE_VMBUS,
	.asks_worker = true,
	.open = open_messages,
	.next = next_message };
