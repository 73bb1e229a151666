// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: what the host sends. Each answer is checked against the slots; a host that
// answers what was not asked, or twice, or with what cannot be, costs the controller.
#include "drivers/vsc/storage/storage_internal.h"

// The host is done with a piece of a request.
static void storage_complete(
	struct lumen_disk_queue *queue, struct vsc_slot *slot, const struct vmscsi_request *srb)
{
	const bool all = srb->data_transfer_length == slot->bytes;
	struct lumen_request *request = vsc_free_slot(&queue->vsc, slot);
	bool short_transfer;

	if (!request)
		return; // given up before
	short_transfer = !all && request->operation <= LUMEN_WRITE;
	request->in_flight--;
	request->transferred += srb->data_transfer_length;
	if (__builtin_expect(srb->srb_status != VSTOR_SRB_STATUS_SUCCESS || srb->scsi_status ||
				     short_transfer,
		    0)) {
		storage_note_error(request, srb, short_transfer);
		if (request->state == STORAGE_WAITING && request->status != LUMEN_OK) {
			request->blocks_left = 0; // the rest is not tried
			storage_unwait(queue, request);
		}
	}
	if (request->in_flight == 0 && request->blocks_left == 0)
		storage_finish(queue, request);
}

static void storage_take_completion(
	struct lumen_disk_queue *queue, const struct vmbus_packet *packet)
{
	const struct vstor_packet *answer =
		(const struct vstor_packet *)(const void *)packet->payload;
	struct vsc_slot *slot = vsc_slot_of(&queue->vsc, packet->transaction_id);

	if (packet->payload_length < VSTOR_PACKET_SIZE_V1)
		vsc_bad_host(&queue->vsc, "an answer too short");
	else if (answer->operation != VSTOR_OPERATION_COMPLETE_IO)
		vsc_bad_host(&queue->vsc, "an answer that completes nothing");
	else if (vsc_is_answer(&queue->vsc, packet->transaction_id))
		vsc_take_answer(&queue->vsc, packet);
	else if (!slot)
		vsc_bad_host(&queue->vsc, "an answer to a request that is not under way");
	else if (answer->srb.data_transfer_length > slot->bytes)
		vsc_bad_host(&queue->vsc, "more data transferred than asked for");
	else if ((answer->srb.srb_status & VSTOR_SRB_STATUS_AUTOSENSE_VALID) &&
		 answer->srb.sense_info_length > VSTOR_SENSE_SIZE)
		vsc_bad_host(&queue->vsc, "more sense data than there can be");
	else
		storage_complete(queue, slot, &answer->srb);
}

// A packet that answers nothing: disks have come or gone.
static void storage_take_news(struct lumen_disk_queue *queue, const struct vmbus_packet *packet)
{
	struct lumen_storage *storage = storage_of(queue);
	uint32_t operation;

	if (packet->type != VMBUS_PACKET_IN_BAND || packet->payload_length < VSTOR_HEADER_SIZE) {
		vsc_bad_host(&queue->vsc, "a packet of no known kind");
		return;
	}
	memcpy(&operation, packet->payload, sizeof(operation));
	if (operation == VSTOR_OPERATION_FCHBA_DATA)
		return;
	if (operation != VSTOR_OPERATION_ENUMERATE_BUS &&
		operation != VSTOR_OPERATION_REMOVE_DEVICE) {
		vsc_bad_host(&queue->vsc, "an operation that hosts do not ask for");
		return;
	}
	__atomic_fetch_add(&storage->changes, 1, __ATOMIC_RELEASE);
	lumen_wake(&storage->changes);
}

void storage_receive(struct lumen_disk_queue *queue, struct vsc_turn *turn)
{
	const struct vmbus_packet *packet;

	while ((packet = vsc_next(turn))) {
		if (packet->type == VMBUS_PACKET_COMPLETION)
			storage_take_completion(queue, packet);
		else if (vsc_count_news(turn))
			storage_take_news(queue, packet);
	}
}
