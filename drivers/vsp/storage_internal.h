// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the storage VSP.
#ifndef LUMEN_DRIVERS_VSP_STORAGE_INTERNAL_H
#define LUMEN_DRIVERS_VSP_STORAGE_INTERNAL_H

#include "drivers/vsp/storage.h"
#include "vmbus/ring.h"

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
	struct storage_vsp *vsp;
	struct storage_slot *next; // on the free list or in the queue of unsent completions
	uint64_t transaction_id;   // the guest's, carried back
	bool wants_completion;
	uint32_t answer_length;
	struct vstor_packet answer;
	struct block_iovec *iov; // vsp->iov_max of them
	struct scsi_command command;
};

struct storage_vsp {
	struct vmbus_memory memory;
	struct scsi_adapter *adapter;
	const struct vstor_fc_wwn *wwn;
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;

	enum storage_state state;
	uint16_t version; // enum vstor_version, from STORAGE_QUERY_PROPERTIES on
	uint32_t max_transfer_bytes;
	uint32_t srb_size; // of a request's payload at this version

	bool stopped;
	bool rescan_due;
	bool signal_due;
	bool again;
	const char *failure;

	uint32_t executing;	    // commands that the SCSI target has
	struct storage_slot *reset; // a reset that waits until there are none
	struct storage_slot *free;
	struct storage_slot *unsent_first;
	struct storage_slot **unsent_end;
	uint32_t slot_count;
	uint32_t iov_max;
	struct storage_slot *slots;

	uint8_t *buffer; // of one packet
	uint32_t buffer_size;
	struct vmbus_packet packet;
	struct storage_vsp_counters counters;
};

// Ends the channel: nothing is read or written any more. The first reason stays.
void storage_fail(struct storage_vsp *vsp, const char *reason);

// Sends slot->answer and frees the slot, now or when there is room.
void storage_answer(struct storage_slot *slot);

// Fills in slot->answer without payload, and sends it.
void storage_answer_status(struct storage_slot *slot, enum vstor_status status);

// Acts on a packet, which is in vsp->packet. The slot is answered now or later.
void storage_handle(struct storage_slot *slot);

// Executes the SCSI command of an EXECUTE_SRB packet.
void storage_execute(struct storage_slot *slot, const struct vstor_packet *packet);

#endif
