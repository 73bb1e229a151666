// SPDX-License-Identifier: BSD-2-Clause
// A block backend in memory, for tests.
#include "memory_disk.h"

#include <stdlib.h>
#include <string.h>

// What the target must never ask for, whatever the guest says.
static void check_request(const struct memory_disk *disk, const struct block_request *request)
{
	const uint64_t size = disk->device.block_count * disk->device.block_size;
	uint64_t total = 0;

	if (request->offset > size || request->length > size - request->offset ||
		request->offset % disk->device.block_size ||
		request->length % disk->device.block_size)
		abort();
	for (uint32_t i = 0; i < request->iov_count; i++)
		total += request->iov[i].length;
	if (request->op <= BLOCK_WRITE && total != request->length)
		abort();
	if (request->op == BLOCK_FLUSH ? request->length != 0 : request->length == 0)
		abort();
	if (request->op != BLOCK_READ && request->op != BLOCK_FLUSH &&
		(disk->device.flags & BLOCK_DEVICE_READ_ONLY))
		abort();
}

static void transfer(struct memory_disk *disk, const struct block_request *request)
{
	uint8_t *at = disk->data + request->offset;

	for (uint32_t i = 0; i < request->iov_count; i++) {
		const struct vsp_iovec *iov = &request->iov[i];

		if (request->op == BLOCK_READ)
			memcpy(iov->base, at, iov->length);
		else
			memcpy(at, iov->base, iov->length);
		at += iov->length;
	}
}

static int carry_out(struct memory_disk *disk, const struct block_request *request)
{
	if (disk->fail)
		return disk->fail;
	if (disk->discard_data)
		return 0;
	if (request->op <= BLOCK_WRITE)
		transfer(disk, request);
	else if (request->op == BLOCK_WRITE_ZEROES && disk->no_zeroing)
		return BLOCK_ERROR_UNSUPPORTED;
	else if (request->op != BLOCK_FLUSH)
		memset(disk->data + request->offset, 0, request->length);
	return 0;
}

static void submit(struct block_device *device, struct block_request *request)
{
	struct memory_disk *disk = (struct memory_disk *)device;

	check_request(disk, request);
	disk->count[request->op]++;
	disk->last_flags = request->flags;
	if (request->length > disk->longest)
		disk->longest = request->length;
	if (!disk->deferred) {
		request->done(request, carry_out(disk, request));
		return;
	}
	request->next = NULL;
	*disk->queue_end = request;
	disk->queue_end = &request->next;
	disk->waiting++;
}

static void kick(struct block_device *device)
{
	((struct memory_disk *)device)->kicks++;
}

static const struct block_ops ops = { submit, kick };

void memory_disk_init(
	struct memory_disk *disk, uint64_t blocks, uint32_t block_size, uint32_t flags)
{
	memset(disk, 0, sizeof(*disk));
	disk->device = (struct block_device){ &ops, blocks, block_size, 4096, 4096, flags };
	disk->data = calloc(blocks, block_size);
	disk->queue_end = &disk->queue;
}

void memory_disk_destroy(struct memory_disk *disk)
{
	free(disk->data);
}

uint32_t memory_disk_run(struct memory_disk *disk, uint32_t count)
{
	uint32_t run = 0;

	for (; run < count && disk->queue; run++) {
		struct block_request *request = disk->queue;

		disk->queue = request->next;
		if (!disk->queue)
			disk->queue_end = &disk->queue;
		disk->waiting--;
		request->done(request, carry_out(disk, request));
	}
	return run;
}
