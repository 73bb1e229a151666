// SPDX-License-Identifier: BSD-2-Clause
// See block_system.h.
#include "parent/worker/backends/block_system.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

ssize_t block_system_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return preadv2(fd, iov, count, offset, flags);
}

ssize_t block_system_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	return pwritev2(fd, iov, count, offset, flags);
}

int block_system_fdatasync(int fd)
{
	return fdatasync(fd);
}

int block_system_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return fallocate(fd, mode, offset, length);
}

int block_system_discard(int fd, uint64_t offset, uint64_t length)
{
	uint64_t range[2] = { offset, length };

	return ioctl(fd, BLKDISCARD, range);
}

int block_system_close(int fd)
{
	return close(fd);
}

int block_system_submit(struct io_uring *ring)
{
	return io_uring_submit(ring);
}

bool block_system_reap(struct io_uring *ring, struct block_request **request, int *result)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(ring, &cqe))
		return false;
	*request = io_uring_cqe_get_data(cqe);
	*result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return true;
}
