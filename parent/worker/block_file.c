// SPDX-License-Identifier: BSD-2-Clause
// The file backend: what the disk is, and requests that can be done at once. The rest goes to an
// engine.
#include "parent/worker/block_file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

// Writes up to here go into the page cache at once: that is a copy, cheaper than handing it to a
// thread. The kernel may make a writer wait when too much is dirty, which is as it should be.
#define BLOCK_INLINE_WRITE_MAX (128u << 10)

// After so many reads in a row that were not in the page cache, only each 16th asks again.
#define BLOCK_MISSES_MAX 8u

static const struct {
	int error;
	enum block_error result;
} block_errors[] = {
	{ ENOSPC, BLOCK_ERROR_NO_SPACE },
	{ EDQUOT, BLOCK_ERROR_NO_SPACE },
	{ EFBIG, BLOCK_ERROR_NO_SPACE },
	{ EROFS, BLOCK_ERROR_READ_ONLY },
	{ EPERM, BLOCK_ERROR_READ_ONLY },
	{ EBADF, BLOCK_ERROR_READ_ONLY },
	{ EOPNOTSUPP, BLOCK_ERROR_UNSUPPORTED },
	{ ENOSYS, BLOCK_ERROR_UNSUPPORTED },
	{ ENOTTY, BLOCK_ERROR_UNSUPPORTED },
	{ EINVAL, BLOCK_ERROR_INVALID },
	{ ENXIO, BLOCK_ERROR_GONE },
	{ ENODEV, BLOCK_ERROR_GONE },
	{ ENOMEDIUM, BLOCK_ERROR_GONE },
	{ EAGAIN, BLOCK_ERROR_BUSY },
	{ ENOMEM, BLOCK_ERROR_BUSY },
};

static int block_result(int error)
{
	if (error == 0)
		return BLOCK_OK;
	for (size_t i = 0; i < sizeof(block_errors) / sizeof(block_errors[0]); i++)
		if (block_errors[i].error == -error)
			return block_errors[i].result;
	return BLOCK_ERROR_IO;
}

bool block_file_advance(struct block_request *request, size_t done)
{
	request->offset += done;
	request->length -= done;
	while (done > 0 && request->iov->length <= done) {
		done -= request->iov->length;
		request->iov++;
		request->iov_count--;
	}
	if (done > 0) {
		request->iov->base = (char *)request->iov->base + done;
		request->iov->length -= done;
	}
	return request->length == 0;
}

int block_file_fallocate_mode(const struct block_file *file, const struct block_request *request)
{
	const bool hole = file->device.flags & BLOCK_DEVICE_UNMAP_ZEROES;

	if (request->op == BLOCK_UNMAP || (hole && (request->flags & BLOCK_REQUEST_MAY_UNMAP)))
		return FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	return FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
}

static ssize_t block_file_transfer(
	struct block_file *file, struct block_request *request, int flags)
{
	const struct iovec *iov = block_iov(request);
	const int count = (int)block_iov_count(request);
	const off_t offset = (off_t)request->offset;

	if (request->op == BLOCK_READ)
		return preadv2(file->fd, iov, count, offset, flags);
	return pwritev2(file->fd, iov, count, offset, flags);
}

static int block_file_transfer_all(struct block_file *file, struct block_request *request)
{
	const int flags = request->flags & BLOCK_REQUEST_FUA ? RWF_DSYNC : 0;

	for (;;) {
		ssize_t done = block_file_transfer(file, request, flags);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (done == 0)
			return -EIO; // the file has become shorter
		if (block_file_advance(request, (size_t)done))
			return 0;
	}
}

static int block_file_discard(struct block_file *file, const struct block_request *request)
{
	uint64_t range[2] = { request->offset, request->length };

	return ioctl(file->fd, BLKDISCARD, range) == 0 ? 0 : -errno;
}

