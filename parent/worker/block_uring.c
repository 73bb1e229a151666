// SPDX-License-Identifier: BSD-2-Clause
// The io_uring engine: one ring per disk, one io_uring_enter per batch. Completions are read from
// shared memory without a system call.
#include "parent/worker/block_file_internal.h"

#include <errno.h>

#define BLOCK_URING_ENTRIES 256u

static int block_uring_open(struct block_file *file)
{
	int error = io_uring_queue_init(BLOCK_URING_ENTRIES, &file->ring, 0);

	if (error)
		return error;
	file->event_fd = file->ring.ring_fd;
	return 0;
}

static void block_uring_close(struct block_file *file)
{
	io_uring_queue_exit(&file->ring);
}

static struct io_uring_sqe *block_uring_sqe(struct block_file *file)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&file->ring);

	if (!sqe) {
		io_uring_submit(&file->ring);
		sqe = io_uring_get_sqe(&file->ring);
	}
	return sqe;
}

static void block_uring_prepare(
	struct block_file *file, struct io_uring_sqe *sqe, const struct block_request *request)
{
	switch (request->op) {
	case BLOCK_READ:
		io_uring_prep_readv(sqe, file->fd, block_iov(request), block_iov_count(request),
			request->offset);
		break;
	case BLOCK_WRITE:
		io_uring_prep_writev2(sqe, file->fd, block_iov(request), block_iov_count(request),
			request->offset, request->flags & BLOCK_REQUEST_FUA ? RWF_DSYNC : 0);
		break;
	case BLOCK_FLUSH:
		io_uring_prep_fsync(sqe, file->fd, IORING_FSYNC_DATASYNC);
		break;
	default:
		io_uring_prep_fallocate(sqe, file->fd, block_file_fallocate_mode(file, request),
			(off_t)request->offset, (off_t)request->length);
		break;
	}
}

static void block_uring_start(struct block_file *file, struct block_request *request)
{
	struct io_uring_sqe *sqe;

	if (request->op == BLOCK_UNMAP && file->discard) {
		// The ring of Linux 6.1 knows no discard.
		block_file_end(file, request, block_file_execute(file, request));
		return;
	}
	sqe = block_uring_sqe(file);
	if (!sqe) {
		block_file_end(file, request, -EAGAIN);
		return;
	}
	block_uring_prepare(file, sqe, request);
	io_uring_sqe_set_data(sqe, request);
}

// What the kernel does not take now stays in the ring for the next time.
static void block_uring_kick(struct block_file *file)
{
	if (io_uring_sq_ready(&file->ring) > 0)
		io_uring_submit(&file->ring);
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

static void block_uring_poll(struct block_file *file)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&file->ring, &cqe) == 0) {
		struct block_request *request = io_uring_cqe_get_data(cqe);
		const int result = cqe->res;

		io_uring_cqe_seen(&file->ring, cqe);
		block_uring_completed(file, request, result);
	}
	block_uring_kick(file);
}

static void block_uring_wait(struct block_file *file)
{
	struct io_uring_cqe *cqe;

	io_uring_wait_cqe(&file->ring, &cqe);
}

const struct block_engine block_uring = {
	.open = block_uring_open,
	.close = block_uring_close,
	.start = block_uring_start,
	.kick = block_uring_kick,
	.poll = block_uring_poll,
	.wait = block_uring_wait,
};
