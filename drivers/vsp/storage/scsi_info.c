// SPDX-License-Identifier: BSD-2-Clause
// Small commands about the unit as a whole: ready, sense, capacity, start and stop.
#include "drivers/vsp/storage/scsi_internal.h"

void scsi_test_unit_ready(struct scsi_disk *disk, struct scsi_command *command)
{
	scsi_finish(command, 0);
}

// Sense goes with the command that it is about (autosense), so there is never any left.
void scsi_request_sense(struct scsi_disk *disk, struct scsi_command *command)
{
	uint8_t sense[SCSI_SENSE_LENGTH];

	if (command->cdb[1] & 1) { // descriptor format
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	scsi_build_sense(sense, SCSI_SENSE_NONE);
	scsi_reply(command, sense, sizeof(sense), command->cdb[4]);
}

void scsi_read_capacity_10(struct scsi_disk *disk, struct scsi_command *command)
{
	const uint64_t last = disk->block->block_count - 1;
	uint8_t data[8];

	// SBC-3 5.15: all ones says that READ CAPACITY (16) is needed.
	scsi_put32(data, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	scsi_put32(data + 4, disk->block->block_size);
	scsi_reply(command, data, sizeof(data), sizeof(data));
}

static void scsi_read_capacity_16(struct scsi_disk *disk, struct scsi_command *command)
{
	const uint32_t physical = disk->block->physical_block_size >> disk->block_shift;
	uint8_t data[32] = { 0 };

	scsi_put64(data, disk->block->block_count - 1);
	scsi_put32(data + 8, disk->block->block_size);
	data[13] = (uint8_t)__builtin_ctz(physical) & 0xF;
	if (scsi_has(disk, BLOCK_DEVICE_CAN_UNMAP))
		data[14] |= 0x80; // LBPME
	if (scsi_has(disk, BLOCK_DEVICE_UNMAP_ZEROES))
		data[14] |= 0x40; // LBPRZ
	scsi_reply(command, data, sizeof(data), scsi_get32(&command->cdb[10]));
}

void scsi_service_action_in(struct scsi_disk *disk, struct scsi_command *command)
{
	if ((command->cdb[1] & 0x1F) == SCSI_SAI_READ_CAPACITY_16)
		scsi_read_capacity_16(disk, command);
	else
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
}

// A virtual disk does not spin: stopping it means no more than making its data stable.
void scsi_start_stop_unit(struct scsi_disk *disk, struct scsi_command *command)
{
	const bool start = command->cdb[4] & 1, eject = command->cdb[4] & 2;

	if (eject) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
	} else if (start || scsi_has(disk, BLOCK_DEVICE_READ_ONLY)) {
		scsi_finish(command, 0);
	} else {
		scsi_prepare(command, BLOCK_FLUSH, 0, 0);
		scsi_submit(command);
	}
}
