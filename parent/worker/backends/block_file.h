// SPDX-License-Identifier: BSD-2-Clause
// A block backend over a raw file or a block device of the root: buffered I/O through the page
// cache, with io_uring or a pool of threads for what has to wait.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/vsp/storage/backend.h"
#include "parent/common/failure.h"

enum block_file_engine {
	BLOCK_FILE_BEST,  // io_uring, or threads where the kernel does not let us have it
	BLOCK_FILE_URING, // io_uring or failure
	BLOCK_FILE_THREADS,
};

struct block_file;

// Opens a disk: the one place where a path becomes a disk, and where it is judged. Until it is
// closed nobody else gets it, by this path or another, for a disk; a device cannot be mounted
// either. Read-only disks share with each other. Returns NULL with the reason: it is missing, in
// use, smaller than a block, neither file nor block device, ... The path must stay until then.
struct block_file *block_file_open(
	const char *path, bool read_only, enum block_file_engine engine, struct failure *failure);

// The backend, for scsi_disk_init(). Everything of it is called by one thread.
struct block_device *block_file_device(struct block_file *file);

// The disk itself, for a look at what is on it before a child has it.
int block_file_fd(const struct block_file *file);

// The descriptor that is readable when requests have completed; for epoll, level-triggered.
// Note that io_uring makes epoll_wait() return EINTR now and then: call it again.
int block_file_event_fd(const struct block_file *file);

// Calls done() of all requests that have completed. Never blocks.
void block_file_poll(struct block_file *file);

// Returns whether there are requests that the kernel does not take just now. The descriptor does
// not tell when that is over: poll again in a moment.
bool block_file_busy(const struct block_file *file);

// Returns the number of requests under way.
uint32_t block_file_in_flight(const struct block_file *file);

// Waits for what is under way (done() is called), and closes. May take as long as the kernel does:
// for ever, if the device hangs.
void block_file_close(struct block_file *file);
