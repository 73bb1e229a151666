// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the SCSI target: how a handler ends or goes on, and big-endian fields.
#pragma once

#include "drivers/vsp/storage/scsi.h"

#include "base/macros.h"

// Limits that the block limits page tells and the commands check. In blocks, and in descriptors.
#define SCSI_UNMAP_MAX_BLOCKS	   0x400000u
#define SCSI_UNMAP_MAX_DESCRIPTORS 255u
#define SCSI_WRITE_SAME_MAX_BLOCKS 0x400000u

// A handler ends in exactly one of the calls below, or submits and goes on in a completion.
typedef void scsi_handler(struct scsi_disk *disk, struct scsi_command *command);

scsi_handler scsi_inquiry;
scsi_handler scsi_mode_sense;
scsi_handler scsi_read_capacity_10;
scsi_handler scsi_service_action_in;
scsi_handler scsi_request_sense;
scsi_handler scsi_test_unit_ready;
scsi_handler scsi_start_stop_unit;
scsi_handler scsi_read;
scsi_handler scsi_write;
scsi_handler scsi_verify;
scsi_handler scsi_synchronize_cache;
scsi_handler scsi_unmap;
scsi_handler scsi_write_same;

// INQUIRY and REPORT LUNS need no disk: they are asked of addresses where there is none.
void scsi_inquiry_no_lun(struct scsi_command *command);
void scsi_report_luns(const struct scsi_adapter *adapter, struct scsi_command *command);

// Ends the command with GOOD and `transferred` bytes.
void scsi_finish(struct scsi_command *command, uint32_t transferred);

// Ends the command with CHECK CONDITION and that sense.
void scsi_fail(struct scsi_command *command, enum scsi_sense sense);

// Ends the command with what a block request ended with: 0 is GOOD and its length transferred.
void scsi_finish_block(struct scsi_command *command, int result);

// Ends the command with GOOD and the first bytes of an answer in private memory, as far as the
// CDB's allocation length and the data buffer go.
void scsi_reply(struct scsi_command *command, const void *answer, uint32_t length,
	uint32_t allocation_length);

// Copies the first `length` bytes of the data buffer to private memory. Returns false if it is
// shorter.
bool scsi_fetch(const struct scsi_command *command, void *to, uint32_t length);

// Fills in command->block, without flags and, until the caller sets them, without memory.
static inline void scsi_prepare(
	struct scsi_command *command, enum block_op op, uint64_t offset, uint64_t length)
{
	command->block.op = op;
	command->block.flags = 0;
	command->block.offset = offset;
	command->block.length = length;
	command->block.iov = NULL;
	command->block.iov_count = 0;
}

// Submits command->block and ends the command with what it ends with.
void scsi_submit(struct scsi_command *command);

// The command whose block request this is.
static inline struct scsi_command *scsi_command_of(struct block_request *request)
{
	return container_of(request, struct scsi_command, block);
}

// Runs a command of several block requests: `step` prepares command->block and returns true, or
// returns false when all is done. Ends the command with GOOD and command->transferred bytes, or
// with what the first request that failed says.
void scsi_run(struct scsi_command *command, bool (*step)(struct scsi_command *command));

// What a step's request is done with, unless the step sets another command->block.done: that one
// ends in a call of this.
void scsi_step_done(struct block_request *request, int result);

// A step of scsi_run(): reads or writes the next piece of the extent at command->lba, of
// command->blocks_left blocks, with each 4096 bytes of it in the same scratch memory.
bool scsi_scratch_step(struct scsi_command *command, enum block_op op);

// Builds fixed-format sense in `to`, SCSI_SENSE_LENGTH bytes.
void scsi_build_sense(uint8_t *to, enum scsi_sense sense);

// Logical block address and count of a command of any length, by the group of its operation code.
struct scsi_extent {
	uint64_t lba;
	uint64_t count;
};
struct scsi_extent scsi_cdb_extent(const uint8_t *cdb);

// Returns whether the extent lies within the disk.
bool scsi_extent_valid(const struct scsi_disk *disk, const struct scsi_extent *extent);

static inline uint16_t scsi_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t scsi_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t scsi_get64(const uint8_t *p)
{
	return (uint64_t)scsi_get32(p) << 32 | scsi_get32(p + 4);
}

static inline void scsi_put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

static inline void scsi_put32(uint8_t *p, uint32_t value)
{
	scsi_put16(p, (uint16_t)(value >> 16));
	scsi_put16(p + 2, (uint16_t)value);
}

static inline void scsi_put64(uint8_t *p, uint64_t value)
{
	scsi_put32(p, (uint32_t)(value >> 32));
	scsi_put32(p + 4, (uint32_t)value);
}

static inline bool scsi_has(const struct scsi_disk *disk, uint32_t block_device_flag)
{
	return (disk->block->flags & block_device_flag) != 0;
}
