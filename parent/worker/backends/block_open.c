// SPDX-License-Identifier: BSD-2-Clause
// Opening a disk: nobody else may have it, and it must be one. All that is found out about a disk
// before a child sees it is found out here, by block_open().
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "parent/common/file.h"
#include "parent/worker/backends/block_file_internal.h"
#include "parent/common/linger.h"
#include "parent/worker/log.h"

// A reader looks whether somebody has a device for himself by trying to have it so for a moment.
// Another reader may be doing the same: it tries again, for 100 ms at most.
enum { PROBE_TRIES = 20, PROBE_INTERVAL_NS = 5000000 };

static bool block_in_use(struct block_file *file, struct failure *failure)
{
	file->in_use = true;
	return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The disk %s is in use by another disk, of this child or of another one. Only "
		"read-only disks can share.",
		file->path);
}

static bool block_is_claimed(struct block_file *file, struct failure *failure)
{
	file->in_use = true;
	return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
		"The disk %s is in use: it is mounted, part of a RAID or of a volume group, or a "
		"disk of another child.",
		file->path);
}

// The lock of a file is the file's, whatever path or link leads to it, and other programs know it
// (QEMU takes one on its images).
static bool block_lock_file(const struct block_file *file, bool read_only)
{
	struct flock lock = { .l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(file->fd, F_OFD_SETLK, &lock))
		return true;
	if (errno == EAGAIN || errno == EACCES)
		return false;
	log_line("disk %s: its file system has no locks (%s): nobody notices a second user",
		file->path, strerror(errno));
	return true;
}

// The lock of a device must be the device's, whatever node leads to it: that of its directory in
// sysfs, or without sysfs the node's.
static bool block_lock_device(struct block_file *file, const struct stat *stat, bool read_only)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(stat->st_rdev),
		minor(stat->st_rdev));
	file->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return !flock(file->lock_fd >= 0 ? file->lock_fd : file->fd,
		       (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) ||
	       errno != EWOULDBLOCK;
}

// Whether a mount, a RAID, ... has the device for itself. A reader does not want that, but what it
// would read changes under it.
static bool block_has_claim(const char *path)
{
	const struct timespec interval = { .tv_nsec = PROBE_INTERVAL_NS };

	for (int i = 0; i < PROBE_TRIES; i++) {
		int fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);

		if (fd >= 0)
			close(fd);
		if (fd >= 0 || errno != EBUSY)
			return false;
		nanosleep(&interval, NULL);
	}
	return true;
}

static bool block_lock(
	struct block_file *file, const struct stat *stat, bool read_only, struct failure *failure)
{
	if (!S_ISBLK(stat->st_mode))
		return block_lock_file(file, read_only) || block_in_use(file, failure);
	if (!block_lock_device(file, stat, read_only))
		return block_in_use(file, failure);
	if (read_only && block_has_claim(file->path))
		return block_is_claimed(file, failure);
	return true;
}

// O_EXCL means something for block devices only: from then on nobody can mount it.
static bool block_open_fd(
	struct block_file *file, struct stat *stat, bool read_only, struct failure *failure)
{
	file->fd = file_open("disk", file->path, read_only ? O_RDONLY : O_RDWR | O_EXCL,
		FILE_REGULAR | FILE_BLOCK_DEVICE, stat, failure);
	if (file->fd < 0 && errno == EBUSY)
		return block_is_claimed(file, failure);
	return file->fd >= 0 && block_lock(file, stat, read_only, failure);
}

// A number from the queue directory of a block device in sysfs; of its disk, if it is a partition.
static uint64_t block_queue_limit(const struct stat *stat, const char *name)
{
	static const char *const formats[] = { "/sys/dev/block/%u:%u/queue/%s",
		"/sys/dev/block/%u:%u/../queue/%s" };
	unsigned long long value = 0;

	for (size_t i = 0; i < 2; i++) {
		char path[128];
		FILE *stream;
		int found = 0;

		snprintf(path, sizeof(path), formats[i], major(stat->st_rdev), minor(stat->st_rdev),
			name);
		stream = fopen(path, "re");
		if (stream) {
			found = fscanf(stream, "%llu", &value);
			fclose(stream);
		}
		if (found == 1)
			return value;
	}
	return 0;
}

