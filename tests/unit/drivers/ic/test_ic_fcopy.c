// SPDX-License-Identifier: BSD-2-Clause
// The file copy component's VSC: a file comes in pieces, within its size and in turn; what is begun
// is completed or cancelled.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/utf16.h"
#include "drivers/proto/fcopy.h"
#include "ic_host.h"

#define REQUEST (IC_FLAG_TRANSACTION | IC_FLAG_REQUEST)
#define SIZE	10000u // of the file

static const struct vmbus_guid guid = FCOPY_GUID;
static const struct ic_version versions[] = FCOPY_VERSIONS;
static struct lumen_ic *ic;
static struct {
	uint32_t started, written, completed, cancelled;
	char path[64], name[64];
	bool overwrite, create_path;
	uint8_t file[SIZE];
	lumen_ic_answer answer;
} kernel;

static lumen_ic_answer start(void *context, const struct lumen_fcopy_file *file)
{
	cr_assert_eq(context, &kernel);
	kernel.started++;
	strcpy(kernel.path, file->path);
	strcpy(kernel.name, file->name);
	kernel.overwrite = file->overwrite;
	kernel.create_path = file->create_path;
	return kernel.answer;
}

static lumen_ic_answer take_piece(void *context, uint64_t offset, const void *data, uint32_t size)
{
	cr_assert_eq(context, &kernel);
	cr_assert(offset <= SIZE && size <= SIZE - offset);
	memcpy(kernel.file + offset, data, size);
	kernel.written++;
	return kernel.answer;
}

static lumen_ic_answer complete(void *context)
{
	cr_assert_eq(context, &kernel);
	kernel.completed++;
	return kernel.answer;
}

static void cancel(void *context)
{
	cr_assert_eq(context, &kernel);
	kernel.cancelled++;
}

static void open_it(void)
{
	static const struct lumen_fcopy_handlers handlers = { start, take_piece, complete, cancel,
		&kernel };

	memset(&kernel, 0, sizeof(kernel));
	ic_host_create(&guid);
	cr_assert_eq(lumen_fcopy_open(NULL, &handlers, &ic), LUMEN_OK);
	ic_host_negotiate(versions, 1);
	cr_assert(lumen_ic_poll(ic));
}

static void close_it(void)
{
	lumen_ic_close(ic);
	cr_assert_eq(rig.pages, 0);
	cr_assert_leq(kernel.completed + kernel.cancelled, kernel.started);
}

static uint32_t ask(const void *message, uint32_t size)
{
	const uint32_t sent = ic_host.sent;

	ic_host_message(IC_MESSAGE_FCOPY, REQUEST, message, (uint16_t)size);
	cr_assert_eq(ic_host.sent, sent);
	cr_assert(lumen_ic_poll(ic));
	cr_assert_eq(ic_host.sent, sent + 1);
	return ic_host.header.status;
}

static struct fcopy_start start_message(const char *path, const char *name)
{
	struct fcopy_start message;

	memset(&message, 0xff, sizeof(message)); // nothing ends by chance
	message.header.operation = FCOPY_START;
	utf16_from_utf8(message.path, FCOPY_NAME_UNITS, path);
	utf16_from_utf8(message.name, FCOPY_NAME_UNITS, name);
	message.flags = FCOPY_FLAG_OVERWRITE;
	message.size = SIZE;
	return message;
}

static uint32_t ask_start(void)
{
	const struct fcopy_start message = start_message("/tmp", "file");

	return ask(&message, sizeof(message));
}

static uint32_t ask_bare(uint32_t operation)
{
	const struct fcopy_header header = { .operation = operation };

	return ask(&header, sizeof(header));
}

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 7 + offset / 251);
}

// A piece of the file, in a message that has `bytes` of data.
static uint32_t ask_write_cut(uint64_t offset, uint32_t size, uint32_t bytes)
{
	struct fcopy_write message = {
		.header = { .operation = FCOPY_WRITE },
		.offset = offset,
		.size = size,
	};

	for (uint32_t i = 0; i < FCOPY_BLOCK; i++)
		message.data[i] = byte_at(offset + i);
	return ask(&message, (uint32_t)offsetof(struct fcopy_write, data) + bytes);
}

static uint32_t ask_write(uint64_t offset, uint32_t size)
{
	return ask_write_cut(offset, size, size);
}

static void write_all(void)
{
	cr_assert_eq(ask_write(0, FCOPY_BLOCK), IC_STATUS_OK);
	cr_assert_eq(ask_write(FCOPY_BLOCK, SIZE - FCOPY_BLOCK), IC_STATUS_OK);
}

Test(fcopy, a_file_comes_whole)
{
	open_it();
	cr_assert_eq(ask_start(), IC_STATUS_OK);
	cr_assert_str_eq(kernel.path, "/tmp");
	cr_assert_str_eq(kernel.name, "file");
	cr_assert(kernel.overwrite && !kernel.create_path);
	write_all();
	cr_assert_eq(ask_bare(FCOPY_COMPLETE), IC_STATUS_OK);
	for (uint32_t i = 0; i < SIZE; i++)
		cr_assert_eq(kernel.file[i], byte_at(i));
	cr_assert_eq(kernel.completed, 1);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
	cr_assert_eq(kernel.cancelled, 0);
}

