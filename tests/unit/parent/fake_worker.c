// SPDX-License-Identifier: BSD-2-Clause
// A worker without a child: what lumenctl starts, with the true launch and supervisor, to do what
// the child's --append says. FAKE_ALIVE names a file that it locks while it lives.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/capture_wire.h"
#include "parent/common/child_config.h"
#include "parent/common/rundir.h"
#include "parent/worker/launch.h"
#include "parent/worker/supervisor.h"

static struct child_config config;

static int listen_here(int directory)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	rundir_socket_address(directory, RUNDIR_SOCKET, &address);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		_exit(99);
	return fd;
}

// A worker that answers every request with ok, and then with nothing.
static int accept_only(int listener)
{
	char line[64];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (read(fd, line, sizeof(line)) <= 0 || write(fd, "ok\n", 3) != 3)
			return 98;
	}
}

// More than any buffer on its way, and a last line that must come through.
static int talk(int listener, int lines)
{
	char line[64];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (read(fd, line, sizeof(line)) <= 0)
			return 98;
		dprintf(fd, "ok\n");
		for (int i = 0; i < lines; i++)
			dprintf(fd, "counter%d %d\n", i, i);
		dprintf(fd, "last 1\n");
		close(fd);
	}
}

// What no worker of ours says, but one that its child has taken over may.
static int rave(int listener)
{
	char line[64];

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (read(fd, line, sizeof(line)) <= 0)
			return 98;
		dprintf(fd, "ok\nheartbeat.state ok\nodd \033[2J\xc2\x9b"
			    "31m\xff\nzeroes 007\nnone\nminus -5\ndash -\nempty \nnumber 12\n");
		close(fd);
	}
}

// What a worker may say of its child's messages.

static void say(int fd, const void *bytes, size_t length)
{
	if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		_exit(96);
}

static struct capture_record make_record(uint64_t number, uint8_t direction, uint32_t type)
{
	struct capture_record record = { .number = number,
		.time = 1700000000000000000 + number,
		.message = { .version = CAPTURE_VERSION,
			.direction = direction,
			.length = 8,
			.message_type = 1,
			.connection = 4 } };

	memcpy(record.payload, &type, sizeof(type));
	return record;
}

static void say_record(int fd, const struct capture_record *record)
{
	say(fd, record, sizeof(*record));
}

static void tell_right(int fd, struct capture_record record)
{
	say_record(fd, &record);
	record = make_record(101, CAPTURE_TO_GUEST, 15);
	say_record(fd, &record);
	// In two pieces, with a gap before it.
	record = make_record(107, CAPTURE_TO_HOST, 3);
	say(fd, &record, 100);
	usleep(50000);
	say(fd, (char *)&record + 100, sizeof(record) - 100);
}

static void tell_version(int fd, struct capture_record record)
{
	record.message.version = 2;
	say_record(fd, &record);
}

static void tell_long(int fd, struct capture_record record)
{
	record.message.length = 241;
	say_record(fd, &record);
}

static void tell_direction(int fd, struct capture_record record)
{
	record.message.direction = 3;
	say_record(fd, &record);
}

static void tell_backwards(int fd, struct capture_record record)
{
	say_record(fd, &record);
	record.number = 99;
	say_record(fd, &record);
}

static void tell_last(int fd, struct capture_record record)
{
	record.number = UINT64_MAX;
	say_record(fd, &record);
}

static void tell_future(int fd, struct capture_record record)
{
	record.time = UINT64_MAX;
	say_record(fd, &record);
}

static void tell_half(int fd, struct capture_record record)
{
	say(fd, &record, sizeof(record) / 2);
}

static void tell_flood(int fd, struct capture_record record)
{
	for (;; record.number++)
		say_record(fd, &record);
}

static void tell_nothing(int fd, struct capture_record record)
{
	(void)fd;
	(void)record;
	pause();
}

