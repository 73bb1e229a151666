// SPDX-License-Identifier: BSD-2-Clause
// The ring buffer: one reader and one writer, one of them untrusted, over pages that need not be
// contiguous. A channel has two rings; an end reads one and writes the other.
//
// No locks and no allocation: all state is in the struct, and the caller serialises calls on one
// struct. The indices that this end owns live here; the shared copies are only ever published.
#ifndef VMBUS_RING_H
#define VMBUS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vmbus/memory.h"
#include "vmbus/packet.h"

// What a ring call ends with. Everything from VMBUS_RING_BAD_PAGES on means that the peer broke
// the ring: it is then broken for good, each later call returns the same, and the channel is to be
// closed. vmbus_ring_status_name() gives the name for the log.
enum vmbus_ring_status {
	VMBUS_RING_OK,
	VMBUS_RING_EMPTY,	  // reader: nothing more to read now
	VMBUS_RING_FULL,	  // writer: no room now; see vmbus_ring_writer_wait
	VMBUS_RING_UNWRITABLE,	  // writer: could never fit, or its caller's header is not aligned
	VMBUS_RING_BAD_PAGES,	  // init: too few pages, too many, or a page is missing
	VMBUS_RING_BAD_IN_INDEX,  // `in` is beyond the ring or not a multiple of 8
	VMBUS_RING_BAD_OUT_INDEX, // `out` likewise
	VMBUS_RING_SHORT_DESCRIPTOR, // less in the ring than a descriptor and a footer
	VMBUS_RING_BAD_LENGTHS,	     // not descriptor <= data offset <= length <= available
	VMBUS_RING_BAD_FLAGS,	     // a flag that does not exist
	VMBUS_RING_BAD_TYPE,	     // a packet type that does not exist
	VMBUS_RING_PACKET_TOO_LARGE, // larger than the reader's buffer
	VMBUS_RING_BAD_RANGE_COUNT,  // no range, or more than VMBUS_PACKET_MAX_RANGES
	VMBUS_RING_BAD_RANGE,	     // a range whose offset or pages do not fit
	VMBUS_RING_STATUS_COUNT
};

#define VMBUS_PACKET_MAX_RANGES 32

// A packet that was read. The caller's private buffer holds all of it; the pointers lead there.
struct vmbus_packet {
	uint16_t type;	// enum vmbus_packet_type
	uint16_t flags; // VMBUS_PACKET_FLAG_*
	uint64_t transaction_id;
	const uint8_t *payload;	 // aligned to 8
	uint32_t payload_length; // in bytes, a multiple of 8: what the sender padded counts
	uint32_t range_count;	 // of `ranges` or `transfer_ranges`; 0 with the other types
	uint16_t transfer_set_id;
	const struct vmbus_transfer_range *transfer_ranges; // VMBUS_PACKET_TRANSFER_PAGES
	// VMBUS_PACKET_GPA_DIRECT. Bounded and consistent, but the page numbers are the peer's:
	// they pass through struct vmbus_memory before anything is touched.
	struct vmbus_gpa_range ranges[VMBUS_PACKET_MAX_RANGES];
};

// Some bytes that go into a packet.
struct vmbus_piece {
	const void *data;
	uint32_t length; // in bytes, may be 0
};

// A packet to write: descriptor, then the header pieces (ranges; none for most), then the payload.
struct vmbus_packet_out {
	uint16_t type;	// enum vmbus_packet_type
	uint16_t flags; // VMBUS_PACKET_FLAG_*
	uint64_t transaction_id;
	const struct vmbus_piece *header; // together a multiple of 8 bytes
	uint32_t header_count;
	const struct vmbus_piece *payload; // padded with zeroes to a multiple of 8
	uint32_t payload_count;
};

struct vmbus_ring_pages {
	struct vmbus_ring_control *control; // shared
	void *const *data;		    // shared pages, 4096 bytes each
	uint32_t size;			    // of the data, in bytes
};

struct vmbus_ring_reader {
	struct vmbus_ring_pages pages;
	uint32_t in;		// the writer's index when last loaded, validated
	uint32_t out;		// ours: the next packet to read
	uint32_t committed_out; // what we published last
	enum vmbus_ring_status status;
};

struct vmbus_ring_writer {
	struct vmbus_ring_pages pages;
	uint32_t out;	       // the reader's index when last loaded, validated
	uint32_t in;	       // ours: where the next packet goes
	uint32_t committed_in; // what we published last
	bool waiting;	       // our pending_send_size is set
	enum vmbus_ring_status status;
};

// Begins to read a ring: pages[0] is its control page, the other page_count - 1 its data. The array
// and the pages must outlive the reader. Begins where the shared `out` says (0 after a guest's
// open).
enum vmbus_ring_status vmbus_ring_reader_init(
	struct vmbus_ring_reader *reader, void *const *pages, uint32_t page_count);

// Begins to write a ring, likewise where the shared `in` says, and announces pending_send_size.
enum vmbus_ring_status vmbus_ring_writer_init(
	struct vmbus_ring_writer *writer, void *const *pages, uint32_t page_count);

// Copies the next packet to buffer (private, of uint64_t, `size` bytes) and describes it in
// *packet, whose pointers lead into buffer. The packet is consumed on our side, and given back to
// the writer by the next commit. Returns VMBUS_RING_OK, VMBUS_RING_EMPTY, or why the ring is
// broken.
enum vmbus_ring_status vmbus_ring_read(
	struct vmbus_ring_reader *reader, void *buffer, uint32_t size, struct vmbus_packet *packet);

// Publishes all that was read since the last commit: once for a batch. Returns true if the peer
// must be signalled because it waits for room and has it now.
bool vmbus_ring_reader_commit(struct vmbus_ring_reader *reader);

// Tells the writer not to signal. For the time in which the reader looks by itself.
void vmbus_ring_reader_mask(struct vmbus_ring_reader *reader);

// Asks for signals again. Returns true if something has come since the last look: then nobody will
// signal for it, and the caller must mask and read again. The loop of a reader is
//	do { mask; read until EMPTY; signal if commit says so; } while (unmask);
// Returns false on a broken ring.
bool vmbus_ring_reader_unmask(struct vmbus_ring_reader *reader);

// Copies a packet to the ring; the peer sees it with the next commit. Returns VMBUS_RING_OK,
// VMBUS_RING_FULL (nothing was written), VMBUS_RING_UNWRITABLE, or why the ring is broken.
enum vmbus_ring_status vmbus_ring_write(
	struct vmbus_ring_writer *writer, const struct vmbus_packet_out *packet);

// Publishes all that was written since the last commit. Returns true if the peer must be signalled:
// it does not mask signals, and had read all that was there before.
bool vmbus_ring_writer_commit(struct vmbus_ring_writer *writer);

// Returns the room in bytes that a packet takes in the ring, footer included; 0 if no packet can be
// so large.
uint32_t vmbus_ring_packet_room(uint32_t header_length, uint32_t payload_length);

// After VMBUS_RING_FULL: asks the reader to signal when there is room for `room` bytes
// (vmbus_ring_packet_room). Returns false: wait for the channel's signal, then write again. Returns
// true if there is room already, so that no signal may come, or if the ring is broken: write at
// once, and learn which. The request ends with the next successful write. Commit before waiting.
bool vmbus_ring_writer_wait(struct vmbus_ring_writer *writer, uint32_t room);

// Returns the name of a status, for logs: a constant string.
const char *vmbus_ring_status_name(enum vmbus_ring_status status);

#endif
