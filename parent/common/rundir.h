// SPDX-License-Identifier: BSD-2-Clause
// The files of a child: /run/lumen/NAME/ (docs/worker.md lists them), and what state it is in.
//
// A directory with a child's name appears whole, config and all, and goes as a whole. Two locks:
// flock() of the directory is for whoever changes something (start, delete); the file `lock` is
// locked by those who run the child, as long as one of them lives. Nothing else says that a child
// runs, so nothing that a kill -9 leaves behind can say so wrongly.
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

enum { RUNDIR_NAME_MAX = 31, RUNDIR_REASON_MAX = 400 };

// The files.
#define RUNDIR_CONFIG	   "config"
#define RUNDIR_LOCK	   "lock"
#define RUNDIR_SOCKET	   "ctl"
#define RUNDIR_VSOCK	   "vsock"
#define RUNDIR_LOG	   "log"
#define RUNDIR_CONSOLE	   "console.log"
#define RUNDIR_CONSOLE_OLD "console.log.old"
#define RUNDIR_STATUS	   "status"

// CREATED: it has never run. RUNNING: its worker lives. ENDED: it has ended, and status and reason
// say how. LOST: its worker was killed before it could say so, or its files are not whole.
enum rundir_state { RUNDIR_CREATED, RUNDIR_RUNNING, RUNDIR_ENDED, RUNDIR_LOST };

struct rundir_status {
	enum rundir_state state;
	int status;			// enum lumen_exit_status or the child's own; ENDED and LOST
	char reason[RUNDIR_REASON_MAX]; // a printable sentence; ENDED and LOST
};

// Returns the directory of all children: /run/lumen, or $LUMEN_RUN_DIR.
const char *rundir_base(void);

// Returns whether a name can be a child's: 1 to 31 letters, digits, - and _, not - first.
bool rundir_name_valid(const char *name);

// Opens a child's directory. Returns a descriptor, or -1 and errno: ENOENT if there is no such
// child.
int rundir_open(const char *name);

// As rundir_open(), and locks it for a change. Waits for those who do; EINTR if a signal ends that.
int rundir_open_to_change(const char *name);

// Gives the address of a socket of the child's, RUNDIR_SOCKET or another one, for bind() and
// connect(): however long the path of the directory is, it fits. Good as long as `directory` is
// open.
void rundir_socket_address(int directory, const char *name, struct sockaddr_un *address);

// Returns the word for a state, as `lumenctl list` prints it.
const char *rundir_state_name(enum rundir_state state);

// Finds out a child's state.
void rundir_read_status(int directory, struct rundir_status *status);

// Writes a file as a whole, or leaves what there was. Returns 0 or an errno.
int rundir_write(int directory, const char *file, const char *text);

// Notes that the child has been started, or how it has ended. Returns 0 or an errno.
int rundir_write_started(int directory);
int rundir_write_status(int directory, int status, const char *reason);

// Makes the directory of a child that does not exist. Returns 0 or an errno (EEXIST).
int rundir_create(const char *name, const char *config);

// Removes the directory of a child, opened to change; whatever is in it. Returns 0 or an errno.
int rundir_remove(const char *name, int directory);

// The lock of those who run the child (rundir_lock.c).

// Takes it. Returns the descriptor to keep, also over fork() and exec(), or -1 and errno
// (EWOULDBLOCK: somebody has it).
int rundir_lock(int directory);

// Returns whether somebody has it.
bool rundir_is_locked(int directory);

// Returns whether `lock` is the lock of this directory, and not of one of the same name before it.
bool rundir_owns(int directory, int lock);

// Makes this process the one that rundir_owner() names: until it ends, or closes any descriptor of
// the lock's file. Returns 0 or an errno.
int rundir_claim(int lock);

// Returns the process that runs the child, 0 if there is none (or none in this PID namespace).
pid_t rundir_owner(int directory);

// Waits until nobody has it. Returns 0 or an errno: EINTR if a signal came.
int rundir_wait(int directory);
