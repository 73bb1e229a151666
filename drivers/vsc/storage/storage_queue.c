// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: one channel. Requests out, as far as slots and ring go; done() of what has
// ended, with nothing locked; and the end of everything if the host is at fault.
#include "drivers/vsc/storage/storage_internal.h"

static void storage_call_done(struct lumen_request *request)
{
	while (request) {
		struct lumen_request *next = request->next; // done() may free it

		request->done(request);
		request = next;
	}
}

static struct lumen_request *storage_take_done(struct lumen_disk_queue *queue)
{
	struct lumen_request *done = queue->done;

	queue->done = NULL;
	queue->done_end = &queue->done;
	return done;
}

void storage_end_waiting(struct lumen_disk_queue *queue, lumen_status status)
{
	while (queue->waiting) {
		struct lumen_request *request = queue->waiting;

		storage_unwait(queue, request);
		request->status = status;
		request->blocks_left = 0;
		if (request->in_flight == 0)
			storage_finish(queue, request);
	}
}

// Locked.
static void storage_drop_requests(struct lumen_disk_queue *queue, lumen_status status)
{
	storage_end_waiting(queue, status);
	for (uint32_t i = 0; i < queue->vsc.depth; i++) {
		struct lumen_request *request = queue->vsc.slots[i].owner;

		if (!request)
			continue;
		queue->vsc.slots[i].owner = NULL;
		if (--request->in_flight > 0)
			continue;
		request->status = status;
		storage_finish(queue, request);
	}
}

void storage_drop(struct vsc_queue *base)
{
	struct lumen_disk_queue *queue = storage_queue_of(base);
	const uint64_t state = lumen_spin_lock_irq(&base->lock);
	struct lumen_request *done;

	storage_drop_requests(queue, vsc_status(base->vsc));
	done = storage_take_done(queue);
	lumen_spin_unlock_irq(&base->lock, state);
	storage_call_done(done);
}

void storage_unlock(struct lumen_disk_queue *queue, uint64_t state)
{
	struct vsc *vsc = queue->vsc.vsc;
	struct lumen_request *done = storage_take_done(queue);
	const bool failed = vsc_unlock(&queue->vsc, state);

	storage_call_done(done);
	if (failed)
		vsc_drop(vsc);
}

void storage_finish(struct lumen_disk_queue *queue, struct lumen_request *request)
{
	request->state = STORAGE_DONE;
	request->next = NULL;
	*queue->done_end = request;
	queue->done_end = &request->next;
}

void storage_unwait(struct lumen_disk_queue *queue, struct lumen_request *request)
{
	struct lumen_request **at = &queue->waiting;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	if (queue->waiting_end == &request->next)
		queue->waiting_end = at;
	request->state = STORAGE_ISSUED;
}

void storage_issue(struct lumen_disk_queue *queue)
{
	while (queue->waiting && queue->vsc.free != VSC_NO_SLOT) {
		struct lumen_request *request = queue->waiting;
		const lumen_status status = storage_send_piece(queue, request);

		if (status == LUMEN_BUSY)
			return; // the handler is called when there is room
		if (status != LUMEN_OK) {
			vsc_channel_failed(&queue->vsc, status);
			return;
		}
		if (request->blocks_left == 0)
			storage_unwait(queue, request);
	}
}

// Calls done() of all that is done. What it submits goes to the host with one signal, by the flush
// that follows. Locked, but not meanwhile.
static void storage_run_done(struct lumen_disk_queue *queue, uint64_t *state)
{
	struct lumen_request *done = storage_take_done(queue);

	if (!done)
		return;
	queue->vsc.batching++;
	lumen_spin_unlock_irq(&queue->vsc.lock, *state);
	storage_call_done(done);
	*state = lumen_spin_lock_irq(&queue->vsc.lock);
	queue->vsc.batching--;
}

bool storage_service(struct vsc_queue *base, bool signalled)
{
	struct lumen_disk_queue *queue = storage_queue_of(base);
	struct vsc_turn turn;

	vsc_turn_init(&turn, base, signalled);
	do {
		vsc_turn_begin(&turn);
		storage_receive(queue, &turn);
		if (vsc_status(base->vsc) == LUMEN_OK)
			storage_issue(queue);
		storage_run_done(queue, &turn.state);
		vsc_turn_end(&turn);
		storage_unlock(queue, turn.state);
	} while (turn.more);
	return turn.taken > 0;
}
