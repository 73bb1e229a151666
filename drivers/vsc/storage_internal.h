// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the storage VSC.
#ifndef LUMEN_DRIVERS_VSC_STORAGE_INTERNAL_H
#define LUMEN_DRIVERS_VSC_STORAGE_INTERNAL_H

#include <string.h>

#include "drivers/proto/storage.h"
#include "lumen/platform.h"
#include "lumen/spin.h"
#include "lumen/storage.h"

#define VSC_NO_SLOT	UINT32_MAX
#define VSC_UNMAP_LIST	24u  // an UNMAP parameter list of one descriptor
#define VSC_LIST_STRIDE 32u  // a power of two, so that no list crosses a page
#define VSC_BUFFER_SIZE 256u // of one packet from the host, descriptor included
#define VSC_ANSWER	(8 + 8 * LUMEN_STORAGE_MAX_DISKS) // REPORT LUNS is the longest

// lumen_request.state
enum vsc_request_state {
	VSC_DONE,    // not ours, or on its way to done()
	VSC_WAITING, // in the queue's list; the first of it may have pieces in flight
	VSC_ISSUED,  // all that will be sent was sent
};

// A packet that the host has. Its transaction id is index | generation << 32: an answer counts for
// the packet that was sent last in this slot, and once. Generations begin at 1, so 0 is no id.
struct vsc_slot {
	struct lumen_request *request; // NULL: given up; the answer frees the slot
	uint32_t generation;
	uint32_t bytes; // of data
	uint32_t next;	// on the free list
	bool in_flight;
};

// A question of the protocol itself. One at a time, on the first channel; its transaction id is
// that of a slot behind the last.
struct vsc_control {
	uint32_t pending; // waited for
	uint32_t generation;
	struct vstor_packet answer;
};

// A channel and what is in flight on it. `lock` keeps all that follows it, and the sending and
// receiving on the channel.
struct vsc_queue {
	struct lumen_storage *storage;
	struct lumen_channel *channel;
	uint32_t page_count; // of this allocation
	bool open;
	uint32_t depth;
	struct lumen_spinlock lock; // with interrupts off

	uint32_t batching;  // a flush is sure to come
	bool flush_due;	    // packets were queued that the host has not been told of
	uint32_t free;	    // slot
	uint32_t in_flight; // slots
	struct vsc_slot *slots;
	uint8_t *lists;				      // VSC_LIST_STRIDE for each slot
	struct lumen_request *waiting, **waiting_end; // for a slot, or for room in the ring
	struct lumen_request *done, **done_end;	      // to be called when the lock is free
	struct vsc_control control;

	// Where packets are put together. What all requests have in common stays in `packet`; words
	// are the header of a GPA-direct packet with one range, and the range's pages.
	struct vstor_packet packet;
	uint64_t *words;
	struct vmbus_packet received;
	uint64_t buffer[VSC_BUFFER_SIZE / 8];
};

struct lumen_storage {
	lumen_status status;
	const char *failure;
	bool closing;
	uint16_t version;
	uint32_t packet_size; // of the payload at this version
	uint32_t max_transfer;
	uint32_t changes;
	uint64_t timeout_ns;
	uint32_t page_count; // of this allocation
	uint32_t queue_count;
	struct vsc_queue *queues[LUMEN_STORAGE_MAX_CHANNELS];
	uint32_t disk_count;
	struct lumen_disk disks[LUMEN_STORAGE_MAX_DISKS];
	struct lumen_disk probe;			      // an address where a disk may be
	struct lumen_disk found;			      // and what was found there
	bool answer_lost;				      // the host may yet write to `shared`
	uint8_t answer[VSC_ANSWER];			      // about a disk: a private copy
	_Alignas(LUMEN_PAGE_SIZE) uint8_t shared[VSC_ANSWER]; // where the host puts it
};

// --- storage_queue.c: the rings, slots and the order of things ---

// Lets go of queue->lock, then calls done() of all that is done, and, if the controller has failed,
// ends everything on it.
void vsc_unlock(struct vsc_queue *queue, uint64_t state);

