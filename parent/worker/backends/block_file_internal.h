// SPDX-License-Identifier: BSD-2-Clause
// Shared by the parts of the file backend: opening, requests, what must be stable, two engines.
#pragma once

#include <liburing.h>
#include <pthread.h>
#include <sys/uio.h>

#include "parent/worker/backends/block_file.h"
#include "parent/worker/backends/block_system.h"

// An engine carries out requests that may have to wait. A request that it is given is in flight
// until it calls block_file_end().
struct block_engine {
	// Returns 0, or a negative errno.
	int (*open)(struct block_file *file);
	void (*close)(struct block_file *file);
	void (*start)(struct block_file *file, struct block_request *request);
	void (*kick)(struct block_file *file);
	void (*poll)(struct block_file *file);
	bool (*busy)(const struct block_file *file);
	// Blocks until poll() would find something, but no longer than a moment. At least one
	// request is in flight.
	void (*wait)(struct block_file *file);
};

extern const struct block_engine block_uring;
extern const struct block_engine block_pool;

// How long wait() takes at most.
#define BLOCK_WAIT_MS 10

#define BLOCK_POOL_THREADS 4

struct block_pool_state {
	pthread_mutex_t lock; // guards all below it; taken alone
	pthread_cond_t work;
	struct block_request *queue; // to do, oldest first
	struct block_request **queue_end;
	struct block_request *finished; // for poll(), newest first
	bool stop;
	int event_fd; // something is finished
	uint32_t threads;
	pthread_t thread[BLOCK_POOL_THREADS];
};

#define BLOCK_URING_ENTRIES 256u

struct block_uring_state {
	struct io_uring ring;
	struct block_request *staged; // in the ring, and not taken by the kernel yet; oldest first
	struct block_request **staged_end;
	int broken; // the errno for which the kernel takes no more; 0
};

// Flushes and FUA writes (block_stable.c).
struct block_stable_state {
	struct block_request *ended;   // well, with others of the same epoch still under way
	struct block_request *waiting; // for the next epoch; oldest first
	struct block_request **waiting_end;
	uint32_t running; // of this epoch, in the engine
	bool failed;	  // one did, ever
};

struct block_file {
	struct block_device device; // first: the one is cast to the other
	const char *path;	    // the caller's
	int fd;
	int lock_fd; // holds the lock of a device; -1
	bool in_use; // by others: why it could not be opened
	int event_fd;
	bool discard;	 // unmap by BLKDISCARD; otherwise by punching a hole
	bool nowait;	 // RWF_NOWAIT reads work here
	uint32_t misses; // of them in a row
	uint32_t in_flight;
	const struct block_engine *engine;
	struct block_stable_state stable;
	struct block_uring_state uring;
	struct block_pool_state pool;
};

_Static_assert(sizeof(struct vsp_iovec) == sizeof(struct iovec), "vsp_iovec is an iovec");
_Static_assert(offsetof(struct vsp_iovec, length) == offsetof(struct iovec, iov_len), "layout");

// The vectored system calls take no more.
#define BLOCK_IOV_MAX 1024u

static inline uint32_t block_iov_count(const struct block_request *request)
{
	return request->iov_count < BLOCK_IOV_MAX ? request->iov_count : BLOCK_IOV_MAX;
}

static inline const struct iovec *block_iov(const struct block_request *request)
{
	return (const struct iovec *)request->iov;
}

// How much of the request is left to transfer is in its length, offset and iov: this takes `done`
// bytes off them. Returns true if nothing is left.
bool block_file_advance(struct block_request *request, size_t done);

// fallocate()'s mode for BLOCK_UNMAP and BLOCK_WRITE_ZEROES.
int block_file_fallocate_mode(const struct block_file *file, const struct block_request *request);

// Carries a request out, waiting as long as it takes. Any thread. Returns 0 or a negative errno.
int block_file_execute(struct block_file *file, struct block_request *request);

// A request that an engine has had ends, with 0 or a negative errno. Like all below, for the thread
// that drives the device only.
void block_file_end(struct block_file *file, struct block_request *request, int error);

// Tells the submitter so.
void block_file_complete(struct block_file *file, struct block_request *request, int error);

// block_open.c

// Opens and locks the disk at file->path, and finds out what it is. On failure nothing is left.
bool block_open(struct block_file *file, bool read_only, struct failure *failure);
void block_close(struct block_file *file);

// block_stable.c

void block_stable_init(struct block_file *file);

// Whether a request promises that data is stable: a flush, or a write with FUA.
bool block_stable_is(const struct block_request *request);

void block_stable_submit(struct block_file *file, struct block_request *request);
void block_stable_end(struct block_file *file, struct block_request *request, int error);
