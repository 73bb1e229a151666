// SPDX-License-Identifier: BSD-2-Clause
// What a network VSP needs of its host: a wire for frames (struct net_wire), and the buffers that
// the guest lends (struct net_host).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/iovec.h"

// net_header.flags
#define NET_NEEDS_CHECKSUM 0x1u // the sum from checksum_start to the end is still to be made
#define NET_CHECKSUM_GOOD  0x2u // it has been checked

// net_header.segments, and NET_SEGMENT_ECN with it
enum net_segments { NET_SEGMENT_NONE = 0, NET_SEGMENT_TCP4 = 1, NET_SEGMENT_TCP6 = 4 };
#define NET_SEGMENT_ECN 0x80u

// What is still to be done to a frame, and stands in front of it, in memory that no guest sees. The
// layout is that of struct virtio_net_hdr, so that a TAP takes and gives it as it is.
struct net_header {
	uint8_t flags;
	uint8_t segments;
	uint16_t headers_length;  // bytes that each segment begins with
	uint16_t segment_size;	  // bytes of data in each
	uint16_t checksum_start;  // offset in the frame
	uint16_t checksum_offset; // of the sum, from there
};
_Static_assert(sizeof(struct net_header) == 10, "net_header");

// A frame, or room for one. From send() or receive() to done() it is the wire's.
struct net_buffer {
	struct vsp_iovec *iov; // the first one is its struct net_header
	uint32_t iov_count;
	// Called once, in the thread that drives the wire: from within send(), kick(), take_back(),
	// or the wire's own poll function. Of a frame that was sent: whether it has left. Of one
	// that was received: its bytes without the header; 0: there is none, the room is given
	// back.
	void (*done)(struct net_buffer *buffer, uint32_t length);
	struct net_buffer *next; // the wire's
};

// What a wire may be told that the guest takes.
#define NET_TAKES_UNFINISHED 0x1u // NET_NEEDS_CHECKSUM
#define NET_TAKES_LARGE	     0x2u // net_header.segments: TCP's data, up to 64 KiB in one frame

struct net_wire;

struct net_wire_ops {
	void (*send)(struct net_wire *wire, struct net_buffer *frame);
	// Rooms are filled in the order in which they come.
	void (*receive)(struct net_wire *wire, struct net_buffer *room);
	// All that was sent and given gets going: called once per batch.
	void (*kick)(struct net_wire *wire);
	// Gives back all rooms that have no frame yet.
	void (*take_back)(struct net_wire *wire);
	// What may come from now on: NET_TAKES_*. What is on its way already may differ.
	void (*set_takes)(struct net_wire *wire, uint32_t takes);
};

// A wire embeds this. All calls come from one thread.
struct net_wire {
	const struct net_wire_ops *ops;
};

// The guest lends two buffers, each a GPADL.
enum net_lent { NET_RECEIVE_BUFFER, NET_SEND_BUFFER, NET_LENT };

struct net_host {
	void *context;
	// Asks for a GPADL of the primary channel's: net_vsp_lend() says what has become of it,
	// from the VSP's thread, and not from within this call.
	void (*borrow)(void *context, enum net_lent which, uint32_t gpadl);
	// The buffer is not in use any more.
	void (*give_back)(void *context, enum net_lent which);
};
