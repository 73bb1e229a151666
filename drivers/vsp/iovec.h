// SPDX-License-Identifier: BSD-2-Clause
// Pieces of memory, as backends take them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmbus/memory.h"

// The layout is that of POSIX struct iovec, so that a backend can pass it on.
struct vsp_iovec {
	void *base;
	size_t length; // bytes
};

// Appends `length` bytes of a range of the guest's, from `offset` bytes into it on: a piece for
// each run of pages that are neighbours here, too. *count is of the pieces that there are already,
// `max` the most. Returns false if there would be more, if the range is shorter, or if a page is
// not the guest's RAM.
bool vsp_iovec_add(struct vsp_iovec *iov, uint32_t *count, uint32_t max,
	const struct vmbus_memory *memory, const struct vmbus_gpa_range *range, uint32_t offset,
	uint32_t length);
