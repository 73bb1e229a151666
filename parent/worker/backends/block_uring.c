// SPDX-License-Identifier: BSD-2-Clause
// The io_uring engine: one ring per disk, one io_uring_enter per batch. Completions are read from
// shared memory without a system call.
#include "parent/worker/backends/block_file_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/backends/ring.h"
#include "parent/worker/log.h"

// How often a submission is tried again because a signal came.
enum { INTERRUPTED_MAX = 8 };

// The ring of Linux 6.1 knows no BLKDISCARD: such a disk has the pool's threads beside its ring,
// and one descriptor that tells of both.
static int block_uring_add_pool(struct block_file *file)
{
	struct epoll_event event = { .events = EPOLLIN };
	int error = block_pool.open(file);

	if (error)
		return error;
	file->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (file->event_fd >= 0 &&
		!epoll_ctl(file->event_fd, EPOLL_CTL_ADD, file->pool.event_fd, &event) &&
		!epoll_ctl(file->event_fd, EPOLL_CTL_ADD, file->uring.ring.ring_fd, &event))
		return 0;
	error = -errno;
	if (file->event_fd >= 0)
		close(file->event_fd);
	block_pool.close(file);
	return error;
}

static int block_uring_open(struct block_file *file)
{
	static const uint8_t operations[] = { IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC,
		IORING_OP_FALLOCATE };
	struct block_uring_state *uring = &file->uring;
	int error = ring_open(
		&uring->ring, BLOCK_URING_ENTRIES, file->fd, operations, ARRAY_SIZE(operations));

	if (error)
		return error;
	uring->staged_end = &uring->staged;
	file->event_fd = uring->ring.ring_fd;
	error = file->discard ? block_uring_add_pool(file) : 0;
	if (error)
		io_uring_queue_exit(&uring->ring);
	return error;
}

static void block_uring_close(struct block_file *file)
{
	if (file->discard) {
		close(file->event_fd);
		block_pool.close(file);
	}
	io_uring_queue_exit(&file->uring.ring);
}

static void block_uring_prepare(
	struct block_file *file, struct io_uring_sqe *sqe, const struct block_request *request)
{
	switch (request->op) {
	case BLOCK_READ:
		io_uring_prep_readv(sqe, RING_FILE, block_iov(request), block_iov_count(request),
			request->offset);
		break;
	case BLOCK_WRITE:
		io_uring_prep_writev2(sqe, RING_FILE, block_iov(request), block_iov_count(request),
			request->offset, request->flags & BLOCK_REQUEST_FUA ? RWF_DSYNC : 0);
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(sqe, RING_FILE, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_fallocate(sqe, RING_FILE, block_file_fallocate_mode(file, request),
			(off_t)request->offset, (off_t)request->length);
		break;
	}
}

// The kernel has taken the oldest `count` staged requests.
static void block_uring_taken(struct block_uring_state *uring, int count)
{
	while (count-- > 0 && uring->staged)
		uring->staged = uring->staged->next;
	if (!uring->staged)
		uring->staged_end = &uring->staged;
}

static bool block_uring_is_busy(int error)
{
	return error == -EAGAIN || error == -EBUSY || error == -ENOMEM;
}

// The ring is of no more use: what the kernel has not taken ends, as will what comes. What it has
// taken is still completed.
static void block_uring_break(struct block_file *file, int error)
{
	struct block_uring_state *uring = &file->uring;
	struct block_request *request = uring->staged, *next;

	log_line("disk %s: io_uring takes no more requests: %s", file->path, strerror(-error));
	uring->broken = error;
	uring->staged = NULL;
	uring->staged_end = &uring->staged;
	for (; request; request = next) {
		next = request->next;
		block_file_end(file, request, -EIO);
	}
}

// Hands the staged requests to the kernel. It may take a part (it stops at one that it fails), be
// interrupted, or have no memory or no room for completions now: block_uring_poll() tries again.
static void block_uring_kick(struct block_file *file)
{
	struct block_uring_state *uring = &file->uring;
	int interrupted = 0;

	while (uring->staged && interrupted < INTERRUPTED_MAX) {
		int result = block_system_submit(&uring->ring);

		if (result > 0) {
			block_uring_taken(uring, result);
		} else if (result == -EINTR) {
			interrupted++;
		} else {
			if (result && !block_uring_is_busy(result))
				block_uring_break(file, result);
			return;
		}
	}
}

static struct io_uring_sqe *block_uring_sqe(struct block_file *file)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&file->uring.ring);

	if (!sqe) {
		block_uring_kick(file);
		sqe = io_uring_get_sqe(&file->uring.ring);
	}
	return sqe;
}

static void block_uring_start(struct block_file *file, struct block_request *request)
{
	struct block_uring_state *uring = &file->uring;
	struct io_uring_sqe *sqe = NULL;

	if (request->op == BLOCK_UNMAP && file->discard) {
		block_pool.start(file, request);
		return;
	}
	if (!uring->broken)
		sqe = block_uring_sqe(file);
	if (!sqe || uring->broken) {
		block_file_end(file, request, uring->broken ? -EIO : -EAGAIN);
		return;
	}
	block_uring_prepare(file, sqe, request);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, request);
	request->next = NULL;
	*uring->staged_end = request;
	uring->staged_end = &request->next;
}

static void block_uring_completed(
	struct block_file *file, struct block_request *request, int result)
{
	const bool transfer = request->op == BLOCK_READ || request->op == BLOCK_WRITE;

	if (result == -EINTR)
		block_uring_start(file, request);
	else if (result < 0)
		block_file_end(file, request, result);
	else if (!transfer)
		block_file_end(file, request, 0);
	else if (result == 0)
		block_file_end(file, request, -EIO); // the file has become shorter
	else if (block_file_advance(request, (size_t)result))
		block_file_end(file, request, 0);
	else
		block_uring_start(file, request);
}

// At most what is in flight completes here, plus what goes on after a part.
static void block_uring_poll(struct block_file *file)
{
	struct block_request *request;
	int result;

	while (block_system_reap(&file->uring.ring, &request, &result))
		block_uring_completed(file, request, result);
	if (file->discard)
		block_pool.poll(file);
	block_uring_kick(file);
}

static bool block_uring_busy(const struct block_file *file)
{
	return file->uring.staged;
}

static void block_uring_wait(struct block_file *file)
{
	struct pollfd pollfd = { .fd = file->event_fd, .events = POLLIN };

	poll(&pollfd, 1, BLOCK_WAIT_MS);
}

const struct block_engine block_uring = {
	.open = block_uring_open,
	.close = block_uring_close,
	.start = block_uring_start,
	.kick = block_uring_kick,
	.poll = block_uring_poll,
	.busy = block_uring_busy,
	.wait = block_uring_wait,
};
