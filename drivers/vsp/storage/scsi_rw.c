// SPDX-License-Identifier: BSD-2-Clause
// READ, WRITE, VERIFY and SYNCHRONIZE CACHE (SBC-3 5). The data buffer goes to the backend as it
// is.
#include "drivers/vsp/storage/scsi_internal.h"

// Where address and count are depends on the group, bits 7:5 of the operation code (SPC-4 4.2.5).
struct scsi_extent scsi_cdb_extent(const uint8_t *cdb)
{
	switch (cdb[0] >> 5) {
	case 0: // 6 bytes: 21 bits of address, and a count of 0 means 256
		return (struct scsi_extent){ scsi_get32(cdb) & 0x1FFFFF, cdb[4] ? cdb[4] : 256 };
	case 4:
		return (struct scsi_extent){ scsi_get64(&cdb[2]), scsi_get32(&cdb[10]) };
	case 5:
		return (struct scsi_extent){ scsi_get32(&cdb[2]), scsi_get32(&cdb[6]) };
	default: // groups 1 and 2: 10 bytes
		return (struct scsi_extent){ scsi_get32(&cdb[2]), scsi_get16(&cdb[7]) };
	}
}

bool scsi_extent_valid(const struct scsi_disk *disk, const struct scsi_extent *extent)
{
	uint64_t end;

	return !__builtin_add_overflow(extent->lba, extent->count, &end) &&
	       end <= disk->block->block_count;
}

// Cuts the data buffer to its first `length` bytes, which it has.
static void scsi_cut_data(struct scsi_command *command, uint32_t length)
{
	uint32_t count = 0;

	for (; length > 0; count++) {
		if (command->iov[count].length > length)
			command->iov[count].length = length;
		length -= (uint32_t)command->iov[count].length;
	}
	command->iov_count = count;
}

static bool scsi_fua(const uint8_t *cdb)
{
	return cdb[0] >> 5 != 0 && (cdb[1] & SCSI_CDB_FUA);
}

static void scsi_transfer(struct scsi_disk *disk, struct scsi_command *command, enum block_op op)
{
	const uint8_t *cdb = command->cdb;
	const struct scsi_extent extent = scsi_cdb_extent(cdb);
	const uint64_t length = extent.count << disk->block_shift; // at most 44 bits

	if (cdb[0] >> 5 != 0 && (cdb[1] & SCSI_CDB_PROTECT)) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	if (!scsi_extent_valid(disk, &extent)) {
		scsi_fail(command, SCSI_SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	if (length > command->data_length) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	if (length == 0) {
		scsi_finish(command, 0);
		return;
	}
	if (length < command->data_length)
		scsi_cut_data(command, (uint32_t)length);
	command->transferred = (uint32_t)length;
	scsi_prepare(command, op, extent.lba << disk->block_shift, length);
	if (op == BLOCK_WRITE && scsi_fua(cdb))
		command->block.flags = BLOCK_REQUEST_FUA;
	command->block.iov = command->iov;
	command->block.iov_count = command->iov_count;
	scsi_submit(command);
}

void scsi_read(struct scsi_disk *disk, struct scsi_command *command)
{
	scsi_transfer(disk, command, BLOCK_READ);
}

void scsi_write(struct scsi_disk *disk, struct scsi_command *command)
{
	scsi_transfer(disk, command, BLOCK_WRITE);
}

void scsi_synchronize_cache(struct scsi_disk *disk, struct scsi_command *command)
{
	const struct scsi_extent extent = scsi_cdb_extent(command->cdb);

	if (!scsi_extent_valid(disk, &extent)) {
		scsi_fail(command, SCSI_SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	// The whole cache, whatever part was asked for; IMMED is answered late, which it may be.
	scsi_prepare(command, BLOCK_FLUSH, 0, 0);
	scsi_submit(command);
}

bool scsi_scratch_step(struct scsi_command *command, enum block_op op)
{
	const uint32_t shift = command->disk->block_shift;
	const uint64_t most = SCSI_STEP_DATA >> shift;
	const uint64_t blocks = command->blocks_left < most ? command->blocks_left : most;
	uint64_t left = blocks << shift;
	uint32_t count = 0;

	for (; left > 0; count++) {
		size_t part = left < SCSI_SCRATCH_SIZE ? (size_t)left : SCSI_SCRATCH_SIZE;

		command->scratch_iov[count] = (struct vsp_iovec){ command->scratch, part };
		left -= part;
	}
	scsi_prepare(command, op, command->lba << shift, blocks << shift);
	command->block.iov = command->scratch_iov;
	command->block.iov_count = count;
	command->lba += blocks;
	command->blocks_left -= blocks;
	return blocks > 0;
}

static bool scsi_verify_step(struct scsi_command *command)
{
	return scsi_scratch_step(command, BLOCK_READ);
}

// Without a comparison only (BYTCHK 0): the medium is read, and nothing is done with what is read.
void scsi_verify(struct scsi_disk *disk, struct scsi_command *command)
{
	const struct scsi_extent extent = scsi_cdb_extent(command->cdb);

	if ((command->cdb[1] & (SCSI_CDB_PROTECT | SCSI_CDB_BYTCHK)) ||
		extent.count > disk->max_transfer_blocks) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	if (!scsi_extent_valid(disk, &extent)) {
		scsi_fail(command, SCSI_SENSE_LBA_OUT_OF_RANGE);
		return;
	}
	command->lba = extent.lba;
	command->blocks_left = extent.count;
	scsi_run(command, scsi_verify_step);
}
