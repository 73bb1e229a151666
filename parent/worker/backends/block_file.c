// SPDX-License-Identifier: BSD-2-Clause
// The file backend: requests that can be done at once. The rest goes to an engine.
#include "parent/worker/backends/block_file_internal.h"

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

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
	for (size_t i = 0; i < ARRAY_SIZE(block_errors); i++)
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
		return block_system_preadv2(file->fd, iov, count, offset, flags);
	return block_system_pwritev2(file->fd, iov, count, offset, flags);
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

static int block_file_flush(const struct block_file *file)
{
	while (block_system_fdatasync(file->fd))
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int block_file_change_space(
	const struct block_file *file, const struct block_request *request)
{
	int result;

	if (request->op == BLOCK_UNMAP && file->discard)
		result = block_system_discard(file->fd, request->offset, request->length);
	else
		result = block_system_fallocate(file->fd, block_file_fallocate_mode(file, request),
			(off_t)request->offset, (off_t)request->length);
	return result ? -errno : 0;
}

int block_file_execute(struct block_file *file, struct block_request *request)
{
	if (request->op == BLOCK_READ || request->op == BLOCK_WRITE)
		return block_file_transfer_all(file, request);
	if (request->op == BLOCK_FLUSH)
		return block_file_flush(file);
	return block_file_change_space(file, request);
}

void block_file_complete(struct block_file *file, struct block_request *request, int error)
{
	file->in_flight--;
	request->done(request, block_result(error));
}

void block_file_end(struct block_file *file, struct block_request *request, int error)
{
	if (block_stable_is(request))
		block_stable_end(file, request, error);
	else
		block_file_complete(file, request, error);
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
	if (block_stable_is(request))
		block_stable_submit(file, request);
	else if (request->op == BLOCK_READ && block_file_read_cached(file, request))
		block_file_complete(file, request, 0);
	else if (request->op == BLOCK_WRITE && request->length <= BLOCK_INLINE_WRITE_MAX)
		block_file_complete(file, request, block_file_transfer_all(file, request));
	else
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

struct block_file *block_file_open(
	const char *path, bool read_only, enum block_file_engine engine, struct failure *failure)
{
	struct block_file *file = calloc(1, sizeof(*file));

	if (!file) {
		failure_set(
			failure, LUMEN_EXIT_OUR_FAULT, "There is no memory for the disk %s.", path);
		return NULL;
	}
	file->device.ops = &block_file_ops;
	file->path = path;
	file->nowait = true;
	block_stable_init(file);
	if (block_open(file, read_only, failure)) {
		if (block_file_open_engine(file, engine, failure))
			return file;
		block_close(file);
	}
	free(file);
	return NULL;
}

struct block_device *block_file_device(struct block_file *file)
{
	return &file->device;
}

int block_file_fd(const struct block_file *file)
{
	return file->fd;
}

int block_file_event_fd(const struct block_file *file)
{
	return file->event_fd;
}

void block_file_poll(struct block_file *file)
{
	file->engine->poll(file);
}

bool block_file_busy(const struct block_file *file)
{
	return file->engine->busy(file);
}

uint32_t block_file_in_flight(const struct block_file *file)
{
	return file->in_flight;
}

void block_file_close(struct block_file *file)
{
	while (file->in_flight > 0) {
		file->engine->kick(file);
		file->engine->wait(file);
		file->engine->poll(file);
	}
	file->engine->close(file);
	block_close(file);
	free(file);
}
