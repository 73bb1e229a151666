// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC: what the host sends. Each answer is checked against the slots; a host that
// answers what was not asked, or twice, or with what cannot be, costs the controller.
#include "drivers/vsc/storage_internal.h"

// Packets that are taken before done() is called of what is done.
#define STORAGE_BATCH 64u
// Packets in a row that answer nothing; a host that sends more is at fault.
#define STORAGE_MAX_NEWS 1024u

static void storage_bad_host(struct storage_queue *queue, const char *failure)
{
	storage_fail(queue->storage, LUMEN_BAD_HOST, failure);
}

static void storage_take_control(struct storage_queue *queue, const struct vmbus_packet *packet)
{
	struct storage_control *control = &queue->control;
	const uint32_t length = packet->payload_length;

	if (!control->pending || packet->transaction_id >> 32 != control->generation) {
		storage_bad_host(queue, "storage: an answer to no question");
		return;
	}
	memset(&control->answer, 0, sizeof(control->answer));
	memcpy(&control->answer, packet->payload,
		length < sizeof(control->answer) ? length : sizeof(control->answer));
	__atomic_store_n(&control->pending, 0, __ATOMIC_RELEASE);
	lumen_wake(&control->pending);
}

static void storage_free_slot(struct storage_queue *queue, struct storage_slot *slot)
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
static void storage_complete(
	struct storage_queue *queue, struct storage_slot *slot, const struct vmscsi_request *srb)
{
	struct lumen_request *request = slot->request;
	const bool short_transfer = request && request->operation <= LUMEN_WRITE &&
				    srb->data_transfer_length != slot->bytes;

	storage_free_slot(queue, slot);
	if (!request)
		return; // given up before
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

// The slot whose packet has this transaction id and is with the host, or NULL.
static struct storage_slot *storage_slot_of(
	const struct storage_queue *queue, uint64_t transaction_id)
{
	const uint32_t index = (uint32_t)transaction_id;
	struct storage_slot *slot;

	if (index >= queue->depth)
		return NULL;
	slot = &queue->slots[index];
	return slot->in_flight && transaction_id >> 32 == slot->generation ? slot : NULL;
}

static void storage_take_completion(struct storage_queue *queue, const struct vmbus_packet *packet)
{
	const struct vstor_packet *answer =
		(const struct vstor_packet *)(const void *)packet->payload;
	const uint32_t index = (uint32_t)packet->transaction_id;
	struct storage_slot *slot = storage_slot_of(queue, packet->transaction_id);

	if (packet->payload_length < VSTOR_PACKET_SIZE_V1)
		storage_bad_host(queue, "storage: an answer too short");
	else if (answer->operation != VSTOR_OPERATION_COMPLETE_IO)
		storage_bad_host(queue, "storage: an answer that completes nothing");
	else if (index == queue->depth)
		storage_take_control(queue, packet);
	else if (!slot)
		storage_bad_host(queue, "storage: an answer to a request that is not under way");
	else if (answer->srb.data_transfer_length > slot->bytes)
		storage_bad_host(queue, "storage: more data transferred than asked for");
	else if ((answer->srb.srb_status & VSTOR_SRB_STATUS_AUTOSENSE_VALID) &&
		 answer->srb.sense_info_length > VSTOR_SENSE_SIZE)
		storage_bad_host(queue, "storage: more sense data than there can be");
	else
		storage_complete(queue, slot, &answer->srb);
}

// A packet that answers nothing: disks have come or gone.
static void storage_take_news(struct storage_queue *queue, const struct vmbus_packet *packet)
{
	struct lumen_storage *storage = queue->storage;
	uint32_t operation;

	if (packet->type != VMBUS_PACKET_IN_BAND || packet->payload_length < VSTOR_HEADER_SIZE) {
		storage_bad_host(queue, "storage: a packet of no known kind");
		return;
	}
	memcpy(&operation, packet->payload, sizeof(operation));
	if (operation == VSTOR_OPERATION_FCHBA_DATA)
		return;
	if (operation != VSTOR_OPERATION_ENUMERATE_BUS &&
		operation != VSTOR_OPERATION_REMOVE_DEVICE) {
		storage_bad_host(queue, "storage: an operation that hosts do not ask for");
		return;
	}
	__atomic_fetch_add(&storage->changes, 1, __ATOMIC_RELEASE);
	lumen_wake(&storage->changes);
}

bool storage_receive(struct storage_queue *queue, uint32_t *taken, uint32_t *news)
{
	struct lumen_storage *storage = queue->storage;

	for (uint32_t i = 0; i < STORAGE_BATCH; i++) {
		const lumen_status status = lumen_channel_receive(
			queue->channel, queue->buffer, sizeof(queue->buffer), &queue->received);

		if (status == LUMEN_BUSY)
			return false;
		if (status != LUMEN_OK) {
			storage_channel_failed(queue, status);
			return false;
		}
		++*taken;
		if (queue->received.type == VMBUS_PACKET_COMPLETION)
			storage_take_completion(queue, &queue->received);
		else if (++*news <= STORAGE_MAX_NEWS)
			storage_take_news(queue, &queue->received);
		else
			storage_bad_host(queue, "storage: packets without end");
		if (storage_status(storage) != LUMEN_OK)
			return false;
	}
	return true;
}
