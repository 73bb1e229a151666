// SPDX-License-Identifier: BSD-2-Clause
// What lumenctl gives a worker, made fit for use: the first thing that the worker's process does.
#pragma once

#include "parent/common/failure.h"

struct launch {
	const char *name; // the child's
	int directory;	  // the child's
	int lock;	  // its lock, taken: those who have it run the child
	int ready_fd;	  // lumenctl waits on it for launch_tell(); -1: nobody does
	int client;	  // a client of the control socket, connected; -1: there is none yet
};

// Reads the command line, [--fds READY,LOCK[,CLIENT]] DIRECTORY. Closes every other descriptor, and
// claims the child. On failure ready_fd is good, if there is one.
bool launch_read(int argc, char **argv, struct launch *launch, struct failure *failure);

// Tells lumenctl how the start went (parent/ctl/start.c reads it): 0, or an exit status and why.
// The first word counts, whichever process says it.
void launch_tell(struct launch *launch, int status, const char *sentence);

// Tells that the child has ended, in case that nobody has told anything before.
void launch_tell_end(struct launch *launch, int status, const char *reason);
