// SPDX-License-Identifier: BSD-2-Clause
// lumen-worker: one process per child. Started by lumenctl; see docs/worker.md.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "parent/worker/log.h"
#include "parent/worker/worker.h"

#define LOCKED_SLACK (64ull << 20) // bytes: io_uring's rings and what else is locked

static struct worker worker;

static int usage(void)
{
	fprintf(stderr, "usage: lumen-worker [--ready-fd N] DIRECTORY\n\n"
			"Runs the child whose files are in DIRECTORY. Use lumenctl start.\n");
	return LUMEN_EXIT_BAD_ARGUMENTS;
}

// Tells lumenctl how the start went (lumenctl's start.c reads it).
static void tell(int ready_fd, int status, const char *sentence)
{
	if (ready_fd < 0)
		return;
	dprintf(ready_fd, "%d %s\n", status, sentence);
	close(ready_fd);
}

// The driver counts the child's memory as locked by this process (RLIMIT_MEMLOCK). To raise the
// limit takes rights that the worker has only at its start; if it has none, mapping says ENOMEM.
static void allow_locked(uint64_t memory)
{
	const struct rlimit limit = { memory + LOCKED_SLACK, memory + LOCKED_SLACK };

	setrlimit(RLIMIT_MEMLOCK, &limit);
}
static int lock_fd = -1;

static bool start(struct failure *failure)
{
	char path[RUNDIR_PATH_MAX], error[sizeof(failure->text)];

	// Held until the process ends, however it ends: that is how others know that it runs.
	lock_fd = rundir_lock(worker.directory);
	if (lock_fd < 0)
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT,
			"The lock of %s cannot be taken: %s.", worker.directory, strerror(errno));
	snprintf(path, sizeof(path), "%.90s/%s", worker.directory, RUNDIR_CONFIG);
	if (!child_config_read(&worker.config, path, error, sizeof(error)))
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS, "%s", error);
	allow_locked(worker.config.memory);
	return worker_start(&worker, failure);
}

int main(int argc, char **argv)
{
	struct failure failure;
	int ready_fd = -1, status;
	char *end;

	signal(SIGPIPE, SIG_IGN); // as worker_start() says, and before it
	if (argc == 4 && !strcmp(argv[1], "--ready-fd")) {
		ready_fd = (int)strtol(argv[2], &end, 10);
		if (*end || ready_fd < 0)
			return usage();
		argc -= 2;
		argv += 2;
	}
	if (argc != 2 || *argv[1] == '-')
		return usage();
	worker.directory = argv[1];
	if (start(&failure)) {
		tell(ready_fd, 0, "");
		status = worker_run(&worker);
		close(lock_fd); // the kernel may keep this process for a while
		return status;
	}
	log_line("%s", failure.text);
	rundir_write_status(worker.directory, failure.status, failure.text);
	tell(ready_fd, failure.status, failure.text);
	return failure.status;
}
