// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the storage VSP.
#pragma once

#include "drivers/vsp/storage/storage.h"

// Who has been told what.
enum storage_state {
	STORAGE_BEGIN,		  // nobody has said anything
	STORAGE_QUERY_VERSION,	  // the guest has begun
	STORAGE_QUERY_PROPERTIES, // both know the version
	STORAGE_END,		  // the guest knows the properties
	STORAGE_READY,		  // the guest has said that it is done; SCSI commands may come
};

// A packet of the guest from when it is read until its completion is in the ring.
struct storage_slot {
	struct vsp_out out; // the completion: first, so that it leads here; its payload is `answer`
	struct storage_vsp *vsp;
	struct storage_slot *next; // on the free list
	bool wants_completion;
	struct vstor_packet answer;
	struct vsp_iovec *iov; // vsp->iov_max of them
	struct scsi_command command;
};

// A channel.
struct storage_vsp {
	struct vsp base;
	struct vmbus_memory memory;
	struct scsi_adapter *adapter;
	const struct vstor_fc_wwn *wwn;
	uint32_t max_transfer_bytes;

	// The controller's: of the primary channel only, see storage_controller().
	enum storage_state state;
	uint16_t version;  // enum vstor_version, from STORAGE_QUERY_PROPERTIES on
	uint32_t srb_size; // of a request's payload at this version
	bool rescan_due, rescan_waits;
	struct vsp_out rescan_out;
	struct vstor_packet rescan;
	struct storage_slot *reset; // waits for all that came before it, on all channels

	uint32_t executing; // commands that the SCSI target has
	struct storage_slot *free;
	uint32_t slot_count;
	uint32_t iov_max;
	struct storage_slot *slots;
	uint64_t requests; // SCSI commands among the packets
	uint64_t errors;   // commands that did not end well
};

// The primary channel's instance.
static inline struct storage_vsp *storage_controller(struct storage_vsp *vsp)
{
	return (struct storage_vsp *)vsp_primary(&vsp->base);
}

// Sends slot->answer and frees the slot, now or when there is room.
void storage_answer(struct storage_slot *slot);

// Fills in slot->answer without payload, and sends it.
void storage_answer_status(struct storage_slot *slot, enum vstor_status status);

// What a version means for an instance. Returns false if there is none of that number.
bool storage_set_version(struct storage_vsp *vsp, uint16_t version);

// A reset has come: no channel reads more than what is in its ring now until it is answered.
void storage_begin_reset(struct storage_slot *slot);

// Acts on a packet, which is in base.packet. The slot is answered now or later.
void storage_handle(struct storage_slot *slot);

// Executes the SCSI command of an EXECUTE_SRB packet.
void storage_execute(struct storage_slot *slot, const struct vstor_packet *packet);
