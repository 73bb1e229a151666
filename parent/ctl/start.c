// SPDX-License-Identifier: BSD-2-Clause
// lumenctl start: a worker in the background, with its standard error in the child's log.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

// In the new process: never returns.
static void become_worker(const char *name, int ready_fd)
{
	char path[PATH_MAX], directory[RUNDIR_PATH_MAX], log[RUNDIR_PATH_MAX], ready[16];
	int log_fd, null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (!rundir_path(log, name, RUNDIR_LOG) ||
		snprintf(directory, sizeof(directory), "%s/%s", rundir_base(), name) >=
			(int)sizeof(directory) ||
		!worker_path(path, sizeof(path)))
		_exit(LUMEN_EXIT_OUR_FAULT);
	log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	setsid();
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(log_fd >= 0 ? log_fd : null_fd, STDERR_FILENO);
	snprintf(ready, sizeof(ready), "%d", ready_fd);
	execl(path, path, "--ready-fd", ready, directory, (char *)NULL);
	dprintf(ready_fd, "%d The worker %s cannot be started: %s.\n", LUMEN_EXIT_OUR_FAULT, path,
		strerror(errno));
	_exit(LUMEN_EXIT_OUR_FAULT);
}

// The worker says "0" when the child runs, or its exit status and a sentence.
static int read_verdict(const char *name, int fd)
{
	char text[RUNDIR_REASON_MAX + 16];
	size_t length = 0;
	char *sentence;
	long status;

	while (length + 1 < sizeof(text)) {
		ssize_t got = read(fd, text + length, sizeof(text) - 1 - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		length += (size_t)got;
	}
	text[length] = 0;
	text[strcspn(text, "\n")] = 0;
	if (!length)
		return ctl_fail(LUMEN_EXIT_OUR_FAULT,
			"The worker of %s ended without a word; its log may say why.", name);
	status = strtol(text, &sentence, 10);
	return status ? ctl_fail((int)status, "%s", sentence + (*sentence == ' ')) : 0;
}

static int start_worker(const char *name)
{
	int ends[2];
	pid_t pid;
	int status;

	// The worker's end must stay open across exec: only its own, the other has CLOEXEC.
	if (pipe2(ends, O_CLOEXEC))
		return ctl_fail(
			LUMEN_EXIT_OUR_FAULT, "A pipe cannot be made: %s.", strerror(errno));
	pid = fork();
	if (pid == 0) {
		fcntl(ends[1], F_SETFD, 0);
		become_worker(name, ends[1]);
	}
	close(ends[1]);
	if (pid < 0)
		status = ctl_fail(
			LUMEN_EXIT_OUR_FAULT, "The worker cannot be started: %s.", strerror(errno));
	else
		status = read_verdict(name, ends[0]);
	close(ends[0]);
	if (status && pid > 0)
		waitpid(pid, NULL, 0);
	return status;
}

int ctl_start_child(const char *name)
{
	char path[RUNDIR_PATH_MAX];
	struct rundir_status child;
	int status = ctl_find(name, &child);

	if (status)
		return status;
	if (child.state == RUNDIR_RUNNING)
		return ctl_fail(LUMEN_EXIT_BAD_ARGUMENTS, "The child %s is running already.", name);
	if (rundir_path(path, name, RUNDIR_STATUS))
		unlink(path);
	return start_worker(name);
}

int ctl_start(int argc, char **argv)
{
	const char *name;
	int status = ctl_one_name(argc, argv, &name, false, NULL);

	return status ? status : ctl_start_child(name);
}
