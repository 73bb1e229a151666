// SPDX-License-Identifier: BSD-2-Clause
// The wire of a channel in pipe mode (VMBUS_PIPE_MODE_MESSAGE): each packet carries a message with
// this header in front. All fields are little endian.
#ifndef LUMEN_DRIVERS_PROTO_PIPE_H
#define LUMEN_DRIVERS_PROTO_PIPE_H

#include "hypercall/types.h"

enum pipe_type {
	PIPE_TYPE_DATA = 1,
};

struct pipe_header {
	uint32_t type; // enum pipe_type
	uint32_t size; // of what follows, in bytes
};
HV_ASSERT(sizeof(struct pipe_header) == 8, "pipe_header");

#endif
