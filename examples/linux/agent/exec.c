// SPDX-License-Identifier: BSD-2-Clause
// lumen-agent: a command, in a session of its own, with pipes or a terminal.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "examples/linux/agent/agent.h"

enum {
	WORDS_MAX = 4096,
	CHUNK = 16384,
	LAST_MS = 2000, // from SIGHUP to SIGKILL, of a command that nobody waits for any more
};

struct command {
	struct agent_stream *stream;
	pid_t pid; // and its session's
	bool ended;
	int state;		   // of waitpid()
	int children;		   // signalfd: SIGCHLD
	int input, output, errors; // our ends; -1: closed. Of a terminal, the first two are one
	bool terminal, input_ended;
	size_t waiting; // bytes of input
	uint8_t bytes[AGENT_WINDOW];
};

static struct command command;

// --- how it begins ---

static struct winsize window_of(const struct agent_size *size)
{
	return (struct winsize){ .ws_row = size->rows, .ws_col = size->columns };
}

static void become(char **words)
{
	static char name[] = "-sh";
	char *const shell[] = { name, NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	// Who starts us in the background has some of them ignored.
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	if (*words)
		execvp(*words, words);
	else
		execv("/bin/sh", shell);
	dprintf(STDERR_FILENO, "lumen-agent: %s: %s\n", *words ? *words : "/bin/sh",
		strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static bool start_on_terminal(const struct agent_exec *request, char **words)
{
	const struct winsize window = window_of(&request->size);
	int master;

	command.pid = forkpty(&master, NULL, NULL, &window);
	if (command.pid < 0)
		return false;
	if (!command.pid)
		become(words);
	fcntl(master, F_SETFL, O_NONBLOCK);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	command.input = command.output = master;
	command.errors = -1;
	return true;
}

static bool start_on_pipes(char **words)
{
	int input[2], output[2], errors[2];

	if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC) || pipe2(errors, O_CLOEXEC))
		return false;
	command.pid = fork();
	if (command.pid < 0)
		return false;
	if (!command.pid) {
		setsid();
		dup2(input[0], STDIN_FILENO);
		dup2(output[1], STDOUT_FILENO);
		dup2(errors[1], STDERR_FILENO);
		become(words);
	}
	close(input[0]);
	close(output[1]);
	close(errors[1]);
	command.input = input[1];
	command.output = output[0];
	command.errors = errors[0];
	fcntl(command.input, F_SETFL, O_NONBLOCK);
	fcntl(command.output, F_SETFL, O_NONBLOCK);
	fcntl(command.errors, F_SETFL, O_NONBLOCK);
	return true;
}

// Returns false after saying why not.
static bool start(struct agent_frame *frame)
{
	static char *words[WORDS_MAX + 1];
	struct agent_exec request;
	const char *term, *word;
	sigset_t child;
	int count = 0;

	if (!agent_take(frame, &request, sizeof(request)) || !(term = agent_string(frame))) {
		agent_fail(command.stream, "That is no request.");
		return false;
	}
	while (count < WORDS_MAX && (word = agent_string(frame)))
		words[count++] = (char *)word;
	if (*term)
		setenv("TERM", term, 1);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	command.children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	command.terminal = request.terminal;
	if (command.terminal ? start_on_terminal(&request, words) : start_on_pipes(words))
		return true;
	agent_fail(command.stream, "The child has too few resources for the command.");
	return false;
}

// --- from the host ---

static void close_input(void)
{
	if (!command.terminal && command.input >= 0)
		close(command.input);
	command.input = -1;
}

static void take_size(struct agent_frame *frame)
{
	struct agent_size size;
	struct winsize window;

	if (!agent_take(frame, &size, sizeof(size)) || !command.terminal)
		return;
	window = window_of(&size);
	ioctl(command.output, TIOCSWINSZ, &window);
}

static void take_signal(struct agent_frame *frame)
{
	static const uint32_t known[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };
	uint32_t number;

	if (!agent_take(frame, &number, sizeof(number)) || command.ended)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (number == known[i])
			kill(-command.pid, (int)number);
}

// More than the window, or anything else that is not for a command, ends the connection.
static void take_frame(struct agent_frame *frame)
{
	if (frame->type == AGENT_INPUT && frame->length <= AGENT_WINDOW - command.waiting &&
		!command.input_ended) {
		memcpy(command.bytes + command.waiting, frame->bytes, frame->length);
		command.waiting += frame->length;
	} else if (frame->type == AGENT_INPUT_END) {
		command.input_ended = true;
	} else if (frame->type == AGENT_SIGNAL) {
		take_signal(frame);
	} else if (frame->type == AGENT_SIZE) {
		take_size(frame);
	} else {
		command.stream->ended = true;
	}
}

static void take_frames(void)
{
	struct agent_frame frame;

	while (agent_next(command.stream, &frame))
		take_frame(&frame);
}

// What the command does not read any more is taken all the same.
static void write_input(void)
{
	ssize_t written = command.input < 0 ? (ssize_t)command.waiting
					    : write(command.input, command.bytes, command.waiting);
	uint32_t taken;

	if (written < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (written < 0) {
		close_input();
		written = (ssize_t)command.waiting;
	}
	taken = (uint32_t)written;
	command.waiting -= taken;
	memmove(command.bytes, command.bytes + taken, command.waiting);
	agent_put(command.stream, AGENT_TAKEN, &taken, sizeof(taken), NULL, 0);
}

// --- to the host ---

// Returns whether there was something.
static bool read_output(int *fd, enum agent_type type)
{
	uint8_t chunk[CHUNK];
	ssize_t got = *fd < 0 ? 0 : read(*fd, chunk, sizeof(chunk));

	if (got > 0)
		agent_put(command.stream, type, chunk, (size_t)got, NULL, 0);
	if (got > 0 || *fd < 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return got > 0;
	if (*fd == command.input) // a terminal
		command.input = -1;
	close(*fd);
	*fd = -1;
	return false;
}

static void take_child(void)
{
	struct signalfd_siginfo info;

	while (read(command.children, &info, sizeof(info)) == (ssize_t)sizeof(info))
		;
	if (!command.ended && waitpid(command.pid, &command.state, WNOHANG) == command.pid)
		command.ended = true;
}

// One turn. Input is taken only as far as there is room for the word that it was.
static void turn(void)
{
	struct agent_stream *stream = command.stream;
	const bool room = agent_has_room(stream);
	struct pollfd polls[] = {
		{ stream->fd, agent_events(stream, true), 0 },
		{ command.children, POLLIN, 0 },
		{ room && command.waiting ? command.input : -1, POLLOUT, 0 },
		{ room ? command.output : -1, POLLIN, 0 },
		{ room ? command.errors : -1, POLLIN, 0 },
	};

	if (poll(polls, ARRAY_SIZE(polls), -1) < 0)
		return;
	agent_move(stream, polls[0].revents);
	take_frames();
	if (polls[1].revents)
		take_child();
	if (command.waiting && agent_has_room(stream) && (polls[2].revents || command.input < 0))
		write_input();
	if (command.input_ended && !command.waiting)
		close_input();
	if (polls[3].revents && agent_has_room(stream))
		read_output(&command.output, AGENT_OUTPUT);
	if (polls[4].revents && agent_has_room(stream))
		read_output(&command.errors, AGENT_ERRORS);
}

// --- how it ends ---

static uint32_t status(void)
{
	return WIFSIGNALED(command.state) ? 128 + (uint32_t)WTERMSIG(command.state)
					  : (uint32_t)WEXITSTATUS(command.state);
}

static bool push(void)
{
	struct pollfd polls = { .fd = command.stream->fd, .events = POLLOUT };

	if (!agent_events(command.stream, false))
		return true;
	if (poll(&polls, 1, AGENT_PATIENCE_MS) <= 0)
		return false;
	agent_move(command.stream, polls.revents & POLLOUT);
	return !command.stream->ended;
}

// What it has written is there by now: others that have its pipes are not waited for.
static void send_rest(void)
{
	const uint32_t how = status();
	bool more = true;

	while (more && push())
		if (agent_has_room(command.stream))
			more = read_output(&command.output, AGENT_OUTPUT);
	for (more = true; more && push();)
		if (agent_has_room(command.stream))
			more = read_output(&command.errors, AGENT_ERRORS);
	agent_send(command.stream, AGENT_EXIT, &how, sizeof(how), NULL, 0);
}

// Nobody is there any more.
static void end_command(void)
{
	struct pollfd children = { .fd = command.children, .events = POLLIN };

	kill(-command.pid, SIGHUP);
	kill(-command.pid, SIGCONT);
	poll(&children, 1, LAST_MS);
	take_child();
	kill(-command.pid, SIGKILL);
}

void agent_execute(struct agent_stream *stream, struct agent_frame *request)
{
	command.stream = stream;
	if (!start(request))
		return;
	take_frames();
	while (!command.ended && !stream->ended)
		turn();
	if (command.ended)
		send_rest();
	else
		end_command();
}
