// SPDX-License-Identifier: BSD-2-Clause
// lumen-worker: one child. Started by lumenctl; see docs/worker.md. Two processes: one that stands
// over it (supervisor.h), and the worker.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent/worker/devices/device.h"
#include "parent/worker/launch.h"
#include "parent/worker/log.h"
#include "parent/worker/sandbox.h"
#include "parent/worker/supervisor.h"
#include "parent/worker/worker.h"

#define DEVICE "/dev/mshv"

static struct worker worker;
static struct sandbox sandbox;
static struct launch launch;
static int message_fd;

static bool confine(struct worker *confined, struct failure *failure)
{
	const struct sandbox_needs needs = {
		.memory = confined->config.memory,
		.file_size = synthetic_file_size(confined),
		.vps = confined->config.vps,
		.message_fd = message_fd,
	};

	close(launch.directory);
	launch.directory = -1;
	return sandbox_enter(&sandbox, &needs, failure);
}

static bool start(struct failure *failure)
{
	static char directory[32];
	char error[sizeof(failure->text)];

	// However long its path is, this one is short enough for a socket's address.
	snprintf(directory, sizeof(directory), "/proc/self/fd/%d", launch.directory);
	worker.directory = directory;
	worker.name = launch.name;
	worker.client_fd = launch.client < 0 ? 0 : launch.client;
	worker.confine = confine;
	if (!child_config_read(
		    &worker.config, launch.directory, RUNDIR_CONFIG, error, sizeof(error)))
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS, "%s", error);
	sandbox_begin(&sandbox, worker.config.memory);
	return worker_start(&worker, failure);
}

// The child is over. The kernel may keep this process for a while; the lock is for who runs it.
static int end(int status, const char *reason)
{
	close(launch.lock);
	supervisor_tell_end(message_fd, status, reason);
	return status;
}

static int run(void *context, int fd, int connector_fd)
{
	struct failure failure;

	message_fd = fd;
	worker.connector_fd = connector_fd;
	if (start(&failure)) {
		launch_tell(&launch, 0, "");
		worker_run(&worker);
		return end(worker.end.status, worker.end.reason);
	}
	log_line("%s", failure.text);
	launch_tell(&launch, failure.status, failure.text);
	return end(failure.status, failure.text);
}

// Returns the child's status, or -1: it has no process.
static int supervise_worker(struct failure *failure)
{
	const struct supervised supervised = {
		.directory = launch.directory,
		.body = run,
	};
	char reason[RUNDIR_REASON_MAX];
	int status;

	worker.pid = getpid();
	if (!sandbox_prepare(&sandbox, DEVICE, failure))
		return -1;
	status = supervise(&supervised, reason);
	if (status < 0)
		failure_set(failure, LUMEN_EXIT_OUR_FAULT, "The worker cannot be started: %s.",
			strerror(errno));
	else
		launch_tell_end(&launch, status, reason);
	return status;
}

int main(int argc, char **argv)
{
	struct failure failure;
	int status = -1;

	if (launch_read(argc, argv, &launch, &failure))
		status = supervise_worker(&failure);
	if (status >= 0)
		return status;
	fprintf(stderr, "%s\n", failure.text);
	launch_tell(&launch, failure.status, failure.text);
	return failure.status;
}
