// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: one channel. Requests out, as far as slots and ring go; done() of what has
// ended, with nothing locked; and the end of everything if the host is at fault.
#include "drivers/vsc/storage_internal.h"

static void vsc_call_done(struct lumen_request *request)
{
	while (request) {
		struct lumen_request *next = request->next; // done() may free it

		request->done(request);
		request = next;
	}
}

static struct lumen_request *vsc_take_done(struct vsc_queue *queue)
{
	struct lumen_request *done = queue->done;

	queue->done = NULL;
	queue->done_end = &queue->done;
	return done;
}

// Ends everything that is on the queue. What the host has keeps its slot; the answers are not read.
static void vsc_drop(struct vsc_queue *queue, lumen_status status)
{
	for (uint32_t i = 0; i < queue->depth; i++) {
		struct lumen_request *request = queue->slots[i].request;

		if (!request)
			continue;
		queue->slots[i].request = NULL;
		if (--request->in_flight > 0 || request->state == VSC_WAITING)
			continue;
		request->status = status;
		vsc_finish(queue, request);
	}
	while (queue->waiting) {
		struct lumen_request *request = queue->waiting;

		vsc_unwait(queue, request);
		request->status = status;
		vsc_finish(queue, request);
	}
	__atomic_store_n(&queue->control.pending, 0, __ATOMIC_RELEASE);
	lumen_wake(&queue->control.pending);
	lumen_wake(&queue->in_flight);
}

static void vsc_drop_all(struct lumen_storage *storage)
{
	for (uint32_t i = 0; i < storage->queue_count; i++) {
		struct vsc_queue *queue = storage->queues[i];
		const uint64_t state = lumen_spin_lock_irq(&queue->lock);
		struct lumen_request *done;

		vsc_drop(queue, vsc_status(storage));
		done = vsc_take_done(queue);
		lumen_spin_unlock_irq(&queue->lock, state);
		vsc_call_done(done);
	}
}

void vsc_unlock(struct vsc_queue *queue, uint64_t state)
{
	struct lumen_storage *storage = queue->storage;
	struct lumen_request *done = vsc_take_done(queue);
	const bool failed = vsc_status(storage) != LUMEN_OK;

	lumen_spin_unlock_irq(&queue->lock, state);
	vsc_call_done(done);
	if (__builtin_expect(failed, 0))
		vsc_drop_all(storage);
}

void vsc_fail(struct lumen_storage *storage, lumen_status status, const char *failure)
{
	lumen_status none = LUMEN_OK;

	if (__atomic_compare_exchange_n(
		    &storage->status, &none, status, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		__atomic_store_n(&storage->failure, failure, __ATOMIC_RELEASE);
}

void vsc_finish(struct vsc_queue *queue, struct lumen_request *request)
{
	request->state = VSC_DONE;
	request->next = NULL;
	*queue->done_end = request;
	queue->done_end = &request->next;
}

void vsc_unwait(struct vsc_queue *queue, struct lumen_request *request)
{
	struct lumen_request **at = &queue->waiting;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (queue->waiting_end == &request->next)
		queue->waiting_end = at;
	request->state = VSC_ISSUED;
}

void vsc_flush(struct vsc_queue *queue)
{
	if (!queue->flush_due || queue->batching > 0)
		return;
	__atomic_store_n(&queue->flush_due, false, __ATOMIC_RELAXED);
	lumen_channel_flush(queue->channel);
}

void vsc_channel_failed(struct vsc_queue *queue, lumen_status status)
{
	vsc_fail(queue->storage, status,
		status == LUMEN_RESCINDED ? "storage: the host has taken the controller away"
					  : "storage: the channel's ring is broken");
}

void vsc_issue(struct vsc_queue *queue)
{
	while (queue->waiting && queue->free != VSC_NO_SLOT) {
		struct lumen_request *request = queue->waiting;
		const lumen_status status = vsc_send_piece(queue, request);

		if (status == LUMEN_BUSY)
			return; // the handler is called when there is room
		if (status != LUMEN_OK) {
			vsc_channel_failed(queue, status);
			return;
		}
		if (request->blocks_left == 0)
			vsc_unwait(queue, request);
	}
}

lumen_status vsc_send_control(struct vsc_queue *queue, const struct vstor_packet *packet,
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

// Calls done() of all that is done. What it submits goes to the host with one signal, by the flush
// that follows. Locked, but not meanwhile.
static void vsc_run_done(struct vsc_queue *queue, uint64_t *state)
{
	struct lumen_request *done = vsc_take_done(queue);

	if (!done)
		return;
	queue->batching++;
	lumen_spin_unlock_irq(&queue->lock, *state);
	vsc_call_done(done);
	*state = lumen_spin_lock_irq(&queue->lock);
	queue->batching--;
}

bool vsc_service(struct vsc_queue *queue, bool signalled)
{
	struct lumen_storage *storage = queue->storage;
	uint32_t taken = 0, news = 0;
	bool more;

	do {
		uint64_t state = lumen_spin_lock_irq(&queue->lock);

		more = false;
		if (lumen_channel_rescinded(queue->channel))
			vsc_channel_failed(queue, LUMEN_RESCINDED);
		if (vsc_status(storage) == LUMEN_OK)
			more = vsc_receive(queue, &taken, &news);
		if (vsc_status(storage) == LUMEN_OK)
			vsc_issue(queue);
		vsc_run_done(queue, &state);
		if (vsc_status(storage) == LUMEN_OK) {
			vsc_flush(queue);
			// After a look in vain nobody waits for room, and signals are on.
			if (!more && (signalled || taken > 0))
				more = signalled = lumen_channel_unmask(queue->channel);
		}
		vsc_unlock(queue, state);
	} while (more);
	return taken > 0;
}
