// SPDX-License-Identifier: BSD-2-Clause
// Shared by the file backend and its two engines.
#ifndef WORKER_BLOCK_FILE_INTERNAL_H
#define WORKER_BLOCK_FILE_INTERNAL_H

#include <liburing.h>
#include <pthread.h>
#include <sys/uio.h>

#include "parent/worker/block_file.h"

// An engine carries out requests that may have to wait. A request that it is given is in flight
// until it calls block_file_end().
struct block_engine {
	// Returns 0, or a negative errno.
	int (*open)(struct block_file *file);
	void (*close)(struct block_file *file);
	void (*start)(struct block_file *file, struct block_request *request);
	void (*kick)(struct block_file *file);
	void (*poll)(struct block_file *file);
	// Blocks until poll() would find something. At least one request is in flight.
	void (*wait)(struct block_file *file);
};

extern const struct block_engine block_uring;
extern const struct block_engine block_pool;

#define BLOCK_POOL_THREADS 4

struct block_pool_state {
	pthread_mutex_t lock; // guards all below it; taken alone
	pthread_cond_t work;
	struct block_request *queue; // to do, oldest first
	struct block_request **queue_end;
	struct block_request *finished; // for poll(), newest first
	bool stop;
	uint32_t threads;
	pthread_t thread[BLOCK_POOL_THREADS];
};

struct block_file {
	struct block_device device; // first: the one is cast to the other
	int fd;
	int event_fd;
	bool is_block_device;
	bool discard;	 // unmap by BLKDISCARD; otherwise by punching a hole
	bool nowait;	 // RWF_NOWAIT reads work here
	uint32_t misses; // of them in a row
	uint32_t in_flight;
	uint64_t identity[2];
	const struct block_engine *engine;
	struct io_uring ring;
	struct block_pool_state pool;
};

_Static_assert(sizeof(struct block_iovec) == sizeof(struct iovec), "block_iovec is an iovec");
_Static_assert(offsetof(struct block_iovec, length) == offsetof(struct iovec, iov_len), "layout");

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

// Ends a request, with 0 or a negative errno. The thread that drives the device only.
void block_file_end(struct block_file *file, struct block_request *request, int error);

#endif
