// SPDX-License-Identifier: BSD-2-Clause
// See rundir.h: the lock of those who run a child. Byte 0 of its file is locked by an open file
// description, so that every process that has it open holds the lock, and the last one gives it
// back. Byte 1 is locked by a process: so the kernel can say which one it is.
#include "parent/common/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { BYTE_LIFE = 0, BYTE_OWNER = 1 };

static struct flock lock_of(short type, off_t byte)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
}

static int open_lock(int directory)
{
	return openat(directory, RUNDIR_LOCK, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

// Takes no lock, so that no worker that is just starting meets one.
static bool is_locked(int fd)
{
	struct flock lock = lock_of(F_RDLCK, BYTE_LIFE);

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type == F_WRLCK;
}

bool rundir_is_locked(int directory)
{
	int fd = open_lock(directory);
	bool locked = fd >= 0 && is_locked(fd);

	if (fd >= 0)
		close(fd);
	return locked;
}

// What stands in the way is somebody who runs the child, or for a moment a reader: rundir_wait()
// gets the lock when the child has ended, and closes it at once.
static int take_lock(int fd)
{
	struct flock lock = lock_of(F_WRLCK, BYTE_LIFE);

	while (fcntl(fd, F_OFD_SETLK, &lock)) {
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return errno;
		if (is_locked(fd))
			return EWOULDBLOCK;
	}
	return 0;
}

int rundir_lock(int directory)
{
	int fd = openat(directory, RUNDIR_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error;

	if (fd < 0)
		return fd;
	error = take_lock(fd);
	if (!error)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

int rundir_claim(int lock)
{
	struct flock claim = lock_of(F_WRLCK, BYTE_OWNER);

	return fcntl(lock, F_SETLK, &claim) ? errno : 0;
}

pid_t rundir_owner(int directory)
{
	struct flock lock = lock_of(F_RDLCK, BYTE_OWNER);
	int fd = open_lock(directory);
	bool owned = fd >= 0 && !fcntl(fd, F_GETLK, &lock) && lock.l_type == F_WRLCK;

	if (fd >= 0)
		close(fd);
	return owned && lock.l_pid > 0 ? lock.l_pid : 0;
}

int rundir_wait(int directory)
{
	struct flock lock = lock_of(F_RDLCK, BYTE_LIFE);
	int fd = open_lock(directory);
	int error;

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	error = fcntl(fd, F_OFD_SETLKW, &lock) ? errno : 0;
	close(fd);
	return error;
}
