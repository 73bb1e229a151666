// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: requests of the caller's, checked and started, and given up.
#include "drivers/vsc/storage_internal.h"

// --- checks ---

static bool vsc_continues(const struct lumen_segment *segment, const struct lumen_segment *next)
{
	const uint64_t end = (segment->data ? (uint64_t)(uintptr_t)segment->data : segment->gpa) +
			     segment->length;
	const uint64_t begin = next->data ? (uint64_t)(uintptr_t)next->data : next->gpa;

	return (end | begin) % LUMEN_PAGE_SIZE == 0;
}

// Whether the segments are `bytes` long, and `unit` bytes can be sent wherever they are split.
static bool vsc_segments_valid(const struct lumen_request *request, uint64_t bytes, uint32_t unit)
{
	const struct lumen_segment *segment = request->segments;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < request->segment_count; i++, segment++) {
		if (segment->length == 0)
			return false;
		if (i > 0 && sum % unit != 0 && !vsc_continues(segment - 1, segment))
			return false;
		sum += segment->length; // 2^32 times 2^32 at most
	}
	return sum == bytes;
}

static bool vsc_scsi_valid(const struct lumen_request *request)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < request->segment_count; i++)
		bytes += request->segments[i].length;
	// One packet: the segments must be one piece, whatever its length.
	return request->cdb_length > 0 && request->cdb_length <= sizeof(request->cdb) &&
	       bytes <= request->disk->storage->max_transfer &&
	       vsc_segments_valid(request, bytes, UINT32_MAX);
}

// What operations need, of the request and of the disk.
struct vsc_operation {
	bool has_blocks;
	bool changes;
	bool one_block;	  // of data
	size_t supported; // offset of a bool in struct lumen_disk
};

static const struct vsc_operation vsc_operations[] = {
	[LUMEN_READ] = { true, false, false, offsetof(struct lumen_disk, present) },
	[LUMEN_WRITE] = { true, true, false, offsetof(struct lumen_disk, present) },
	[LUMEN_FLUSH] = { false, false, false, offsetof(struct lumen_disk, present) },
	[LUMEN_UNMAP] = { true, true, false, offsetof(struct lumen_disk, can_unmap) },
	[LUMEN_WRITE_SAME] = { true, true, true, offsetof(struct lumen_disk, can_write_same) },
};

static lumen_status vsc_check_blocks(
	const struct lumen_request *request, const struct vsc_operation *operation)
{
	const struct lumen_disk *disk = request->disk;
	const uint64_t blocks = __atomic_load_n(&disk->blocks, __ATOMIC_RELAXED);

	if (request->count == 0)
		return LUMEN_BAD_ARGUMENT;
	if (request->block >= blocks || request->count > blocks - request->block)
		return LUMEN_OUT_OF_RANGE;
	if (request->operation == LUMEN_UNMAP)
		return request->segment_count == 0 ? LUMEN_OK : LUMEN_BAD_ARGUMENT;
	return vsc_segments_valid(request,
		       operation->one_block ? disk->block_size
					    : request->count << disk->block_shift,
		       disk->block_size)
		       ? LUMEN_OK
		       : LUMEN_BAD_ARGUMENT;
}

static lumen_status vsc_check(const struct lumen_request *request)
{
	const struct lumen_disk *disk = request->disk;
	const struct vsc_operation *operation;

	if (request->operation == LUMEN_SCSI) // also before the disk is known
		return vsc_scsi_valid(request) ? LUMEN_OK : LUMEN_BAD_ARGUMENT;
	if ((unsigned int)request->operation > LUMEN_WRITE_SAME)
		return LUMEN_BAD_ARGUMENT;
	operation = &vsc_operations[request->operation];
	if (!disk->present)
		return LUMEN_RESCINDED;
	if (!*((const bool *)disk + operation->supported))
		return LUMEN_NOT_SUPPORTED;
	if (operation->changes && disk->read_only)
		return LUMEN_READ_ONLY;
	if (!operation->has_blocks)
		return request->segment_count == 0 ? LUMEN_OK : LUMEN_BAD_ARGUMENT;
	return vsc_check_blocks(request, operation);
}

// --- starting ---

static struct vsc_queue *vsc_choose(const struct lumen_storage *storage)
{
	if (storage->queue_count == 1)
		return storage->queues[0];
	return storage->queues[lumen_this_vp() % storage->queue_count];
}

static void vsc_prepare(struct lumen_request *request, struct vsc_queue *queue)
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
	request->state = VSC_WAITING;
}

static lumen_status vsc_start(struct lumen_request *request, bool flush)
{
	struct lumen_storage *storage = request->disk->storage;
	lumen_status status = vsc_check(request);
	struct vsc_queue *queue;
	uint64_t state;

	if (status != LUMEN_OK)
		return status;
	queue = vsc_choose(storage);
	state = lumen_spin_lock_irq(&queue->lock);
	status = vsc_status(storage);
	if (status == LUMEN_OK && storage->closing)
		status = LUMEN_BAD_STATE;
	if (status == LUMEN_OK) {
		vsc_prepare(request, queue);
		*queue->waiting_end = request;
		queue->waiting_end = &request->next;
		if (queue->waiting == request)
			vsc_issue(queue);
		if (flush)
			vsc_flush(queue);
	}
	vsc_unlock(queue, state);
	return status;
}

lumen_status lumen_storage_submit(struct lumen_request *request)
{
	return vsc_start(request, true);
}

lumen_status lumen_storage_queue(struct lumen_request *request)
{
	return vsc_start(request, false);
}

void lumen_storage_kick(struct lumen_storage *storage)
{
	for (uint32_t i = 0; i < storage->queue_count; i++) {
		struct vsc_queue *queue = storage->queues[i];
		uint64_t state;

		if (!__atomic_load_n(&queue->flush_due, __ATOMIC_RELAXED))
			continue;
		state = lumen_spin_lock_irq(&queue->lock);
		if (vsc_status(storage) == LUMEN_OK)
			vsc_flush(queue);
		vsc_unlock(queue, state);
	}
}

// --- giving up ---

// What the host has of it stays in flight; the answers will find nobody.
static void vsc_forget(struct vsc_queue *queue, struct lumen_request *request)
{
	for (uint32_t i = 0; i < queue->depth && request->in_flight > 0; i++) {
		if (queue->slots[i].request != request)
			continue;
		queue->slots[i].request = NULL;
		request->in_flight--;
	}
}

bool lumen_storage_cancel(struct lumen_request *request)
{
	struct vsc_queue *queue = request->queue;
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);
	const bool found = request->state != VSC_DONE;

	if (found) {
		if (request->state == VSC_WAITING)
			vsc_unwait(queue, request);
		vsc_forget(queue, request);
		request->status = LUMEN_CANCELLED;
		request->state = VSC_DONE;
	}
	vsc_unlock(queue, state);
	if (found)
		request->done(request);
	return found;
}