static const struct told {
	const char *what;
	void (*tell)(int fd, struct capture_record first);
} told[] = {
	{ "right", tell_right },
	{ "version", tell_version },
	{ "long", tell_long },
	{ "direction", tell_direction },
	{ "backwards", tell_backwards },
	{ "last", tell_last },
	{ "future", tell_future },
	{ "half", tell_half },
	{ "flood", tell_flood },
	{ "nothing", tell_nothing },
};

// Says one of these to a client, and ends.
static int tell(const char *what, int fd)
{
	const bool lies = !strcmp(what, "hello");
	const struct capture_hello hello = { .magic = CAPTURE_MAGIC + lies,
		.version = CAPTURE_VERSION,
		.partition = 5,
		.next = 100 };
	char line[64];

	if (read(fd, line, sizeof(line)) != 9 || memcmp(line, "messages\n", 9))
		return 97;
	say(fd, "ok\n", 3);
	say(fd, &hello, sizeof(hello));
	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		if (!strcmp(what, told[i].what))
			told[i].tell(fd, make_record(100, CAPTURE_TO_HOST, 14));
	return 0;
}

// One that answers nobody, and says so at once.
__attribute__((noreturn)) static void hang_up(int listener)
{
	for (;;)
		close(accept(listener, NULL, NULL));
}

static int be(const char *what, int listener, int client)
{
	if (!strncmp(what, "tell ", 5))
		return tell(what + 5, client < 0 ? accept(listener, NULL, NULL) : client);
	if (!strcmp(what, "stubborn"))
		signal(SIGTERM, SIG_IGN);
	if (!strncmp(what, "exit ", 5))
		return atoi(what + 5);
	if (!strcmp(what, "abort"))
		abort();
	if (!strcmp(what, "mute"))
		return accept_only(listener);
	if (!strcmp(what, "talk"))
		return talk(listener, 40000);
	if (!strcmp(what, "chat"))
		return talk(listener, 1);
	if (!strcmp(what, "rave"))
		return rave(listener);
	if (strcmp(what, "deaf") && strcmp(what, "stubborn"))
		hang_up(listener);
	for (;;)
		pause();
}

// Only one of a child may live.
static void be_alive(void)
{
	FILE *file = fopen(getenv("FAKE_ALIVE"), "a");
	char path[4096];

	if (!file || !flock(fileno(file), LOCK_EX | LOCK_NB))
		return;
	snprintf(path, sizeof(path), "%s.two", getenv("FAKE_ALIVE"));
	fclose(fopen(path, "w"));
}

static int body(void *context, int message_fd, int connector_fd)
{
	struct launch *launch = context;
	char error[300];
	int listener;

	be_alive();
	if (!child_config_read(&config, launch->directory, RUNDIR_CONFIG, error, sizeof(error))) {
		launch_tell(launch, 122, error);
		supervisor_tell_end(message_fd, 122, error);
		return 122;
	}
	listener = listen_here(launch->directory);
	if (!strcmp(config.append, "silent"))
		_exit(7);
	launch_tell(launch, 0, "");
	if (!strncmp(config.append, "exit ", 5) || !strcmp(config.append, "hang"))
		supervisor_tell_end(message_fd, atoi(config.append + 4), "It was asked to:\n it.");
	if (!strcmp(config.append, "hang"))
		close(launch->lock);
	return be(config.append, listener, launch->client);
}

int main(int argc, char **argv)
{
	struct supervised supervised = { .body = body };
	struct failure failure;
	char reason[RUNDIR_REASON_MAX];
	struct launch launch;
	int status;

	if (!launch_read(argc, argv, &launch, &failure)) {
		launch_tell(&launch, failure.status, failure.text);
		return failure.status;
	}
	supervised.directory = launch.directory;
	supervised.context = &launch;
	status = supervise(&supervised, reason);
	launch_tell_end(&launch, status, reason);
	return status;
}
