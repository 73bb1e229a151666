// SPDX-License-Identifier: BSD-2-Clause
// Disks on VMBus: synthetic SCSI controllers (VSTOR 2.0 to 6.2) and the disks behind them.
//
// The short way, with or without interrupts:
//	struct lumen_storage *storage;
//	lumen_storage_open(lumen_storage_find(bus, 0), NULL, &storage);
//	struct lumen_disk *disk = lumen_storage_disk(storage, 0);
//	lumen_disk_read(disk, 0, 8, buffer);
// The fast way is struct lumen_request and lumen_storage_submit().
//
// Any number of processors may call at once, unless a function says otherwise. Nothing is allocated
// but by open. Data goes between the host and the caller's memory: it is never copied here.
#ifndef LUMEN_STORAGE_H
#define LUMEN_STORAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/segment.h"
#include "lumen/status.h"
#include "lumen/vmbus.h"

LUMEN_DECLS_BEGIN

#define LUMEN_STORAGE_MAX_DEPTH	   1024u      // requests in flight on one channel
#define LUMEN_STORAGE_MAX_TRANSFER (4u << 20) // bytes of one request to the host
#define LUMEN_STORAGE_MAX_CHANNELS 16u
#define LUMEN_STORAGE_MAX_DISKS	   64u
#define LUMEN_SENSE_SIZE	   20u

struct lumen_storage; // one controller
struct lumen_request;

// How to open a controller. All 0 (or no config at all) is a good choice.
struct lumen_storage_config {
	uint32_t depth;			    // in flight on each channel; 0: 64
	uint32_t send_pages, receive_pages; // of each ring's data; 0: 16 and 8
	uint32_t max_transfer;		    // bytes of one request to the host; 0: what it takes
	uint16_t max_version;		    // of VSTOR, major << 8 | minor; 0: the newest
	// Channels that share the work: the first is the controller's own, with vps[0] as target,
	// the others are sub-channels, as far as the host offers them. Requests that a VP submits
	// go to channel number (VP index) modulo (channels). NULL: one, for this VP. More need
	// `bus`. Lumen's host offers as many as the child has VPs, up to 16 with the first; one
	// that offers no sub-channels leaves it at one: lumen_storage_channels().
	const uint32_t *vps;
	uint32_t vp_count;
	struct lumen_vmbus *bus;
	// For each answer in opening, closing and the blocking calls; 0: 30 s.
	uint64_t timeout_ns;
};

// A disk. All but the last group is for reading; it is set when the disk is found. After that only
// lumen_storage_scan() changes it: `blocks` and `present`, and the rest too when the disk comes
// back. The block size stays.
struct lumen_disk {
	struct lumen_storage *storage;
	uint64_t blocks;
	uint32_t block_size;	      // bytes: 512 to 4096, a power of two
	uint32_t physical_block_size; // bytes, at least block_size
	uint32_t max_transfer;	      // bytes of one request to the host; larger ones are split
	bool present;
	bool read_only;
	bool write_cache;	      // completed writes are stable only after a flush
	bool can_unmap;		      // LUMEN_UNMAP
	bool can_write_same;	      // LUMEN_WRITE_SAME
	bool unmap_zeroes;	      // unmapped blocks read as zeroes
	uint32_t unmap_granularity;   // bytes; 0: unknown
	uint8_t path, target, lun;    // where it is on the controller
	char vendor[9], product[17];  // ASCII without spaces at the end, ended by a 0 byte
	char revision[5], serial[33]; // likewise; "" if there is none

	// The SDK's.
	uint32_t block_shift;
	uint32_t address;
	uint32_t max_unmap, max_write_same; // blocks of one request to the host
};

// --- controllers ---

// The `index`th SCSI controller that the host offers, or NULL. Thread context.
struct lumen_channel *lumen_storage_find(struct lumen_vmbus *bus, uint32_t index);

