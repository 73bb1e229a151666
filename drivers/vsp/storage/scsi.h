// SPDX-License-Identifier: BSD-2-Clause
// A SCSI disk target: commands in, block requests to a backend, status and sense out. Knows nothing
// of VMBus. One adapter and everything attached to it is driven by one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/vsp/storage/backend.h"
#include "drivers/proto/scsi.h"

#define SCSI_CDB_MAX	  16u
#define SCSI_SENSE_LENGTH 18u // fixed format
#define SCSI_SERIAL_MAX	  32u
#define SCSI_ADAPTER_LUNS 64u

// Private memory of a command, for parameter lists, patterns and answers.
#define SCSI_SCRATCH_SIZE 4096u
#define SCSI_SCRATCH_IOV  32u

// A command of several block requests takes them one at a time, in steps: those that move data
// through scratch memory move this much at most, those that only change what is allocated
// (WRITE_ZEROES, UNMAP) cover this much. So nothing keeps a thread, or the kernel below, for long.
#define SCSI_STEP_DATA	((uint64_t)SCSI_SCRATCH_IOV * SCSI_SCRATCH_SIZE)
#define SCSI_STEP_RANGE (64ULL << 20)

// What a disk says about itself.
struct scsi_identity {
	char vendor[8];			  // ASCII, padded with spaces
	char product[16];		  // likewise
	char revision[4];		  // likewise
	char serial[SCSI_SERIAL_MAX + 1]; // NUL-terminated; empty: no serial number page
	uint64_t naa;			  // 60 bits, unique on this host; 0: no NAA designator
};

// A logical unit. The embedder owns it and keeps it until it is detached and in_flight is 0.
struct scsi_disk {
	struct block_device *block;
	struct scsi_identity identity;
	uint32_t block_shift;
	uint32_t max_transfer_blocks;
	uint32_t in_flight; // commands that use the disk now
	bool kick_due;	    // something was submitted since the last kick
};

struct scsi_lun {
	uint8_t path;
	uint8_t target;
	uint8_t lun;
	struct scsi_disk *disk;
};

// The logical units behind one channel. Zeroed memory is an adapter without any.
struct scsi_adapter {
	struct scsi_command *ready_first, *ready_last; // commands whose next step is due
	uint32_t count;
	struct scsi_lun luns[SCSI_ADAPTER_LUNS];
};

struct scsi_command {
	// The caller's: set before scsi_execute().
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t cdb_length;
	uint8_t path;
	uint8_t target;
	uint8_t lun;
	uint32_t data_length; // bytes of the data buffer, both directions
	struct vsp_iovec
		*iov; // the data buffer; shortened by the target where a command needs less
	uint32_t iov_count;
	// Called once, when the results below are valid; the command may be used again in it. May
	// come before scsi_execute() returns.
	void (*done)(struct scsi_command *command);

	// The results.
	uint8_t status;	      // enum scsi_status
	bool no_lun;	      // nothing is at path, target, lun
	uint8_t sense_length; // 0 or SCSI_SENSE_LENGTH
	uint8_t sense[SCSI_SENSE_LENGTH];
	uint32_t transferred; // bytes

	// The target's.
	struct scsi_adapter *adapter;
	struct scsi_disk *disk;
	struct scsi_command *next; // in the adapter's list
	struct block_request block;
	bool (*step)(struct scsi_command *command);
	bool cancelled;
	uint32_t index; // commands of several steps: where they are
	uint32_t count;
	uint64_t lba;
	uint64_t blocks_left;
	struct vsp_iovec scratch_iov[SCSI_SCRATCH_IOV];
	_Alignas(16) uint8_t scratch[SCSI_SCRATCH_SIZE];
};

// Makes a disk of a backend. `max_transfer_bytes` (at least 4096) is the largest data buffer that
// the transport carries. Returns false if the backend's block size is none that SCSI disks have, or
// it has no blocks, or more bytes than 64 bits count.
bool scsi_disk_init(struct scsi_disk *disk, struct block_device *block,
	const struct scsi_identity *identity, uint32_t max_transfer_bytes);

// Puts a disk at an address. Returns false if the adapter is full or the address is taken.
bool scsi_adapter_attach(struct scsi_adapter *adapter, uint8_t path, uint8_t target, uint8_t lun,
	struct scsi_disk *disk);

// Takes the disk at an address away; what it has in flight goes on. Returns it, or NULL.
struct scsi_disk *scsi_adapter_detach(
	struct scsi_adapter *adapter, uint8_t path, uint8_t target, uint8_t lun);

// Executes a command, or its beginning: what has several steps goes on in scsi_adapter_step().
// Every outcome comes through command->done(). The command and its data must stay until then.
void scsi_execute(struct scsi_adapter *adapter, struct scsi_command *command);

// Takes up to `steps` steps (or none) of the commands that have some to take, in turns. Returns
// whether there are more: call it again, after having looked after others.
bool scsi_adapter_step(struct scsi_adapter *adapter, uint32_t steps);

// Gets everything submitted since the last call going. To be called after a batch of
// scsi_execute() and scsi_adapter_step(), and after the backends have completed requests.
void scsi_adapter_kick(struct scsi_adapter *adapter);

// The command takes no more steps: it ends (aborted) when the block request that it has under way
// is done, or else in the next scsi_adapter_step().
void scsi_cancel(struct scsi_command *command);
