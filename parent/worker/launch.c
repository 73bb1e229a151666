// SPDX-License-Identifier: BSD-2-Clause
// See launch.h.
#include "parent/worker/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/rundir.h"

static bool read_arguments(int argc, char **argv, struct launch *launch)
{
	const char *fds = argc == 4 && !strcmp(argv[1], "--fds") ? argv[2] : NULL;
	int count, length = -1;

	if (!fds)
		return argc == 2 && *argv[1] != '-';
	count = sscanf(fds, "%d,%d%n,%d%n", &launch->ready_fd, &launch->lock, &length,
		&launch->client, &length);
	return length > 0 && !fds[length] && launch->ready_fd > STDERR_FILENO &&
	       launch->lock > STDERR_FILENO && (count == 2 || launch->client > STDERR_FILENO);
}

// Returns the lowest of ours (-1 for none) at or above `from`, or INT_MAX.
static int lowest_of(const struct launch *launch, int from)
{
	const int ours[] = { launch->ready_fd, launch->lock, launch->client };
	int lowest = INT_MAX;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (ours[i] >= from && ours[i] < lowest)
			lowest = ours[i];
	return lowest;
}

// All but the standard ones and ours. Who starts us may have anything open: the way to the
// machine's owner is among it.
static void close_others(const struct launch *launch)
{
	int next = STDERR_FILENO + 1;
	int keep;

	while ((keep = lowest_of(launch, next)) != INT_MAX) {
		if (keep > next)
			close_range((unsigned int)next, (unsigned int)keep - 1, 0);
		next = keep + 1;
	}
	close_range((unsigned int)next, ~0u, 0);
}

// Opens what a program expects to have, should it be missing: else a disk gets number 2, and the
// log is written to it.
static bool open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static bool set_cloexec(int fd)
{
	return fd < 0 || !fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static bool claim(const char *path, struct launch *launch, struct failure *failure)
{
	int error;

	launch->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (launch->directory >= 0 && launch->lock < 0)
		launch->lock = rundir_lock(launch->directory);
	if (launch->directory < 0 || launch->lock < 0)
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			"The lock of %s cannot be taken: %s.", path, strerror(errno));
	if (!rundir_owns(launch->directory, launch->lock))
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			"The files of the child have been replaced while it started.");
	error = rundir_claim(launch->lock);
	if (!error)
		error = rundir_write_started(launch->directory);
	return !error || failure_set(failure, LUMEN_EXIT_OUR_FAULT,
				 "The child cannot be claimed: %s.", strerror(error));
}

bool launch_read(int argc, char **argv, struct launch *launch, struct failure *failure)
{
	*launch = (struct launch){ .directory = -1, .lock = -1, .ready_fd = -1, .client = -1 };
	// A lumenctl that is gone is no reason to end, and says so by EPIPE.
	signal(SIGPIPE, SIG_IGN);
	if (!read_arguments(argc, argv, launch)) {
		launch->ready_fd = -1;
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"usage: lumen-worker [--fds READY,LOCK[,CLIENT]] DIRECTORY\n\n"
			"Runs the child whose files are in DIRECTORY. Use lumenctl start.");
	}
	launch->name = basename(argv[argc - 1]);
	close_others(launch);
	if (!open_standard() || !set_cloexec(launch->ready_fd) || !set_cloexec(launch->lock) ||
		!set_cloexec(launch->client))
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			"The worker's descriptors are not what they should be: %s.",
			strerror(errno));
	return claim(argv[argc - 1], launch, failure);
}

void launch_tell(struct launch *launch, int status, const char *sentence)
{
	char line[RUNDIR_REASON_MAX + 16];
	int length = snprintf(line, sizeof(line), "%d %s\n", status, sentence);

	if (launch->ready_fd < 0)
		return;
	if (length >= (int)sizeof(line)) {
		length = sizeof(line) - 1;
		line[length - 1] = '\n';
	}
	if (write(launch->ready_fd, line, (size_t)length) < 0 && errno != EPIPE)
		fprintf(stderr, "%s", line);
	close(launch->ready_fd);
	launch->ready_fd = -1;
}

void launch_tell_end(struct launch *launch, int status, const char *reason)
{
	launch_tell(launch, status > LUMEN_EXIT_CHILD_MAX ? status : LUMEN_EXIT_OUR_FAULT, reason);
}
