// SPDX-License-Identifier: BSD-2-Clause
// A raw host for the tests of the integration components' VSCs, on the rig: messages of any content
// in, responses out.
#pragma once

#include "drivers/proto/ic.h"
#include "lumen/ic.h"
#include "tests/unit/drivers/rig.h"

enum { IC_HOST_REFERENCE = 123456 }; // rig.reference_time at the beginning

struct ic_raw_host {
	bool endless; // to be set: the last packet comes again and again
	// To be looked at.
	uint32_t sent; // responses
	struct ic_header header;
	uint8_t body[8192];
	uint64_t transaction_id; // of the last response's packet
};
extern struct ic_raw_host ic_host;

// Begins anew; the device has this type.
void ic_host_create(const struct vmbus_guid *type);

// Puts a packet there and signals. `bytes` is all of its payload.
void ic_host_packet(uint16_t type, const void *bytes, uint32_t length);

// The same for a well-formed message.
void ic_host_message(uint16_t type, uint8_t flags, const void *body, uint16_t size);

// Names framework 1.0 and 3.0, and these versions.
void ic_host_negotiate(const struct ic_version *versions, uint16_t count);

// Signals the channel.
void ic_host_signal(void);
