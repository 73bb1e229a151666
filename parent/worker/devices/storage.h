// SPDX-License-Identifier: BSD-2-Clause
// The child's SCSI controller: a VMBus channel, sub-channels if the child has several VPs, and its
// disks as LUNs over files and block devices.
#pragma once

#include "drivers/vsp/storage/storage.h"
#include "parent/common/child_config.h"
#include "parent/worker/backends/block_file.h"
#include "parent/worker/devices/device.h"

struct storage_disk {
	struct block_device device; // counts and passes on to the file's device
	struct block_file *file;
	struct scsi_disk scsi;
	uint64_t requests[BLOCK_OP_COUNT], bytes[BLOCK_OP_COUNT];
	pthread_t closer;
	bool closing; // it runs
};

struct storage_device {
	struct device device;
	struct storage_vsp_config config;
	struct scsi_adapter adapter;
	struct storage_disk disks[CHILD_DISKS_MAX];
	unsigned disk_count;
};

// All of its row but for class and instance.
#define STORAGE_ROW                                                                                \
	.size = sizeof(struct storage_device), .threaded = true, .attach = storage_attach,         \
	.detach = storage_detach, .poll = storage_poll, .watch = storage_watch,                    \
	.timeout_ms = storage_timeout_ms, .stat = storage_stat, .activity = storage_activity,      \
	.file_size = storage_file_size

bool storage_attach(struct device *device, struct failure *failure);
bool storage_detach(struct device *device, deadline_ns deadline);
void storage_poll(struct device *device);
bool storage_watch(struct device *device, int epoll_fd);
int storage_timeout_ms(const struct device *device);
void storage_stat(struct device *device, struct stat_text *stat);
uint64_t storage_activity(const struct device *device);
uint64_t storage_file_size(const struct device *device);
