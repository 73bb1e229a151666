// SPDX-License-Identifier: BSD-2-Clause
// The wire of VMBus sockets (hvsock): a channel for each connection, a byte stream in messages with
// a pipe's header (pipe.h) in front, at most so large; an empty one ends the sender's stream.
//
// Who listens is a GUID. Those that Linux knows as ports of AF_VSOCK are one, with the port in it.
#ifndef LUMEN_DRIVERS_PROTO_SOCKET_H
#define LUMEN_DRIVERS_PROTO_SOCKET_H

#include "vmbus/protocol.h"

#define SOCKET_MESSAGE_MAX 16384u // bytes, without the header

#define SOCKET_SERVICE(port)                                                                       \
	{                                                                                          \
		(port), 0xfacb, 0x11e6,                                                            \
		{                                                                                  \
			0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3                             \
		}                                                                                  \
	}

// The largest port that one can listen at; those above are the other ends of connections.
#define SOCKET_PORT_MAX 0x7fffffffu

#endif
