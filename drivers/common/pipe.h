// SPDX-License-Identifier: BSD-2-Clause
// Channels in pipe mode, as both ends see them: a header in front of each message says how long it
// is, as the ring pads packets. No state, no allocation; any thread.
#ifndef LUMEN_DRIVERS_COMMON_PIPE_H
#define LUMEN_DRIVERS_COMMON_PIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/proto/pipe.h"

struct pipe_message {
	const uint8_t *bytes; // in the packet's payload
	uint32_t length;
};

// Finds the message in a packet's payload (private memory, `length` bytes). Returns false, and
// leaves *message alone, if there is none: a header that is cut short, of another type, or that
// counts more than there is.
bool pipe_parse(const void *payload, uint32_t length, struct pipe_message *message);

// Returns the header that goes in front of a message of `length` bytes.
struct pipe_header pipe_header_for(uint32_t length);

#endif
