// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: what the host sends. Each answer is checked against the slots; a host that
// answers what was not asked, or twice, or with what cannot be, costs the controller.
#include "drivers/vsc/storage_internal.h"

// Packets that are taken before done() is called of what is done.
#define VSC_BATCH 64u
// Packets in a row that answer nothing; a host that sends more is at fault.
#define VSC_MAX_NEWS 1024u

static void vsc_bad_host(struct vsc_queue *queue, const char *failure)
{
	vsc_fail(queue->storage, LUMEN_BAD_HOST, failure);
}

static void vsc_take_control(struct vsc_queue *queue, const struct vmbus_packet *packet)
{
	struct vsc_control *control = &queue->control;
	const uint32_t length = packet->payload_length;

	if (!control->pending || packet->transaction_id >> 32 != control->generation) {
		vsc_bad_host(queue, "storage: an answer to no question");
		return;
	}
	memset(&control->answer, 0, sizeof(control->answer));
	memcpy(&control->answer, packet->payload,
		length < sizeof(control->answer) ? length : sizeof(control->answer));
	__atomic_store_n(&control->pending, 0, __ATOMIC_RELEASE);
	lumen_wake(&control->pending);
}

static void vsc_free_slot(struct vsc_queue *queue, struct vsc_slot *slot)
{
	slot->in_flight = false;
	slot->request = NULL;
	slot->next = queue->free;
	queue->free = (uint32_t)(slot - queue->slots);
	__atomic_store_n(&queue->in_flight, queue->in_flight - 1, __ATOMIC_RELAXED);
	if (__atomic_load_n(&queue->storage->closing, __ATOMIC_RELAXED))
		lumen_wake(&queue->in_flight);
}

// The host is done with a piece of a request.
static void vsc_complete(
	struct vsc_queue *queue, struct vsc_slot *slot, const struct vmscsi_request *srb)
{
	struct lumen_request *request = slot->request;
	const bool short_transfer = request && request->operation <= LUMEN_WRITE &&
				    srb->data_transfer_length != slot->bytes;

	vsc_free_slot(queue, slot);
	if (!request)
		return; // given up before
	request->in_flight--;
	request->transferred += srb->data_transfer_length;
	if (__builtin_expect(srb->srb_status != VSTOR_SRB_STATUS_SUCCESS || srb->scsi_status ||
				     short_transfer,
		    0)) {
		vsc_note_error(request, srb, short_transfer);
		if (request->state == VSC_WAITING && request->status != LUMEN_OK) {
			request->blocks_left = 0; // the rest is not tried
			vsc_unwait(queue, request);
		}
	}
	if (request->in_flight == 0 && request->blocks_left == 0)
		vsc_finish(queue, request);
}

// The slot whose packet has this transaction id and is with the host, or NULL.
static struct vsc_slot *vsc_slot_of(const struct vsc_queue *queue, uint64_t transaction_id)
{
	const uint32_t index = (uint32_t)transaction_id;
	struct vsc_slot *slot;

	if (index >= queue->depth)
		return NULL;
	slot = &queue->slots[index];
	return slot->in_flight && transaction_id >> 32 == slot->generation ? slot : NULL;
}

static void vsc_take_completion(struct vsc_queue *queue, const struct vmbus_packet *packet)
{
	const struct vstor_packet *answer =
		(const struct vstor_packet *)(const void *)packet->payload;
	const uint32_t index = (uint32_t)packet->transaction_id;
	struct vsc_slot *slot = vsc_slot_of(queue, packet->transaction_id);

	if (packet->payload_length < VSTOR_PACKET_SIZE_V1)
		vsc_bad_host(queue, "storage: an answer too short");
	else if (answer->operation != VSTOR_OPERATION_COMPLETE_IO)
		vsc_bad_host(queue, "storage: an answer that completes nothing");
	else if (index == queue->depth)
		vsc_take_control(queue, packet);
	else if (!slot)
		vsc_bad_host(queue, "storage: an answer to a request that is not under way");
	else if (answer->srb.data_transfer_length > slot->bytes)
		vsc_bad_host(queue, "storage: more data transferred than asked for");
	else if ((answer->srb.srb_status & VSTOR_SRB_STATUS_AUTOSENSE_VALID) &&
		 answer->srb.sense_info_length > VSTOR_SENSE_SIZE)
		vsc_bad_host(queue, "storage: more sense data than there can be");
	else
		vsc_complete(queue, slot, &answer->srb);
}

// A packet that answers nothing: disks have come or gone.
static void vsc_take_news(struct vsc_queue *queue, const struct vmbus_packet *packet)
{
	struct lumen_storage *storage = queue->storage;
	uint32_t operation;

	if (packet->type != VMBUS_PACKET_IN_BAND || packet->payload_length < VSTOR_HEADER_SIZE) {
		vsc_bad_host(queue, "storage: a packet of no known kind");
		return;
	}
	memcpy(&operation, packet->payload, sizeof(operation));
	if (operation == VSTOR_OPERATION_FCHBA_DATA)
		return;
	if (operation != VSTOR_OPERATION_ENUMERATE_BUS &&
		operation != VSTOR_OPERATION_REMOVE_DEVICE) {
		vsc_bad_host(queue, "storage: an operation that hosts do not ask for");
		return;
	}
	__atomic_fetch_add(&storage->changes, 1, __ATOMIC_RELEASE);
	lumen_wake(&storage->changes);
}

bool vsc_receive(struct vsc_queue *queue, uint32_t *taken, uint32_t *news)
{
	struct lumen_storage *storage = queue->storage;

	for (uint32_t i = 0; i < VSC_BATCH; i++) {
		const lumen_status status = lumen_channel_receive(
			queue->channel, queue->buffer, sizeof(queue->buffer), &queue->received);

		if (status == LUMEN_BUSY)
			return false;
		if (status != LUMEN_OK) {
			vsc_channel_failed(queue, status);
			return false;
		}
		++*taken;
		if (queue->received.type == VMBUS_PACKET_COMPLETION)
			vsc_take_completion(queue, &queue->received);
		else if (++*news <= VSC_MAX_NEWS)
			vsc_take_news(queue, &queue->received);
		else
			vsc_bad_host(queue, "storage: packets without end");
		if (vsc_status(storage) != LUMEN_OK)
			return false;
	}
	return true;
}
