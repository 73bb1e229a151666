// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: one channel. Frames out, as far as slots and ring go; what the host sends;
// done() of what has ended, with nothing locked; and the end of everything if the host is at fault.
#include "drivers/vsc/net/net_internal.h"

static void net_call_done(struct lumen_net_frame *frame)
{
	while (frame) {
		struct lumen_net_frame *next = frame->next; // done() may free it

		if (frame->done)
			frame->done(frame);
		frame = next;
	}
}

static struct lumen_net_frame *net_take_done(struct net_queue *queue)
{
	struct lumen_net_frame *done = queue->done;

	queue->done = NULL;
	queue->done_end = &queue->done;
	return done;
}

void net_finish(struct net_queue *queue, struct lumen_net_frame *frame, lumen_status status)
{
	frame->status = status;
	frame->next = NULL;
	*queue->done_end = frame;
	queue->done_end = &frame->next;
}

void net_end_waiting(struct net_queue *queue, lumen_status status)
{
	while (queue->waiting) {
		struct lumen_net_frame *frame = queue->waiting;

		queue->waiting = frame->next;
		net_finish(queue, frame, status);
	}
	queue->waiting_end = &queue->waiting;
}

void net_drop(struct vsc_queue *base)
{
	struct net_queue *queue = net_queue_of(base);
	const uint64_t state = lumen_spin_lock_irq(&base->lock);
	struct lumen_net_frame *done;

	net_end_waiting(queue, vsc_status(base->vsc));
	for (uint32_t i = 0; i < base->depth; i++) {
		if (base->slots[i].owner)
			net_finish(queue, base->slots[i].owner, vsc_status(base->vsc));
		base->slots[i].owner = NULL;
	}
	done = net_take_done(queue);
	lumen_spin_unlock_irq(&base->lock, state);
	net_call_done(done);
	net_tell_change(net_of(queue));
}

void net_unlock(struct net_queue *queue, uint64_t state)
{
	struct vsc *vsc = queue->vsc.vsc;
	struct lumen_net_frame *done = net_take_done(queue);
	const bool failed = vsc_unlock(&queue->vsc, state);

	net_call_done(done);
	if (failed)
		vsc_drop(vsc);
}

// Calls done() of all that is done. What it sends goes to the host with one signal, by the flush
// that follows. Locked, but not meanwhile.
static void net_run_done(struct net_queue *queue, uint64_t *state)
{
	struct lumen_net_frame *done = net_take_done(queue);

	if (!done)
		return;
	queue->vsc.batching++;
	lumen_spin_unlock_irq(&queue->vsc.lock, *state);
	net_call_done(done);
	*state = lumen_spin_lock_irq(&queue->vsc.lock);
	queue->vsc.batching--;
}

// A turn of who receives. Returns whether there has to be another one.
static bool net_receive_turn(struct net_queue *queue, struct vsc_turn *turn)
{
	bool stuck;

	net_receive_all(queue, turn);
	if (vsc_status(queue->vsc.vsc) == LUMEN_OK)
		net_issue(queue);
	net_run_done(queue, &turn->state);
	vsc_turn_end(turn);
	// Then the handler is called when there is room for what the host waits for.
	stuck = queue->ack_count == NET_ACKS;
	net_unlock(queue, turn->state);
	return turn->more && !stuck;
}

// Somebody receives, perhaps under this interrupt handler, and will look again before the end.
static bool net_is_received(struct net_queue *queue, const struct vsc_turn *turn)
{
	const bool receiving = queue->receiving;

	if (receiving)
		net_unlock(queue, turn->state);
	return receiving;
}

bool net_service(struct vsc_queue *base, bool signalled)
{
	struct net_queue *queue = net_queue_of(base);
	struct vsc_turn turn;
	bool again;

	vsc_turn_init(&turn, base, signalled);
	do {
		vsc_turn_begin(&turn);
		if (net_is_received(queue, &turn))
			return true;
		again = net_receive_turn(queue, &turn);
	} while (again && !base->vsc->polled);
	if (again)
		vsc_set_due(base->vsc);
	return turn.taken > 0;
}
