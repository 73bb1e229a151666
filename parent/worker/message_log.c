// SPDX-License-Identifier: BSD-2-Clause
// See message_log.h.
#include "parent/worker/message_log.h"

#include <string.h>
#include <time.h>

#include "base/macros.h"

static void event_signalled(struct loop_source *source)
{
	struct message_log *log = container_of(source, struct message_log, event);

	log->signalled = false;
	log->news(log);
}

bool message_log_init(
	struct message_log *log, struct loop *loop, void (*news)(struct message_log *log))
{
	log->news = news;
	return loop_add_event(loop, &log->event, event_signalled);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void message_log_add(
	struct message_log *log, const struct capture_vmbus *about, const uint8_t *bytes)
{
	struct capture_record *record = &log->records[log->next % MESSAGE_LOG_RECORDS];

	if (!log->followers)
		return;
	*record = (struct capture_record){
		.number = log->next++, .time = now_ns(), .message = *about
	};
	if (record->message.length > sizeof(record->payload))
		record->message.length = sizeof(record->payload);
	memcpy(record->payload, bytes, record->message.length);
	// Once for all that come before the loop looks.
	if (!log->signalled)
		loop_event_signal(&log->event);
	log->signalled = true;
}

bool message_log_read(
	const struct message_log *log, uint64_t *position, struct capture_record *record)
{
	if (log->next - *position > MESSAGE_LOG_RECORDS)
		*position = log->next - MESSAGE_LOG_RECORDS;
	if (*position == log->next)
		return false;
	*record = log->records[*position % MESSAGE_LOG_RECORDS];
	++*position;
	return true;
}