// Opens a controller: its channel, the protocol, sub-channels, and finds its disks. Allocates.
// config may be NULL and is not kept. Thread context; waits for the host. What
// lumen_channel_open() says; LUMEN_REFUSED (no version in common, or the host said no),
// LUMEN_TIMED_OUT, LUMEN_BAD_HOST, LUMEN_BAD_ARGUMENT, LUMEN_NO_MEMORY, LUMEN_RESCINDED.
lumen_status lumen_storage_open(struct lumen_channel *channel,
	const struct lumen_storage_config *config, struct lumen_storage **storage_out);

// Closes it. Requests that wait for a slot are cancelled; those that the host has are waited for,
// up to the timeout, and cancelled then; each request's done() has been called when this returns.
// The disks are dead after it. Thread context; nobody else may use the controller by now, done()
// must not submit. A channel that was rescinded is to be released by the caller
// (lumen_channel_release()).
void lumen_storage_close(struct lumen_storage *storage);

// LUMEN_OK while it works; LUMEN_RESCINDED or LUMEN_BAD_HOST if it will never again: then each
// request ends with that, and it is to be closed. Until it is, a host that broke the protocol may
// still write to the memory of requests that were in flight. Any context.
lumen_status lumen_storage_status(const struct lumen_storage *storage);

// In words, for the log: what the host did wrong, or NULL. Any context; a constant string.
const char *lumen_storage_failure(const struct lumen_storage *storage);

// The version agreed on (major << 8 | minor), the most bytes of one request to the host, and how
// many channels are used. Any context.
uint16_t lumen_storage_version(const struct lumen_storage *storage);
uint32_t lumen_storage_max_transfer(const struct lumen_storage *storage);
uint32_t lumen_storage_channels(const struct lumen_storage *storage);

// Takes what the host has completed: for kernels without interrupts, and to look before sleeping.
// Calls done(). Any context but done(), also with interrupts off. Returns whether there was
// anything.
bool lumen_storage_poll(struct lumen_storage *storage);

// A counter that goes up, with lumen_wake(), when the host says that disks have come or gone: call
// lumen_storage_scan().
const uint32_t *lumen_storage_changes(const struct lumen_storage *storage);

// Looks for disks that have come, gone, or changed their size. Thread context, one caller at a
// time; waits for the host. Requests may be in flight. LUMEN_TIMED_OUT: a question about a disk was
// not answered; what is known of the disks stays as it is, and no other scan is possible.
lumen_status lumen_storage_scan(struct lumen_storage *storage);

// The `index`th disk that is present, in order of target and LUN as found, or NULL. The pointer
// lives until close: a disk that has gone is not present, and comes back as itself.
struct lumen_disk *lumen_storage_disk(struct lumen_storage *storage, uint32_t index);

// --- asynchronous requests ---

enum lumen_operation {
	LUMEN_READ,
	LUMEN_WRITE,
	LUMEN_FLUSH,	  // what was completed before is stable after it; no blocks, no data
	LUMEN_UNMAP,	  // the contents of the blocks are not needed any more; no data
	LUMEN_WRITE_SAME, // the data are one block, which is written to each of the blocks
	LUMEN_SCSI,	  // the command in `cdb`; block and count do not count
};

// Segments of a request (lumen/segment.h): their ends are anywhere in memory, but where one ends
// and the next does not go on at the same place with a new page, the bytes so far must be a
// multiple of the block size: there the request is split. A header of 16 bytes in front of pages is
// therefore no list of segments for a disk, unless it ends at the end of a page and the pages are
// whole ones; a buffer of any place and length is, and so are several of whole blocks each.

#define LUMEN_REQUEST_FUA     0x1u // LUMEN_WRITE: stable before it completes
#define LUMEN_REQUEST_DATA_IN 0x2u // LUMEN_SCSI: the host writes to the data

