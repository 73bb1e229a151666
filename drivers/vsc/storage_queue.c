// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: one channel. Requests out, as far as slots and ring go; done() of what has
// ended, with nothing locked; and the end of everything if the host is at fault.
#include "drivers/vsc/storage_internal.h"

uint64_t storage_lock(struct storage_queue *queue)
{
	const uint64_t state = lumen_irq_save();

	while (__atomic_exchange_n(&queue->lock, 1, __ATOMIC_ACQUIRE)) {
		while (__atomic_load_n(&queue->lock, __ATOMIC_RELAXED))
			__builtin_ia32_pause();
	}
	return state;
}

static void storage_release(struct storage_queue *queue, uint64_t state)
{
	__atomic_store_n(&queue->lock, 0, __ATOMIC_RELEASE);
	lumen_irq_restore(state);
}

static void storage_call_done(struct lumen_request *request)
{
	while (request) {
		struct lumen_request *next = request->next; // done() may free it

		request->done(request);
		request = next;
	}
}

static struct lumen_request *storage_take_done(struct storage_queue *queue)
{
	struct lumen_request *done = queue->done;

	queue->done = NULL;
	queue->done_end = &queue->done;
	return done;
}

// Ends everything that is on the queue. What the host has keeps its slot; the answers are not read.
static void storage_drop(struct storage_queue *queue, lumen_status status)
{
	for (uint32_t i = 0; i < queue->depth; i++) {
		struct lumen_request *request = queue->slots[i].request;

		if (!request)
			continue;
		queue->slots[i].request = NULL;
		if (--request->in_flight > 0 || request->state == STORAGE_WAITING)
			continue;
		request->status = status;
		storage_finish(queue, request);
	}
	while (queue->waiting) {
		struct lumen_request *request = queue->waiting;

		storage_unwait(queue, request);
		request->status = status;
		storage_finish(queue, request);
	}
	__atomic_store_n(&queue->control.pending, 0, __ATOMIC_RELEASE);
	lumen_wake(&queue->control.pending);
	lumen_wake(&queue->in_flight);
}

static void storage_drop_all(struct lumen_storage *storage)
{
	for (uint32_t i = 0; i < storage->queue_count; i++) {
		struct storage_queue *queue = storage->queues[i];
		const uint64_t state = storage_lock(queue);
		struct lumen_request *done;

		storage_drop(queue, storage_status(storage));
		done = storage_take_done(queue);
		storage_release(queue, state);
		storage_call_done(done);
	}
}

void storage_unlock(struct storage_queue *queue, uint64_t state)
{
	struct lumen_storage *storage = queue->storage;
	struct lumen_request *done = storage_take_done(queue);
	const bool failed = storage_status(storage) != LUMEN_OK;

	storage_release(queue, state);
	storage_call_done(done);
	if (__builtin_expect(failed, 0))
		storage_drop_all(storage);
}

void storage_fail(struct lumen_storage *storage, lumen_status status, const char *failure)
{
	lumen_status none = LUMEN_OK;

	if (__atomic_compare_exchange_n(
		    &storage->status, &none, status, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		__atomic_store_n(&storage->failure, failure, __ATOMIC_RELEASE);
}

void storage_finish(struct storage_queue *queue, struct lumen_request *request)
{
	request->state = STORAGE_DONE;
	request->next = NULL;
	*queue->done_end = request;
	queue->done_end = &request->next;
}

void storage_unwait(struct storage_queue *queue, struct lumen_request *request)
{
	struct lumen_request **at = &queue->waiting;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (queue->waiting_end == &request->next)
		queue->waiting_end = at;
	request->state = STORAGE_ISSUED;
}

void storage_flush(struct storage_queue *queue)
{
	if (!queue->flush_due)
		return;
	queue->flush_due = false;
	lumen_channel_flush(queue->channel);
}

void storage_channel_failed(struct storage_queue *queue, lumen_status status)
{
	storage_fail(queue->storage, status,
		status == LUMEN_RESCINDED ? "storage: the host has taken the controller away"
					  : "storage: the channel's ring is broken");
}

void storage_issue(struct storage_queue *queue)
{
	while (queue->waiting && queue->free != STORAGE_NO_SLOT) {
		struct lumen_request *request = queue->waiting;
		const lumen_status status = storage_send_piece(queue, request);

		if (status == LUMEN_BUSY)
			return; // the handler is called when there is room
		if (status != LUMEN_OK) {
			storage_channel_failed(queue, status);
			return;
		}
		if (request->blocks_left == 0)
			storage_unwait(queue, request);
	}
}

lumen_status storage_send_control(struct storage_queue *queue, const struct vstor_packet *packet,
	uint32_t length, uint64_t transaction_id)
{
	const struct vmbus_piece piece = { packet, length };

	return lumen_channel_send(
		queue->channel, &(struct vmbus_packet_out){
					.type = VMBUS_PACKET_IN_BAND,
					.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
					.transaction_id = transaction_id,
					.payload = &piece,
					.payload_count = 1,
				});
}

bool storage_service(struct storage_queue *queue, bool signalled)
{
	struct lumen_storage *storage = queue->storage;
	uint32_t taken = 0, news = 0;
	bool more;

	do {
		const uint64_t state = storage_lock(queue);

		more = false;
		if (lumen_channel_rescinded(queue->channel))
			storage_channel_failed(queue, LUMEN_RESCINDED);
		if (storage_status(storage) == LUMEN_OK)
			more = storage_receive(queue, &taken, &news);
		if (storage_status(storage) == LUMEN_OK) {
			storage_issue(queue);
			storage_flush(queue);
			// After a look in vain nobody waits for room, and signals are on.
			if (!more && (signalled || taken > 0))
				more = signalled = lumen_channel_unmask(queue->channel);
		}
		storage_unlock(queue, state);
	} while (more);
	return taken > 0;
}
