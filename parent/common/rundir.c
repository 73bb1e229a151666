// SPDX-License-Identifier: BSD-2-Clause
// See rundir.h: names, directories and states.
#include "parent/common/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parent/common/exit_status.h"
#include "parent/common/text.h"

// What the status file says while the child runs.
#define STARTED "started\n"

const char *rundir_base(void)
{
	const char *base = getenv("LUMEN_RUN_DIR");

	return base && *base ? base : "/run/lumen";
}

bool rundir_name_valid(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t length = strlen(name);

	return length && length <= RUNDIR_NAME_MAX && *name != '-' &&
	       strspn(name, letters) == length;
}

int rundir_open(const char *name)
{
	char path[PATH_MAX];

	if (!rundir_name_valid(name)) {
		errno = ENOENT;
		return -1;
	}
	if (snprintf(path, sizeof(path), "%s/%s", rundir_base(), name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static bool same_file(int fd, int other)
{
	struct stat first, second;

	return other >= 0 && !fstat(fd, &first) && !fstat(other, &second) &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// Locks a directory, if it still is that of the child when the lock is ours. Returns false with an
// errno; EAGAIN if it is not.
static bool lock_to_change(const char *name, int fd)
{
	bool same;
	int now;

	if (flock(fd, LOCK_EX))
		return false;
	now = rundir_open(name);
	if (now < 0)
		return false;
	same = same_file(fd, now);
	close(now);
	errno = EAGAIN;
	return same;
}

int rundir_open_to_change(const char *name)
{
	int fd, error;

	do {
		fd = rundir_open(name);
		if (fd < 0 || lock_to_change(name, fd))
			return fd;
		error = errno;
		close(fd);
	} while (error == EAGAIN);
	errno = error;
	return -1;
}

void rundir_socket_address(int directory, const char *name, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory,
		name);
}

bool rundir_owns(int directory, int lock)
{
	int fd = openat(directory, RUNDIR_LOCK, O_PATH | O_CLOEXEC);
	bool same = fd >= 0 && same_file(lock, fd);

	if (fd >= 0)
		close(fd);
	return same;
}

const char *rundir_state_name(enum rundir_state state)
{
	static const char *const names[] = {
		[RUNDIR_CREATED] = "created",
		[RUNDIR_RUNNING] = "running",
		[RUNDIR_ENDED] = "ended",
		[RUNDIR_LOST] = "lost",
	};

	return names[state];
}

static void set_lost(struct rundir_status *status, const char *reason)
{
	status->state = RUNDIR_LOST;
	status->status = LUMEN_EXIT_OUR_FAULT;
	snprintf(status->reason, sizeof(status->reason), "%s", reason);
}

// The status file of a child that does not run: STARTED, or a number, a space, the reason; the line
// break is its end mark.
static void parse_status(char *text, struct rundir_status *status)
{
	char *end = strchr(text, '\n');
	char *reason;

	if (!strcmp(text, STARTED)) {
		set_lost(status, "The worker ended without a word: it was killed.");
		return;
	}
	status->status = (int)strtol(text, &reason, 10);
	if (!end || reason == text || *reason != ' ') {
		set_lost(status, "The child's status file makes no sense.");
		return;
	}
	*end = 0;
	text_make_printable(reason);
	status->state = RUNDIR_ENDED;
	snprintf(status->reason, sizeof(status->reason), "%s", reason + 1);
}

static void read_status_file(int directory, struct rundir_status *status)
{
	char text[RUNDIR_REASON_MAX + 16];
	int fd = openat(directory, RUNDIR_STATUS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length;

	status->state = RUNDIR_CREATED;
	if (fd < 0)
		return;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = 0;
	parse_status(text, status);
}

void rundir_read_status(int directory, struct rundir_status *status)
{
	memset(status, 0, sizeof(*status));
	if (rundir_is_locked(directory))
		status->state = RUNDIR_RUNNING;
	else if (faccessat(directory, RUNDIR_CONFIG, F_OK, 0))
		set_lost(status, "The child's config is gone: it can only be deleted.");
	else
		read_status_file(directory, status);
}

int rundir_write_started(int directory)
{
	return rundir_write(directory, RUNDIR_STATUS, STARTED);
}

int rundir_write_status(int directory, int status, const char *reason)
{
	char line[RUNDIR_REASON_MAX + 16], printable[RUNDIR_REASON_MAX];

	snprintf(printable, sizeof(printable), "%s", reason);
	text_make_printable(printable);
	snprintf(line, sizeof(line), "%d %s\n", status, printable);
	return rundir_write(directory, RUNDIR_STATUS, line);
}
