// SPDX-License-Identifier: BSD-2-Clause
// See supervisor.h.
#include "parent/worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/exit_status.h"
#include "parent/common/rundir.h"
#include "parent/worker/connector.h"
#include "parent/worker/deadline.h"
#include "parent/worker/log.h"

// A worker that is asked to end does so within STOP_MS and CLOSE_MS (worker.c, control.c): after
// ASKED_MS it is killed. Once that has happened, or it has said that it is at its end, the process
// has END_MS: threads of it may hang in the kernel, with a disk, for ever.
enum { ASKED_MS = 4500, END_MS = 500, MESSAGE_MAX = RUNDIR_REASON_MAX + 8 };

// What is known of the worker's process.
struct watch {
	pid_t pid;
	int signals;   // a signalfd
	int message;   // -1: it has said something, or cannot any more
	int connector; // -1: it asks for nothing any more
	int directory; // the child's
	int state;     // of waitpid()
	bool ended;
	bool over;	      // it has said so, or has been killed
	deadline_ns deadline; // 0: it has all the time
	char text[MESSAGE_MAX];
};

// Returns the mask before.
static sigset_t block_signals(sigset_t *signals)
{
	sigset_t before;

	sigemptyset(signals);
	sigaddset(signals, SIGCHLD);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	sigprocmask(SIG_BLOCK, signals, &before);
	return before;
}

// The other end of the pipe is open in the supervisor alone.
void supervisor_hold(int message_fd)
{
	struct pollfd supervisor = { .fd = message_fd };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&supervisor, 1, 0) < 0 || supervisor.revents & POLLERR)
		_exit(LUMEN_EXIT_OUR_FAULT);
}

// In the new process: never returns.
static void become_body(
	const struct supervised *supervised, int message_fd, int connector_fd, const sigset_t *mask)
{
	supervisor_hold(message_fd);
	sigprocmask(SIG_SETMASK, mask, NULL);
	_exit(supervised->body(supervised->context, message_fd, connector_fd));
}

static void take_signal(struct watch *watch)
{
	struct signalfd_siginfo info;

	if (read(watch->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD)
		watch->ended = waitpid(watch->pid, &watch->state, WNOHANG) == watch->pid;
	else
		kill(watch->pid, SIGTERM);
	if (info.ssi_signo != SIGCHLD && !watch->deadline)
		watch->deadline = deadline_in_ms(ASKED_MS);
}

// One message, as much of it as there is at once.
static void take_message(struct watch *watch)
{
	ssize_t length = read(watch->message, watch->text, sizeof(watch->text) - 1);

	watch->text[length > 0 ? length : 0] = 0;
	watch->message = -1;
	if (*watch->text && !watch->over) {
		watch->over = true;
		watch->deadline = deadline_in_ms(END_MS);
	}
}

static void kill_it(struct watch *watch)
{
	kill(watch->pid, SIGKILL);
	watch->over = true;
	watch->deadline = deadline_in_ms(END_MS);
}

static bool is_late(const struct watch *watch)
{
	return watch->deadline && !deadline_left_ms(watch->deadline);
}

// Waits until the process has ended, or is given up.
static void wait_for_end(struct watch *watch)
{
	while (!watch->ended) {
		struct pollfd polls[] = { { .fd = watch->signals, .events = POLLIN },
			{ .fd = watch->message, .events = POLLIN },
			{ .fd = watch->connector, .events = POLLIN } };

		if (is_late(watch) && watch->over)
			return;
		if (is_late(watch))
			kill_it(watch);
		poll(polls, ARRAY_SIZE(polls),
			watch->deadline ? deadline_left_ms(watch->deadline) : -1);
		if (polls[0].revents)
			take_signal(watch);
		if (polls[1].revents)
			take_message(watch);
		if (polls[2].revents && !connector_serve(watch->connector, watch->directory))
			watch->connector = -1;
	}
	if (watch->message >= 0)
		take_message(watch);
}

static bool is_known(long status)
{
	static const int known[] = {
#define X(number, name, text) number,
		LUMEN_EXIT_STATUSES(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (status == known[i])
			return true;
	return status >= 0 && status <= LUMEN_EXIT_CHILD_MAX;
}

// Without a word of its own: what the kernel says of its end.
static int judge_silence(const struct watch *watch, char *reason)
{
	if (!watch->ended)
		snprintf(reason, RUNDIR_REASON_MAX,
			"The worker was killed, and the root's kernel still holds it.");
	else if (WIFSIGNALED(watch->state))
		snprintf(reason, RUNDIR_REASON_MAX, "The worker was killed (%s).",
			strsignal(WTERMSIG(watch->state)));
	else
		snprintf(reason, RUNDIR_REASON_MAX,
			"The worker ended without a word, with status %d.",
			WEXITSTATUS(watch->state));
	return LUMEN_EXIT_OUR_FAULT;
}

static int judge(const struct watch *watch, char *reason)
{
	char *sentence;
	long status = strtol(watch->text, &sentence, 10);

	if (sentence == watch->text)
		return judge_silence(watch, reason);
	snprintf(reason, RUNDIR_REASON_MAX, "%s", sentence + (*sentence == ' '));
	return is_known(status) ? (int)status : LUMEN_EXIT_OUR_FAULT;
}

static int report(const struct supervised *supervised, const struct watch *watch, char *reason)
{
	int status = judge(watch, reason);
	int error = rundir_write_status(supervised->directory, status, reason);

	if (error)
		log_line("the status cannot be written: %s", strerror(error));
	unlinkat(supervised->directory, RUNDIR_SOCKET, 0);
	unlinkat(supervised->directory, RUNDIR_VSOCK, 0);
	return status;
}

int supervise(const struct supervised *supervised, char *reason)
{
	sigset_t signals, before = block_signals(&signals);
	struct watch watch = { .signals = signalfd(-1, &signals, SFD_CLOEXEC),
		.directory = supervised->directory };
	int ends[2], connector[2];

	if (watch.signals < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) || !connector_pair(connector))
		return -1;
	watch.pid = fork();
	if (!watch.pid) {
		close(ends[0]);
		close(connector[0]);
		close(watch.signals);
		become_body(supervised, ends[1], connector[1], &before);
	}
	watch.message = ends[0];
	watch.connector = connector[0];
	close(ends[1]);
	close(connector[1]);
	if (watch.pid < 0)
		return -1;
	wait_for_end(&watch);
	return report(supervised, &watch, reason);
}

void supervisor_tell_end(int message_fd, int status, const char *reason)
{
	char text[MESSAGE_MAX];
	int length = snprintf(text, sizeof(text), "%d %s", status, reason);

	if (length >= (int)sizeof(text))
		length = sizeof(text) - 1;
	if (write(message_fd, text, (size_t)length) < 0)
		return; // then it is silence: judge_silence()
}
