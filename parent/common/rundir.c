// SPDX-License-Identifier: BSD-2-Clause
// See rundir.h.
#include "parent/common/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent/common/exit_status.h"

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

static bool join(char *path, const char *directory, const char *file)
{
	int length = snprintf(path, RUNDIR_PATH_MAX, "%s/%s", directory, file);

	return length > 0 && length < RUNDIR_PATH_MAX;
}

bool rundir_path(char *path, const char *name, const char *file)
{
	char directory[RUNDIR_PATH_MAX];

	return join(directory, rundir_base(), name) && join(path, directory, file);
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

// The status file: the number, a space, the reason, a newline.
static bool read_status_file(const char *name, struct rundir_status *status)
{
	char path[RUNDIR_PATH_MAX];
	FILE *file;
	bool found;

	if (!rundir_path(path, name, RUNDIR_STATUS))
		return false;
	file = fopen(path, "re");
	if (!file)
		return false;
	found = fscanf(file, "%d ", &status->status) == 1 &&
		fgets(status->reason, sizeof(status->reason), file);
	fclose(file);
	status->reason[strcspn(status->reason, "\n")] = 0;
	return found;
}

static int open_lock(const char *name)
{
	char path[RUNDIR_PATH_MAX];

	if (rundir_path(path, name, RUNDIR_LOCK))
		return open(path, O_RDONLY | O_CLOEXEC);
	errno = ENAMETOOLONG;
	return -1;
}

// Returns whether somebody holds the lock for writing: the worker. Takes no lock, so that no worker
// that is just starting meets one.
static bool is_locked(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type == F_WRLCK;
}

static void fill_in_ended(const char *name, struct rundir_status *status)
{
	if (read_status_file(name, status)) {
		status->state = RUNDIR_ENDED;
		return;
	}
	status->state = RUNDIR_LOST;
	status->status = LUMEN_EXIT_OUR_FAULT;
	snprintf(status->reason, sizeof(status->reason),
		"The worker ended without a word: it was killed.");
}

int rundir_read_status(const char *name, struct rundir_status *status)
{
	char path[RUNDIR_PATH_MAX];
	int fd;

	memset(status, 0, sizeof(*status));
	if (!rundir_path(path, name, RUNDIR_CONFIG))
		return ENAMETOOLONG;
	if (access(path, F_OK))
		return errno;
	fd = open_lock(name);
	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	if (is_locked(fd))
		status->state = RUNDIR_RUNNING;
	else
		fill_in_ended(name, status);
	close(fd);
	return 0;
}

int rundir_wait(const char *name)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open_lock(name);
	int error = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	while (fcntl(fd, F_OFD_SETLKW, &lock)) {
		error = errno;
		if (error != EINTR)
			break;
		error = 0;
	}
	close(fd);
	return error;
}

int rundir_write_status(const char *directory, int status, const char *reason)
{
	char path[RUNDIR_PATH_MAX], temporary[RUNDIR_PATH_MAX];
	FILE *file;

	if (!join(path, directory, RUNDIR_STATUS) ||
		!join(temporary, directory, RUNDIR_STATUS ".new"))
		return ENAMETOOLONG;
	file = fopen(temporary, "we");
	if (!file)
		return errno;
	fprintf(file, "%d %s\n", status, reason);
	if (fclose(file))
		return EIO;
	return rename(temporary, path) ? errno : 0;
}

// Locks for writing. What stands in the way is another worker, or for a moment a reader:
// rundir_wait() gets the lock when the worker ends, and closes it at once.
static int take_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (fcntl(fd, F_OFD_SETLK, &lock)) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return errno;
		if (is_locked(fd))
			return EWOULDBLOCK;
	}
	return 0;
}

int rundir_lock(const char *directory)
{
	char path[RUNDIR_PATH_MAX];
	int fd, error;

	if (!join(path, directory, RUNDIR_LOCK)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	error = take_lock(fd);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}