static bool block_examine_device(struct block_file *file, const struct stat *stat)
{
	struct block_device *device = &file->device;
	unsigned int physical = 0;
	int logical = 0;
	uint64_t size = 0;

	if (ioctl(file->fd, BLKGETSIZE64, &size) || ioctl(file->fd, BLKSSZGET, &logical) ||
		ioctl(file->fd, BLKPBSZGET, &physical))
		return false;
	device->block_size = (uint32_t)logical;
	device->physical_block_size = physical;
	device->block_count = size / device->block_size;
	if (block_queue_limit(stat, "write_zeroes_max_bytes"))
		device->flags |= BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_UNMAP_ZEROES;
	else if (block_queue_limit(stat, "discard_max_bytes"))
		device->flags |= BLOCK_DEVICE_CAN_UNMAP;
	device->unmap_granularity = (uint32_t)block_queue_limit(stat, "discard_granularity");
	return true;
}

// Whether the file system can punch holes: one behind the end of the file changes nothing.
static bool block_can_punch(const struct block_file *file, off_t size)
{
	const off_t behind = (size + 0xFFFF) & ~(off_t)0xFFFF;

	return fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, 4096) == 0;
}

static void block_examine_file(struct block_file *file, const struct stat *stat, bool writable)
{
	struct block_device *device = &file->device;

	device->block_size = 512;
	device->physical_block_size = 4096;
	device->block_count = (uint64_t)stat->st_size / device->block_size;
	device->unmap_granularity = 4096;
	if (writable && block_can_punch(file, stat->st_size))
		device->flags |= BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_UNMAP_ZEROES;
}

static bool block_examine(
	struct block_file *file, const struct stat *stat, bool read_only, struct failure *failure)
{
	if (!S_ISBLK(stat->st_mode))
		block_examine_file(file, stat, !read_only);
	else if (!block_examine_device(file, stat))
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The size of the disk %s cannot be found: %s.", file->path,
			strerror(errno));
	if (S_ISREG(stat->st_mode) && !stat->st_size)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The disk %s is empty; 'truncate -s 1G' makes a file a disk of 1 GiB.",
			file->path);
	if (file->device.block_count == 0)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"The disk %s is smaller than one block of %u bytes.", file->path,
			file->device.block_size);
	if (read_only)
		file->device.flags = BLOCK_DEVICE_READ_ONLY;
	else
		file->device.flags |= BLOCK_DEVICE_CAN_ZERO | BLOCK_DEVICE_WRITE_CACHE;
	file->discard = (file->device.flags & BLOCK_DEVICE_CAN_UNMAP) &&
			!(file->device.flags & BLOCK_DEVICE_UNMAP_ZEROES);
	return true;
}

static bool block_try_open(struct block_file *file, bool read_only, struct failure *failure)
{
	struct stat stat;

	file->fd = -1;
	file->lock_fd = -1;
	file->in_use = false;
	if (block_open_fd(file, &stat, read_only, failure) &&
		block_examine(file, &stat, read_only, failure))
		return true;
	block_close(file);
	return false;
}

bool block_open(struct block_file *file, bool read_only, struct failure *failure)
{
	unsigned int tries = 0;

	do {
		if (block_try_open(file, read_only, failure))
			return true;
	} while (file->in_use && linger(&tries));
	return false;
}

// The lock goes at once: a ring that has the file registered lets go of it some time later.
static void block_unlock_file(const struct block_file *file)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(file->fd, F_OFD_SETLK, &lock);
}

void block_close(struct block_file *file)
{
	if (file->fd >= 0) {
		block_unlock_file(file);
		block_system_close(file->fd);
	}
	if (file->lock_fd >= 0)
		close(file->lock_fd);
}
