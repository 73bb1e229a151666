// SPDX-License-Identifier: BSD-2-Clause
// The shutdown component's message, framed as in ic.h: the host asks the guest to power off, as a
// power button would.
#ifndef LUMEN_DRIVERS_PROTO_SHUTDOWN_H
#define LUMEN_DRIVERS_PROTO_SHUTDOWN_H

#include "hypercall/types.h"

// clang-format off
// 0e0b6031-5213-4934-818b-38d90ced39db, a struct vmbus_guid.
#define SHUTDOWN_GUID \
	{ 0x0e0b6031, 0x5213, 0x4934, { 0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb } }

// Versions of the messages, the oldest first: 3.1 added restart, 3.2 hibernation.
#define SHUTDOWN_VERSIONS { { 1, 0 }, { 3, 0 }, { 3, 1 }, { 3, 2 } }
// clang-format on

#define SHUTDOWN_REASON_PLANNED 0x80000000u

#define SHUTDOWN_FLAG_FORCE	0x1u
#define SHUTDOWN_FLAG_RESTART	0x2u
#define SHUTDOWN_FLAG_HIBERNATE 0x4u

struct shutdown_message {
	uint32_t reason;
	uint32_t timeout_s; // how long the host will wait; 0: it does not say
	uint32_t flags;	    // SHUTDOWN_FLAG_*; 0: power off
	uint8_t text[2048]; // for a user, zero-terminated
};
HV_ASSERT(sizeof(struct shutdown_message) == 2060, "shutdown_message");

#endif
