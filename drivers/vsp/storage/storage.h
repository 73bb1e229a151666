// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP: the host's end of a storvsc channel, a class of vsp.h. VSTOR packets in, SCSI
// commands to the disks of an adapter, completions out; data moves between the guest's pages and
// the backend (backend.h).
//
// A controller is its primary channel and its sub-channels: one protocol, which is spoken on the
// primary, and one adapter; SCSI commands come on all and are answered where they came. Those of
// one controller, its adapter's disks and their backends are driven by one thread.
#pragma once

#include "drivers/proto/storage.h"
#include "drivers/vsp/storage/scsi.h"
#include "drivers/vsp/vsp.h"
#include "vmbus/memory.h"

// What one poll does at most, so that neither a guest that never stops nor one that asks for much
// keeps the thread: packets, bytes of their data, and steps of long commands (SCSI_STEP_DATA each).
// The packet or step that reaches the bound is still finished.
#define STORAGE_VSP_POLL_PACKETS 256u
#define STORAGE_VSP_POLL_BYTES	 (16u << 20)
#define STORAGE_VSP_POLL_STEPS	 16u

#define STORAGE_VSP_MAX_TRANSFER (4u << 20) // bytes
#define STORAGE_VSP_MAX_SLOTS	 1024u
#define STORAGE_VSP_MAX_SUBS	 15u // with the primary's as many as struct lumen_storage can use

// What an instance is opened with.
struct storage_vsp_config {
	struct vmbus_memory memory;   // the guest's; its pages are where data goes
	struct scsi_adapter *adapter; // kept by the embedder; disks may come and go
	// Requests in flight at once on each channel: 1 to STORAGE_VSP_MAX_SLOTS.
	uint32_t slot_count;
	uint32_t sub_channels_max;   // up to STORAGE_VSP_MAX_SUBS; 0 on a sub-channel
	uint32_t max_transfer_bytes; // per request: multiple of 4096 up to STORAGE_VSP_MAX_TRANSFER
	const struct vstor_fc_wwn *wwn; // names of a fibre channel adapter; NULL: SCSI
};

extern const struct vsp_class storage_vsp_class;

// Asks the guest to look for disks that have come or gone (ENUMERATE_BUS). Sent by the next poll.
void storage_vsp_rescan(struct vsp *vsp);
