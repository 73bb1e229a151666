// SPDX-License-Identifier: BSD-2-Clause
// The socket VSP: one connection of a VMBus socket, a class of vsp.h. An instance is the host's end
// of one channel; it holds one message each way, and takes no more from the guest, or from the
// program at the other end (backend.h), than the other one takes from it.
//
// Either end may end its own stream and go on reading. Once both have, or the program is gone and
// the guest has the last of what it wrote, the connection is over: SOCKET_OVER, and the embedder
// takes the channel back, which is how a guest hears of that.
//
// Connections do not outlive a save (nor do they on Hyper-V): one that is restored has failed.
#pragma once

#include "drivers/common/pipe.h"
#include "drivers/proto/socket.h"
#include "drivers/vsp/socket/backend.h"
#include "drivers/vsp/vsp.h"

// A flag of vsp_poll(): in each, once it is so.
#define SOCKET_OVER VSP_OWN

enum {
	SOCKET_OUT_MAX = 4096 - sizeof(struct pipe_header), // of a message to the guest, in bytes
	SOCKET_POLL_PACKETS = 16,			    // that a poll takes, and sends, at most
};

// What an instance is opened with.
struct socket_vsp_config {
	const struct socket_wire *wire;
};

struct socket_vsp {
	struct vsp vsp;
	const struct socket_wire *wire;
	bool guest_ended;      // its stream, as far as it has been read
	bool program_told;     // of that
	bool program_ended;    // its stream
	bool program_gone;     // it takes nothing any more
	uint32_t message_max;  // bytes of a message to the guest: of a small ring, half
	bool out_waits;	       // `out` does, for room in the ring
	const uint8_t *unread; // `left` bytes of the last packet, which the program has not taken
	uint32_t left;
	uint64_t bytes_in, bytes_out; // for the program and the guest
	uint64_t dropped;	      // bytes of the guest's, for a program that is gone
	struct vsp_out out;
	struct {
		struct pipe_header header;
		uint8_t bytes[SOCKET_OUT_MAX];
	} message;
	_Alignas(8) uint8_t in[16 + sizeof(struct pipe_header) + SOCKET_MESSAGE_MAX];
};

extern const struct vsp_class socket_vsp_class;

// Whether it waits for the program: for bytes of it, or for it to take some.
bool socket_vsp_reads(const struct vsp *vsp);
bool socket_vsp_writes(const struct vsp *vsp);

// Whether the guest has ended its stream, or the program is gone, and what the program has written
// waits for the guest to read. A guest that has closed its end, for good, does not say so: if
// nothing of that is read for long, the embedder had better take the channel back.
bool socket_vsp_lingers(const struct vsp *vsp);

// The program is gone. What it has written still goes to the guest. Poll afterwards.
void socket_vsp_hang_up(struct vsp *vsp);
