// SPDX-License-Identifier: BSD-2-Clause
// The hot half of the VSCs' base: a look at what the host has sent, and the slots of what it has. A
// family uses each of these in one place, for every request, so they are inline. All but
// vsc_turn_begin() want the queue locked.
#ifndef LUMEN_DRIVERS_VSC_VSC_TURN_H
#define LUMEN_DRIVERS_VSC_VSC_TURN_H

#include "drivers/vsc/vsc.h"

// One look at what the host has sent.
struct vsc_turn {
	struct vsc_queue *queue;
	uint64_t state;	      // of interrupts, while locked
	uint32_t left;	      // packets that may be taken
	uint32_t taken, news; // packets, in all turns
	bool signalled, more;
};

// What a turn is before it begins for the first time.
static inline void vsc_turn_init(struct vsc_turn *turn, struct vsc_queue *queue, bool signalled)
{
	turn->queue = queue;
	turn->taken = 0;
	turn->news = 0;
	turn->signalled = signalled;
}

// Locks the queue.
static inline void vsc_turn_begin(struct vsc_turn *turn)
{
	struct vsc_queue *queue = turn->queue;

	turn->state = lumen_spin_lock_irq(&queue->lock);
	turn->left = VSC_BATCH;
	turn->more = false;
	if (lumen_channel_rescinded(queue->channel))
		vsc_channel_failed(queue, LUMEN_RESCINDED);
}

// Takes the next packet. NULL: there is none, or the device has failed.
static inline const struct vmbus_packet *vsc_next(struct vsc_turn *turn)
{
	struct vsc_queue *queue = turn->queue;
	struct vsc_inbox *inbox = queue->inbox;
	lumen_status status;

	if (vsc_status(queue->vsc) != LUMEN_OK)
		return NULL;
	turn->more = turn->left == 0;
	if (turn->more)
		return NULL;
	turn->left--;
	status = lumen_channel_receive(
		queue->channel, inbox->bytes, queue->vsc->class->packet_size, &inbox->packet);
	if (status == LUMEN_OK) {
		turn->taken++;
		return &inbox->packet;
	}
	if (status != LUMEN_BUSY)
		vsc_channel_failed(queue, status);
	return NULL;
}

// Tells the host what was read and queued, and asks for signals again if nothing is left. Locked
// still. turn->more: begin again.
static inline void vsc_turn_end(struct vsc_turn *turn)
{
	struct vsc_queue *queue = turn->queue;

	if (vsc_status(queue->vsc) != LUMEN_OK) {
		turn->more = false;
		return;
	}
	vsc_flush(queue);
	// After a look in vain nobody waits for room, and signals are on.
	if (!turn->more && (turn->signalled || turn->taken > 0))
		turn->more = turn->signalled = lumen_channel_unmask(queue->channel);
}

// --- slots ---

// The transaction id of a packet that takes the next free slot.
static inline uint64_t vsc_next_id(const struct vsc_queue *queue)
{
	return (uint64_t)(queue->slots[queue->free].generation + 1) << 32 | queue->free;
}

// A packet with vsc_next_id() was queued.
static inline void vsc_take_slot(struct vsc_queue *queue, void *owner, uint32_t bytes)
{
	struct vsc_slot *slot = &queue->slots[queue->free];

	queue->free = slot->next;
	__atomic_store_n(&queue->in_flight, queue->in_flight + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&queue->flush_due, true, __ATOMIC_RELAXED);
	slot->owner = owner;
	slot->generation++;
	slot->bytes = bytes;
	slot->in_flight = true;
}

// The slot whose packet has this transaction id and is with the host, or NULL.
static inline struct vsc_slot *vsc_slot_of(const struct vsc_queue *queue, uint64_t transaction_id)
{
	const uint32_t index = (uint32_t)transaction_id;
	struct vsc_slot *slot;

	if (index >= queue->depth)
		return NULL;
	slot = &queue->slots[index];
	return slot->in_flight && transaction_id >> 32 == slot->generation ? slot : NULL;
}

// The host has answered. Returns the owner.
static inline void *vsc_free_slot(struct vsc_queue *queue, struct vsc_slot *slot)
{
	void *owner = slot->owner;

	slot->in_flight = false;
	slot->owner = NULL;
	slot->next = queue->free;
	queue->free = (uint32_t)(slot - queue->slots);
	__atomic_store_n(&queue->in_flight, queue->in_flight - 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&queue->vsc->closing, __ATOMIC_RELAXED))
		lumen_wake(&queue->in_flight);
	return owner;
}

static inline bool vsc_is_answer(const struct vsc_queue *queue, uint64_t transaction_id)
{
	return (uint32_t)transaction_id == queue->depth;
}

#endif