// A request. The caller's memory, and the SDK's from a submit that said LUMEN_OK until done().
struct lumen_request {
	struct lumen_disk *disk;
	enum lumen_operation operation;
	uint32_t flags; // LUMEN_REQUEST_*
	uint64_t block;
	uint64_t count; // of blocks, not 0; of any size: more than the host takes at once is split
	const struct lumen_segment *segments; // until done(); their sum is exactly the data
	uint32_t segment_count;
	// Called once: by the channel's handler, on the VP that is the channel's target, perhaps
	// while another VP is still in the submit; by lumen_storage_poll() or a blocking call, on
	// the VP that makes it; by who cancels or closes; and by a submit, of this request or of
	// others, if that finds the host at fault. So what done() locks must not be held around any
	// of these. Interrupts may be off, no lock of the SDK's is held. May submit this request or
	// others, and give its memory back.
	void (*done)(struct lumen_request *request);
	void *context; // the caller's
	uint8_t cdb[16];
	uint8_t cdb_length;

	// The results. LUMEN_IO_ERROR: the rest says why; LUMEN_BUSY: the host has no room now;
	// LUMEN_RESCINDED: no such disk any more; LUMEN_BAD_HOST, LUMEN_CANCELLED.
	lumen_status status;
	uint8_t scsi_status;		 // if the disk answered with a status
	uint8_t srb_status;		 // what the host's port driver says of it
	uint8_t sense_length;		 // 0: none
	uint8_t sense[LUMEN_SENSE_SIZE]; // SPC-4 4.5
	uint64_t transferred;		 // bytes, in both directions

	// The SDK's.
	struct lumen_request *next;
	struct lumen_disk_queue *queue;
	uint64_t blocks_left;
	uint32_t segment, segment_offset;
	uint32_t in_flight;
	uint32_t pending; // somebody waits in lumen_disk_execute()
	uint8_t state;
};

// Starts a request. More than the depth may be submitted: they wait their turn. Any context, also
// done(). Otherwise than with LUMEN_OK, done() is not called: LUMEN_BAD_ARGUMENT (segments do not
// fit), LUMEN_OUT_OF_RANGE, LUMEN_READ_ONLY, LUMEN_NOT_SUPPORTED, LUMEN_RESCINDED, LUMEN_BAD_HOST,
// LUMEN_BAD_STATE (closing).
lumen_status lumen_storage_submit(struct lumen_request *request);

// The same, but the host may be told of it only by the next lumen_storage_kick() of this VP: one
// signal for a batch.
lumen_status lumen_storage_queue(struct lumen_request *request);
void lumen_storage_kick(struct lumen_storage *storage);

// Gives a request up: done() is called with LUMEN_CANCELLED before this returns, and true is
// returned. What the host has of it keeps its slot and goes on: until the host has answered or the
// controller is closed, it may still read and write the request's memory. False: too late, it is
// done, or done() is being called. Any context but done() of this request; the request must have
// been submitted.
bool lumen_storage_cancel(struct lumen_request *request);

// --- blocking calls ---

// Read, write, flush, unmap `count` blocks from `block` on, of any number; `pattern` is one block,
// which is written to each of them. Thread context, interrupts on. They end with what
// lumen_storage_submit() and done() say, or with LUMEN_TIMED_OUT: the host has not answered, and
// may still use the buffer until the controller is closed. A disk's unit attention is asked again.
lumen_status lumen_disk_read(struct lumen_disk *disk, uint64_t block, uint64_t count, void *buffer);
lumen_status lumen_disk_write(
	struct lumen_disk *disk, uint64_t block, uint64_t count, const void *buffer);
lumen_status lumen_disk_flush(struct lumen_disk *disk);
lumen_status lumen_disk_unmap(struct lumen_disk *disk, uint64_t block, uint64_t count);
lumen_status lumen_disk_write_same(
	struct lumen_disk *disk, uint64_t block, uint64_t count, const void *pattern);

// Submits any request and waits for it, as above; request->done is overwritten. For who wants the
// sense data, or scatter-gather.
lumen_status lumen_disk_execute(struct lumen_request *request);

// Sense key << 16 | additional sense code << 8 | qualifier of a request's sense data in fixed or
// descriptor format; 0 if there are none.
uint32_t lumen_request_sense(const struct lumen_request *request);

LUMEN_DECLS_END

#endif
