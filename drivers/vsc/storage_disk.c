// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: blocking calls, on top of requests.
#include "drivers/vsc/storage_internal.h"

#define VSC_UNIT_ATTENTIONS 3u

static void vsc_wake_waiter(struct lumen_request *request)
{
	uint32_t *pending = &request->pending;

	__atomic_store_n(pending, 0, __ATOMIC_RELEASE);
	lumen_wake(pending); // an address: what is there may be gone already
}

// Returns false if time is up.
static bool vsc_wait(struct lumen_storage *storage, const uint32_t *pending, uint64_t timeout_ns)
{
	uint64_t deadline;

	lumen_storage_poll(storage);
	if (!__atomic_load_n(pending, __ATOMIC_ACQUIRE))
		return true;
	deadline = lumen_deadline_ns(timeout_ns);
	for (;;) {
		lumen_channel_wait(storage->queues[0]->channel, pending, 1, deadline);
		lumen_storage_poll(storage);
		if (!__atomic_load_n(pending, __ATOMIC_ACQUIRE))
			return true;
		if (lumen_is_due(deadline))
			return false;
	}
}

static lumen_status vsc_execute(struct lumen_request *request)
{
	struct lumen_storage *storage = request->disk->storage;
	lumen_status status;

	request->done = vsc_wake_waiter;
	request->pending = 1;
	status = lumen_storage_submit(request);
	if (status != LUMEN_OK)
		return status;
	if (vsc_wait(storage, &request->pending, storage->timeout_ns))
		return request->status;
	if (lumen_storage_cancel(request)) {
		request->status = LUMEN_TIMED_OUT;
	} else {
		// It has ended just now, and somebody else calls done().
		while (__atomic_load_n(&request->pending, __ATOMIC_ACQUIRE))
			lumen_channel_wait(storage->queues[0]->channel, &request->pending, 1,
				lumen_deadline_ns(storage->timeout_ns));
	}
	return request->status;
}

lumen_status lumen_disk_execute(struct lumen_request *request)
{
	lumen_status status = vsc_execute(request);

	// SPC-4 5.14: the command was not carried out, and something about the disk has changed.
	for (uint32_t i = 0; i < VSC_UNIT_ATTENTIONS && status == LUMEN_IO_ERROR; i++) {
		if (lumen_request_sense(request) >> 16 != 6)
			break;
		status = vsc_execute(request);
	}
	return status;
}

// As many requests as it takes for data that a segment cannot hold.
static lumen_status vsc_transfer(struct lumen_disk *disk, enum lumen_operation operation,
	uint64_t block, uint64_t count, const uint8_t *data)
{
	const uint64_t most = (1u << 31) >> disk->block_shift;
	lumen_status status;

	do {
		const uint64_t part = count < most ? count : most;
		const struct lumen_segment segment = {
			.source = data,
			.length = (uint32_t)(part << disk->block_shift),
		};
		struct lumen_request request = {
			.disk = disk,
			.operation = operation,
			.block = block,
			.count = part,
			.segments = &segment,
			.segment_count = 1,
		};

		status = lumen_disk_execute(&request);
		block += part;
		count -= part;
		data += segment.length;
	} while (status == LUMEN_OK && count > 0);
	return status;
}

lumen_status lumen_disk_read(struct lumen_disk *disk, uint64_t block, uint64_t count, void *buffer)
{
	return vsc_transfer(disk, LUMEN_READ, block, count, buffer);
}

lumen_status lumen_disk_write(
	struct lumen_disk *disk, uint64_t block, uint64_t count, const void *buffer)
{
	return vsc_transfer(disk, LUMEN_WRITE, block, count, buffer);
}

lumen_status lumen_disk_flush(struct lumen_disk *disk)
{
	struct lumen_request request = { .disk = disk, .operation = LUMEN_FLUSH };

	return lumen_disk_execute(&request);
}

lumen_status lumen_disk_unmap(struct lumen_disk *disk, uint64_t block, uint64_t count)
{
	struct lumen_request request = {
		.disk = disk,
		.operation = LUMEN_UNMAP,
		.block = block,
		.count = count,
	};

	return lumen_disk_execute(&request);
}

lumen_status lumen_disk_write_same(
	struct lumen_disk *disk, uint64_t block, uint64_t count, const void *pattern)
{
	const struct lumen_segment segment = { .source = pattern, .length = disk->block_size };
	struct lumen_request request = {
		.disk = disk,
		.operation = LUMEN_WRITE_SAME,
		.block = block,
		.count = count,
		.segments = &segment,
		.segment_count = 1,
	};

	return lumen_disk_execute(&request);
}
