// SPDX-License-Identifier: BSD-2-Clause
// What all VSCs share: a device with its channels, what is in flight on them, the questions before
// the first request, the first failure, and the end. A family (storage/, ic/) has a struct vsc
// first in its device and a struct vsc_queue first in what it keeps for each channel.
//
// The base calls a family only where nothing is hot; a family's own loop calls the base:
//
//	vsc_turn_init(&turn, queue, signalled);
//	do {
//		vsc_turn_begin(&turn);
//		while ((packet = vsc_next(&turn)))
//			...
//		... send what waited for slots or for room
//		vsc_turn_end(&turn);
//		vsc_unlock(queue, turn.state), and what has ended is told to the kernel
//	} while (turn.more);
//
// The host is not trusted: an answer counts for the packet that was sent last in its slot, and
// once; no turn takes packets without end; a host that breaks a rule costs its device, with one
// reason.
#ifndef LUMEN_DRIVERS_VSC_VSC_H
#define LUMEN_DRIVERS_VSC_VSC_H

#include <string.h>

#include "lumen/platform.h"
#include "lumen/segment.h"
#include "lumen/spin.h"
#include "lumen/vmbus.h"

#define VSC_MAX_QUEUES 16u
#define VSC_NO_SLOT    UINT32_MAX
#define VSC_MAX_ANSWER 64u // bytes of the answer to a question
// Packets that one turn takes before what has ended is told.
#define VSC_BATCH 64u
// Packets in a row that answer nothing; a host that sends more is at fault.
#define VSC_MAX_NEWS 1024u

struct vsc_queue;

// What the base asks of a family. Nothing is locked.
struct vsc_class {
	uint32_t packet_size; // of the largest from the host, descriptor included; a multiple of 8
	// Takes all that the host has sent, and sends what has waited. `signalled`: signals are
	// masked. Returns whether there was anything. Any context.
	bool (*service)(struct vsc_queue *queue, bool signalled);
	// Ends all that is under way on a queue whose device has failed (vsc_status()). The host
	// may have it still: its slots stay taken, and the answers are not read. Any context.
	void (*drop)(struct vsc_queue *queue);
};

// A packet that the host has. Its transaction id is index | generation << 32. Generations begin at
// 1, so 0 is no id.
struct vsc_slot {
	void *owner; // the family's; NULL: given up, the answer frees the slot
	uint32_t generation;
	uint32_t bytes; // the family's
	uint32_t next;	// on the free list
	bool in_flight;
};

// A private copy of a packet from the host.
struct vsc_inbox {
	struct vmbus_packet packet; // what lies in `bytes`
	uint64_t bytes[];
};

// A channel and what is in flight on it. `lock` keeps all that follows it, the family's part, and
// the sending and receiving on the channel.
struct vsc_queue {
	struct vsc *vsc;
	struct lumen_channel *channel;
	struct vsc_slot *slots;
	struct vsc_inbox *inbox;
	void *answer;		    // VSC_MAX_ANSWER bytes
	uint32_t page_count;	    // of this allocation
	uint32_t depth;		    // slots
	struct lumen_spinlock lock; // with interrupts off

	uint32_t free;	    // slot
	uint32_t in_flight; // slots
	uint32_t batching;  // a flush is sure to come
	bool flush_due;	    // packets were queued that the host has not been told of

	// A question of the protocol itself. One at a time; its transaction id is that of a slot
	// behind the last.
	uint32_t pending;  // waited for
	uint32_t question; // generation
};

struct vsc {
	const struct vsc_class *class;
	lumen_status status;
	const char *failure;
	bool closing;
	// Polled: a family's service() runs where the kernel polls and in calls that wait, and
	// nowhere else; handlers only say that something is due.
	bool polled;
	uint32_t due;
	uint64_t timeout_ns; // for each answer that is waited for
	uint32_t queue_count;
	struct vsc_queue *queues[VSC_MAX_QUEUES]; // the first is the primary channel's
};

// --- channels. Thread context ---

static inline uint32_t vsc_page_count(size_t bytes)
{
	return (uint32_t)((bytes + LUMEN_PAGE_SIZE - 1) / LUMEN_PAGE_SIZE);
}

