// SPDX-License-Identifier: BSD-2-Clause
// The child's SCSI controller: one VMBus channel, its disks as LUNs over files and block devices,
// and the thread that serves them while the channel is open.
#ifndef WORKER_STORAGE_DEVICE_H
#define WORKER_STORAGE_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/block.h"
#include "drivers/vsp/scsi.h"
#include "drivers/vsp/storage.h"
#include "parent/common/child_config.h"
#include "parent/worker/block_file.h"
#include "parent/worker/deadline.h"
#include "parent/worker/failure.h"
#include "parent/worker/vmbus_host.h"

struct storage_disk {
	struct block_device device; // counts and passes on to the file's device
	struct block_file *file;
	struct scsi_disk scsi;
	uint64_t requests[BLOCK_OP_COUNT], bytes[BLOCK_OP_COUNT];
	pthread_t closer;
	bool closing; // it runs
};

struct storage_device {
	struct vmbus_device vmbus;
	const struct guest_memory *memory;
	struct scsi_adapter adapter;
	struct storage_disk disks[CHILD_DISKS_MAX];
	unsigned disk_count;
	// While the channel is open.
	struct storage_vsp *vsp;
	pthread_t thread;
	int stop_fd;  // eventfd: the thread is to end
	bool stopped; // it has been told so; the thread's
	int epoll_fd;
	struct storage_vsp_counters closed; // of earlier openings of the channel, together
	uint64_t turns;			    // of the thread's loop; atomic
};

// Opens the disks of the child `name`. On failure nothing is left open, and *failure says why.
bool storage_device_open_disks(struct storage_device *storage, const char *name,
	const struct child_config *config, const struct guest_memory *memory,
	struct failure *failure);

// Offers the controller to the child. Without disks there is nothing to offer: true.
bool storage_device_offer(struct storage_device *storage, struct vmbus_host *host);

// Closes the disks, when the channel is closed. Returns false if the kernel has not let go of all
// of them by the deadline: nothing of *storage may go then.
bool storage_device_close_disks(struct storage_device *storage, deadline_ns deadline);

// The counters of the VSP since the child's start. Main thread.
struct storage_vsp_counters storage_device_counters(const struct storage_device *storage);

#endif
