// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP: its memory, its slots, and the loop between the two rings.
#include "drivers/vsp/storage_internal.h"

#include <string.h>

// Descriptor, ranges and payload of the longest request; rounded up, there is more room than that.
#define STORAGE_PACKET_OVERHEAD 512u

// What is left of a poll.
struct storage_budget {
	uint32_t packets;
	uint32_t bytes;
};

struct storage_layout {
	uint32_t iov_max;
	uint32_t buffer_size;
	size_t slots;
	size_t iov;
	size_t buffer;
	size_t total;
};

static size_t storage_align(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

// Configuration is bounded, so nothing here can overflow.
static bool storage_layout(const struct storage_vsp_config *config, struct storage_layout *layout)
{
	const uint32_t transfer = config->max_transfer_bytes;

	if (config->slot_count == 0 || config->slot_count > STORAGE_VSP_MAX_SLOTS ||
		transfer == 0 || transfer > STORAGE_VSP_MAX_TRANSFER ||
		transfer % VMBUS_PAGE_SIZE != 0)
		return false;
	layout->iov_max = transfer / VMBUS_PAGE_SIZE + 1;
	layout->buffer_size = STORAGE_PACKET_OVERHEAD + layout->iov_max * 8;
	layout->slots = storage_align(sizeof(struct storage_vsp));
	layout->iov =
		layout->slots + storage_align(sizeof(struct storage_slot) * config->slot_count);
	layout->buffer = layout->iov + storage_align(sizeof(struct block_iovec) * layout->iov_max *
						     config->slot_count);
	layout->total = layout->buffer + layout->buffer_size;
	return true;
}

size_t storage_vsp_size(const struct storage_vsp_config *config)
{
	struct storage_layout layout;

	return storage_layout(config, &layout) ? layout.total : 0;
}

static void storage_init_slots(struct storage_vsp *vsp, struct block_iovec *iov)
{
	for (uint32_t i = vsp->slot_count; i-- > 0;) {
		struct storage_slot *slot = &vsp->slots[i];

		slot->vsp = vsp;
		slot->iov = iov + (size_t)i * vsp->iov_max;
		slot->next = vsp->free;
		vsp->free = slot;
	}
}

static void storage_init_rings(struct storage_vsp *vsp, const struct storage_vsp_config *config)
{
	enum vmbus_ring_status status =
		vmbus_ring_reader_init(&vsp->reader, config->in_pages, config->in_page_count);

	if (status == VMBUS_RING_OK)
		status = vmbus_ring_writer_init(
			&vsp->writer, config->out_pages, config->out_page_count);
	if (status != VMBUS_RING_OK)
		storage_fail(vsp, vmbus_ring_status_name(status));
}

struct storage_vsp *storage_vsp_create(void *memory, const struct storage_vsp_config *config)
{
	struct storage_vsp *vsp = memory;
	struct storage_layout layout;
	uint8_t *base = memory;

	if (!storage_layout(config, &layout))
		return NULL;
	memset(memory, 0, layout.total);
	vsp->memory = config->memory;
	vsp->adapter = config->adapter;
	vsp->wwn = config->wwn;
	vsp->max_transfer_bytes = config->max_transfer_bytes;
	vsp->srb_size = VSTOR_PACKET_SIZE_V1;
	vsp->slot_count = config->slot_count;
	vsp->iov_max = layout.iov_max;
	vsp->slots = (struct storage_slot *)(base + layout.slots);
	vsp->buffer = base + layout.buffer;
	vsp->buffer_size = layout.buffer_size;
	vsp->unsent_end = &vsp->unsent_first;
	storage_init_slots(vsp, (struct block_iovec *)(base + layout.iov));
	storage_init_rings(vsp, config);
	return vsp;
}

void storage_fail(struct storage_vsp *vsp, const char *reason)
{
	if (!vsp->failure)
		vsp->failure = reason;
}

static bool storage_dead(const struct storage_vsp *vsp)
{
	return vsp->stopped || vsp->failure;
}

// Puts a packet into the ring to the guest. Returns false if it is not there: no room, and then
// the guest will signal when there is, or the ring is broken.
static bool storage_send(struct storage_vsp *vsp, uint16_t type, uint64_t transaction_id,
	const struct vstor_packet *answer, uint32_t length)
{
	const struct vmbus_piece piece = { answer, length };
	const struct vmbus_packet_out out = {
		.type = type,
		.transaction_id = transaction_id,
		.payload = &piece,
		.payload_count = 1,
	};
	enum vmbus_ring_status status = vmbus_ring_write(&vsp->writer, &out);

	if (status == VMBUS_RING_OK)
		return true;
	if (status != VMBUS_RING_FULL) {
		storage_fail(vsp, vmbus_ring_status_name(status));
		return false;
	}
	vsp->counters.ring_full++;
	vsp->signal_due |= vmbus_ring_writer_commit(&vsp->writer);
	if (vmbus_ring_writer_wait(&vsp->writer, vmbus_ring_packet_room(0, length)))
		vsp->again = true; // there is room by now, and nobody will tell
	return false;
}

static void storage_free_slot(struct storage_slot *slot)
{
	slot->next = slot->vsp->free;
	slot->vsp->free = slot;
}

static bool storage_send_answer(struct storage_slot *slot)
{
	return storage_send(slot->vsp, VMBUS_PACKET_COMPLETION, slot->transaction_id, &slot->answer,
		slot->answer_length);
}

void storage_answer(struct storage_slot *slot)
{
	struct storage_vsp *vsp = slot->vsp;

	// In order: what waits for room is not overtaken.
	if (storage_dead(vsp) || !slot->wants_completion ||
		(!vsp->unsent_first && storage_send_answer(slot))) {
		storage_free_slot(slot);
		return;
	}
	slot->next = NULL;
	*vsp->unsent_end = slot;
	vsp->unsent_end = &slot->next;
}

void storage_answer_status(struct storage_slot *slot, enum vstor_status status)
{
	slot->answer.operation = VSTOR_OPERATION_COMPLETE_IO;
	slot->answer.status = status;
	storage_answer(slot);
}

static void storage_send_unsent(struct storage_vsp *vsp)
{
	struct vstor_packet rescan = { .operation = VSTOR_OPERATION_ENUMERATE_BUS };

	while (vsp->unsent_first && storage_send_answer(vsp->unsent_first)) {
		struct storage_slot *slot = vsp->unsent_first;

		vsp->unsent_first = slot->next;
		if (!vsp->unsent_first)
			vsp->unsent_end = &vsp->unsent_first;
		storage_free_slot(slot);
	}
	if (vsp->rescan_due && vsp->state == STORAGE_READY && !vsp->unsent_first &&
		storage_send(vsp, VMBUS_PACKET_IN_BAND, 0, &rescan, vsp->srb_size))
		vsp->rescan_due = false;
}

static void storage_finish_reset(struct storage_vsp *vsp)
{
	struct storage_slot *slot = vsp->reset;

	if (!slot || vsp->executing > 0)
		return;
	vsp->reset = NULL;
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

// Returns how much data the packet is about.
static uint32_t storage_take(struct storage_vsp *vsp)
{
	const struct vmbus_packet *packet = &vsp->packet;
	struct storage_slot *slot = vsp->free;

	vsp->free = slot->next;
	slot->transaction_id = packet->transaction_id;
	slot->wants_completion = packet->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED;
	slot->answer_length = packet->payload_length >= VSTOR_PACKET_SIZE_V2 ? VSTOR_PACKET_SIZE_V2
									     : VSTOR_PACKET_SIZE_V1;
	memset(&slot->answer, 0, sizeof(slot->answer));
	slot->command.data_length = 0;
	vsp->counters.packets++;
	storage_handle(slot);
	return slot->command.data_length; // the slot may be free by now, but nobody has it yet
}

static void storage_spend(struct storage_budget *budget, uint32_t bytes)
{
	budget->packets--;
	budget->bytes -= bytes < budget->bytes ? bytes : budget->bytes;
}

// Reads until there is nothing more, or nothing more can be taken. Returns true if the ring is
// empty.
static bool storage_read_all(struct storage_vsp *vsp, struct storage_budget *budget)
{
	while (vsp->free && !vsp->reset && !vsp->failure && budget->packets && budget->bytes) {
		enum vmbus_ring_status status =
			vmbus_ring_read(&vsp->reader, vsp->buffer, vsp->buffer_size, &vsp->packet);

		if (status == VMBUS_RING_EMPTY)
			return true;
		if (status != VMBUS_RING_OK) {
			storage_fail(vsp, vmbus_ring_status_name(status));
			return false;
		}
		storage_spend(budget, storage_take(vsp));
		storage_finish_reset(vsp);
	}
	return false;
}

// While no slot is free or a reset waits, the ring is left masked: what ends that wait is a
// completion or room in the other ring, and both lead to the next poll.
static void storage_receive(struct storage_vsp *vsp)
{
	struct storage_budget budget = { STORAGE_VSP_POLL_PACKETS, STORAGE_VSP_POLL_BYTES };
	bool empty;

	do {
		vmbus_ring_reader_mask(&vsp->reader);
		empty = storage_read_all(vsp, &budget);
		if (vsp->failure)
			return;
		vsp->signal_due |= vmbus_ring_reader_commit(&vsp->reader);
	} while (empty && vmbus_ring_reader_unmask(&vsp->reader));
	if (!budget.packets || !budget.bytes)
		vsp->again = true;
	if (budget.packets < STORAGE_VSP_POLL_PACKETS)
		vsp->counters.batches++;
}

static uint32_t storage_poll_flags(struct storage_vsp *vsp)
{
	uint32_t flags = vsp->failure ? STORAGE_VSP_FAILED : 0;

	if (!vsp->failure) {
		vsp->signal_due |= vmbus_ring_writer_commit(&vsp->writer);
		if (vsp->again)
			flags |= STORAGE_VSP_AGAIN;
	}
	if (vsp->signal_due) {
		flags |= STORAGE_VSP_SIGNAL;
		vsp->counters.signals++;
	}
	vsp->signal_due = false;
	vsp->again = false;
	return flags;
}

uint32_t storage_vsp_poll(struct storage_vsp *vsp)
{
	if (vsp->stopped)
		return 0;
	// Steps first: what ends in them gives slots, and what a reset has waited for.
	scsi_adapter_step(vsp->adapter, STORAGE_VSP_POLL_STEPS);
	if (!vsp->failure) {
		storage_finish_reset(vsp);
		storage_send_unsent(vsp);
	}
	if (!vsp->failure)
		storage_receive(vsp);
	vsp->again |= scsi_adapter_step(vsp->adapter, 0);
	scsi_adapter_kick(vsp->adapter);
	return storage_poll_flags(vsp);
}

const char *storage_vsp_failure(const struct storage_vsp *vsp)
{
	return vsp->failure;
}

void storage_vsp_rescan(struct storage_vsp *vsp)
{
	vsp->rescan_due = true;
}

void storage_vsp_stop(struct storage_vsp *vsp)
{
	vsp->stopped = true;
	for (uint32_t i = 0; i < vsp->slot_count; i++)
		scsi_cancel(&vsp->slots[i].command);
	scsi_adapter_step(vsp->adapter, vsp->slot_count); // they end without another step
	scsi_adapter_kick(vsp->adapter);
}

bool storage_vsp_idle(const struct storage_vsp *vsp)
{
	return vsp->executing == 0;
}

const struct storage_vsp_counters *storage_vsp_counters(const struct storage_vsp *vsp)
{
	return &vsp->counters;
}
