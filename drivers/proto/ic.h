// SPDX-License-Identifier: BSD-2-Clause
// The integration components' wire: small services of a guest that the host asks for something.
// Each is a channel of its own, a pipe (pipe.h) of messages. First the host names the versions that
// it speaks and the guest picks one of each kind; then the host sends requests, and the guest sends
// each back with its status. What the messages of a component carry is in a header of its own
// (shutdown.h, ...). All fields are little endian.
#ifndef LUMEN_DRIVERS_PROTO_IC_H
#define LUMEN_DRIVERS_PROTO_IC_H

#include "hypercall/types.h"

struct ic_version {
	uint16_t major, minor;
};
HV_ASSERT(sizeof(struct ic_version) == 4, "ic_version");

enum ic_message_type {
	IC_MESSAGE_NEGOTIATE = 0,
	IC_MESSAGE_HEARTBEAT = 1,
	IC_MESSAGE_KVP = 2,
	IC_MESSAGE_SHUTDOWN = 3,
	IC_MESSAGE_TIMESYNC = 4,
	IC_MESSAGE_VSS = 5,
	IC_MESSAGE_FCOPY = 7,
};

#define IC_FLAG_TRANSACTION 0x1u // an answer is wanted, or is this
#define IC_FLAG_REQUEST	    0x2u
#define IC_FLAG_RESPONSE    0x4u

// Windows' HRESULTs.
#define IC_STATUS_OK		0x00000000u
#define IC_STATUS_ABORT		0x80004004u // E_ABORT
#define IC_STATUS_FAIL		0x80004005u // E_FAIL
#define IC_STATUS_NOT_FOUND	0x80041002u // WBEM_E_NOT_FOUND
#define IC_STATUS_NOT_SUPPORTED 0x80070032u // ERROR_NOT_SUPPORTED
#define IC_STATUS_EXISTS	0x80070050u // ERROR_FILE_EXISTS
#define IC_STATUS_INVALID	0x80070057u // E_INVALIDARG
#define IC_STATUS_DISK_FULL	0x80070070u // ERROR_DISK_FULL
#define IC_STATUS_NO_MORE	0x80070103u // ERROR_NO_MORE_ITEMS
#define IC_STATUS_TIMEOUT	0x800705b4u // ERROR_TIMEOUT

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
HV_ASSERT(sizeof(struct ic_header) == 20, "ic_header");
HV_ASSERT(offsetof(struct ic_header, status) == 12, "ic_header.status");

// framework_count versions of the framework follow, then message_count versions of the component's
// messages.
struct ic_negotiate {
	uint16_t framework_count;
	uint16_t message_count;
	uint32_t rsvd_z;
};
HV_ASSERT(sizeof(struct ic_negotiate) == 8, "ic_negotiate");

// The response: what the guest has picked, one of each; with counts of 0 and 0 it knows none.
struct ic_choice {
	struct ic_negotiate counts;
	struct ic_version framework, message;
};
HV_ASSERT(sizeof(struct ic_choice) == 16, "ic_choice");

#endif
