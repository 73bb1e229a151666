// SPDX-License-Identifier: BSD-2-Clause
// The host's end of the tests of sockets, on the rig: a VSP, and a program that is memory.
#pragma once

#include "drivers/vsp/socket/socket.h"
#include "tests/unit/drivers/rig.h"

enum { SOCKET_HOST_BYTES = 1 << 20 };

struct socket_test_host {
	struct socket_wire wire;
	struct socket_vsp_config config;
	// What the guest has sent: as much as there is room for, at most `gulp` bytes at once.
	uint32_t room, gulp;
	uint32_t taken;
	uint8_t bytes[SOCKET_HOST_BYTES];
	bool refuses;  // it takes nothing any more
	uint32_t ends; // of the guest's stream that were told
	// What it writes: so many bytes, each its number, and then no more.
	uint32_t written, to_write;
	bool ended;
	// The host takes the channel back when the connection is over, as the worker does.
	bool takes_back;
};

extern struct socket_test_host socket_host;

// Makes everything anew, with one channel that is offered.
void socket_host_create(void);

// The byte with this number of what it writes.
uint8_t socket_host_byte(uint32_t number);
