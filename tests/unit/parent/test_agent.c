// SPDX-License-Identifier: BSD-2-Clause
// What lumenctl and an agent say to each other: frames, files with holes, and lies of either.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/agent_file.h"

enum { FILE_SIZE = 40 << 20 };

static struct agent_stream one, other;
static char directory[] = "/tmp/lumen-agent-XXXXXX";
static char sentence[AGENT_SENTENCE_MAX];

static const char *path_of(const char *file)
{
	static char path[4][100];
	static unsigned next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[next]), "%s/%s", directory, file);
	return path[next];
}

static void setup(void)
{
	int ends[2];

	cr_assert_not_null(mkdtemp(directory));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	agent_begin(&one, ends[0]);
	agent_begin(&other, ends[1]);
}

static void teardown(void)
{
	char command[100];

	close(one.fd);
	close(other.fd);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	cr_expect_eq(system(command), 0);
}

TestSuite(agent, .init = setup, .fini = teardown, .timeout = 60);

static void say(enum agent_type type, const void *bytes, size_t length)
{
	cr_assert(agent_send(&one, type, bytes, length, NULL, 0));
}

static bool exists(const char *file)
{
	return !access(path_of(file), F_OK);
}

// Whether there is nothing in the directory.
static bool is_empty(void)
{
	return !rmdir(directory) && !mkdir(directory, 0700);
}

// --- frames ---

Test(agent, frames_of_all_sizes)
{
	static uint8_t bytes[AGENT_PAYLOAD_MAX];
	const size_t sizes[] = { 0, 1, 4095, AGENT_PAYLOAD_MAX };
	struct agent_frame frame;

	memset(bytes, 7, sizeof(bytes));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		say(AGENT_INPUT, bytes, sizes[i]);
		cr_assert(agent_receive(&other, &frame));
		cr_assert_eq(frame.type, AGENT_INPUT);
		cr_assert_eq(frame.length, sizes[i]);
		cr_assert(!frame.length || !memcmp(frame.bytes, bytes, frame.length));
	}
	cr_assert_not(agent_next(&other, &frame));
}

Test(agent, a_frame_that_comes_byte_by_byte)
{
	const uint32_t raw[] = { AGENT_EXIT, 4, 99 };
	struct agent_frame frame;
	uint32_t number = 0;

	for (size_t i = 0; i < sizeof(raw); i++) {
		cr_assert_not(agent_next(&other, &frame));
		cr_assert_eq(write(one.fd, (const uint8_t *)raw + i, 1), 1);
		agent_move(&other, POLLIN);
	}
	cr_assert(agent_next(&other, &frame) && agent_take(&frame, &number, sizeof(number)));
	cr_assert_eq(number, 99);
}

Test(agent, a_frame_that_is_too_long_ends_the_connection)
{
	const uint32_t raw[] = { AGENT_INPUT, AGENT_PAYLOAD_MAX + 1 };
	struct agent_frame frame;

	cr_assert_eq(write(one.fd, raw, sizeof(raw)), (ssize_t)sizeof(raw));
	cr_assert_not(agent_receive(&other, &frame));
	cr_assert(other.ended);
}

Test(agent, what_came_before_the_end_is_taken)
{
	struct agent_frame frame;

	say(AGENT_DONE, NULL, 0);
	close(one.fd);
	one.fd = -1;
	cr_assert(agent_receive(&other, &frame));
	cr_assert_eq(frame.type, AGENT_DONE);
	cr_assert_not(agent_receive(&other, &frame));
}

Test(agent, strings_end_within_their_frame)
{
	static const uint8_t bytes[] = { 1, 0, 'a', 0, 0, 'b' };
	struct agent_frame frame = { AGENT_EXEC, sizeof(bytes), bytes };
	uint16_t front;

	cr_assert(agent_take(&frame, &front, sizeof(front)));
	cr_assert_str_eq(agent_string(&frame), "a");
	cr_assert_str_eq(agent_string(&frame), "");
	cr_assert_null(agent_string(&frame), "without its zero");
	cr_assert_not(agent_take(&frame, &front, sizeof(front)));
}

// --- files ---

static void make_file(const char *file)
{
	int fd = open(path_of(file), O_CREAT | O_RDWR, 0640);

	cr_assert_eq(ftruncate(fd, FILE_SIZE), 0);
	cr_assert_eq(pwrite(fd, "front", 5, 0), 5);
	for (off_t at = 3 << 20; at < 4 << 20; at += 4096)
		cr_assert_eq(pwrite(fd, "middle", 6, at + 5), 6);
	cr_assert_eq(pwrite(fd, "end", 3, 30 << 20), 3);
	close(fd);
}

static void *send_it(void *context)
{
	char why[AGENT_SENTENCE_MAX];
	int fd = open(context, O_RDONLY);

	cr_expect(agent_send_file(&one, fd, FILE_SIZE, NULL, why), "%s", why);
	close(fd);
	return NULL;
}

