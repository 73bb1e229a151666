// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the storage VSC.
#ifndef LUMEN_DRIVERS_VSC_STORAGE_INTERNAL_H
#define LUMEN_DRIVERS_VSC_STORAGE_INTERNAL_H

#include "drivers/proto/scsi.h"
#include "drivers/proto/storage.h"
#include "drivers/vsc/vsc_turn.h"
#include "lumen/storage.h"

#define STORAGE_UNMAP_LIST  24u // an UNMAP parameter list of one descriptor
#define STORAGE_LIST_STRIDE 32u // a power of two, so that no list crosses a page
#define STORAGE_ANSWER	    (8 + 8 * LUMEN_STORAGE_MAX_DISKS) // REPORT LUNS is the longest

_Static_assert(LUMEN_STORAGE_MAX_CHANNELS <= VSC_MAX_QUEUES, "channels");
_Static_assert(sizeof(struct vstor_packet) <= VSC_MAX_ANSWER, "answers");

// lumen_request.state
enum storage_request_state {
	STORAGE_DONE,	 // not ours, or on its way to done()
	STORAGE_WAITING, // in the queue's list; the first of it may have pieces in flight
	STORAGE_ISSUED,	 // all that will be sent was sent
};

// A channel of a controller. The owners of its slots are requests. vsc.lock keeps all of it.
struct lumen_disk_queue {
	struct vsc_queue vsc;
	struct lumen_request *waiting, **waiting_end; // for a slot, or for room in the ring
	struct lumen_request *done, **done_end;	      // to be called when the lock is free

	uint8_t *lists; // STORAGE_LIST_STRIDE for each slot

	// Where packets are put together. What all requests have in common stays in `packet`; words
	// are the header of a GPA-direct packet with one range, and the range's pages.
	uint64_t *words;
	struct vstor_packet packet;
};

struct lumen_storage {
	struct vsc vsc;
	uint16_t version;
	uint32_t packet_size; // of the payload at this version
	uint32_t max_transfer;
	uint32_t changes;
	uint32_t page_count; // of this allocation
	uint32_t disk_count;
	struct lumen_disk disks[LUMEN_STORAGE_MAX_DISKS];
	struct lumen_disk probe;	// an address where a disk may be
	struct lumen_disk found;	// and what was found there
	bool answer_lost;		// the host may yet write to `shared`
	uint8_t answer[STORAGE_ANSWER]; // about a disk: a private copy
	_Alignas(LUMEN_PAGE_SIZE) uint8_t shared[STORAGE_ANSWER]; // where the host puts it
};

static inline struct lumen_disk_queue *storage_queue_of(struct vsc_queue *queue)
{
	return (struct lumen_disk_queue *)queue; // its first member
}

static inline struct lumen_storage *storage_of(const struct lumen_disk_queue *queue)
{
	return (struct lumen_storage *)queue->vsc.vsc; // its first member
}

// --- storage_queue.c: requests in their order ---

// struct vsc_class.
bool storage_service(struct vsc_queue *queue, bool signalled);
void storage_drop(struct vsc_queue *queue);

// Lets go of the lock, then calls done() of all that is done, and, if the controller has failed,
// ends everything on it.
void storage_unlock(struct lumen_disk_queue *queue, uint64_t state);

// Sends as much of what waits as there are slots and room. Locked.
void storage_issue(struct lumen_disk_queue *queue);

// Ends a request: nothing of it is in flight or waits. Locked.
void storage_finish(struct lumen_disk_queue *queue, struct lumen_request *request);

// Takes a request off the list of those that wait. Locked.
void storage_unwait(struct lumen_disk_queue *queue, struct lumen_request *request);

// Ends what waits with a status; what the host has in part ends with its answer. Locked.
void storage_end_waiting(struct lumen_disk_queue *queue, lumen_status status);

// --- storage_receive.c ---

// Takes what has come in this turn. Locked.
void storage_receive(struct lumen_disk_queue *queue, struct vsc_turn *turn);

// --- storage_packet.c: one request, one packet ---

// Puts the next piece of the request, which is not yet sent to its end, into the ring with the
// first free slot. LUMEN_BUSY: no room, and nothing has changed.
lumen_status storage_send_piece(struct lumen_disk_queue *queue, struct lumen_request *request);

// --- storage_error.c ---

// Notes what the host said of a piece that was not plainly GOOD, or too short.
void storage_note_error(
	struct lumen_request *request, const struct vmscsi_request *srb, bool short_transfer);

// --- storage_protocol.c ---

// Negotiates with the host on the first channel, and opens sub-channels. Thread context.
lumen_status storage_negotiate(
	struct lumen_storage *storage, const struct lumen_storage_config *config);

// --- storage_identify.c. Thread context, one caller at a time ---

// Sends a command to the disk at storage->probe. The answer, at most `allocation` (up to
// STORAGE_ANSWER) bytes, is then in storage->answer, with zeroes behind it; *length is how long it
// is.
lumen_status storage_ask_disk(struct lumen_storage *storage, const uint8_t *cdb, uint8_t cdb_length,
	uint32_t allocation, uint32_t *length);

// Fills in *disk, whose address storage->probe has, but for `present`. Returns false if there is no
// disk, or none that can be used.
bool storage_identify(struct lumen_storage *storage, struct lumen_disk *disk);

// The same for its size only.
bool storage_capacity(struct lumen_storage *storage, struct lumen_disk *disk);

// --- storage.c ---

// Makes and opens the queue of one more channel. Thread context.
lumen_status storage_queue_open(struct lumen_storage *storage, struct lumen_channel *channel,
	const struct lumen_storage_config *config, uint32_t vp);

// Big-endian fields of commands and answers; any alignment.
static inline void storage_put(uint8_t *to, uint32_t bytes, uint64_t value)
{
	for (; bytes > 0; value >>= 8)
		to[--bytes] = (uint8_t)value;
}

static inline uint64_t storage_get(const uint8_t *from, uint32_t bytes)
{
	uint64_t value = 0;

	for (uint32_t i = 0; i < bytes; i++)
		value = value << 8 | from[i];
	return value;
}

#endif
