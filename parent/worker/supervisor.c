// SPDX-License-Identifier: BSD-2-Clause
// See supervisor.h.
#include "parent/worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/common/exit_status.h"
#include "parent/common/rundir.h"
#include "parent/worker/log.h"

// Signals that are waited for. Returns the mask before.
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
void supervisor_hold(int reason_fd)
{
	struct pollfd supervisor = { .fd = reason_fd };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&supervisor, 1, 0) < 0 || supervisor.revents & POLLERR)
		_exit(LUMEN_EXIT_OUR_FAULT);
}

// In the new process: never returns.
static void become_body(const struct supervised *supervised, int reason_fd, const sigset_t *mask)
{
	supervisor_hold(reason_fd);
	sigprocmask(SIG_SETMASK, mask, NULL);
	_exit(supervised->body(supervised->context, reason_fd));
}

// Waits for its end. Returns what waitpid() says of it.
static int wait_for(pid_t pid, const sigset_t *signals)
{
	int state;

	while (waitpid(pid, &state, WNOHANG) != pid)
		if (sigwaitinfo(signals, NULL) != SIGCHLD)
			kill(pid, SIGTERM);
	return state;
}

static bool is_known(int status)
{
	static const int known[] = {
#define X(number, name, text) number,
		LUMEN_EXIT_STATUSES(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (status == known[i])
			return true;
	return status >= 0 && status <= LUMEN_EXIT_CHILD_MAX;
}

// The sentence is what the pipe has now: nobody waits for more.
static int read_end(int state, int reason_fd, char *reason, size_t size)
{
	int status = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
	ssize_t length = read(reason_fd, reason, size - 1);

	reason[length > 0 ? length : 0] = 0;
	if (WIFSIGNALED(state))
		snprintf(reason, size, "The worker was killed (%s).", strsignal(WTERMSIG(state)));
	else if (length <= 0)
		snprintf(reason, size, "The worker ended without a word, with status %d.", status);
	return is_known(status) ? status : LUMEN_EXIT_OUR_FAULT;
}

static int report(const struct supervised *supervised, int state, int reason_fd, char *reason)
{
	int status = read_end(state, reason_fd, reason, RUNDIR_REASON_MAX);
	int error = rundir_write_status(supervised->directory, status, reason);

	if (error)
		log_line("the status cannot be written: %s", strerror(error));
	unlinkat(supervised->directory, RUNDIR_SOCKET, 0);
	return status;
}

int supervise(const struct supervised *supervised, char *reason)
{
	sigset_t signals, before;
	int ends[2], state, status;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -1;
	before = block_signals(&signals);
	pid = fork();
	if (!pid) {
		close(ends[0]);
		become_body(supervised, ends[1], &before);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -1;
	}
	state = wait_for(pid, &signals);
	status = report(supervised, state, ends[0], reason);
	close(ends[0]);
	return status;
}
