// SPDX-License-Identifier: BSD-2-Clause
// The integration components' wire: small services of a guest that the host asks for something.
// Each is a channel of its own, a pipe of messages. First the host names the versions that it
// speaks and the guest picks one of each kind; then the host sends requests, and the guest sends
// each back with its status. All fields are little endian.
#ifndef LUMEN_DRIVERS_PROTO_IC_H
#define LUMEN_DRIVERS_PROTO_IC_H

#include <stddef.h>
#include <stdint.h>

// 0e0b6031-5213-4934-818b-38d90ced39db: the class of the shutdown component's channel, in the byte
// order of a GUID in memory.
#define IC_SHUTDOWN_CLASS_ID                                                                       \
	{                                                                                          \
		0x31, 0x60, 0x0b, 0x0e, 0x13, 0x52, 0x34, 0x49, 0x81, 0x8b, 0x38, 0xd9, 0x0c,      \
			0xed, 0x39, 0xdb                                                           \
	}

// In front of each message on a pipe.
struct ic_pipe_header {
	uint32_t type; // IC_PIPE_DATA
	uint32_t size; // of what follows, in bytes
};
_Static_assert(sizeof(struct ic_pipe_header) == 8, "size");

#define IC_PIPE_DATA 1u

struct ic_version {
	uint16_t major, minor;
};
_Static_assert(sizeof(struct ic_version) == 4, "size");

enum ic_message_type {
	IC_MESSAGE_NEGOTIATE = 0,
	IC_MESSAGE_SHUTDOWN = 3,
};

#define IC_FLAG_TRANSACTION 0x1u // an answer is wanted, or is this
#define IC_FLAG_REQUEST	    0x2u
#define IC_FLAG_RESPONSE    0x4u

#define IC_STATUS_OK 0u // others are Windows' HRESULTs

struct ic_header {
	struct ic_version framework;
	uint16_t type; // enum ic_message_type
	struct ic_version message;
	uint16_t size;	 // of what follows, in bytes
	uint32_t status; // of a response
	uint8_t transaction_id;
	uint8_t flags; // IC_FLAG_*
	uint8_t rsvd_z[2];
};
_Static_assert(sizeof(struct ic_header) == 20, "size");
_Static_assert(offsetof(struct ic_header, status) == 12, "offset");

// framework_count versions of the framework follow, then message_count versions of the component's
// messages. In the response: what the guest has picked, one of each; 0 and 0 if it knows none.
struct ic_negotiate {
	uint16_t framework_count;
	uint16_t message_count;
	uint32_t rsvd_z;
};
_Static_assert(sizeof(struct ic_negotiate) == 8, "size");

#define IC_SHUTDOWN_REASON_PLANNED 0x80000000u

#define IC_SHUTDOWN_FLAG_FORCE	   0x1u
#define IC_SHUTDOWN_FLAG_RESTART   0x2u
#define IC_SHUTDOWN_FLAG_HIBERNATE 0x4u

struct ic_shutdown {
	uint32_t reason;
	uint32_t timeout_s; // how long the host will wait; 0: it does not say
	uint32_t flags;	    // IC_SHUTDOWN_FLAG_*; 0: power off
	uint8_t text[2048]; // for a user, zero-terminated
};
_Static_assert(sizeof(struct ic_shutdown) == 2060, "size");

#endif
