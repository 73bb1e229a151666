// SPDX-License-Identifier: BSD-2-Clause
// Disks and where they are attached, and REPORT LUNS, which tells that.
#include "drivers/vsp/storage/scsi_internal.h"

#include <string.h>

static bool scsi_block_size_valid(const struct block_device *block)
{
	uint32_t size = block->block_size, physical = block->physical_block_size;

	return size >= 512 && size <= BLOCK_SIZE_MAX && (size & (size - 1)) == 0 &&
	       physical >= size && (physical & (physical - 1)) == 0;
}

bool scsi_disk_init(struct scsi_disk *disk, struct block_device *block,
	const struct scsi_identity *identity, uint32_t max_transfer_bytes)
{
	uint64_t bytes;

	if (!scsi_block_size_valid(block) || block->block_count == 0 ||
		__builtin_mul_overflow(block->block_count, block->block_size, &bytes))
		return false;
	memset(disk, 0, sizeof(*disk));
	disk->block = block;
	disk->identity = *identity;
	disk->identity.serial[SCSI_SERIAL_MAX] = '\0';
	disk->block_shift = (uint32_t)__builtin_ctz(block->block_size);
	disk->max_transfer_blocks = max_transfer_bytes >> disk->block_shift;
	return true;
}

static struct scsi_lun *scsi_lun_at(
	struct scsi_adapter *adapter, uint8_t path, uint8_t target, uint8_t lun)
{
	for (uint32_t i = 0; i < adapter->count; i++) {
		struct scsi_lun *at = &adapter->luns[i];

		if (at->path == path && at->target == target && at->lun == lun)
			return at;
	}
	return NULL;
}

bool scsi_adapter_attach(struct scsi_adapter *adapter, uint8_t path, uint8_t target, uint8_t lun,
	struct scsi_disk *disk)
{
	if (adapter->count == SCSI_ADAPTER_LUNS || scsi_lun_at(adapter, path, target, lun))
		return false;
	adapter->luns[adapter->count++] = (struct scsi_lun){ path, target, lun, disk };
	return true;
}

static void scsi_disk_kick(struct scsi_disk *disk)
{
	if (!disk->kick_due)
		return;
	disk->kick_due = false;
	disk->block->ops->kick(disk->block);
}

void scsi_adapter_kick(struct scsi_adapter *adapter)
{
	for (uint32_t i = 0; i < adapter->count; i++)
		scsi_disk_kick(adapter->luns[i].disk);
}

struct scsi_disk *scsi_adapter_detach(
	struct scsi_adapter *adapter, uint8_t path, uint8_t target, uint8_t lun)
{
	struct scsi_lun *at = scsi_lun_at(adapter, path, target, lun);
	struct scsi_disk *disk;

	if (!at)
		return NULL;
	disk = at->disk;
	*at = adapter->luns[--adapter->count];
	scsi_disk_kick(disk);
	return disk;
}

// SPC-4 6.33. The list is that of one target; LUNs below 256 use peripheral device addressing.
void scsi_report_luns(const struct scsi_adapter *adapter, struct scsi_command *command)
{
	const uint8_t select = command->cdb[2];
	const uint32_t allocation_length = scsi_get32(&command->cdb[6]);
	uint8_t *at = command->scratch + 8;

	_Static_assert(8 + 8 * SCSI_ADAPTER_LUNS <= SCSI_SCRATCH_SIZE, "the list fits");
	if (select > 2 || allocation_length < 16) {
		scsi_fail(command, SCSI_SENSE_INVALID_FIELD);
		return;
	}
	memset(command->scratch, 0, 8 + 8 * SCSI_ADAPTER_LUNS);
	for (uint32_t i = 0; select != 1 && i < adapter->count; i++) {
		const struct scsi_lun *lun = &adapter->luns[i];

		if (lun->path != command->path || lun->target != command->target)
			continue;
		at[1] = lun->lun;
		at += 8;
	}
	scsi_put32(command->scratch, (uint32_t)(at - command->scratch) - 8);
	scsi_reply(command, command->scratch, (uint32_t)(at - command->scratch), allocation_length);
}
