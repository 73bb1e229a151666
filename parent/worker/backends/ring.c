// SPDX-License-Identifier: BSD-2-Clause
// See ring.h.
#include "parent/worker/backends/ring.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ring_register(
	const struct io_uring *ring, unsigned int what, const void *argument, unsigned int count)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, what, argument, count) < 0 ? -errno
											: 0;
}

static int ring_restrict(const struct io_uring *ring, const uint8_t *operations, size_t count)
{
	struct io_uring_restriction rules[RING_OPERATIONS_MAX + 1] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
	};

	if (count > RING_OPERATIONS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		rules[1 + i] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP,
			.sqe_op = operations[i] };
	return ring_register(ring, IORING_REGISTER_RESTRICTIONS, rules, (unsigned int)(1 + count));
}

int ring_open(struct io_uring *ring, unsigned int entries, int fd, const uint8_t *operations,
	size_t count)
{
	int error = io_uring_queue_init(entries, ring, IORING_SETUP_R_DISABLED);

	if (error)
		return error;
	error = ring_register(ring, IORING_REGISTER_FILES, &fd, 1);
	if (!error)
		error = ring_restrict(ring, operations, count);
	if (!error)
		error = ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (error)
		io_uring_queue_exit(ring);
	return error;
}
