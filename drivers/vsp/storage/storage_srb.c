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
	       length <= slot->vsp->max_transfer_bytes &&
	       vsp_iovec_add(slot->iov, &slot->command.iov_count, slot->vsp->iov_max,
		       &slot->vsp->memory, &packet->ranges[0], 0, length);
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