static bool same(const char *file, const char *copy)
{
	char command[300];

	snprintf(command, sizeof(command), "cmp %s %s", path_of(file), path_of(copy));
	return !system(command);
}

static void copy(const char *to)
{
	const struct agent_file file = { FILE_SIZE, 04751, 0 };
	pthread_t sender;

	pthread_create(&sender, NULL, send_it, (void *)path_of("from"));
	cr_assert(agent_receive_file(&other, to, "last", &file, NULL, sentence), "%s", sentence);
	pthread_join(sender, NULL);
}

Test(agent, a_file_with_holes)
{
	struct stat from, to;

	make_file("from");
	copy(path_of("to"));
	cr_assert(same("from", "to"));
	cr_assert(!stat(path_of("from"), &from) && !stat(path_of("to"), &to));
	cr_assert_leq(to.st_blocks, from.st_blocks + 64);
	cr_assert_eq(to.st_mode & 07777, 0751, "no set-id bits");
}

Test(agent, into_a_folder_and_through_a_link)
{
	make_file("from");
	mkdir(path_of("folder"), 0700);
	cr_assert_eq(symlink("folder/last", path_of("link")), 0);
	copy(path_of("folder"));
	cr_assert(same("from", "folder/last"));
	cr_assert_eq(truncate(path_of("folder/last"), 0), 0);
	copy(path_of("link"));
	cr_assert(same("from", "folder/last"));
}

// What the other end says of the mode is no more than a wish.
Test(agent, a_mode_that_is_masked)
{
	const struct agent_file file = { 0, 0777, 0 };
	const mode_t before = umask(027);
	struct stat to;

	say(AGENT_END, NULL, 0);
	cr_assert(agent_receive_file(&other, path_of("to"), "last", &file, NULL, sentence));
	umask(before);
	cr_assert(!stat(path_of("to"), &to));
	cr_assert_eq(to.st_mode & 07777, 0750);
}

static bool receive(const char *to, uint64_t size)
{
	const struct agent_file file = { size, 0600, 0 };

	return agent_receive_file(&other, path_of(to), "last", &file, NULL, sentence);
}

Test(agent, data_that_lie_leave_nothing)
{
	static const struct {
		uint64_t at;
		size_t length;
	} lies[] = { { 100, 1 }, { 99, 2 }, { UINT64_MAX, 1 }, { UINT64_MAX - 7, 8 }, { 0, 101 } };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint8_t bytes[8 + 101] = { 0 };

		memcpy(bytes, &lies[i].at, 8);
		say(AGENT_DATA, bytes, 8 + lies[i].length);
		cr_assert_not(receive("to", 100), "lie %zu", i);
		cr_assert(*sentence && is_empty());
	}
	say(AGENT_DATA, "short", 5);
	cr_assert_not(receive("to", 100));
	say(AGENT_EXIT, "what", 4);
	cr_assert_not(receive("to", 100));
	cr_assert(*sentence && is_empty());
}

Test(agent, a_size_that_cannot_be)
{
	say(AGENT_END, NULL, 0);
	cr_assert_not(receive("to", UINT64_MAX));
	cr_assert(*sentence && is_empty());
}

Test(agent, a_file_that_does_not_come_to_its_end)
{
	const struct {
		uint64_t at;
		char bytes[4];
	} data = { 0, "data" };

	say(AGENT_DATA, &data, 12);
	say(AGENT_FAILED, "The disk is on fire.", 21);
	cr_assert_not(receive("to", 100));
	cr_assert_str_eq(sentence, "The disk is on fire.");
	cr_assert(is_empty());
	say(AGENT_DATA, &data, 12);
	close(one.fd);
	one.fd = -1;
	cr_assert_not(receive("to", 100));
	cr_assert(!*sentence && is_empty());
}

Test(agent, what_is_no_file_is_not_replaced)
{
	cr_assert_eq(mkfifo(path_of("fifo"), 0600), 0);
	say(AGENT_END, NULL, 0);
	cr_assert_not(receive("fifo", 0));
	cr_assert(strstr(sentence, "no regular file"));
	cr_assert(exists("fifo"));
	cr_assert_not(receive("none/to", 0));
	cr_assert_not(receive("none/", 0));
}

// As in a folder like /tmp, where Linux does not follow somebody else's (fs.protected_symlinks).
Test(agent, a_link_that_linux_does_not_follow)
{
	cr_assert_eq(symlink("to", path_of("to")), 0);
	say(AGENT_END, NULL, 0);
	cr_assert_not(receive("to", 0));
	cr_assert(strstr(sentence, "cannot be written"), "%s", sentence);
	cr_assert_eq(unlink(path_of("to")), 0);
	cr_assert(is_empty());
}

Test(agent, a_file_that_becomes_shorter_is_not_sent)
{
	int fd = open(path_of("from"), O_CREAT | O_RDWR, 0600);

	cr_assert_eq(write(fd, "front", 5), 5);
	cr_assert_not(agent_send_file(&one, fd, 100, NULL, sentence));
	cr_assert(strstr(sentence, "shorter"), "%s", sentence);
	close(fd);
}