// Makes a queue of `size` bytes (struct vsc_queue first) with `depth` slots; the rest is zero.
// NULL: no memory.
struct vsc_queue *vsc_queue_create(
	struct vsc *vsc, struct lumen_channel *channel, size_t size, uint32_t depth);

// Opens its channel, whose handler calls the family's service(); its context is the queue, which
// then belongs to the device; after a failure it is freed. What lumen_channel_open() says.
lumen_status vsc_queue_open(struct vsc_queue *queue, struct lumen_channel_config *config);

// The `index`th sub-channel of the first queue's channel, if the host has offered it by now or does
// so in time; else NULL, also if the device has failed. A host that does not is not at fault.
struct lumen_channel *vsc_find_sub(
	struct vsc *vsc, struct lumen_vmbus *bus, uint32_t index, uint64_t deadline_ns);

// --- the device ---

static inline lumen_status vsc_status(const struct vsc *vsc)
{
	return __atomic_load_n(&vsc->status, __ATOMIC_ACQUIRE);
}

// The device is finished; the first reason stays. `failure` is a constant string. Any context,
// locked or not; who lets go of the lock calls vsc_drop().
void vsc_fail(struct vsc *vsc, lumen_status status, const char *failure);

// The same for a host that has broken a rule.
void vsc_bad_host(struct vsc_queue *queue, const char *failure);

// The same for a status of sending or receiving that is not success.
void vsc_channel_failed(struct vsc_queue *queue, lumen_status status);

// After a failure: ends everything on all queues. Nothing locked; any context.
void vsc_drop(struct vsc *vsc);

// Services all queues. Returns whether there was anything. Any context.
bool vsc_poll(struct vsc *vsc);

// Polled: the next poll has something to do, and who waits looks at once. Any context.
void vsc_set_due(struct vsc *vsc);

// For a channel's handler: whether the family is polled, and has been told. Else the handler calls
// service() itself.
bool vsc_defer(struct vsc *vsc);

// *pending, which a vsc_wait() is for, is 0 from now on. Any context.
void vsc_end_wait(struct vsc *vsc, uint32_t *pending);

// Polls and waits until *pending is 0, up to the timeout; returns whether it is. Thread context.
bool vsc_wait(struct vsc *vsc, const uint32_t *pending);

// Sends a question on the first channel and waits for its answer, which queues[0]->answer then
// holds, with zeroes behind it. Thread context. LUMEN_TIMED_OUT, and the device has failed; or why
// it had.
lumen_status vsc_ask(struct vsc *vsc, const void *question, uint32_t length);

// The end, in two steps. First `closing` is set, by which a family starts nothing more, and what it
// has not sent it ends itself; then this waits for what the host has, up to the timeout.
void vsc_drain(struct vsc *vsc);

// Closes the channels, and then, as the host does not touch memory any more, ends what is left and
// frees the queues. Thread context.
void vsc_shut_down(struct vsc *vsc);

// Lists the pages of `length` bytes (not 0) from `offset` bytes into the segment on. Returns the
// word behind them. Any context.
uint64_t *vsc_put_pages(
	uint64_t *word, const struct lumen_segment *segment, uint32_t offset, uint32_t length);

// Where a segment begins: of its address only the offset in a page means anything.
static inline uint64_t vsc_address(const struct lumen_segment *segment)
{
	return segment->data ? (uint64_t)(uintptr_t)segment->data : segment->gpa;
}

// --- a queue, locked ---

// Lets go of the lock. True: the device has failed, call vsc_drop().
static inline bool vsc_unlock(struct vsc_queue *queue, uint64_t state)
{
	const bool failed = vsc_status(queue->vsc) != LUMEN_OK;

	lumen_spin_unlock_irq(&queue->lock, state);
	return __builtin_expect(failed, 0);
}

// Tells the host of what was queued, unless somebody else is about to.
void vsc_flush(struct vsc_queue *queue);

struct vsc_turn; // vsc_turn.h

// Counts a packet that answers nothing. False: there were too many, and the device has failed.
bool vsc_count_news(struct vsc_turn *turn);

// Takes the answer to a question: a packet for which vsc_is_answer().
void vsc_take_answer(struct vsc_queue *queue, const struct vmbus_packet *packet);

#endif
