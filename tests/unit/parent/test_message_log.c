// SPDX-License-Identifier: BSD-2-Clause
// The log of messages: what its followers find, and what they have lost.
#include <criterion/criterion.h>
#include <string.h>

#include "parent/worker/message_log.h"

static struct loop loop;
static struct message_log log_;
static unsigned news_count;

static void news(struct message_log *log)
{
	cr_assert_eq(log, &log_);
	news_count++;
	loop.stop = true;
}

static void setup(void)
{
	memset(&log_, 0, sizeof(log_));
	news_count = 0;
	cr_assert(loop_init(&loop));
	cr_assert(message_log_init(&log_, &loop, news));
}

TestSuite(message_log, .init = setup);

static void add(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const uint8_t bytes[240] = { (uint8_t)log_.next };

		message_log_add(&log_, &(struct capture_vmbus){ .length = 240 }, bytes);
	}
}

Test(message_log, without_a_follower_nothing_is_noted)
{
	struct capture_record record;
	uint64_t position = 0;

	add(3);
	cr_assert_eq(log_.next, 0);
	cr_assert_not(message_log_read(&log_, &position, &record));
	cr_assert_not(loop_event_take(&log_.event));
}

Test(message_log, the_loop_hears_once_of_what_has_come_before_it_looks)
{
	log_.followers = 1;
	add(5);
	loop_run(&loop);
	cr_assert_eq(news_count, 1);
	cr_assert_not(loop_event_take(&log_.event));
	loop.stop = false;
	add(1);
	loop_run(&loop);
	cr_assert_eq(news_count, 2);
}

Test(message_log, each_follower_has_its_own_position)
{
	struct capture_record record;
	uint64_t one = 0, other = 2;

	log_.followers = 2;
	add(3);
	for (uint64_t i = 0; i < 3; i++) {
		cr_assert(message_log_read(&log_, &one, &record));
		cr_assert_eq(record.number, i);
		cr_assert_eq(record.payload[0], i);
		cr_assert_neq(record.time, 0);
	}
	cr_assert(message_log_read(&log_, &other, &record));
	cr_assert_eq(record.number, 2);
	cr_assert_not(message_log_read(&log_, &one, &record));
	cr_assert_not(message_log_read(&log_, &other, &record));
}

Test(message_log, a_follower_that_is_late_begins_with_the_oldest)
{
	struct capture_record record;
	uint64_t position = 0, found = 0;

	log_.followers = 1;
	add(MESSAGE_LOG_RECORDS);
	cr_assert(message_log_read(&log_, &position, &record));
	cr_assert_eq(record.number, 0, "nothing is lost yet");
	add(MESSAGE_LOG_RECORDS + 7);
	while (message_log_read(&log_, &position, &record))
		cr_assert_eq(record.number, MESSAGE_LOG_RECORDS + 7 + found++);
	cr_assert_eq(found, MESSAGE_LOG_RECORDS);
}

// The number of bytes is the sender's: a log copies no more than it has room for.
Test(message_log, a_length_that_cannot_be_is_cut)
{
	static const uint8_t bytes[255] = { 1 };
	struct capture_record record;
	uint64_t position = 0;

	log_.followers = 1;
	message_log_add(&log_, &(struct capture_vmbus){ .length = 255 }, bytes);
	cr_assert(message_log_read(&log_, &position, &record));
	cr_assert_eq(record.message.length, 240);
}
