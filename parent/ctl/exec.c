// SPDX-License-Identifier: BSD-2-Clause
// lumenctl exec: a command in the child, with standard input, output and errors of ours. Nothing
// here waits for one of them while another one has something: a signal goes through whatever the
// command, or who reads us, does not take.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/ctl/ctl.h"

enum {
	CHUNK = 4096,  // a pipe that poll() says has room takes so much without waiting
	SIGNALS = 3,   // so many within
	SIGNALS_S = 3, // seconds: the last one is for lumenctl
};

struct session {
	struct agent_stream stream;
	bool terminal;	       // the command has one
	bool input_ended;      // ours
	uint32_t window;       // bytes of input that may be sent
	int signals;	       // signalfd
	unsigned signalled;    // so often since
	time_t first;	       // (CLOCK_MONOTONIC)
	uint32_t signal_due;   // that the child is to get
	bool resized;	       // likewise
	const uint8_t *output; // that is being written to `to`
	uint32_t output_length;
	int to;
	bool over;
	int status; // when it is over
};

static const int passed_on[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };

static struct agent_size terminal_size(void)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	return (struct agent_size){ size.ws_row, size.ws_col };
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// --- to the child ---

static void end(struct session *session, int status)
{
	session->over = true;
	session->status = status;
}

// Returns whether it is for us: a child that does not end would keep us for ever.
static bool gives_up(struct session *session)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!session->signalled || now.tv_sec - session->first > SIGNALS_S) {
		session->signalled = 0;
		session->first = now.tv_sec;
	}
	return ++session->signalled == SIGNALS;
}

static void take_signal(struct session *session)
{
	struct signalfd_siginfo info;

	if (read(session->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		session->resized = session->terminal;
		return;
	}
	session->signal_due = info.ssi_signo;
	if (!gives_up(session))
		return;
	ctl_terminal_restore();
	end(session, ctl_fail(128 + (int)info.ssi_signo, "The command is left to itself."));
}

static void pass_on(struct session *session)
{
	struct agent_stream *stream = &session->stream;
	const struct agent_size size = terminal_size();

	if (session->signal_due && agent_has_room(stream)) {
		agent_put(stream, AGENT_SIGNAL, &session->signal_due, sizeof(uint32_t), NULL, 0);
		session->signal_due = 0;
	}
	if (session->resized && agent_has_room(stream)) {
		agent_put(stream, AGENT_SIZE, &size, sizeof(size), NULL, 0);
		session->resized = false;
	}
}

static void take_input(struct session *session)
{
	uint8_t chunk[CHUNK];
	const size_t room = session->window < CHUNK ? session->window : CHUNK;
	ssize_t got = read(STDIN_FILENO, chunk, room);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got > 0) {
		session->window -= (uint32_t)got;
		agent_put(&session->stream, AGENT_INPUT, chunk, (size_t)got, NULL, 0);
		return;
	}
	session->input_ended = true;
	agent_put(&session->stream, AGENT_INPUT_END, NULL, 0, NULL, 0);
}

// --- from the child ---

static void take_frame(struct session *session, struct agent_frame *frame)
{
	uint32_t number = 0;

	if (frame->type == AGENT_OUTPUT || frame->type == AGENT_ERRORS) {
		session->to = frame->type == AGENT_OUTPUT ? STDOUT_FILENO : STDERR_FILENO;
		session->output = frame->bytes;
		session->output_length = frame->length;
	} else if (frame->type == AGENT_FAILED) {
		ctl_terminal_restore();
		end(session, ctl_fail(LUMEN_EXIT_OUR_FAULT, "%.*s", (int)frame->length,
				     (const char *)frame->bytes));
	} else if (!agent_take(frame, &number, sizeof(number))) {
		session->stream.ended = true;
	} else if (frame->type == AGENT_EXIT) {
		end(session, (int)(number & 0xff));
	} else if (frame->type == AGENT_TAKEN && number <= AGENT_WINDOW - session->window) {
		session->window += number;
	} else {
		session->stream.ended = true;
	}
}

