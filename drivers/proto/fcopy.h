// SPDX-License-Identifier: BSD-2-Clause
// The file copy component's messages, framed as in ic.h: the host writes a file in the guest, block
// by block. Text is UTF-16, zero-terminated. No struct is padded at its end on the wire.
#ifndef LUMEN_DRIVERS_PROTO_FCOPY_H
#define LUMEN_DRIVERS_PROTO_FCOPY_H

#include "hypercall/types.h"

// clang-format off
// 34d14be3-dee4-41c8-9ae7-6b174977c192, a struct vmbus_guid.
#define FCOPY_GUID \
	{ 0x34d14be3, 0xdee4, 0x41c8, { 0x9a, 0xe7, 0x6b, 0x17, 0x49, 0x77, 0xc1, 0x92 } }

// Versions of the messages, the oldest first.
#define FCOPY_VERSIONS { { 1, 1 } }
// clang-format on

enum fcopy_operation {
	FCOPY_START = 0,
	FCOPY_WRITE = 1,
	FCOPY_COMPLETE = 2,
	FCOPY_CANCEL = 3,
};

struct fcopy_header {
	uint32_t operation; // enum fcopy_operation
	uint32_t rsvd_z[8]; // two GUIDs that nobody looks at
};
HV_ASSERT(sizeof(struct fcopy_header) == 36, "fcopy_header");

enum { FCOPY_NAME_UNITS = 260, FCOPY_BLOCK = 6144 };

#define FCOPY_FLAG_OVERWRITE   0x1u
#define FCOPY_FLAG_CREATE_PATH 0x2u

struct fcopy_start {
	struct fcopy_header header;
	uint16_t name[FCOPY_NAME_UNITS];
	uint16_t path[FCOPY_NAME_UNITS]; // the folder; its missing parts are made if it ends with /
	uint32_t flags;			 // FCOPY_FLAG_*
	uint64_t size;
};
HV_ASSERT(sizeof(struct fcopy_start) == 1088, "fcopy_start");
HV_ASSERT(offsetof(struct fcopy_start, flags) == 1076, "flags");

#define FCOPY_WRITE_SIZE 6196u

struct fcopy_write {
	struct fcopy_header header;
	uint32_t rsvd_z;
	uint64_t offset;
	uint32_t size; // of data that counts
	uint8_t data[FCOPY_BLOCK];
	uint8_t rsvd_z2[4]; // not on the wire
};
HV_ASSERT(offsetof(struct fcopy_write, offset) == 40, "offset");
HV_ASSERT(offsetof(struct fcopy_write, rsvd_z2) == FCOPY_WRITE_SIZE, "size");

#endif
