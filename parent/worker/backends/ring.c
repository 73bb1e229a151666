// SPDX-License-Identifier: BSD-2-Clause
// See ring.h.
#include "parent/worker/backends/ring.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static int ring_register(
	const struct io_uring *ring, unsigned int what, const void *argument, unsigned int count)
{
	return syscall(SYS_io_uring_register, ring->ring_fd, what, argument, count) < 0 ? -errno
											: 0;
}

// changes: its file may be.
static int ring_restrict(
	const struct io_uring *ring, const uint8_t *operations, size_t count, bool changes)
{
	struct io_uring_restriction rules[RING_OPERATIONS_MAX + 2] = {
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE },
	};

	if (count > RING_OPERATIONS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		rules[1 + i] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_SQE_OP,
			.sqe_op = operations[i] };
	rules[1 + count] = (struct io_uring_restriction){ .opcode = IORING_RESTRICTION_REGISTER_OP,
		.register_op = IORING_REGISTER_FILES_UPDATE };
	return ring_register(
		ring, IORING_REGISTER_RESTRICTIONS, rules, (unsigned int)(1 + count + changes));
}

int ring_open(struct io_uring *ring, unsigned int entries, int fd, const uint8_t *operations,
	size_t count)
{
	int error = io_uring_queue_init(entries, ring, IORING_SETUP_R_DISABLED);

	if (error)
		return error;
	error = ring_register(ring, IORING_REGISTER_FILES, &fd, 1);
	if (!error)
		error = ring_restrict(ring, operations, count, fd < 0);
	if (!error)
		error = ring_register(ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (error)
		io_uring_queue_exit(ring);
	return error;
}

int ring_set_file(struct io_uring *ring, int fd)
{
	const struct io_uring_files_update update = { .offset = RING_FILE,
		.fds = (uint64_t)(uintptr_t)&fd };

	return ring_register(ring, IORING_REGISTER_FILES_UPDATE, &update, 1);
}
