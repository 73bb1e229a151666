// SPDX-License-Identifier: BSD-2-Clause
// See fake_block_system.h.
#include "fake_block_system.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "parent/worker/backends/block_system.h"

struct fake_block_system fake_block_system;

static bool is_set(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

static void hang_while(const bool *flag)
{
	const struct timespec interval = { .tv_nsec = 1000000 };

	while (is_set(flag))
		nanosleep(&interval, NULL);
}

static int take_sync_error(void)
{
	return __atomic_exchange_n(&fake_block_system.sync_error, 0, __ATOMIC_ACQ_REL);
}

ssize_t block_system_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	if (!(flags & RWF_NOWAIT) || !is_set(&fake_block_system.cold))
		return preadv2(fd, iov, count, offset, flags);
	errno = EAGAIN;
	return -1;
}

ssize_t block_system_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	int error = flags & RWF_DSYNC ? take_sync_error() : 0;

	hang_while(&fake_block_system.hangs);
	if (!error)
		return pwritev2(fd, iov, count, offset, flags);
	errno = error;
	return -1;
}

int block_system_fdatasync(int fd)
{
	int error = take_sync_error();

	hang_while(&fake_block_system.hangs);
	if (!error)
		return fdatasync(fd);
	errno = error;
	return -1;
}

int block_system_fallocate(int fd, int mode, off_t offset, off_t length)
{
	hang_while(&fake_block_system.hangs);
	return fallocate(fd, mode, offset, length);
}

// A file has no discard: a hole.
int block_system_discard(int fd, uint64_t offset, uint64_t length)
{
	hang_while(&fake_block_system.hangs);
	__atomic_add_fetch(&fake_block_system.discards, 1, __ATOMIC_RELAXED);
	return fallocate(
		fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
}

int block_system_close(int fd)
{
	hang_while(&fake_block_system.close_hangs);
	return close(fd);
}

// As if the others had not been prepared yet.
static int submit_some(struct io_uring *ring, unsigned most)
{
	const unsigned tail = ring->sq.sqe_tail;
	int result;

	if (tail - ring->sq.sqe_head > most)
		ring->sq.sqe_tail = ring->sq.sqe_head + most;
	result = io_uring_submit(ring);
	ring->sq.sqe_tail = tail;
	return result;
}

int block_system_submit(struct io_uring *ring)
{
	uint32_t call = fake_block_system.submit_calls;
	int wanted = call < FAKE_SUBMITS ? fake_block_system.submits[call] : 0;

	if (is_set(&fake_block_system.hangs))
		return -EAGAIN;
	if (!wanted)
		return io_uring_submit(ring);
	fake_block_system.submit_calls++;
	return wanted < 0 ? wanted : submit_some(ring, (unsigned)wanted);
}

bool block_system_reap(struct io_uring *ring, struct block_request **request, int *result)
{
	struct io_uring_cqe *cqe;
	int error = 0;

	if (io_uring_peek_cqe(ring, &cqe))
		return false;
	*request = io_uring_cqe_get_data(cqe);
	if ((*request)->op == BLOCK_FLUSH || ((*request)->flags & BLOCK_REQUEST_FUA))
		error = take_sync_error();
	*result = error ? -error : cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return true;
}
