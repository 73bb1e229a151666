// SPDX-License-Identifier: BSD-2-Clause
// What the storage VSP needs, on the rig: an adapter with disks in memory. And what a storage VSC
// is told that no VSP says.
#pragma once

#include "drivers/vsp/storage/storage.h"
#include "memory_disk.h"
#include "tests/unit/drivers/rig.h"

#define STORAGE_HOST_DISKS  3u
#define STORAGE_HOST_BLOCKS 8192u

// Changes a packet after the guest has read it out of the ring.
typedef void storage_host_tamper(
	struct lumen_channel *channel, struct vmbus_packet *packet, struct vstor_packet *payload);

struct storage_host {
	// To be changed by tests.
	uint16_t newest; // version of VSTOR that the host knows; 0: the VSP's
	storage_host_tamper *tamper;
	struct storage_vsp_config config;

	// To be looked at.
	struct memory_disk disks[STORAGE_HOST_DISKS];
	struct scsi_disk scsi[STORAGE_HOST_DISKS];
	struct scsi_adapter adapter;
	uint32_t blocks; // of each disk
	uint32_t asked;	 // operation of the guest's last packet that was no SRB
};

extern struct storage_host storage_host;

// Begins anew, rig included, with a disk of so many blocks of 512 bytes at target 0, LUN 0, and the
// controller offered as channel 0, sub-channels behind it. `flags`: BLOCK_DEVICE_*.
void storage_host_create(uint32_t flags, uint32_t blocks, uint32_t ram_pages);

// Puts one more disk there, at storage_host.disks[index], index from 1 on.
void storage_host_add_disk(
	uint32_t index, uint8_t target, uint8_t lun, uint32_t block_size, uint32_t flags);

// Frees all, and aborts if anything of the guest's is left.
void storage_host_destroy(void);

// A raw host completes a SCSI command with success.
void storage_host_complete(struct rig_end *host, uint64_t transaction_id, uint32_t bytes);
