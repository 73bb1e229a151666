// SPDX-License-Identifier: BSD-2-Clause
// UNMAP and WRITE SAME (SBC-3 5.28, 5.47, 5.48).
#include "drivers/vsp/storage/scsi_internal.h"

#include <string.h>

#define SCSI_UNMAP_HEADER     8u
#define SCSI_UNMAP_DESCRIPTOR 16u

_Static_assert(
	SCSI_UNMAP_HEADER + SCSI_UNMAP_MAX_DESCRIPTORS * SCSI_UNMAP_DESCRIPTOR <= SCSI_SCRATCH_SIZE,
	"the longest parameter list fits");

static struct scsi_extent scsi_unmap_extent(const struct scsi_command *command, uint32_t index)
{
	const uint8_t *at = command->scratch + SCSI_UNMAP_HEADER + index * SCSI_UNMAP_DESCRIPTOR;

	return (struct scsi_extent){ scsi_get64(at), scsi_get32(at + 8) };
}

// Prepares the next piece of the extent at command->lba, of command->blocks_left blocks, for an
// operation without data. Pieces end at multiples of SCSI_STEP_RANGE, so that what the backend can
// only unmap as a whole is not cut. Returns false if nothing is left.
static bool scsi_range_step(struct scsi_command *command, enum block_op op)
{
	const uint32_t shift = command->disk->block_shift;
	const uint64_t unit = SCSI_STEP_RANGE >> shift, room = unit - command->lba % unit;
	const uint64_t blocks = command->blocks_left < room ? command->blocks_left : room;

	scsi_prepare(command, op, command->lba << shift, blocks << shift);
	command->lba += blocks;
	command->blocks_left -= blocks;
	return blocks > 0;
}

static bool scsi_unmap_step(struct scsi_command *command)
{
	while (command->blocks_left == 0 && command->index < command->count) {
		const struct scsi_extent extent = scsi_unmap_extent(command, command->index++);

		command->lba = extent.lba;
		command->blocks_left = extent.count;
	}
	return scsi_range_step(command, BLOCK_UNMAP);
}

// Checks the parameter list, which is in scratch memory, and finds how many descriptors it has.
static enum scsi_sense scsi_unmap_check(
	const struct scsi_disk *disk, struct scsi_command *command, uint32_t list_length)
{
	const uint32_t bytes = scsi_get16(command->scratch + 2);

	if (bytes > list_length - SCSI_UNMAP_HEADER)
		return SCSI_SENSE_PARAMETER_LIST_LENGTH;
	command->count = bytes / SCSI_UNMAP_DESCRIPTOR;
	for (uint32_t i = 0; i < command->count; i++) {
		struct scsi_extent extent = scsi_unmap_extent(command, i);

		if (extent.count > SCSI_UNMAP_MAX_BLOCKS)
			return SCSI_SENSE_INVALID_PARAMETER;
		if (!scsi_extent_valid(disk, &extent))
			return SCSI_SENSE_LBA_OUT_OF_RANGE;
	}
	return SCSI_SENSE_NONE;
}

void scsi_unmap(struct scsi_disk *disk, struct scsi_command *command)
{
	const uint32_t list_length = scsi_get16(&command->cdb[7]);
	enum scsi_sense sense;

	if (!scsi_has(disk, BLOCK_DEVICE_CAN_UNMAP)) {
		scsi_fail(command, SCSI_SENSE_INVALID_OPERATION);
	} else if (command->cdb[1] & SCSI_CDB_ANCHOR_UNMAP) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
	} else if (list_length == 0) {
		scsi_finish(command, 0);
	} else if (list_length < SCSI_UNMAP_HEADER) {
		scsi_fail(command, SCSI_SENSE_PARAMETER_LIST_LENGTH);
	} else if (list_length > SCSI_SCRATCH_SIZE || list_length > command->data_length ||
		   !scsi_fetch(command, command->scratch, list_length)) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
	} else if ((sense = scsi_unmap_check(disk, command, list_length)) != SCSI_SENSE_NONE) {
		scsi_fail(command, sense);
	} else {
		command->transferred = list_length;
		command->index = 0;
		command->blocks_left = 0;
		scsi_run(command, scsi_unmap_step);
	}
}

static bool scsi_write_same_step(struct scsi_command *command)
{
	return scsi_scratch_step(command, BLOCK_WRITE);
}

// The slow way: scratch memory full of copies of its first block, written again and again.
static void scsi_make_pattern(struct scsi_command *command)
{
	const uint32_t block_size = 1u << command->disk->block_shift;

	for (uint32_t at = block_size; at < SCSI_SCRATCH_SIZE; at += block_size)
		memcpy(command->scratch + at, command->scratch, block_size);
}

// The device may find out only now that it cannot: back to where that piece began, the slow way.
static void scsi_write_zeroes_done(struct block_request *request, int result)
{
	struct scsi_command *command = scsi_command_of(request);

	if (result == BLOCK_ERROR_UNSUPPORTED) {
		command->lba -= command->count;
		command->blocks_left += command->count;
		scsi_make_pattern(command);
		command->step = scsi_write_same_step;
		result = BLOCK_OK;
	}
	scsi_step_done(request, result);
}

static bool scsi_write_zeroes_step(struct scsi_command *command)
{
	const uint64_t left = command->blocks_left;
	const bool more = scsi_range_step(command, BLOCK_WRITE_ZEROES);

	command->count = (uint32_t)(left - command->blocks_left);
	command->block.done = scsi_write_zeroes_done;
	if (command->cdb[1] & SCSI_CDB_UNMAP)
		command->block.flags = BLOCK_REQUEST_MAY_UNMAP;
	return more;
}

static bool scsi_is_zero(const uint8_t *data, uint32_t length)
{
	return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

// Gets the block to write into scratch memory: the guest's, or zeroes if NDOB says so.
static bool scsi_write_same_block(struct scsi_disk *disk, struct scsi_command *command)
{
	const uint32_t block_size = disk->block->block_size;

	if (command->cdb[0] == SCSI_WRITE_SAME_16 && (command->cdb[1] & SCSI_CDB_NDOB)) {
		memset(command->scratch, 0, block_size);
		return true;
	}
	command->transferred = block_size;
	return scsi_fetch(command, command->scratch, block_size);
}

static bool scsi_write_same_flags_valid(const struct scsi_disk *disk, const uint8_t *cdb)
{
	const uint8_t ndob = cdb[0] == SCSI_WRITE_SAME_16 ? SCSI_CDB_NDOB : 0;
	const uint8_t unmap = scsi_has(disk, BLOCK_DEVICE_CAN_UNMAP) ? SCSI_CDB_UNMAP : 0;

	return (cdb[1] & ~(unmap | ndob)) == 0;
}

void scsi_write_same(struct scsi_disk *disk, struct scsi_command *command)
{
	const struct scsi_extent extent = scsi_cdb_extent(command->cdb);

	if (!scsi_write_same_flags_valid(disk, command->cdb) || extent.count == 0 ||
		extent.count > SCSI_WRITE_SAME_MAX_BLOCKS) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	if (!scsi_extent_valid(disk, &extent)) {
		scsi_fail(command, SCSI_SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	if (!scsi_write_same_block(disk, command)) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	command->lba = extent.lba;
	command->blocks_left = extent.count;
	if (scsi_has(disk, BLOCK_DEVICE_CAN_ZERO) &&
		scsi_is_zero(command->scratch, disk->block->block_size)) {
		scsi_run(command, scsi_write_zeroes_step);
		return;
	}
	scsi_make_pattern(command);
	scsi_run(command, scsi_write_same_step);
}
