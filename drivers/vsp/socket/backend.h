// SPDX-License-Identifier: BSD-2-Clause
// What the socket VSP asks of what is at the host's end of a connection: a program, behind whatever
// byte stream. Nothing waits. Called from within calls on the VSP.
#pragma once

#include <stdint.h>

enum {
	SOCKET_WIRE_NOT_NOW = 0, // poll the VSP when it can
	SOCKET_WIRE_ENDED = -1,	 // never again
};

struct socket_wire {
	void *context;
	// Gives bytes of the guest's, at least one, to the program. Returns how many it has taken,
	// or one of the above.
	int32_t (*write)(void *context, const void *bytes, uint32_t length);
	// Takes up to `size` bytes of the program's. Returns how many, or one of the above.
	int32_t (*read)(void *context, void *bytes, uint32_t size);
	// The guest writes no more, and the program has all of it.
	void (*end)(void *context);
};
