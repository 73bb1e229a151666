// SPDX-License-Identifier: BSD-2-Clause
// The files of a child: /run/lumen/NAME/ (docs/worker.md lists them), and what state it is in.
#ifndef PARENT_RUNDIR_H
#define PARENT_RUNDIR_H

#include <stdbool.h>
#include <sys/types.h>

enum { RUNDIR_NAME_MAX = 31, RUNDIR_PATH_MAX = 108, RUNDIR_REASON_MAX = 400 };

// The files, for rundir_path(). RUNDIR_LOCK is locked by the worker as long as it lives.
#define RUNDIR_CONFIG	   "config"
#define RUNDIR_LOCK	   "lock"
#define RUNDIR_SOCKET	   "ctl"
#define RUNDIR_LOG	   "log"
#define RUNDIR_CONSOLE	   "console.log"
#define RUNDIR_CONSOLE_OLD "console.log.old"
#define RUNDIR_STATUS	   "status"

// CREATED: nobody has started it. RUNNING: its worker lives. ENDED: it has ended, and status and
// reason say how. LOST: its worker ended without a word (it was killed).
enum rundir_state { RUNDIR_CREATED, RUNDIR_RUNNING, RUNDIR_ENDED, RUNDIR_LOST };

struct rundir_status {
	enum rundir_state state;
	int status;			// enum lumen_exit_status or the child's own; ENDED and LOST
	char reason[RUNDIR_REASON_MAX]; // a sentence; ENDED and LOST
};

// Returns the directory of all children: /run/lumen, or $LUMEN_RUN_DIR.
const char *rundir_base(void);

// Returns whether a name can be a child's: 1 to 31 letters, digits, - and _, not - first.
bool rundir_name_valid(const char *name);

// Puts the path of `file` of the child `name` into `path` (RUNDIR_PATH_MAX bytes); with an empty
// `file`, that of its directory. Returns false if it is too long.
bool rundir_path(char *path, const char *name, const char *file);

// Returns the word for a state, as `lumenctl list` prints it.
const char *rundir_state_name(enum rundir_state state);

// Finds out a child's state. Returns 0, or ENOENT if there is no such child, or another errno.
int rundir_read_status(const char *name, struct rundir_status *status);

// Waits until the child's worker has ended (at once if none runs). Returns 0 or an errno.
int rundir_wait(const char *name);

// Writes the status file at once and as a whole, in the directory `directory`. Returns 0 or errno.
int rundir_write_status(const char *directory, int status, const char *reason);

// Takes the worker's lock in `directory`. Returns the descriptor to keep, or -1 and errno
// (EWOULDBLOCK: another worker has it).
int rundir_lock(const char *directory);

#endif
