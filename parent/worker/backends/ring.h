// SPDX-License-Identifier: BSD-2-Clause
// An io_uring of a worker's. A ring goes past the list of system calls that a worker has
// (sandbox_calls.c): so each does some operations on one file, and no others.
#pragma once

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>

#define RING_FILE 0 // the file, as requests name it (IOSQE_FIXED_FILE)

enum { RING_OPERATIONS_MAX = 8 };

// Makes a ring for `count` kinds of requests (IORING_OP_*) on `fd`; -1: on a file that comes later,
// and may be changed then. Returns 0 or a negative errno.
int ring_open(struct io_uring *ring, unsigned int entries, int fd, const uint8_t *operations,
	size_t count);

// Gives a ring that was made without a file one, in place of the one before; -1: none. Returns 0 or
// a negative errno.
int ring_set_file(struct io_uring *ring, int fd);
