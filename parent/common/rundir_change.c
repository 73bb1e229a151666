// SPDX-License-Identifier: BSD-2-Clause
// See rundir.h: making and removing. A child's directory is made under another name, and gets its
// own when it is whole; and it loses that before anything in it goes. What a kill -9 leaves has a
// name that is no child's and nobody's lock: the next one who comes removes it.
#include "parent/common/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRANSIENT ".part-"

enum { TRANSIENT_MAX = sizeof(TRANSIENT) + 16, TRIES = 16 };

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t done = write(fd, text, left);

		if (done < 0 && errno != EINTR)
			return errno;
		if (done > 0) {
			text += done;
			left -= (size_t)done;
		}
	}
	return 0;
}

static int write_new(int directory, const char *file, const char *text)
{
	int fd = openat(
		directory, file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int error;

	if (fd < 0)
		return errno;
	error = write_all(fd, text);
	if (!error && fsync(fd))
		error = errno;
	close(fd);
	return error;
}

int rundir_write(int directory, const char *file, const char *text)
{
	char temporary[32];
	int error;

	snprintf(temporary, sizeof(temporary), "%s.new", file);
	error = write_new(directory, temporary, text);
	if (!error && renameat(directory, temporary, directory, file))
		error = errno;
	if (error)
		unlinkat(directory, temporary, 0);
	else
		fsync(directory);
	return error;
}

static int open_directory(int base, const char *name)
{
	return openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Removes what is in a directory: files, and directories that are empty.
static int empty(int directory)
{
	int copy = open_directory(directory, ".");
	DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int error = 0;

	if (!stream) {
		error = errno;
		if (copy >= 0)
			close(copy);
		return error;
	}
	while ((entry = readdir(stream))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") && strcmp(name, "..") && unlinkat(directory, name, 0) &&
			unlinkat(directory, name, AT_REMOVEDIR))
			error = errno;
	}
	closedir(stream);
	return error;
}

static int remove_transient(int base, const char *name, int directory)
{
	int error = empty(directory);

	return !error && unlinkat(base, name, AT_REMOVEDIR) ? errno : error;
}

// Removes one that nobody holds.
static void sweep_one(int base, const char *name)
{
	int fd = open_directory(base, name);

	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB))
		remove_transient(base, name, fd);
	close(fd);
}

static void sweep(int base)
{
	int copy = open_directory(base, ".");
	DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;

	if (!stream) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((entry = readdir(stream)))
		if (!strncmp(entry->d_name, TRANSIENT, strlen(TRANSIENT)))
			sweep_one(base, entry->d_name);
	closedir(stream);
}

static void transient_name(char *name)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) < 0)
		number = (uint64_t)getpid();
	snprintf(name, TRANSIENT_MAX, TRANSIENT "%016llx", (unsigned long long)number);
}

// Makes a directory and locks it. Somebody who sweeps may be faster: then another one.
static int make_transient(int base, char *name)
{
	struct stat stat;

	for (int i = 0; i < TRIES; i++) {
		int fd;

		transient_name(name);
		if (mkdirat(base, name, 0700) && errno != EEXIST)
			return -1;
		fd = open_directory(base, name);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &stat) && stat.st_nlink)
			return fd;
		if (fd >= 0)
			close(fd);
	}
	errno = EAGAIN;
	return -1;
}

static int fill(int directory, const char *config)
{
	int error = write_new(directory, RUNDIR_LOCK, "");

	return error ? error : rundir_write(directory, RUNDIR_CONFIG, config);
}

// rename() takes the place of an empty directory, and of no other.
static int create_in(int base, const char *name, const char *config)
{
	char transient[TRANSIENT_MAX];
	int fd = make_transient(base, transient);
	int error;

	if (fd < 0)
		return errno;
	error = fill(fd, config);
	if (!error && renameat(base, transient, base, name))
		error = errno == ENOTEMPTY ? EEXIST : errno;
	if (error)
		remove_transient(base, transient, fd);
	close(fd);
	return error;
}

static int open_base(void)
{
	return open(rundir_base(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int rundir_create(const char *name, const char *config)
{
	int base, error;

	if (mkdir(rundir_base(), 0700) && errno != EEXIST)
		return errno;
	base = open_base();
	if (base < 0)
		return errno;
	sweep(base);
	error = create_in(base, name, config);
	close(base);
	return error;
}

int rundir_remove(const char *name, int directory)
{
	char transient[TRANSIENT_MAX];
	int base = open_base();
	int error;

	if (base < 0)
		return errno;
	transient_name(transient);
	error = renameat(base, name, base, transient)
			? errno
			: remove_transient(base, transient, directory);
	sweep(base);
	close(base);
	return error;
}
