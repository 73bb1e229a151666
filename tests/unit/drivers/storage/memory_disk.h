// SPDX-License-Identifier: BSD-2-Clause
// A block backend in memory, for tests: at once or when told to, and with faults on demand.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/storage/backend.h"

struct memory_disk {
	struct block_device device;
	uint8_t *data;
	bool deferred;	   // submit() only queues; memory_disk_run() carries out
	int fail;	   // result of every request from now on, if not 0
	bool no_zeroing;   // BLOCK_WRITE_ZEROES turns out to be unsupported
	bool discard_data; // nothing is read or written: for disks that are large
	uint64_t longest;  // of all requests so far, in bytes
	uint32_t count[BLOCK_OP_COUNT];
	uint32_t kicks;
	uint32_t waiting;
	uint32_t last_flags;
	struct block_request *queue;
	struct block_request **queue_end;
};

void memory_disk_init(
	struct memory_disk *disk, uint64_t blocks, uint32_t block_size, uint32_t flags);
void memory_disk_destroy(struct memory_disk *disk);

// Carries out up to `count` queued requests, oldest first; returns how many.
uint32_t memory_disk_run(struct memory_disk *disk, uint32_t count);
