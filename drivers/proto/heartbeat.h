// SPDX-License-Identifier: BSD-2-Clause
// The heartbeat component's message, framed as in ic.h: the host asks now and then whether the
// guest is alive.
#ifndef LUMEN_DRIVERS_PROTO_HEARTBEAT_H
#define LUMEN_DRIVERS_PROTO_HEARTBEAT_H

#include "hypercall/types.h"

// clang-format off
// 57164f39-9115-4e78-ab55-382f3bd5422d, a struct vmbus_guid.
#define HEARTBEAT_GUID \
	{ 0x57164f39, 0x9115, 0x4e78, { 0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d } }

// Versions of the messages, the oldest first.
#define HEARTBEAT_VERSIONS { { 1, 0 }, { 3, 0 } }
// clang-format on

enum heartbeat_state { // of the guest's applications, from version 3.0 on
	HEARTBEAT_UNKNOWN = 0,
	HEARTBEAT_HEALTHY = 1,
	HEARTBEAT_CRITICAL = 2,
	HEARTBEAT_STOPPED = 3,
};

struct heartbeat_message {
	uint64_t sequence; // the guest sends it back plus one
	uint32_t state;	   // enum heartbeat_state; the guest's
	uint32_t rsvd_z[7];
};
HV_ASSERT(sizeof(struct heartbeat_message) == 40, "heartbeat_message");

#endif
