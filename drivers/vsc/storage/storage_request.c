// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: requests of the caller's, checked and started, and given up.
#include "drivers/vsc/storage/storage_internal.h"

// --- checks ---

static bool storage_continues(const struct lumen_segment *segment, const struct lumen_segment *next)
{
	const uint64_t end = vsc_address(segment) + segment->length;

	return (end | vsc_address(next)) % LUMEN_PAGE_SIZE == 0;
}

// Whether the segments are `bytes` long, and `unit` bytes can be sent wherever they are split.
static bool storage_segments_valid(
	const struct lumen_request *request, uint64_t bytes, uint32_t unit)
{
	const struct lumen_segment *segment = request->segments;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < request->segment_count; i++, segment++) {
		if (segment->length == 0)
			return false;
		if (i > 0 && sum % unit != 0 && !storage_continues(segment - 1, segment))
			return false;
		sum += segment->length; // 2^32 times 2^32 at most
	}
	return sum == bytes;
}

static bool storage_scsi_valid(const struct lumen_request *request)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < request->segment_count; i++)
		bytes += request->segments[i].length;
	// One packet: the segments must be one piece, whatever its length.
	return request->cdb_length > 0 && request->cdb_length <= sizeof(request->cdb) &&
	       bytes <= request->disk->storage->max_transfer &&
	       storage_segments_valid(request, bytes, UINT32_MAX);
}

// What operations need, of the request and of the disk.
struct storage_operation {
	bool has_blocks;
	bool changes;
	bool one_block;	  // of data
	size_t supported; // offset of a bool in struct lumen_disk
};

static const struct storage_operation storage_operations[] = {
	[LUMEN_READ] = { true, false, false, offsetof(struct lumen_disk, present) },
	[LUMEN_WRITE] = { true, true, false, offsetof(struct lumen_disk, present) },
	[LUMEN_FLUSH] = { false, false, false, offsetof(struct lumen_disk, present) },
	[LUMEN_UNMAP] = { true, true, false, offsetof(struct lumen_disk, can_unmap) },
	[LUMEN_WRITE_SAME] = { true, true, true, offsetof(struct lumen_disk, can_write_same) },
};

static lumen_status storage_check_blocks(
	const struct lumen_request *request, const struct storage_operation *operation)
{
	const struct lumen_disk *disk = request->disk;
	const uint64_t blocks = __atomic_load_n(&disk->blocks, __ATOMIC_RELAXED);

	if (request->count == 0)
		return LUMEN_BAD_ARGUMENT;
	if (request->block >= blocks || request->count > blocks - request->block)
		return LUMEN_OUT_OF_RANGE;
	if (request->operation == LUMEN_UNMAP)
		return request->segment_count == 0 ? LUMEN_OK : LUMEN_BAD_ARGUMENT;
	return storage_segments_valid(request,
		       operation->one_block ? disk->block_size
					    : request->count << disk->block_shift,
		       disk->block_size)
		       ? LUMEN_OK
		       : LUMEN_BAD_ARGUMENT;
}

static lumen_status storage_check(const struct lumen_request *request)
{
	const struct lumen_disk *disk = request->disk;
	const struct storage_operation *operation;

	if (request->operation == LUMEN_SCSI) // also before the disk is known
		return storage_scsi_valid(request) ? LUMEN_OK : LUMEN_BAD_ARGUMENT;
	if ((unsigned int)request->operation > LUMEN_WRITE_SAME)
		return LUMEN_BAD_ARGUMENT;
	operation = &storage_operations[request->operation];
	if (!disk->present)
		return LUMEN_RESCINDED;
	if (!*((const bool *)disk + operation->supported))
		return LUMEN_NOT_SUPPORTED;
	if (operation->changes && disk->read_only)
		return LUMEN_READ_ONLY;
	if (!operation->has_blocks)
		return request->segment_count == 0 ? LUMEN_OK : LUMEN_BAD_ARGUMENT;
	return storage_check_blocks(request, operation);
}

// --- starting ---

static struct lumen_disk_queue *storage_choose(const struct lumen_storage *storage)
{
	if (storage->vsc.queue_count == 1)
		return storage_queue_of(storage->vsc.queues[0]);
	return storage_queue_of(storage->vsc.queues[lumen_this_vp() % storage->vsc.queue_count]);
}

static void storage_prepare(struct lumen_request *request, struct lumen_disk_queue *queue)
{
	const bool has_blocks =
		request->operation != LUMEN_FLUSH && request->operation != LUMEN_SCSI;

	request->status = LUMEN_OK;
	request->scsi_status = 0;
	request->srb_status = VSTOR_SRB_STATUS_SUCCESS;
	request->sense_length = 0;
	request->transferred = 0;
	request->next = NULL;
	request->queue = queue;
	request->blocks_left = has_blocks ? request->count : 1; // 1: one packet
	request->segment = 0;
	request->segment_offset = 0;
	request->in_flight = 0;
	request->state = STORAGE_WAITING;
}

static lumen_status storage_start(struct lumen_request *request, bool flush)
{
	struct lumen_storage *storage = request->disk->storage;
	lumen_status status = storage_check(request);
	struct lumen_disk_queue *queue;
	uint64_t state;

	if (status != LUMEN_OK)
		return status;
	queue = storage_choose(storage);
	state = lumen_spin_lock_irq(&queue->vsc.lock);
	status = vsc_status(&storage->vsc);
	if (status == LUMEN_OK && storage->vsc.closing)
		status = LUMEN_BAD_STATE;
	if (status == LUMEN_OK) {
		storage_prepare(request, queue);
		*queue->waiting_end = request;
		queue->waiting_end = &request->next;
		if (queue->waiting == request)
			storage_issue(queue);
		if (flush)
			vsc_flush(&queue->vsc);
	}
	storage_unlock(queue, state);
	return status;
}

lumen_status lumen_storage_submit(struct lumen_request *request)
{
	return storage_start(request, true);
}

lumen_status lumen_storage_queue(struct lumen_request *request)
{
	return storage_start(request, false);
}

void lumen_storage_kick(struct lumen_storage *storage)
{
	for (uint32_t i = 0; i < storage->vsc.queue_count; i++) {
		struct lumen_disk_queue *queue = storage_queue_of(storage->vsc.queues[i]);
		uint64_t state;

		if (!__atomic_load_n(&queue->vsc.flush_due, __ATOMIC_RELAXED))
			continue;
		state = lumen_spin_lock_irq(&queue->vsc.lock);
		if (vsc_status(&storage->vsc) == LUMEN_OK)
			vsc_flush(&queue->vsc);
		storage_unlock(queue, state);
	}
}

// --- giving up ---

// What the host has of it stays in flight; the answers will find nobody.
static void storage_forget(struct lumen_disk_queue *queue, struct lumen_request *request)
{
	for (uint32_t i = 0; i < queue->vsc.depth && request->in_flight > 0; i++) {
		if (queue->vsc.slots[i].owner != request)
			continue;
		queue->vsc.slots[i].owner = NULL;
		request->in_flight--;
	}
}

bool lumen_storage_cancel(struct lumen_request *request)
{
	struct lumen_disk_queue *queue = request->queue;
	const uint64_t state = lumen_spin_lock_irq(&queue->vsc.lock);
	const bool found = request->state != STORAGE_DONE;

	if (found) {
		if (request->state == STORAGE_WAITING)
			storage_unwait(queue, request);
		storage_forget(queue, request);
		request->status = LUMEN_CANCELLED;
		request->state = STORAGE_DONE;
	}
	storage_unlock(queue, state);
	if (found)
		request->done(request);
	return found;
}
