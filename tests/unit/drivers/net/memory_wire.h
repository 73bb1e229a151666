// SPDX-License-Identifier: BSD-2-Clause
// A wire whose other end is a test: what was sent is kept, what is to be received is put in.
#pragma once

#include "drivers/vsp/net/backend.h"

enum { MEMORY_WIRE_SENT = 32, MEMORY_WIRE_FRAME = 66000 };

struct memory_wire_frame {
	struct net_header header;
	uint32_t length;
	uint32_t pieces; // that it came in, without the header
	uint8_t bytes[MEMORY_WIRE_FRAME];
};

struct memory_wire {
	struct net_wire wire; // first
	bool deferred;	      // frames are done when memory_wire_run() says so
	bool refuse;	      // the next frames do not leave
	uint32_t takes;
	struct net_buffer *sending, **sending_end; // not done
	struct net_buffer *rooms, **rooms_end;
	uint32_t room_count, kicks;
	uint32_t sent_count; // of all; the last MEMORY_WIRE_SENT are in sent[], at their number
	struct memory_wire_frame sent[MEMORY_WIRE_SENT];
};

void memory_wire_init(struct memory_wire *wire);

// Ends up to `count` frames; returns how many.
uint32_t memory_wire_run(struct memory_wire *wire, uint32_t count);

// A frame comes. Returns false if there is no room that it fits into.
bool memory_wire_receive(struct memory_wire *wire, const struct net_header *header,
	const void *bytes, uint32_t length);

// The frame that was sent as number `index`.
const struct memory_wire_frame *memory_wire_sent(const struct memory_wire *wire, uint32_t index);
