// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP: the host's end of a storvsc channel. VSTOR packets in, SCSI commands to the
// disks of an adapter, completions out; data moves between the guest's pages and the backend.
//
// Threading: one instance, its adapter's disks and their backends are driven by one thread. No call
// blocks unless a backend's does. No memory is allocated.
//
// The embedder's loop, when the guest has signalled the channel or a backend has something done:
//	backend's own poll function (completions arrive in here)
//	flags = storage_vsp_poll(vsp)
//	STORAGE_VSP_SIGNAL: signal the channel's event to the guest
//	STORAGE_VSP_AGAIN: call again, after having looked after others
//	STORAGE_VSP_FAILED: log storage_vsp_failure(), then close as below
// To close: storage_vsp_stop(); run the backends until storage_vsp_idle(); then the memory of the
// instance, of the rings and of the guest may go.
#ifndef LUMEN_DRIVERS_VSP_STORAGE_H
#define LUMEN_DRIVERS_VSP_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/proto/storage.h"
#include "drivers/vsp/scsi.h"
#include "vmbus/memory.h"

// Results of storage_vsp_poll().
#define STORAGE_VSP_SIGNAL 0x1u
#define STORAGE_VSP_AGAIN  0x2u
#define STORAGE_VSP_FAILED 0x4u

// What one poll does at most, so that neither a guest that never stops nor one that asks for much
// keeps the thread: packets, bytes of their data, and steps of long commands (SCSI_STEP_DATA each).
// The packet or step that reaches the bound is still finished.
#define STORAGE_VSP_POLL_PACKETS 256u
#define STORAGE_VSP_POLL_BYTES	 (16u << 20)
#define STORAGE_VSP_POLL_STEPS	 16u

#define STORAGE_VSP_MAX_TRANSFER (4u << 20) // bytes
#define STORAGE_VSP_MAX_SLOTS	 1024u

struct storage_vsp_config {
	struct vmbus_memory memory;   // the guest's; its pages are where data goes
	struct scsi_adapter *adapter; // kept by the embedder; disks may come and go
	void *const *in_pages;	      // ring from the guest: control page, then data pages
	uint32_t in_page_count;
	void *const *out_pages; // ring to the guest
	uint32_t out_page_count;
	uint32_t slot_count;	     // requests in flight at once: 1 to STORAGE_VSP_MAX_SLOTS
	uint32_t max_transfer_bytes; // per request: multiple of 4096 up to STORAGE_VSP_MAX_TRANSFER
	const struct vstor_fc_wwn *wwn; // names of a fibre channel adapter; NULL: SCSI
};

// Counted since creation, for the embedder to show.
struct storage_vsp_counters {
	uint64_t packets;   // from the guest
	uint64_t requests;  // SCSI commands among them
	uint64_t errors;    // commands that did not end well
	uint64_t malformed; // packets that broke a rule
	uint64_t batches;   // polls that found packets
	uint64_t signals;   // polls that asked to signal the guest
	uint64_t ring_full; // completions that had to wait for room
};

struct storage_vsp;

// Returns how many bytes an instance needs, or 0 if the configuration is out of the bounds above.
size_t storage_vsp_size(const struct storage_vsp_config *config);

// Makes an instance in `memory`, aligned to 16 and storage_vsp_size() bytes, for a channel that the
// guest has opened. The pages must outlive it. Returns NULL if the configuration is out of bounds;
// rings that are unusable are a failure that the first poll tells.
struct storage_vsp *storage_vsp_create(void *memory, const struct storage_vsp_config *config);

// Does what can be done now, up to the bounds above. Returns STORAGE_VSP_* flags.
uint32_t storage_vsp_poll(struct storage_vsp *vsp);

// Returns why the channel has failed, a constant string for the log, or NULL.
const char *storage_vsp_failure(const struct storage_vsp *vsp);

// Asks the guest to look for disks that have come or gone (ENUMERATE_BUS). Sent by the next poll.
void storage_vsp_rescan(struct storage_vsp *vsp);

// Stops: the rings are not touched any more, no command begins, those under way end without an
// answer.
void storage_vsp_stop(struct storage_vsp *vsp);

// Returns whether no command is under way.
bool storage_vsp_idle(const struct storage_vsp *vsp);

const struct storage_vsp_counters *storage_vsp_counters(const struct storage_vsp *vsp);

#endif
