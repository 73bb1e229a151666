// SPDX-License-Identifier: BSD-2-Clause
// lumenctl console, run and wait: standard input and output as the child's console, to its end.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/macros.h"

enum { LEAVE = 0x1d /* Ctrl-] */, CHUNK = 4096 };

static struct termios terminal_before;
static bool terminal_changed;

bool ctl_terminal_raw(void)
{
	struct termios raw;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before))
		return false;
	raw = terminal_before;
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; // our own messages end lines as usual
	terminal_changed = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return terminal_changed;
}

void ctl_terminal_restore(void)
{
	if (terminal_changed)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
	terminal_changed = false;
}

// Bytes on their way from one descriptor to another. Nothing is read before what was read is
// written, and nothing is written that could wait: neither side ever holds up the other one, nor
// Ctrl-].
struct flow {
	int from, to;
	bool ended; // `from` has no more
	size_t first, count;
	char bytes[CHUNK];
};

// Returns false if there is no more to come.
static bool flow_read(struct flow *flow)
{
	ssize_t length = read(flow->from, flow->bytes, sizeof(flow->bytes));

	if (length < 0 && errno == EINTR)
		return true;
	flow->first = 0;
	flow->count = length > 0 ? (size_t)length : 0;
	flow->ended = !flow->count;
	return flow->count;
}

// poll() has said that there is room: for a pipe that is a chunk, and a socket takes what it can.
// Returns false if nobody takes it any more.
static bool flow_write(struct flow *flow)
{
	const char *bytes = flow->bytes + flow->first;
	ssize_t length = send(flow->to, bytes, flow->count, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (length < 0 && errno == ENOTSOCK)
		length = write(flow->to, bytes, flow->count);
	if (length < 0)
		return errno == EINTR || errno == EAGAIN;
	flow->first += (size_t)length;
	flow->count -= (size_t)length;
	return true;
}

// What is typed. While the child does not read, only Ctrl-] counts; the rest is lost, with a bell.
// Returns false for Ctrl-].
static bool type(struct flow *input)
{
	struct flow typed = { .from = input->from };
	char *leave;

	if (!flow_read(&typed)) {
		input->ended = true;
		return true;
	}
	leave = memchr(typed.bytes, LEAVE, typed.count);
	if (!leave && input->count)
		return write(STDERR_FILENO, "\a", 1) <= 1;
	typed.count = leave ? (size_t)(leave - typed.bytes) : typed.count;
	if (!input->count) {
		memcpy(input->bytes, typed.bytes, typed.count);
		input->first = 0;
		input->count = typed.count;
	}
	return !leave;
}

// An fd to poll, or -1, which poll() skips.
static struct pollfd when(bool wanted, int fd, short events)
{
	return (struct pollfd){ .fd = wanted ? fd : -1, .events = events };
}

// One turn. Returns false at the end: the child's, or with *left ours.
static bool turn(struct flow *input, struct flow *output, bool *left)
{
	struct pollfd polls[] = {
		when(!output->count, output->from, POLLIN),
		when(output->count, output->to, POLLOUT),
		when(!input->ended && (terminal_changed || !input->count), input->from, POLLIN),
		when(input->count, input->to, POLLOUT),
	};

	if (poll(polls, ARRAY_SIZE(polls), -1) < 0)
		return errno == EINTR;
	if (polls[0].revents && !flow_read(output) && output->ended)
		return false;
	if (polls[1].revents && !flow_write(output))
		return false;
	if (polls[2].revents) {
		if (terminal_changed)
			*left = !type(input);
		else
			flow_read(input);
	}
	// If the child has just ended, its last output still comes.
	if (polls[3].revents && !flow_write(input))
		input->ended = true, input->count = 0;
	return !*left;
}

static void copy_both(int fd, bool *left)
{
	static struct flow input = { .from = STDIN_FILENO }, output = { .to = STDOUT_FILENO };

	input.to = fd;
	output.from = fd;
	while (turn(&input, &output, left))
		;
	if (*left && input.count)
		flow_write(&input); // what was typed before
}

int ctl_attach(int directory, bool *left, bool quiet)
{
	int fd = ctl_request(directory, "console", CTL_ANSWER_S, quiet);

	*left = false;
	if (fd < 0)
		return LUMEN_EXIT_OUR_FAULT;
	ctl_terminal_raw();
	copy_both(fd, left);
	ctl_terminal_restore();
	close(fd);
	return 0;
}

// Copies one of the child's files.
static void print_file(int directory, const char *name, FILE *to)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	FILE *from = fd >= 0 ? fdopen(fd, "r") : NULL;
	char line[1024];

	if (!from)
		return;
	while (fgets(line, sizeof(line), from))
		fputs(line, to);
	fflush(to);
	fclose(from);
}

int ctl_wait_child(const char *name, int directory)
{
	struct rundir_status child;
	int error;

	do
		error = rundir_wait(directory);
	while (error == EINTR);
	if (error)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The end of %s cannot be waited for: %s.",
			name, strerror(error));
	rundir_read_status(directory, &child);
	if (child.state == RUNDIR_CREATED)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s was never started.", name);
	// What went wrong: registers, crash parameters, what failed.
	if (child.status > LUMEN_EXIT_CHILD_MAX)
		print_file(directory, RUNDIR_LOG, stderr);
	return child.status ? ctl_fail(child.status, "%s: %s", name, child.reason) : 0;
}

int ctl_console(int argc, char **argv)
{
	struct rundir_status child;
	const char *name;
	bool left;
	int directory, status = ctl_one_name(argc, argv, &name, false, NULL);

	if (status)
		return status;
	directory = ctl_find(name, &child, &status);
	if (directory < 0)
		return status;
	if (child.state == RUNDIR_RUNNING)
		status = ctl_attach(directory, &left, false);
	else
		status = ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS,
			"The child %s does not run; its console's log is %s/%s/" RUNDIR_CONSOLE ".",
			name, rundir_base(), name);
	close(directory);
	return status;
}

int ctl_wait(int argc, char **argv)
{
	const char *name;
	struct rundir_status child;
	int directory, status = ctl_one_name(argc, argv, &name, false, NULL);

	if (status)
		return status;
	directory = ctl_find(name, &child, &status);
	if (directory < 0)
		return status;
	status = ctl_wait_child(name, directory);
	close(directory);
	return status;
}

// The console of a child that has just been started, until it ends or Ctrl-] ends it.
static int follow(const char *name)
{
	struct rundir_status child;
	int status, directory = ctl_find(name, &child, &status);
	bool left;

	if (directory < 0)
		return status;
	// A child that has ended already has no worker to connect to, but its output is there.
	if (ctl_attach(directory, &left, true))
		print_file(directory, RUNDIR_CONSOLE, stdout);
	if (left)
		ctl_end_child(name, directory);
	status = ctl_wait_child(name, directory);
	close(directory);
	return status;
}

int ctl_run(int argc, char **argv)
{
	static struct child_config config;
	const char *name;
	int status = ctl_parse_child(argc, argv, &name, &config);

	if (!status)
		status = ctl_make_child(name, &config, true);
	if (!status)
		status = ctl_start_child(name);
	return status ? status : follow(name);
}