Test(fcopy, out_of_turn_is_refused_and_counted)
{
	open_it();
	cr_assert_eq(ask_write(0, 1), IC_STATUS_FAIL);
	cr_assert_eq(ask_bare(FCOPY_COMPLETE), IC_STATUS_FAIL);
	cr_assert_eq(ask_bare(FCOPY_CANCEL), IC_STATUS_OK); // of what it has no answer to
	ask_start();
	cr_assert_eq(ask_start(), IC_STATUS_FAIL); // the first goes on
	write_all();
	cr_assert_eq(ask_bare(FCOPY_COMPLETE), IC_STATUS_OK);
	cr_assert_eq(ask_write(0, 1), IC_STATUS_FAIL);
	cr_assert_eq(ask_bare(FCOPY_CANCEL + 1), IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 5);
	cr_assert_eq(kernel.started, 1);
	close_it();
}

Test(fcopy, a_piece_outside_the_file_or_the_message_is_refused)
{
	open_it();
	ask_start();
	cr_assert_eq(ask_write(SIZE, 1), IC_STATUS_FAIL);
	cr_assert_eq(ask_write(SIZE - 1, 2), IC_STATUS_FAIL);
	cr_assert_eq(ask_write(UINT64_MAX, 2), IC_STATUS_FAIL);
	cr_assert_eq(ask_write_cut(0, 101, 100), IC_STATUS_FAIL);
	cr_assert_eq(ask_write_cut(0, UINT32_MAX, 100), IC_STATUS_FAIL);
	cr_assert_eq(ask_write(0, FCOPY_BLOCK + 1), IC_STATUS_FAIL);
	cr_assert_eq(kernel.written, 0);
	cr_assert_eq(lumen_ic_bad_messages(ic), 6);
	cr_assert_eq(ask_write(SIZE, 0), IC_STATUS_OK);
	close_it();
}

Test(fcopy, messages_cut_short_are_refused)
{
	const struct fcopy_start message = start_message("/tmp", "file");
	const struct fcopy_write write = { .header = { .operation = FCOPY_WRITE } };

	open_it();
	cr_assert_eq(ask(&message, sizeof(message) - 1), IC_STATUS_FAIL);
	cr_assert_eq(ask(&message, sizeof(message.header) - 1), IC_STATUS_FAIL);
	cr_assert_eq(kernel.started, 0);
	ask_start();
	cr_assert_eq(ask(&write, offsetof(struct fcopy_write, data) - 1), IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 3);
	close_it();
}

Test(fcopy, a_name_without_end_or_with_a_path_in_it_is_refused)
{
	static const char *const names[] = { "", "/", "../up", "dir\\file" };
	struct fcopy_start message = start_message("/tmp", "file");

	open_it();
	memset(message.name, 'x', sizeof(message.name));
	cr_assert_eq(ask(&message, sizeof(message)), IC_STATUS_FAIL);
	message = start_message("/tmp", "file");
	memset(message.path, 'x', sizeof(message.path));
	cr_assert_eq(ask(&message, sizeof(message)), IC_STATUS_FAIL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		message = start_message("/tmp", names[i]);
		cr_assert_eq(ask(&message, sizeof(message)), IC_STATUS_FAIL, "%zu", i);
	}
	cr_assert_eq(kernel.started, 0);
	cr_assert_eq(lumen_ic_bad_messages(ic), 6);
	close_it();
}

Test(fcopy, what_the_kernel_says_is_the_answer)
{
	open_it();
	kernel.answer = LUMEN_IC_EXISTS;
	cr_assert_eq(ask_start(), IC_STATUS_EXISTS);
	kernel.answer = LUMEN_IC_DONE;
	cr_assert_eq(ask_start(), IC_STATUS_OK); // nothing was begun
	kernel.answer = LUMEN_IC_FULL;
	cr_assert_eq(ask_write(0, 100), IC_STATUS_DISK_FULL);
	kernel.answer = LUMEN_IC_DONE;
	write_all();
	kernel.answer = LUMEN_IC_FAILED;
	cr_assert_eq(ask_bare(FCOPY_COMPLETE), IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
	cr_assert_eq(kernel.cancelled, 0); // it was completed, and has failed at that
}

Test(fcopy, a_file_that_is_not_all_there_is_cancelled)
{
	open_it();
	ask_start();
	ask_write(0, SIZE / 2);
	cr_assert_eq(ask_bare(FCOPY_COMPLETE), IC_STATUS_FAIL);
	cr_assert_eq(kernel.completed, 0);
	cr_assert_eq(kernel.cancelled, 1);
	ask_start();
	cr_assert_eq(ask_bare(FCOPY_CANCEL), IC_STATUS_OK);
	cr_assert_eq(kernel.cancelled, 2);
	close_it();
}

Test(fcopy, a_host_that_begins_anew_or_is_gone_cancels)
{
	open_it();
	ask_start();
	ic_host_negotiate(versions, 1);
	lumen_ic_poll(ic);
	cr_assert_eq(kernel.cancelled, 1);
	ask_start();
	rig.channels[0].rescinded = true;
	ic_host_signal();
	lumen_ic_poll(ic);
	cr_assert_eq(kernel.cancelled, 2);
	close_it();
	open_it();
	ask_start();
	close_it();
	cr_assert_eq(kernel.cancelled, 1);
}
