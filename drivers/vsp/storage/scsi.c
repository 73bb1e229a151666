// SPDX-License-Identifier: BSD-2-Clause
// The SCSI target's table of operations, its dispatch, and how commands end.
#include "drivers/vsp/storage/scsi_internal.h"

#include <string.h>

#include "base/macros.h"

#define SCSI_OPCODE_WRITES 0x1u // refused on a read-only disk

struct scsi_opcode {
	scsi_handler *handler;
	uint8_t cdb_length;
	uint8_t flags;
};

static const struct scsi_opcode scsi_opcodes[256] = {
	[SCSI_TEST_UNIT_READY] = { scsi_test_unit_ready, 6, 0 },
	[SCSI_REQUEST_SENSE] = { scsi_request_sense, 6, 0 },
	[SCSI_READ_6] = { scsi_read, 6, 0 },
	[SCSI_WRITE_6] = { scsi_write, 6, SCSI_OPCODE_WRITES },
	[SCSI_INQUIRY] = { scsi_inquiry, 6, 0 },
	[SCSI_MODE_SENSE_6] = { scsi_mode_sense, 6, 0 },
	[SCSI_START_STOP_UNIT] = { scsi_start_stop_unit, 6, 0 },
	[SCSI_READ_CAPACITY_10] = { scsi_read_capacity_10, 10, 0 },
	[SCSI_READ_10] = { scsi_read, 10, 0 },
	[SCSI_WRITE_10] = { scsi_write, 10, SCSI_OPCODE_WRITES },
	[SCSI_VERIFY_10] = { scsi_verify, 10, 0 },
	[SCSI_SYNCHRONIZE_CACHE_10] = { scsi_synchronize_cache, 10, 0 },
	[SCSI_WRITE_SAME_10] = { scsi_write_same, 10, SCSI_OPCODE_WRITES },
	[SCSI_UNMAP] = { scsi_unmap, 10, SCSI_OPCODE_WRITES },
	[SCSI_MODE_SENSE_10] = { scsi_mode_sense, 10, 0 },
	[SCSI_READ_16] = { scsi_read, 16, 0 },
	[SCSI_WRITE_16] = { scsi_write, 16, SCSI_OPCODE_WRITES },
	[SCSI_VERIFY_16] = { scsi_verify, 16, 0 },
	[SCSI_SYNCHRONIZE_CACHE_16] = { scsi_synchronize_cache, 16, 0 },
	[SCSI_WRITE_SAME_16] = { scsi_write_same, 16, SCSI_OPCODE_WRITES },
	[SCSI_SERVICE_ACTION_IN_16] = { scsi_service_action_in, 16, 0 },
	[SCSI_READ_12] = { scsi_read, 12, 0 },
	[SCSI_WRITE_12] = { scsi_write, 12, SCSI_OPCODE_WRITES },
	[SCSI_VERIFY_12] = { scsi_verify, 12, 0 },
};

static const enum scsi_sense scsi_block_sense[] = {
	[-BLOCK_ERROR_NO_SPACE] = SCSI_SENSE_NO_SPACE,
	[-BLOCK_ERROR_READ_ONLY] = SCSI_SENSE_WRITE_PROTECTED,
	[-BLOCK_ERROR_UNSUPPORTED] = SCSI_SENSE_INVALID_OPERATION,
	[-BLOCK_ERROR_INVALID] = SCSI_SENSE_INVALID_FIELD,
	[-BLOCK_ERROR_GONE] = SCSI_SENSE_NOT_READY,
};

void scsi_build_sense(uint8_t *to, enum scsi_sense sense)
{
	memset(to, 0, SCSI_SENSE_LENGTH);
	to[0] = SCSI_SENSE_FIXED; // current error, fixed format
	to[2] = (uint8_t)(sense >> 16);
	to[7] = SCSI_SENSE_LENGTH - 8; // additional length
	to[12] = (uint8_t)(sense >> 8);
	to[13] = (uint8_t)sense;
}

static void scsi_end(struct scsi_command *command)
{
	if (command->disk) {
		command->disk->in_flight--;
		command->disk = NULL;
	}
	command->done(command);
}

void scsi_finish(struct scsi_command *command, uint32_t transferred)
{
	command->status = SCSI_STATUS_GOOD;
	command->transferred = transferred;
	scsi_end(command);
}

void scsi_fail(struct scsi_command *command, enum scsi_sense sense)
{
	command->status = SCSI_STATUS_CHECK_CONDITION;
	command->transferred = 0;
	command->sense_length = SCSI_SENSE_LENGTH;
	scsi_build_sense(command->sense, sense);
	scsi_end(command);
}

static void scsi_busy(struct scsi_command *command)
{
	command->status = SCSI_STATUS_BUSY;
	command->transferred = 0;
	scsi_end(command);
}

static void scsi_fail_block(struct scsi_command *command, int result)
{
	enum scsi_sense sense = SCSI_SENSE_NONE;
	uint32_t index = (uint32_t)-result;

	if (result == BLOCK_ERROR_BUSY) {
		scsi_busy(command);
		return;
	}
	if (index < ARRAY_SIZE(scsi_block_sense))
		sense = scsi_block_sense[index];
	if (sense == SCSI_SENSE_NONE)
		sense = command->block.op == BLOCK_READ ? SCSI_SENSE_READ_ERROR
							: SCSI_SENSE_WRITE_ERROR;
	scsi_fail(command, sense);
}

