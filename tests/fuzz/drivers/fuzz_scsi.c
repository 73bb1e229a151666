// SPDX-License-Identifier: BSD-2-Clause
// Fuzz target: SCSI commands with any CDB, addresses and buffer to the target. The disk in memory
// aborts on a request that is not within it; ASan sees everything else.
#include <stdlib.h>
#include <string.h>

#include "drivers/vsp/storage/scsi.h"
#include "tests/unit/drivers/storage/memory_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static struct scsi_command command;
static uint32_t done_count;

static void on_done(struct scsi_command *done)
{
	if (done->transferred > done->data_length ||
		(done->status != SCSI_STATUS_GOOD && done->transferred != 0))
		abort();
	done_count++;
}

// One command from 20 bytes of input and what follows, up to the 4096 bytes of its buffer.
static size_t run_command(struct scsi_adapter *adapter, const uint8_t *input, size_t size)
{
	const uint32_t length = (uint32_t)(input[17] << 4 | (input[18] & 15));
	const size_t rest = size - 20 < length ? size - 20 : length;
	const uint32_t cut = length > input[19] ? input[19] : length;
	uint8_t *first = malloc(cut + 1), *second = malloc(length - cut + 1);
	struct vsp_iovec iov[2] = { { first, cut }, { second, length - cut } };

	memset(first, 0, cut + 1);
	memset(second, 0, length - cut + 1);
	memcpy(first, input + 20, rest < cut ? rest : cut);
	if (rest > cut)
		memcpy(second, input + 20 + cut, rest - cut);
	memcpy(command.cdb, input, 16);
	command.cdb_length = input[16] & 31;
	command.lun = input[16] >> 7;
	command.target = input[16] >> 6 & 1;
	command.data_length = length;
	command.iov = iov;
	command.iov_count = 2;
	command.done = on_done;
	done_count = 0;
	scsi_execute(adapter, &command);
	while (scsi_adapter_step(adapter, 1))
		continue;
	scsi_adapter_kick(adapter);
	if (done_count != 1)
		abort();
	free(first);
	free(second);
	return 20 + rest;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const struct scsi_identity identity = { "Lumen   ", "Virtual Disk    ", "1.0 ",
		"S-0001", 1 };
	struct scsi_adapter adapter = { 0 };
	struct memory_disk disk;
	struct scsi_disk scsi;

	if (size < 1)
		return 0;
	memory_disk_init(&disk, 64, input[0] & 0x80 ? 4096 : 512, input[0] & 0x1F);
	disk.no_zeroing = input[0] & 0x40;
	disk.fail = input[0] & 0x20 ? -(input[0] & 7) : 0;
	if (!scsi_disk_init(&scsi, &disk.device, &identity, 65536) ||
		!scsi_adapter_attach(&adapter, 0, 0, 0, &scsi))
		abort();
	for (input++, size--; size >= 20;) {
		size_t used = run_command(&adapter, input, size);

		input += used;
		size -= used;
	}
	if (scsi.in_flight != 0)
		abort();
	memory_disk_destroy(&disk);
	return 0;
}