// Takes all that the host has sent, and sends what has waited. `signalled`: signals are masked.
// Returns whether there was anything.
bool vsc_service(struct vsc_queue *queue, bool signalled);

// The controller is finished; the first reason stays. `failure` is a constant string. Any context,
// locked or not: vsc_unlock() does the rest.
void vsc_fail(struct lumen_storage *storage, lumen_status status, const char *failure);

// Sends as much of what waits as there are slots and room. Locked.
void vsc_issue(struct vsc_queue *queue);

// Tells the host of what was queued, unless somebody else is about to. Locked.
void vsc_flush(struct vsc_queue *queue);

// Ends a request: nothing of it is in flight or waits. Locked.
void vsc_finish(struct vsc_queue *queue, struct lumen_request *request);

// Takes a request off the list of those that wait. Locked.
void vsc_unwait(struct vsc_queue *queue, struct lumen_request *request);

// The channel cannot be used any more: a status of sending or receiving that is not success.
void vsc_channel_failed(struct vsc_queue *queue, lumen_status status);

// Sends a packet without data and with this transaction id at once. Locked.
lumen_status vsc_send_control(struct vsc_queue *queue, const struct vstor_packet *packet,
	uint32_t length, uint64_t transaction_id);

// --- storage_receive.c ---

// Takes some packets of the host's, counting those and, of them, those that answer nothing. Returns
// whether there may be more. Locked.
bool vsc_receive(struct vsc_queue *queue, uint32_t *taken, uint32_t *news);

// --- storage_packet.c: one request, one packet ---

// Puts the next piece of the request, which is not yet sent to its end, into the ring with the
// first free slot. LUMEN_BUSY: no room, and nothing has changed.
lumen_status vsc_send_piece(struct vsc_queue *queue, struct lumen_request *request);

// --- storage_error.c ---

// Notes what the host said of a piece that was not plainly GOOD, or too short.
void vsc_note_error(
	struct lumen_request *request, const struct vmscsi_request *srb, bool short_transfer);

// --- storage_protocol.c ---

// Negotiates with the host on the first channel, and opens sub-channels. Thread context.
lumen_status vsc_negotiate(
	struct lumen_storage *storage, const struct lumen_storage_config *config);

// --- storage_identify.c. Thread context, one caller at a time ---

// Sends a command to the disk at storage->probe. The answer, at most `allocation` (up to
// VSC_ANSWER) bytes, is then in storage->answer, with zeroes behind it; *length is how long it
// is.
lumen_status vsc_ask_disk(struct lumen_storage *storage, const uint8_t *cdb, uint8_t cdb_length,
	uint32_t allocation, uint32_t *length);

// Fills in *disk, whose address storage->probe has, but for `present`. Returns false if there is no
// disk, or none that can be used.
bool vsc_identify(struct lumen_storage *storage, struct lumen_disk *disk);

// The same for its size only.
bool vsc_capacity(struct lumen_storage *storage, struct lumen_disk *disk);

// --- storage.c ---

// Makes and opens the queue of one more channel. Thread context.
lumen_status vsc_queue_open(struct lumen_storage *storage, struct lumen_channel *channel,
	const struct lumen_storage_config *config, uint32_t vp);

static inline lumen_status vsc_status(const struct lumen_storage *storage)
{
	return __atomic_load_n(&storage->status, __ATOMIC_ACQUIRE);
}

// Big-endian fields of commands and answers; any alignment.
static inline void vsc_put16(uint8_t *to, uint64_t value)
{
	const uint16_t big = __builtin_bswap16((uint16_t)value);

	memcpy(to, &big, sizeof(big));
}

static inline void vsc_put32(uint8_t *to, uint64_t value)
{
	const uint32_t big = __builtin_bswap32((uint32_t)value);

	memcpy(to, &big, sizeof(big));
}

static inline void vsc_put64(uint8_t *to, uint64_t value)
{
	const uint64_t big = __builtin_bswap64(value);

	memcpy(to, &big, sizeof(big));
}

static inline uint64_t vsc_get(const uint8_t *from, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

#endif
