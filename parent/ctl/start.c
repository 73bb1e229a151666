// SPDX-License-Identifier: BSD-2-Clause
// lumenctl start: a worker in the background, with its standard error in the child's log.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "parent/ctl/deadline.h"

// The worker lies beside lumenctl, or where $LUMEN_WORKER says.
static bool worker_path(char *path, size_t size)
{
	const char *given = getenv("LUMEN_WORKER");
	char self[PATH_MAX];
	ssize_t length;
	char *slash;

	if (given && *given)
		return snprintf(path, size, "%s", given) < (int)size;
	length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (length < 0)
		return false;
	self[length] = 0;
	slash = strrchr(self, '/');
	if (!slash)
		return false;
	*slash = 0;
	return snprintf(path, size, "%s/lumen-worker", self) < (int)size;
}

// What a worker is given.
struct start {
	const char *name;
	int directory;
	int lock;   // the child's, taken: the worker never is without it
	int ready;  // the worker's end of a pipe, on which it says how the start went
	int client; // its end of a connection to its control socket; -1: there is none
};

static bool worker_arguments(const struct start *start, char *fds, size_t fds_size, char *path)
{
	const int length = start->client < 0
				   ? snprintf(fds, fds_size, "%d,%d", start->ready, start->lock)
				   : snprintf(fds, fds_size, "%d,%d,%d", start->ready, start->lock,
					     start->client);

	return length < (int)fds_size &&
	       snprintf(path, PATH_MAX, "%s/%s", rundir_base(), start->name) < PATH_MAX;
}

static bool keep(int fd)
{
	return fd < 0 || !fcntl(fd, F_SETFD, 0);
}

// In the new process: never returns.
static void become_worker(const struct start *start)
{
	char worker[PATH_MAX], child[PATH_MAX], fds[48];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log_fd = openat(start->directory, RUNDIR_LOG,
		O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (!worker_path(worker, sizeof(worker)) ||
		!worker_arguments(start, fds, sizeof(fds), child) || !keep(start->ready) ||
		!keep(start->lock) || !keep(start->client))
		_exit(LUMEN_EXIT_OUR_FAULT);
	setsid();
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
	execl(worker, worker, "--fds", fds, child, (char *)NULL);
	dprintf(start->ready, "%d The worker %s cannot be started: %s.\n", LUMEN_EXIT_OUR_FAULT,
		worker, strerror(errno));
	_exit(LUMEN_EXIT_OUR_FAULT);
}

// Reads the worker's verdict: "0" when the child runs, or its exit status and a sentence. Returns
// its length.
static size_t read_verdict(int fd, char *text, size_t size)
{
	size_t length = 0;

	while (length + 1 < size && !(length && memchr(text, '\n', length))) {
		ssize_t got = read(fd, text + length, size - 1 - length);

		if (got < 0 && errno == EINTR && !deadline_passed())
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	text[length] = 0;
	text[strcspn(text, "\n")] = 0;
	return length;
}

static int judge(const char *name, int fd)
{
	char text[RUNDIR_REASON_MAX + 16];
	char *sentence;
	size_t length;
	long status;

	deadline_start(CTL_START_S);
	length = read_verdict(fd, text, sizeof(text));
	deadline_end();
	if (!length && deadline_passed())
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "%s was not ready to run after %d s.", name,
			CTL_START_S);
	if (!length)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"The worker of %s ended without a word; its log may say why.", name);
	status = strtol(text, &sentence, 10);
	return status ? ctl_fail((int)status, "%s", sentence + (*sentence == ' ')) : 0;
}

// The child of a fork() that has failed to start it.
static void end_worker(pid_t pid, bool late)
{
	if (late)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int start_worker(struct start *start)
{
	int ends[2];
	pid_t pid;
	int status;

	if (pipe2(ends, O_CLOEXEC))
		return ctl_fail(
			LUMEN_EXIT_OUR_FAULT, "A pipe cannot be made: %s.", strerror(errno));
	start->ready = ends[1];
	pid = fork();
	if (pid == 0)
		become_worker(start);
	close(ends[1]);
	if (pid < 0)
		status = ctl_fail(
			LUMEN_EXIT_OUR_FAULT, "The worker cannot be started: %s.", strerror(errno));
	else
		status = judge(start->name, ends[0]);
	close(ends[0]);
	if (status && pid > 0)
		end_worker(pid, deadline_passed());
	return status;
}

static int start_locked(const char *name, int directory, int client)
{
	struct start start = { .name = name, .directory = directory, .client = client };
	int status;

	start.lock = rundir_lock(directory);
	if (start.lock < 0 && errno == EWOULDBLOCK)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s is running already.", name);
	if (start.lock < 0)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT, "The lock of %s cannot be taken: %s.", name,
			strerror(errno));
	status = start_worker(&start);
	close(start.lock);
	return status;
}

int ctl_start_with_client(const char *name, int client)
{
	struct rundir_status child;
	int status, directory = ctl_find_to_change(name, &child, &status);

	if (directory < 0)
		return status;
	status = start_locked(name, directory, client);
	close(directory);
	return status;
}

int ctl_start_child(const char *name)
{
	return ctl_start_with_client(name, -1);
}

int ctl_start(int argc, char **argv)
{
	const char *name;
	int status = ctl_one_name(argc, argv, &name, false, NULL);

	return status ? status : ctl_start_child(name);
}
