// SPDX-License-Identifier: BSD-2-Clause
// lumenctl console, run and wait: standard input and output as the child's console, to its end.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

enum { LEAVE = 0x1d /* Ctrl-] */, CHUNK = 4096 };

static struct termios terminal_before;
static bool terminal_changed;

static void terminal_raw(void)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before))
		return;
	raw = terminal_before;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; // our own messages end lines as usual
	terminal_changed = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static void terminal_restore(void)
{
	if (terminal_changed)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
	terminal_changed = false;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t done = write(fd, bytes, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		length -= (size_t)done;
	}
	return true;
}

// Copies the child's output. Returns false at its end.
static bool copy_output(int fd)
{
	char chunk[CHUNK];
	ssize_t length = read(fd, chunk, sizeof(chunk));

	if (length < 0 && errno == EINTR)
		return true;
	return length > 0 && write_all(STDOUT_FILENO, chunk, (size_t)length);
}

enum input { INPUT_MORE, INPUT_END, INPUT_LEAVE };

static enum input copy_input(int fd)
{
	char chunk[CHUNK];
	ssize_t length = read(STDIN_FILENO, chunk, sizeof(chunk));
	char *leave;

	if (length <= 0)
		return length < 0 && errno == EINTR ? INPUT_MORE : INPUT_END;
	leave = terminal_changed ? memchr(chunk, LEAVE, (size_t)length) : NULL;
	if (leave)
		length = leave - chunk;
	// MSG_NOSIGNAL: if the child has just ended, its last output still comes.
	if (length && send(fd, chunk, (size_t)length, MSG_NOSIGNAL) < 0)
		return INPUT_END;
	return leave ? INPUT_LEAVE : INPUT_MORE;
}

static bool copy_both(int fd)
{
	struct pollfd polls[2] = { { .fd = fd, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN } };

	for (;;) {
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return false;
		if (polls[0].revents && !copy_output(fd))
			return false;
		if (!polls[1].revents)
			continue;
		switch (copy_input(fd)) {
		case INPUT_LEAVE:
			return true;
		case INPUT_END:
			polls[1].fd = -1; // poll() skips it: there is output still
			polls[1].revents = 0;
			break;
		case INPUT_MORE:
			break;
		}
	}
}

int ctl_attach(const char *name, bool *left, bool quiet)
{
	int fd = ctl_request(name, "console", quiet);

	*left = false;
	if (fd < 0)
		return LUMEN_EXIT_OUR_FAULT;
	terminal_raw();
	*left = copy_both(fd);
	terminal_restore();
	close(fd);
	return 0;
}

// Copies one of the child's files.
static void print_file(const char *name, const char *file, FILE *to)
{
	char path[RUNDIR_PATH_MAX], line[1024];
	FILE *from = rundir_path(path, name, file) ? fopen(path, "re") : NULL;

	if (!from)
		return;
	while (fgets(line, sizeof(line), from))
		fputs(line, to);
	fflush(to);
	fclose(from);
}

int ctl_wait_child(const char *name)
{
	struct rundir_status child;
	int error = rundir_wait(name);
	int status;

	if (error)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The end of %s cannot be waited for: %s.",
			name, strerror(error));
	status = ctl_find(name, &child);
	if (status)
		return status;
	if (child.state == RUNDIR_CREATED)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s was never started.", name);
	// What went wrong: registers, crash parameters, what failed.
	if (child.status > LUMEN_EXIT_CHILD_MAX)
		print_file(name, RUNDIR_LOG, stderr);
	return child.status ? ctl_fail(child.status, "%s: %s", name, child.reason) : 0;
}

int ctl_console(int argc, char **argv)
{
	struct rundir_status child;
	const char *name;
	bool left;
	int status = ctl_one_name(argc, argv, &name, false, NULL);

	if (!status)
		status = ctl_find(name, &child);
	if (status)
		return status;
	if (child.state != RUNDIR_RUNNING)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"The child %s does not run; its console's log is %s/%s/" RUNDIR_CONSOLE ".",
			name, rundir_base(), name);
	return ctl_attach(name, &left, false);
}

int ctl_wait(int argc, char **argv)
{
	const char *name;
	struct rundir_status child;
	int status = ctl_one_name(argc, argv, &name, false, NULL);

	if (!status)
		status = ctl_find(name, &child);
	return status ? status : ctl_wait_child(name);
}

int ctl_run(int argc, char **argv)
{
	static struct child_config config;
	const char *name;
	bool left = false;
	int fd, status = ctl_parse_child(argc, argv, &name, &config);

	if (!status)
		status = ctl_make_child(name, &config, true);
	if (!status)
		status = ctl_start_child(name);
	if (status)
		return status;
	// A child that has ended already has no worker to connect to, but its output is there.
	if (ctl_attach(name, &left, true))
		print_file(name, RUNDIR_CONSOLE, stdout);
	if (left) {
		fd = ctl_request(name, "kill", false);
		if (fd >= 0)
			close(fd);
	}
	return ctl_wait_child(name);
}
