// SPDX-License-Identifier: BSD-2-Clause
// The process that stands over a worker: it keeps what the worker must not have (the child's
// directory), and says how it ended, however that was. Of the worker it hears one message, a status
// and a sentence, and believes neither; and numbers of ports, to connect it to (connector.h).
#pragma once

struct supervised {
	int directory; // the child's
	// The worker: runs in a process of its own, which ends with its result, and dies with this
	// one. It says on message_fd how the child has ended, by supervisor_tell_end(), and asks on
	// connector_fd for what connector.h says.
	int (*body)(void *context, int message_fd, int connector_fd);
	void *context;
};

// Runs the body to its end. Signals that end other processes (SIGTERM, SIGINT, SIGHUP) are passed
// on to it as SIGTERM; if that does not help, it is killed. Writes the child's status, removes its
// socket. Returns the status, with the reason (RUNDIR_REASON_MAX bytes), or -1 and errno if there
// is no process: the body has not run.
int supervise(const struct supervised *supervised, char *reason);

// In the body: has the kernel kill this process when the supervisor ends, or ends it if that has
// happened already. Changing its ids undoes this: call it again then.
void supervisor_hold(int message_fd);

// In the body, when all is over but the process itself: how the child has ended. The supervisor
// waits half a second for the process, then it is the kernel's.
void supervisor_tell_end(int message_fd, int status, const char *reason);
