// SPDX-License-Identifier: BSD-2-Clause
// The worker's confinement (docs/worker.md, "Confinement"). A worker is a process that we expect to
// be taken over by its child; from sandbox_enter() on it has what is open, and nothing else.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "parent/common/failure.h"

struct sandbox {
	int slot_fd; // the supervisor's: as long as it is open the id is this child's
	uid_t id;    // of user and group
};

// What a worker may use; the rest is the same for all.
struct sandbox_needs {
	uint64_t memory;    // bytes: the child's
	uint64_t file_size; // bytes: of the largest file that it writes
	uint32_t vps;
	int message_fd; // see supervisor.h
};

// In the supervisor: takes a user id that no other child has, by a lock on the file `slots` (which
// has to be the same one for all children of the machine), and lets the next fork() make the first
// process of a PID namespace.
bool sandbox_prepare(struct sandbox *sandbox, const char *slots, struct failure *failure);

// In the worker, first of all: gives up what only the supervisor needs, and gets leave to pin the
// child's memory.
void sandbox_begin(struct sandbox *sandbox, uint64_t memory);

// In the worker, when all that has a path is open, and before there is a second thread.
bool sandbox_enter(
	const struct sandbox *sandbox, const struct sandbox_needs *needs, struct failure *failure);

// The parts of sandbox_enter().

// Has no system calls but those of a table (sandbox_calls.c). Returns false and errno if not.
bool sandbox_forbid_calls(void);

// Ends the process and says why, in the log and on message_fd, if it makes a system call that it
// must not make, or fails in another way that the kernel tells by a signal.
void sandbox_report_faults(int message_fd);
