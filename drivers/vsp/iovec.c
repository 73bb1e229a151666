// SPDX-License-Identifier: BSD-2-Clause
// See iovec.h.
#include "drivers/vsp/iovec.h"

static bool follows(const struct vsp_iovec *last, const struct vmbus_segment *segment)
{
	return (uint8_t *)last->base + last->length == segment->data;
}

static bool add(
	struct vsp_iovec *iov, uint32_t *count, uint32_t max, const struct vmbus_segment *segment)
{
	if (*count && follows(&iov[*count - 1], segment)) {
		iov[*count - 1].length += segment->length;
		return true;
	}
	if (*count == max)
		return false;
	iov[(*count)++] = (struct vsp_iovec){ segment->data, segment->length };
	return true;
}

bool vsp_iovec_add(struct vsp_iovec *iov, uint32_t *count, uint32_t max,
	const struct vmbus_memory *memory, const struct vmbus_gpa_range *range, uint32_t offset,
	uint32_t length)
{
	struct vmbus_segment segment;

	while (length) {
		if (!vmbus_memory_segment(memory, range, offset, length, &segment) ||
			!add(iov, count, max, &segment))
			return false;
		offset += segment.length;
		length -= segment.length;
	}
	return true;
}
