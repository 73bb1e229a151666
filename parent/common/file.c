// SPDX-License-Identifier: BSD-2-Clause
// See file.h.
#include "parent/common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"

enum { SHOWN = 240 }; // of a path, in bytes: a failure's text has to hold the reason, too

static const struct file_type {
	mode_t type;
	unsigned kind; // enum file_kind; 0: nobody wants it
	const char *name;
} file_types[] = {
	{ S_IFREG, FILE_REGULAR, "a file" },
	{ S_IFBLK, FILE_BLOCK_DEVICE, "a block device" },
	{ S_IFCHR, 0, "a character device" },
	{ S_IFDIR, 0, "a directory" },
	{ S_IFIFO, 0, "a FIFO" },
	{ S_IFSOCK, 0, "a socket" },
};

static const struct file_type *type_of(const struct stat *stat)
{
	static const struct file_type unknown = { 0, 0, "of an unknown type" };

	for (size_t i = 0; i < ARRAY_SIZE(file_types); i++)
		if (file_types[i].type == (stat->st_mode & S_IFMT))
			return &file_types[i];
	return &unknown;
}

static const char *rest_of(const char *path)
{
	return strlen(path) > SHOWN ? "..." : "";
}

static bool cannot_open(const char *what, const char *path, struct failure *failure)
{
	int error = errno;

	failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS, "The %s %.*s%s cannot be opened: %s.", what,
		SHOWN, path, rest_of(path), strerror(error));
	errno = error;
	return false;
}

static bool check_type(const char *what, const char *path, unsigned kinds, const struct stat *stat,
	struct failure *failure)
{
	const struct file_type *type = type_of(stat);

	if (type->kind & kinds)
		return true;
	failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS, "The %s %.*s%s is %s, %s.", what, SHOWN,
		path, rest_of(path), type->name,
		kinds & FILE_BLOCK_DEVICE ? "neither a file nor a block device" : "not a file");
	errno = EINVAL;
	return false;
}

int file_open(const char *what, const char *path, int flags, unsigned kinds, struct stat *stat,
	struct failure *failure)
{
	int fd = -1, error;

	// Looked at first, as opening alone does things to some devices; and once more when it is
	// open, as it may be another file by then. O_NONBLOCK: open() waits for the other end of a
	// FIFO.
	if (fstatat(AT_FDCWD, path, stat, 0))
		cannot_open(what, path, failure);
	else if (check_type(what, path, kinds, stat, failure) &&
		 (fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)) < 0)
		cannot_open(what, path, failure);
	if (fd < 0)
		return -1;
	// Without O_NONBLOCK from here on: io_uring fails what would wait on such a descriptor.
	if (fstat(fd, stat) || fcntl(fd, F_SETFL, flags & O_APPEND))
		cannot_open(what, path, failure);
	else if (check_type(what, path, kinds, stat, failure))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}
