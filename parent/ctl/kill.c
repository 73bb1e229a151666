// SPDX-License-Identifier: BSD-2-Clause
// lumenctl kill: needs nothing of the worker, neither its socket nor its good will. The process to
// end is the one that holds the child's lock, by the kernel's word.
#include "parent/ctl/ctl.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "parent/ctl/deadline.h"

// Seconds. The supervisor needs at most 5 to end the worker, whatever that does (supervisor.c). If
// it does not, it is killed itself, and the worker with it; then the kernel has this long to take
// back the child's memory and its disks' last requests.
enum { ORDERLY_S = 8, KILLED_S = 60 };

// Opens the process that runs the child. If it still has the lock then, it is the one: its number
// cannot have become somebody else's. Returns -1 if there is none.
static int open_owner(int directory)
{
	pid_t owner = rundir_owner(directory);
	int fd = owner ? pidfd_open(owner, 0) : -1;

	if (fd >= 0 && rundir_owner(directory) == owner)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

// Returns whether the child has ended.
static bool signal_and_wait(int directory, int number, unsigned int seconds)
{
	int fd = open_owner(directory);
	int error;

	if (fd >= 0) {
		pidfd_send_signal(fd, number, NULL, 0);
		close(fd);
	}
	deadline_start(seconds);
	error = rundir_wait(directory);
	deadline_end();
	return !error;
}

int ctl_end_child(const char *name, int directory)
{
	if (signal_and_wait(directory, SIGTERM, ORDERLY_S) ||
		signal_and_wait(directory, SIGKILL, KILLED_S))
		return 0;
	return ctl_fail(LUMEN_EXIT_OUR_FAULT,
		"%s does not end, %d s after its worker was killed: the root's kernel holds it.",
		name, KILLED_S);
}

int ctl_kill(int argc, char **argv)
{
	return ctl_with_running(argc, argv, ctl_end_child);
}
