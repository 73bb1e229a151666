// SPDX-License-Identifier: BSD-2-Clause
// The network VSC used by several threads at once while another one is the host, the wire and the
// processor that takes the interrupts: no frame is lost, doubled or changed.
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "lumen/net.h"
#include "net_host.h"

enum { THREADS = 3, ROUNDS = 150, BATCH = 8, LENGTH = 600, FRAMES = 2000 };

static struct lumen_net *net;
static uint32_t stop, received, wrong;

struct worker {
	pthread_t thread;
	uint32_t number, wrong, copies;
	struct lumen_segment segment;
	struct lumen_net_frame frames[BATCH];
	uint32_t done[BATCH];
	uint8_t data[LENGTH];
};

static struct worker workers[THREADS];

static void fill(uint8_t *to, uint32_t seed)
{
	memset(to, (int)seed, LENGTH);
	memset(to, 0xFF, 6);
	memcpy(to + 6, net_host.config.card.mac, 6);
}

// One at a time, whoever polls: so these need no lock.
static void take(void *context, struct lumen_net *of, const struct lumen_net_received *frame)
{
	static uint32_t next;

	(void)context;
	next = received ? next + 1 : 0;
	wrong += of != NULL && (frame->length != LENGTH || frame->data[100] != (uint8_t)next);
	__atomic_store_n(&received, received + 1, __ATOMIC_RELEASE);
}

static void on_done(struct lumen_net_frame *frame)
{
	__atomic_fetch_add((uint32_t *)frame->context, 1, __ATOMIC_RELEASE);
}

static void wait_for(const uint32_t *done)
{
	while (!__atomic_load_n(done, __ATOMIC_ACQUIRE)) {
		if (lumen_net_poll(net))
			continue;
		lumen_wait(done, 0, UINT64_MAX);
	}
}

static void a_batch(struct worker *worker)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		__atomic_store_n(&worker->done[i], 0, __ATOMIC_RELAXED);
		worker->frames[i] = (struct lumen_net_frame){
			.segments = &worker->segment,
			.segment_count = 1,
			.done = on_done,
			.context = &worker->done[i],
		};
		worker->wrong += lumen_net_queue(net, &worker->frames[i]) != LUMEN_OK;
	}
	lumen_net_kick(net);
	for (uint32_t i = 0; i < BATCH; i++) {
		wait_for(&worker->done[i]);
		worker->wrong += worker->frames[i].status != LUMEN_OK || worker->done[i] != 1;
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		a_batch(worker);
		worker->copies += lumen_net_send_copy(net, worker->data, LENGTH) == LUMEN_OK;
	}
	return NULL;
}

static void *host(void *argument)
{
	static const struct net_header header = { 0 };
	uint8_t frame[LENGTH];
	uint32_t sent = 0;

	(void)argument;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		fill(frame, sent);
		if (sent < FRAMES && memory_wire_receive(&net_host.wire, &header, frame, LENGTH))
			sent++;
		rig_run();
	}
	return NULL;
}

static void start(bool polled, bool interrupts)
{
	const struct lumen_net_config config = {
		.receive = take, .polled = polled, .depth = 10, .send_pages = 2, .receive_pages = 1
	};

	stop = received = wrong = 0;
	net_host_create(1, 0);
	rig.interrupts = interrupts;
	rig.complete = UINT32_MAX;
	cr_assert_eq(lumen_net_open(lumen_net_find(NULL, 0), &config, &net), LUMEN_OK);
	rig.threaded = true;
}

static void run_threads(bool polled, bool interrupts)
{
	uint32_t copies = 0;
	pthread_t host_thread;

	start(polled, interrupts);
	cr_assert_eq(pthread_create(&host_thread, NULL, host, NULL), 0);
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ .number = i,
			.segment = { .data = workers[i].data, .length = LENGTH } };
		fill(workers[i].data, i);
		cr_assert_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		cr_assert_eq(workers[i].wrong, 0);
		copies += workers[i].copies;
	}
	while (__atomic_load_n(&received, __ATOMIC_ACQUIRE) < FRAMES)
		if (!lumen_net_poll(net))
			sched_yield();
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(host_thread, NULL);
	rig.threaded = false;
	cr_assert_eq(wrong, 0);
	cr_assert_eq(received, FRAMES);
	cr_assert_eq(lumen_net_status(net), LUMEN_OK, "%s", lumen_net_failure(net));
	lumen_net_close(net);
	cr_assert_eq(net_host.wire.sent_count, THREADS * ROUNDS * BATCH + copies);
	rig_destroy();
}

Test(net_vsc_smp, interrupts, .timeout = 100)
{
	run_threads(false, true);
}

Test(net_vsc_smp, polling, .timeout = 100)
{
	run_threads(false, false);
}

Test(net_vsc_smp, a_polled_card, .timeout = 100)
{
	run_threads(true, true);
}
