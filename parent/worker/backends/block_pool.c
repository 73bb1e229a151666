// SPDX-License-Identifier: BSD-2-Clause
// The engine for kernels without io_uring, and for what a ring cannot do: a few threads that wait
// in system calls, and an eventfd that says that something is finished.
#include "parent/worker/backends/block_file_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

// A finished request carries its result here.
#define BLOCK_POOL_RESULT 0

static struct block_request *block_pool_next(struct block_pool_state *pool)
{
	struct block_request *request;

	while (!pool->queue && !pool->stop)
		pthread_cond_wait(&pool->work, &pool->lock);
	request = pool->queue;
	if (request) {
		pool->queue = request->next;
		if (!pool->queue)
			pool->queue_end = &pool->queue;
	}
	return request;
}

// The eventfd is written only when the list was empty: the poller takes all of it at once.
static void block_pool_finished(struct block_file *file, struct block_request *request)
{
	struct block_pool_state *pool = &file->pool;

	request->next = pool->finished;
	pool->finished = request;
	if (!request->next)
		eventfd_write(pool->event_fd, 1);
}

static void *block_pool_thread(void *argument)
{
	struct block_file *file = argument;
	struct block_pool_state *pool = &file->pool;
	struct block_request *request;

	pthread_mutex_lock(&pool->lock);
	while ((request = block_pool_next(pool))) {
		int error;

		pthread_mutex_unlock(&pool->lock);
		error = block_file_execute(file, request);
		pthread_mutex_lock(&pool->lock);
		request->backend_data[BLOCK_POOL_RESULT] = (uint64_t)-error;
		block_pool_finished(file, request);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

// Signals are for the thread that asked for them. Not before there is something to do: a worker has
// no threads when it is confined.
static int block_pool_start_threads(struct block_file *file)
{
	struct block_pool_state *pool = &file->pool;
	sigset_t all, old;
	int error = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (pool->threads < BLOCK_POOL_THREADS && !error) {
		error = pthread_create(&pool->thread[pool->threads], NULL, block_pool_thread, file);
		if (!error)
			pool->threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pool->threads > 0 ? 0 : -error;
}

static void block_pool_close(struct block_file *file)
{
	struct block_pool_state *pool = &file->pool;

	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (uint32_t i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	close(pool->event_fd);
}

static int block_pool_open(struct block_file *file)
{
	struct block_pool_state *pool = &file->pool;

	pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->event_fd < 0)
		return -errno;
	file->event_fd = pool->event_fd;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	pool->queue_end = &pool->queue;
	return 0;
}

static void block_pool_start(struct block_file *file, struct block_request *request)
{
	struct block_pool_state *pool = &file->pool;
	int error = pool->threads ? 0 : block_pool_start_threads(file);

	if (error) {
		block_file_end(file, request, error);
		return;
	}
	request->next = NULL;
	pthread_mutex_lock(&pool->lock);
	*pool->queue_end = request;
	pool->queue_end = &request->next;
	pthread_cond_signal(&pool->work);
	pthread_mutex_unlock(&pool->lock);
}

static void block_pool_kick(struct block_file *file)
{
}

static void block_pool_poll(struct block_file *file)
{
	struct block_pool_state *pool = &file->pool;
	struct block_request *request, *next;
	eventfd_t count;

	pthread_mutex_lock(&pool->lock);
	request = pool->finished;
	pool->finished = NULL;
	if (request)
		eventfd_read(pool->event_fd, &count);
	pthread_mutex_unlock(&pool->lock);
	for (; request; request = next) {
		next = request->next;
		block_file_end(file, request, -(int)request->backend_data[BLOCK_POOL_RESULT]);
	}
}

static bool block_pool_busy(const struct block_file *file)
{
	return false;
}

static void block_pool_wait(struct block_file *file)
{
	struct pollfd pollfd = { .fd = file->event_fd, .events = POLLIN };

	poll(&pollfd, 1, BLOCK_WAIT_MS);
}

const struct block_engine block_pool = {
	.open = block_pool_open,
	.close = block_pool_close,
	.start = block_pool_start,
	.kick = block_pool_kick,
	.poll = block_pool_poll,
	.busy = block_pool_busy,
	.wait = block_pool_wait,
};