int block_file_execute(struct block_file *file, struct block_request *request)
{
	switch (request->op) {
	case BLOCK_READ:
	case BLOCK_WRITE:
		return block_file_transfer_all(file, request);
	case BLOCK_FLUSH:
		return fdatasync(file->fd) == 0 ? 0 : -errno;
	case BLOCK_UNMAP:
		if (file->discard)
			return block_file_discard(file, request);
		break;
	default:
		break;
	}
	return fallocate(file->fd, block_file_fallocate_mode(file, request), (off_t)request->offset,
		       (off_t)request->length) == 0
		       ? 0
		       : -errno;
}

void block_file_end(struct block_file *file, struct block_request *request, int error)
{
	file->in_flight--;
	request->done(request, block_result(error));
}

// Reads what the page cache has. Returns true if that was all of it.
static bool block_file_read_cached(struct block_file *file, struct block_request *request)
{
	ssize_t done;

	if (!file->nowait || (file->misses > BLOCK_MISSES_MAX && file->misses++ % 16 != 0))
		return false;
	done = block_file_transfer(file, request, RWF_NOWAIT);
	if (done > 0 && block_file_advance(request, (size_t)done)) {
		file->misses = 0;
		return true;
	}
	if (done < 0 && (errno == EOPNOTSUPP || errno == EINVAL))
		file->nowait = false;
	file->misses++;
	return false;
}

static void block_file_submit(struct block_device *device, struct block_request *request)
{
	struct block_file *file = (struct block_file *)device;

	file->in_flight++;
	if (request->op == BLOCK_READ) {
		if (block_file_read_cached(file, request)) {
			block_file_end(file, request, 0);
			return;
		}
	} else if (request->op == BLOCK_WRITE && request->length <= BLOCK_INLINE_WRITE_MAX &&
		   !(request->flags & BLOCK_REQUEST_FUA)) {
		block_file_end(file, request, block_file_transfer_all(file, request));
		return;
	}
	file->engine->start(file, request);
}

static void block_file_kick(struct block_device *device)
{
	struct block_file *file = (struct block_file *)device;

	if (file->in_flight > 0)
		file->engine->kick(file);
}

static const struct block_ops block_file_ops = {
	.submit = block_file_submit,
	.kick = block_file_kick,
};

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

static bool block_file_examine_device(struct block_file *file, const struct stat *stat)
{
	struct block_device *device = &file->device;
	unsigned int physical = 0;
	int logical = 0;
	uint64_t size = 0;

	if (ioctl(file->fd, BLKGETSIZE64, &size) || ioctl(file->fd, BLKSSZGET, &logical) ||
		ioctl(file->fd, BLKPBSZGET, &physical))
		return false;
	file->is_block_device = true;
	device->block_size = (uint32_t)logical;
	device->physical_block_size = physical;
	device->block_count = size / device->block_size;
	if (block_queue_limit(stat, "write_zeroes_max_bytes"))
		device->flags |= BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_UNMAP_ZEROES;
	else if (block_queue_limit(stat, "discard_max_bytes"))
		device->flags |= BLOCK_DEVICE_CAN_UNMAP;
	file->discard = !(device->flags & BLOCK_DEVICE_UNMAP_ZEROES);
	device->unmap_granularity = (uint32_t)block_queue_limit(stat, "discard_granularity");
	return true;
}

// Whether the file system can punch holes: one behind the end of the file changes nothing.
static bool block_file_can_punch(const struct block_file *file, off_t size)
{
	const off_t behind = (size + 0xFFFF) & ~(off_t)0xFFFF;

	return fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, 4096) == 0;
}

static void block_file_examine_file(struct block_file *file, const struct stat *stat, bool writable)
{
	struct block_device *device = &file->device;

	device->block_size = 512;
	device->physical_block_size = 4096;
	device->block_count = (uint64_t)stat->st_size / device->block_size;
	device->unmap_granularity = 4096;
	if (writable && block_file_can_punch(file, stat->st_size))
		device->flags |= BLOCK_DEVICE_CAN_UNMAP | BLOCK_DEVICE_UNMAP_ZEROES;
}

