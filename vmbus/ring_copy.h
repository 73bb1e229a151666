// SPDX-License-Identifier: BSD-2-Clause
// Between ring.c (indices) and packet.c (contents); not for users of the ring.
#ifndef VMBUS_RING_COPY_H
#define VMBUS_RING_COPY_H

#include "vmbus/ring.h"

// Returns the data offset `length` (at most the ring's size) behind `offset`, around the end.
static inline uint32_t vmbus_ring_offset(
	const struct vmbus_ring_pages *pages, uint32_t offset, uint32_t length)
{
	uint32_t sum = offset + length;

	return sum >= pages->size ? sum - pages->size : sum;
}

// Says how much is there to read: VMBUS_RING_OK and *available > 0, VMBUS_RING_EMPTY, or broken.
// Looks at the writer's index only when all that was seen before is read.
enum vmbus_ring_status vmbus_ring_reader_look(
	struct vmbus_ring_reader *reader, uint32_t *available);

// Goes `length` bytes on, which look() has shown to be there.
void vmbus_ring_reader_advance(struct vmbus_ring_reader *reader, uint32_t length);

// Says whether `length` bytes can be written: VMBUS_RING_OK, VMBUS_RING_FULL, or broken.
enum vmbus_ring_status vmbus_ring_writer_look(struct vmbus_ring_writer *writer, uint32_t length);

// Goes `length` bytes on, for which look() has shown room, and ends a wait for room.
void vmbus_ring_writer_advance(struct vmbus_ring_writer *writer, uint32_t length);

#endif
