// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: blocking calls, on top of requests.
#include "drivers/vsc/storage/storage_internal.h"

#define STORAGE_UNIT_ATTENTIONS 3u

static void storage_wake_waiter(struct lumen_request *request)
{
	uint32_t *pending = &request->pending;

	__atomic_store_n(pending, 0, __ATOMIC_RELEASE);
	lumen_wake(pending); // an address: what is there may be gone already
}

static lumen_status storage_execute(struct lumen_request *request)
{
	struct lumen_storage *storage = request->disk->storage;
	lumen_status status;

	request->done = storage_wake_waiter;
	request->pending = 1;
	status = lumen_storage_submit(request);
	if (status != LUMEN_OK)
		return status;
	if (vsc_wait(&storage->vsc, &request->pending))
		return request->status;
	if (lumen_storage_cancel(request)) {
		request->status = LUMEN_TIMED_OUT;
	} else {
		// It has ended just now, and somebody else calls done().
		while (!vsc_wait(&storage->vsc, &request->pending))
			;
	}
	return request->status;
}

lumen_status lumen_disk_execute(struct lumen_request *request)
{
	lumen_status status = storage_execute(request);

	// SPC-4 5.14: the command was not carried out, and something about the disk has changed.
	for (uint32_t i = 0; i < STORAGE_UNIT_ATTENTIONS && status == LUMEN_IO_ERROR; i++) {
		if (lumen_request_sense(request) >> 16 != 6)
			break;
		status = storage_execute(request);
	}
	return status;
}

// As many requests as it takes for data that a segment cannot hold.
static lumen_status storage_transfer(struct lumen_disk *disk, enum lumen_operation operation,
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
	return storage_transfer(disk, LUMEN_READ, block, count, buffer);
}

lumen_status lumen_disk_write(
	struct lumen_disk *disk, uint64_t block, uint64_t count, const void *buffer)
{
	return storage_transfer(disk, LUMEN_WRITE, block, count, buffer);
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