// Without a reader the command would write for ever, and for nobody: it ends as by SIGPIPE.
static void write_output(struct session *session)
{
	const uint32_t length = session->output_length < CHUNK ? session->output_length : CHUNK;
	ssize_t written = write(session->to, session->output, length);

	if (written < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (written < 0) {
		end(session, 128 + SIGPIPE);
		written = length;
	}
	session->output += written;
	session->output_length -= (uint32_t)written;
}

static void take_frames(struct session *session)
{
	struct agent_frame frame;

	while (!session->over && !session->output_length && agent_next(&session->stream, &frame))
		take_frame(session, &frame);
}

// --- both ---

static void turn(struct session *session)
{
	const bool room = agent_has_room(&session->stream);
	struct agent_stream *stream = &session->stream;
	struct pollfd polls[] = {
		{ stream->fd, agent_events(stream, !session->output_length), 0 },
		{ session->signals, POLLIN, 0 },
		{ room && session->window && !session->input_ended ? STDIN_FILENO : -1, POLLIN, 0 },
		{ session->output_length ? session->to : -1, POLLOUT, 0 },
	};

	if (stream->ended || (session->output_length && !polls[0].events))
		polls[0].fd = -1; // its end is seen when that is written
	if (poll(polls, ARRAY_SIZE(polls), -1) < 0)
		return;
	if (polls[1].revents)
		take_signal(session);
	pass_on(session);
	if (polls[2].revents && agent_has_room(stream))
		take_input(session);
	if (polls[3].revents)
		write_output(session);
	if (!session->output_length) {
		agent_move(stream, polls[0].revents);
		take_frames(session);
	} else {
		agent_move(stream, polls[0].revents & POLLOUT);
	}
}

static void run(struct session *session)
{
	take_frames(session);
	while (!session->over) {
		turn(session);
		if (session->over || !session->stream.ended || session->output_length)
			continue;
		take_frames(session);
		if (!session->over && !session->output_length) {
			ctl_terminal_restore();
			end(session,
				ctl_fail(LUMEN_EXIT_OUR_FAULT,
					"The child, or its agent, has ended before the command."));
		}
	}
}

// Puts the strings of the request behind each other. Returns false if there are too many.
static bool put_request(struct session *session, int count, char **words)
{
	static char strings[AGENT_PAYLOAD_MAX - sizeof(struct agent_exec)];
	const struct agent_exec request = { terminal_size(), session->terminal };
	const char *term = getenv("TERM");
	size_t length = 0;

	for (int i = -1; i < count; i++) {
		const char *word = i < 0 ? (term ? term : "") : words[i];

		if (strlen(word) >= sizeof(strings) - length)
			return false;
		strcpy(strings + length, word);
		length += strlen(word) + 1;
	}
	agent_put(&session->stream, AGENT_EXEC, &request, sizeof(request), strings, length);
	return true;
}

static int execute(const char *name, int count, char **words)
{
	static struct session session = { .window = AGENT_WINDOW };
	int status = ctl_agent(name, &session.stream);

	if (status)
		return status;
	session.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	session.signals = open_signals();
	if (!put_request(&session, count, words))
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The command is too long.");
	signal(SIGPIPE, SIG_IGN);
	if (session.terminal)
		ctl_terminal_raw();
	run(&session);
	ctl_terminal_restore();
	close(session.stream.fd);
	return session.status;
}

int ctl_exec(int argc, char **argv)
{
	if (argc < 2 || !strcmp(argv[1], "--"))
		return ctl_wrong("exec needs the name of a child.");
	if (*argv[1] == '-')
		return ctl_wrong("exec does not know %s.", argv[1]);
	if (argc > 2 && strcmp(argv[2], "--"))
		return ctl_wrong("exec needs -- before the command.");
	if (argc == 3)
		return ctl_wrong("exec needs a command behind --.");
	return execute(argv[1], argc > 3 ? argc - 3 : 0, argv + 3);
}
