// SPDX-License-Identifier: BSD-2-Clause
// lumen-worker: one child. Started by lumenctl; see docs/worker.md. Two processes: one that stands
// over it (supervisor.h), and the worker.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "parent/worker/launch.h"
#include "parent/worker/log.h"
#include "parent/worker/supervisor.h"
#include "parent/worker/worker.h"

#define LOCKED_SLACK (64ull << 20) // bytes: io_uring's rings and what else is locked

static struct worker worker;

// The driver counts the child's memory as locked by this process (RLIMIT_MEMLOCK). To raise the
// limit takes rights that the worker has only at its start; if it has none, mapping says ENOMEM.
static void allow_locked(uint64_t memory)
{
	const struct rlimit limit = { memory + LOCKED_SLACK, memory + LOCKED_SLACK };

	setrlimit(RLIMIT_MEMLOCK, &limit);
}

static bool start(const struct launch *launch, struct failure *failure)
{
	static char directory[32];
	char error[sizeof(failure->text)];

	// However long its path is, this one is short enough for a socket's address.
	snprintf(directory, sizeof(directory), "/proc/self/fd/%d", launch->directory);
	worker.directory = directory;
	worker.name = launch->name;
	if (!child_config_read(
		    &worker.config, launch->directory, RUNDIR_CONFIG, error, sizeof(error)))
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS, "%s", error);
	allow_locked(worker.config.memory);
	return worker_start(&worker, failure);
}

static int end(int reason_fd, int status, const char *reason)
{
	dprintf(reason_fd, "%s", reason);
	return status;
}

static int run(void *context, int reason_fd)
{
	struct launch *launch = context;
	struct failure failure;

	if (start(launch, &failure)) {
		launch_tell(launch, 0, "");
		worker_run(&worker);
		return end(reason_fd, worker.end.status, worker.end.reason);
	}
	log_line("%s", failure.text);
	launch_tell(launch, failure.status, failure.text);
	return end(reason_fd, failure.status, failure.text);
}

int main(int argc, char **argv)
{
	struct supervised supervised = { .body = run };
	struct failure failure;
	struct launch launch;
	int status = -1;

	if (launch_read(argc, argv, &launch, &failure)) {
		supervised.directory = launch.directory;
		supervised.lock = launch.lock;
		supervised.ready_fd = launch.ready_fd;
		supervised.context = &launch;
		status = supervise(&supervised);
		if (status < 0)
			failure_set(&failure, LUMEN_EXIT_OUR_FAULT,
				"The worker cannot be started: %s.", strerror(errno));
	}
	if (status >= 0)
		return status;
	fprintf(stderr, "%s\n", failure.text);
	launch_tell(&launch, failure.status, failure.text);
	return failure.status;
}