void scsi_finish_block(struct scsi_command *command, int result)
{
	if (result == BLOCK_OK)
		scsi_finish(command, command->transferred);
	else
		scsi_fail_block(command, result);
}

void scsi_reply(struct scsi_command *command, const void *answer, uint32_t length,
	uint32_t allocation_length)
{
	const uint8_t *from = answer;
	uint32_t left;

	if (length > allocation_length)
		length = allocation_length;
	if (length > command->data_length)
		length = command->data_length;
	left = length;
	for (uint32_t i = 0; left > 0 && i < command->iov_count; i++) {
		size_t part = command->iov[i].length < left ? command->iov[i].length : left;

		memcpy(command->iov[i].base, from, part);
		from += part;
		left -= (uint32_t)part;
	}
	scsi_finish(command, length - left);
}

bool scsi_fetch(const struct scsi_command *command, void *to, uint32_t length)
{
	uint8_t *at = to;

	for (uint32_t i = 0; length > 0 && i < command->iov_count; i++) {
		size_t part = command->iov[i].length < length ? command->iov[i].length : length;

		memcpy(at, command->iov[i].base, part);
		at += part;
		length -= (uint32_t)part;
	}
	return length == 0;
}

static void scsi_submit_block(struct scsi_command *command)
{
	struct scsi_disk *disk = command->disk;

	disk->kick_due = true;
	disk->block->ops->submit(disk->block, &command->block);
}

static void scsi_single_done(struct block_request *request, int result)
{
	scsi_finish_block(scsi_command_of(request), result);
}

void scsi_submit(struct scsi_command *command)
{
	command->block.done = scsi_single_done;
	scsi_submit_block(command);
}

static void scsi_push_ready(struct scsi_command *command)
{
	struct scsi_adapter *adapter = command->adapter;

	command->next = NULL;
	if (adapter->ready_first)
		adapter->ready_last->next = command;
	else
		adapter->ready_first = command;
	adapter->ready_last = command;
}

static struct scsi_command *scsi_pop_ready(struct scsi_adapter *adapter)
{
	struct scsi_command *command = adapter->ready_first;

	if (command)
		adapter->ready_first = command->next;
	return command;
}

// The next step is never taken from here: a backend may complete within submit(), and a chain of
// such steps would have no end.
void scsi_step_done(struct block_request *request, int result)
{
	struct scsi_command *command = scsi_command_of(request);

	if (command->cancelled)
		scsi_fail(command, SCSI_SENSE_ABORTED);
	else if (result != BLOCK_OK)
		scsi_fail_block(command, result);
	else
		scsi_push_ready(command);
}

static void scsi_take_step(struct scsi_command *command)
{
	command->block.done = scsi_step_done;
	if (command->cancelled)
		scsi_fail(command, SCSI_SENSE_ABORTED);
	else if (command->step(command))
		scsi_submit_block(command);
	else
		scsi_finish(command, command->transferred);
}

bool scsi_adapter_step(struct scsi_adapter *adapter, uint32_t steps)
{
	struct scsi_command *command;

	for (; steps > 0 && (command = scsi_pop_ready(adapter)); steps--)
		scsi_take_step(command);
	return adapter->ready_first;
}

void scsi_run(struct scsi_command *command, bool (*step)(struct scsi_command *command))
{
	command->step = step;
	scsi_push_ready(command);
}

void scsi_cancel(struct scsi_command *command)
{
	command->cancelled = true;
}

static struct scsi_disk *scsi_find(
	const struct scsi_adapter *adapter, uint8_t path, uint8_t target, uint8_t lun)
{
	for (uint32_t i = 0; i < adapter->count; i++) {
		const struct scsi_lun *at = &adapter->luns[i];

		if (at->lun == lun && at->target == target && at->path == path)
			return at->disk;
	}
	return NULL;
}

// SPC-4 4.5.11: INQUIRY to an incorrect logical unit is answered, everything else is refused.
static void scsi_execute_no_lun(struct scsi_command *command)
{
	if (command->cdb[0] == SCSI_INQUIRY && command->cdb_length >= 6) {
		scsi_inquiry_no_lun(command);
		return;
	}
	command->no_lun = true;
	scsi_fail(command, SCSI_SENSE_NO_LUN);
}

void scsi_execute(struct scsi_adapter *adapter, struct scsi_command *command)
{
	const struct scsi_opcode *opcode = &scsi_opcodes[command->cdb[0]];
	struct scsi_disk *disk = scsi_find(adapter, command->path, command->target, command->lun);

	command->no_lun = false;
	command->sense_length = 0;
	command->transferred = 0;
	command->cancelled = false;
	command->adapter = adapter;
	command->disk = disk;
	if (disk)
		disk->in_flight++;
	if (command->cdb[0] == SCSI_REPORT_LUNS && command->cdb_length >= 12)
		scsi_report_luns(adapter, command);
	else if (!disk)
		scsi_execute_no_lun(command);
	else if (!opcode->handler)
		scsi_fail(command, SCSI_SENSE_INVALID_OPERATION);
	else if (command->cdb_length < opcode->cdb_length || command->cdb_length > SCSI_CDB_MAX)
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
	else if ((opcode->flags & SCSI_OPCODE_WRITES) && scsi_has(disk, BLOCK_DEVICE_READ_ONLY))
		scsi_fail(command, SCSI_SENSE_WRITE_PROTECTED);
	else
		opcode->handler(disk, command);
}
