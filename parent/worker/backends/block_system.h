// SPDX-License-Identifier: BSD-2-Clause
// What a disk asks of the root's kernel: each call that can fail, hang, be interrupted or be cut
// short. The unit tests put their own in the place of block_system.c. All but the last two give -1
// and errno, or what the system call of that name gives.
#pragma once

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "drivers/vsp/storage/backend.h"

ssize_t block_system_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t block_system_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
int block_system_fdatasync(int fd);
int block_system_fallocate(int fd, int mode, off_t offset, off_t length);

// BLKDISCARD.
int block_system_discard(int fd, uint64_t offset, uint64_t length);

int block_system_close(int fd);

// io_uring_submit: how many the kernel has taken, or a negative errno.
int block_system_submit(struct io_uring *ring);

// Takes a completion that is there: the request and its result. Returns false if there is none.
bool block_system_reap(struct io_uring *ring, struct block_request **request, int *result);
