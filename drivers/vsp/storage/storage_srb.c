// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP: one EXECUTE_SRB packet becomes a SCSI command on the guest's own pages, and its
// result a completion.
#include "drivers/vsp/storage/storage_internal.h"

#include <string.h>

#include "base/macros.h"

static struct storage_slot *storage_slot_of(struct scsi_command *command)
{
	return container_of(command, struct storage_slot, command);
}

static void storage_answer_srb(
	struct storage_slot *slot, enum vstor_status status, uint8_t srb_status)
{
	const struct scsi_command *command = &slot->command;
	struct vmscsi_request *srb = &slot->answer.srb;

	srb->length = (uint16_t)(slot->out.length - VSTOR_HEADER_SIZE);
	srb->srb_status = srb_status;
	srb->path_id = command->path;
	srb->target_id = command->target;
	srb->lun = command->lun;
	srb->cdb_length = command->cdb_length;
	if (srb_status != VSTOR_SRB_STATUS_SUCCESS)
		slot->vsp->errors++;
	storage_answer_status(slot, status);
}

// A packet that contradicts itself: nothing was done.
static void storage_reject(struct storage_slot *slot)
{
	slot->vsp->base.counters.malformed++;
	storage_answer_srb(slot, VSTOR_STATUS_INVALID_PARAMETER, VSTOR_SRB_STATUS_INVALID_REQUEST);
}

static void storage_command_failed(struct storage_slot *slot)
{
	const struct scsi_command *command = &slot->command;
	struct vmscsi_request *srb = &slot->answer.srb;

	srb->sense_info_length = command->sense_length;
	memcpy(srb->sense_data, command->sense, command->sense_length);
	if (command->no_lun)
		storage_answer_srb(
			slot, VSTOR_STATUS_DEVICE_DOES_NOT_EXIST, VSTOR_SRB_STATUS_INVALID_LUN);
	else if (command->status == SCSI_STATUS_BUSY)
		storage_answer_srb(slot, VSTOR_STATUS_DEVICE_BUSY, VSTOR_SRB_STATUS_BUSY);
	else
		storage_answer_srb(slot, VSTOR_STATUS_IO_DEVICE_ERROR,
			VSTOR_SRB_STATUS_ERROR | VSTOR_SRB_STATUS_AUTOSENSE_VALID);
}

static void storage_command_done(struct scsi_command *command)
{
	struct storage_slot *slot = storage_slot_of(command);

	slot->vsp->executing--;
	slot->answer.srb.scsi_status = command->status;
	slot->answer.srb.data_transfer_length = command->transferred;
	if (command->status == SCSI_STATUS_GOOD)
		storage_answer_srb(slot, VSTOR_STATUS_SUCCESS, VSTOR_SRB_STATUS_SUCCESS);
	else
		storage_command_failed(slot);
}

// Makes host memory of the first `length` bytes of the range: one iovec per run of pages that are
// neighbours here too. Returns false if a page is not the guest's RAM.
static bool storage_map(
	struct storage_slot *slot, const struct vmbus_gpa_range *range, uint32_t length)
{
	struct scsi_command *command = &slot->command;
	struct block_iovec *last = NULL;
	uint32_t offset = range->byte_offset;

	for (uint32_t i = 0; length > 0; i++) {
		const uint32_t room = VMBUS_PAGE_SIZE - offset;
		const uint32_t part = length < room ? length : room;
		uint8_t *page = vmbus_memory_page(&slot->vsp->memory, range->pfns[i]);

		if (!page)
			return false;
		if (last && (uint8_t *)last->base + last->length == page + offset) {
			last->length += part;
		} else {
			last = &slot->iov[command->iov_count++];
			*last = (struct block_iovec){ page + offset, part };
		}
		length -= part;
		offset = 0;
	}
	return true;
}

// The data of a request: none, or the beginning of the packet's one range.
static bool storage_map_data(struct storage_slot *slot, uint32_t length)
{
	const struct vmbus_packet *packet = &slot->vsp->base.packet;

	slot->command.iov = slot->iov;
	slot->command.iov_count = 0;
	slot->command.data_length = length;
	if (length == 0)
		return true;
	return packet->type == VMBUS_PACKET_GPA_DIRECT && packet->range_count == 1 &&
	       length <= packet->ranges[0].byte_count && length <= slot->vsp->max_transfer_bytes &&
	       storage_map(slot, &packet->ranges[0], length);
}

void storage_execute(struct storage_slot *slot, const struct vstor_packet *packet)
{
	struct storage_vsp *vsp = slot->vsp;
	struct scsi_command *command = &slot->command;
	const struct vmscsi_request *srb = &packet->srb;

	vsp->requests++;
	command->path = srb->path_id;
	command->target = srb->target_id;
	command->lun = srb->lun;
	command->cdb_length = srb->cdb_length;
	memcpy(command->cdb, srb->cdb, sizeof(command->cdb));
	command->done = storage_command_done;
	if (vsp->base.packet.payload_length < storage_controller(vsp)->srb_size ||
		!storage_map_data(slot, srb->data_transfer_length)) {
		storage_reject(slot);
		return;
	}
	vsp->executing++;
	scsi_execute(vsp->adapter, command);
}
