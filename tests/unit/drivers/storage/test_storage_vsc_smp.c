// SPDX-License-Identifier: BSD-2-Clause
// The storage VSC used by several threads at once while another one is the host and the processor
// that takes the interrupts: nothing is lost, doubled or mixed up.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lumen/storage.h"
#include "storage_host.h"

#define THREADS 3u
#define ROUNDS	100u
#define BATCH	8u

static struct lumen_storage *storage;
static struct lumen_disk *disk;
static uint32_t stop;

struct worker {
	pthread_t thread;
	uint32_t number;
	uint32_t cancelled, wrong;
	uint32_t done[BATCH];
	_Alignas(4096) uint8_t data[BATCH][4096];
};

static void check_data(struct worker *worker, uint32_t slot, uint64_t block, uint32_t bytes)
{
	worker->wrong +=
		memcmp(worker->data[slot], storage_host.disks[0].data + block * 512, bytes) != 0;
	memset(worker->data[slot], 0, bytes);
}

static void on_done(struct lumen_request *request)
{
	uint32_t *done = request->context;

	__atomic_fetch_add(done, 1, __ATOMIC_RELEASE);
}

static uint64_t block_of(const struct worker *worker, uint32_t round, uint32_t slot)
{
	return (round * 97 + slot * 13 + worker->number * 1001) % (STORAGE_HOST_BLOCKS - 8);
}

static void wait_for(const uint32_t *done)
{
	while (!__atomic_load_n(done, __ATOMIC_ACQUIRE)) {
		if (!rig.interrupts)
			lumen_storage_poll(storage);
		lumen_wait(done, 0, UINT64_MAX);
	}
}

static void a_batch(struct worker *worker, uint32_t round)
{
	struct lumen_request requests[BATCH];
	struct lumen_segment segments[BATCH];

	for (uint32_t i = 0; i < BATCH; i++) {
		segments[i] = (struct lumen_segment){ .data = worker->data[i], .length = 4096 };
		requests[i] = (struct lumen_request){
			.disk = disk,
			.operation = LUMEN_READ,
			.block = block_of(worker, round, i),
			.count = 8,
			.segments = &segments[i],
			.segment_count = 1,
			.done = on_done,
			.context = &worker->done[i],
		};
		__atomic_store_n(&worker->done[i], 0, __ATOMIC_RELAXED);
		worker->wrong += lumen_storage_queue(&requests[i]) != LUMEN_OK;
	}
	lumen_storage_kick(storage);
	for (uint32_t i = 0; i < BATCH; i++) {
		wait_for(&worker->done[i]);
		worker->wrong += requests[i].status != LUMEN_OK;
		check_data(worker, i, requests[i].block, 4096);
	}
}

// A flush is given up while it is on its way: it has no memory that the host could write to.
static void a_cancel(struct worker *worker)
{
	struct lumen_request request = {
		.disk = disk,
		.operation = LUMEN_FLUSH,
		.done = on_done,
		.context = &worker->done[0],
	};

	__atomic_store_n(&worker->done[0], 0, __ATOMIC_RELAXED);
	worker->wrong += lumen_storage_submit(&request) != LUMEN_OK;
	worker->cancelled += lumen_storage_cancel(&request);
	wait_for(&worker->done[0]);
	worker->wrong += worker->done[0] != 1;
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		const uint64_t block = block_of(worker, round, 99);

		a_batch(worker, round);
		worker->wrong += lumen_disk_read(disk, block, 3, worker->data[0]) != LUMEN_OK;
		check_data(worker, 0, block, 3 * 512);
		a_cancel(worker);
	}
	return NULL;
}

static void *host(void *argument)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		rig_run();
	return NULL;
}

static void run_threads(bool interrupts)
{
	struct worker *workers = aligned_alloc(4096, THREADS * sizeof(*workers));
	const struct lumen_storage_config config = { .depth = 10, .send_pages = 1 };
	pthread_t host_thread;

	stop = 0;
	storage_host_create(0, STORAGE_HOST_BLOCKS, 0);
	rig.interrupts = interrupts;
	storage_host.config.slot_count = 7;
	cr_assert_eq(lumen_storage_open(lumen_storage_find(NULL, 0), &config, &storage), LUMEN_OK);
	disk = lumen_storage_disk(storage, 0);
	rig.threaded = true;
	cr_assert_eq(pthread_create(&host_thread, NULL, host, NULL), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i].number = i;
		workers[i].cancelled = workers[i].wrong = 0;
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		cr_assert_eq(workers[i].wrong, 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(host_thread, NULL);
	rig.threaded = false;
	cr_assert_eq(lumen_storage_status(storage), LUMEN_OK, "%s", lumen_storage_failure(storage));
	lumen_storage_close(storage);
	storage_host_destroy();
	free(workers);
}

Test(vsc_smp, interrupts, .timeout = 100)
{
	run_threads(true);
}

Test(vsc_smp, polling, .timeout = 100)
{
	run_threads(false);
}
