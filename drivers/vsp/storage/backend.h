// SPDX-License-Identifier: BSD-2-Clause
// What a storage VSP needs from whoever keeps the data: an array of blocks, read and written
// asynchronously. A backend implements struct block_ops; the SCSI target is the only caller.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "drivers/vsp/iovec.h"

// The largest block that a backend may have, in bytes.
#define BLOCK_SIZE_MAX 4096u

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH,	    // everything whose completion was reported before is stable after this
	BLOCK_UNMAP,	    // the contents of the range are no longer needed
	BLOCK_WRITE_ZEROES, // the range reads as zeroes afterwards
	BLOCK_OP_COUNT,
};

// The result that a request completes with: 0, or one of these.
enum block_error {
	BLOCK_OK = 0,
	BLOCK_ERROR_IO = -1,	      // the medium failed
	BLOCK_ERROR_NO_SPACE = -2,    // no room to allocate what was written
	BLOCK_ERROR_READ_ONLY = -3,   // a change was asked of a read-only device
	BLOCK_ERROR_UNSUPPORTED = -4, // the device cannot do this operation
	BLOCK_ERROR_INVALID = -5,     // out of range or not a multiple of the block size
	BLOCK_ERROR_GONE = -6,	      // the device is no longer there
	BLOCK_ERROR_BUSY = -7,	      // out of resources for now; the guest may retry
};

// block_request.flags
#define BLOCK_REQUEST_FUA	0x1u // BLOCK_WRITE: stable before it completes
#define BLOCK_REQUEST_MAY_UNMAP 0x2u // BLOCK_WRITE_ZEROES: may give the space back

// block_device.flags
#define BLOCK_DEVICE_READ_ONLY	  0x1u
#define BLOCK_DEVICE_CAN_UNMAP	  0x2u
#define BLOCK_DEVICE_UNMAP_ZEROES 0x4u	// an unmapped block reads as zeroes
#define BLOCK_DEVICE_CAN_ZERO	  0x8u	// BLOCK_WRITE_ZEROES is there and cheap
#define BLOCK_DEVICE_WRITE_CACHE  0x10u // a completed write needs a flush to be stable

// One operation. From submit() to done() it is the backend's, which may change offset, length and
// the iov (to count what is transferred); after that, also within done(), the submitter may use it
// again.
struct block_request {
	enum block_op op;
	uint32_t flags;	       // BLOCK_REQUEST_*
	uint64_t offset;       // bytes, a multiple of the block size
	uint64_t length;       // bytes, a multiple of the block size; 0 for BLOCK_FLUSH
	struct vsp_iovec *iov; // read and write: exactly length bytes
	uint32_t iov_count;
	// Called once, with 0 or enum block_error, in the thread that drives the device: from
	// within submit() or from within the backend's own poll function. A short transfer is an
	// error.
	void (*done)(struct block_request *request, int result);

	// The backend's while it has the request.
	struct block_request *next;
	uint64_t backend_data[2];
};

struct block_device;

struct block_ops {
	// Starts a request. Never fails by itself: every outcome comes through request->done(),
	// which may be called before submit() returns. Offset and length are within the device and
	// aligned. Nothing need start before kick().
	void (*submit)(struct block_device *device, struct block_request *request);
	// Everything submitted so far gets going: called once per batch.
	void (*kick)(struct block_device *device);
};

// A backend embeds this and fills it in before the device is used; nothing in it changes
// afterwards. All calls on one device come from one thread.
struct block_device {
	const struct block_ops *ops;
	uint64_t block_count;
	uint32_t block_size;	      // bytes: 512, 1024, 2048 or 4096
	uint32_t physical_block_size; // bytes, a power of two, at least block_size
	uint32_t unmap_granularity;   // bytes, a multiple of block_size; 0 is unknown
	uint32_t flags;		      // BLOCK_DEVICE_*
};