static bool block_file_examine(
	struct block_file *file, const char *path, bool read_only, struct failure *failure)
{
	struct stat stat;

	if (fstat(file->fd, &stat))
		return failure_set(
			failure, LUMEN_EXIT_BAD_ARGUMENTS, "disk %s: %s", path, strerror(errno));
	if (S_ISBLK(stat.st_mode)) {
		if (!block_file_examine_device(file, &stat))
			return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
				"disk %s: its size cannot be found: %s", path, strerror(errno));
	} else if (S_ISREG(stat.st_mode)) {
		block_file_examine_file(file, &stat, !read_only);
	} else {
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"disk %s: neither a file nor a block device", path);
	}
	if (S_ISREG(stat.st_mode) && !stat.st_size)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"disk %s: empty; 'truncate -s 1G' makes a file a disk of 1 GiB", path);
	if (file->device.block_count == 0)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"disk %s: smaller than one block of %u bytes", path,
			file->device.block_size);
	if (read_only)
		file->device.flags = BLOCK_DEVICE_READ_ONLY;
	else
		file->device.flags |= BLOCK_DEVICE_CAN_ZERO | BLOCK_DEVICE_WRITE_CACHE;
	file->identity[0] = S_ISBLK(stat.st_mode) ? stat.st_rdev : stat.st_dev;
	file->identity[1] = S_ISBLK(stat.st_mode) ? 0 : stat.st_ino;
	return true;
}

static bool block_file_open_engine(
	struct block_file *file, enum block_file_engine engine, struct failure *failure)
{
	int error = -ENOSYS;

	file->event_fd = -1;
	if (engine != BLOCK_FILE_THREADS) {
		file->engine = &block_uring;
		error = file->engine->open(file);
	}
	if (error && engine != BLOCK_FILE_URING) {
		file->engine = &block_pool;
		error = file->engine->open(file);
	}
	if (error)
		return failure_set(failure, LUMEN_EXIT_OUR_FAULT, "asynchronous disk I/O: %s",
			strerror(-error));
	return true;
}

static bool block_file_open_fd(
	struct block_file *file, const char *path, bool read_only, struct failure *failure)
{
	file->fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY);
	if (file->fd < 0)
		return failure_set(
			failure, LUMEN_EXIT_BAD_ARGUMENTS, "disk %s: %s", path, strerror(errno));
	if (flock(file->fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) && errno == EWOULDBLOCK)
		return failure_set(failure, LUMEN_EXIT_BAD_ARGUMENTS,
			"disk %s: in use by another child", path);
	return true;
}

struct block_file *block_file_open(
	const char *path, bool read_only, enum block_file_engine engine, struct failure *failure)
{
	struct block_file *file = calloc(1, sizeof(*file));

	if (!file) {
		failure_set(failure, LUMEN_EXIT_OUR_FAULT, "disk %s: out of memory", path);
		return NULL;
	}
	file->device.ops = &block_file_ops;
	file->nowait = true;
	if (block_file_open_fd(file, path, read_only, failure) &&
		block_file_examine(file, path, read_only, failure) &&
		block_file_open_engine(file, engine, failure))
		return file;
	if (file->fd >= 0)
		close(file->fd);
	free(file);
	return NULL;
}

struct block_device *block_file_device(struct block_file *file)
{
	return &file->device;
}

int block_file_event_fd(const struct block_file *file)
{
	return file->event_fd;
}

void block_file_poll(struct block_file *file)
{
	file->engine->poll(file);
}

uint32_t block_file_in_flight(const struct block_file *file)
{
	return file->in_flight;
}

void block_file_serial(const struct block_file *file, char *serial, size_t size)
{
	snprintf(serial, size, "%08llx%016llx", (unsigned long long)file->identity[0],
		(unsigned long long)file->identity[1]);
}

void block_file_close(struct block_file *file)
{
	while (file->in_flight > 0) {
		file->engine->kick(file);
		file->engine->wait(file);
		file->engine->poll(file);
	}
	file->engine->close(file);
	close(file->fd);
	free(file);
}
