// SPDX-License-Identifier: BSD-2-Clause
// The backup component's messages (Windows: volume shadow copies), framed as in ic.h: the host has
// the guest write what its file systems hold back, and hold still.
#ifndef LUMEN_DRIVERS_PROTO_VSS_H
#define LUMEN_DRIVERS_PROTO_VSS_H

#include "hypercall/types.h"

// clang-format off
// 35fa2e29-ea23-4236-96ae-3a6ebacba440, a struct vmbus_guid.
#define VSS_GUID \
	{ 0x35fa2e29, 0xea23, 0x4236, { 0x96, 0xae, 0x3a, 0x6e, 0xba, 0xcb, 0xa4, 0x40 } }

// Versions of the messages, the oldest first: 5.0 added freeze and thaw.
#define VSS_VERSIONS { { 5, 0 }, { 6, 0 }, { 7, 0 } }
// clang-format on

enum vss_operation {
	VSS_CREATE = 0,
	VSS_DELETE = 1,
	VSS_HOT_BACKUP = 2, // can the guest be copied while it runs?
	VSS_GET_DM_INFO = 3,
	VSS_BACKUP_COMPLETE = 4,
	VSS_FREEZE = 5,
	VSS_THAW = 6,
	VSS_AUTO_RECOVER = 7,
};

// The flags of a guest that can be copied, and mends nothing in the copy; as Linux has them.
#define VSS_NO_AUTO_RECOVERY 0x5u

struct vss_message {
	uint8_t operation; // enum vss_operation
	uint8_t rsvd_z[7];
	uint32_t flags; // of the answer to VSS_HOT_BACKUP; 0: it cannot
};
HV_ASSERT(sizeof(struct vss_message) == 12, "vss_message");

#endif
