// SPDX-License-Identifier: BSD-2-Clause
// A component whose kernel polls it from several threads at once, while another thread is the host
// and the processor that takes the interrupts: each question is answered, once.
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

#include "drivers/vsp/ic/components.h"
#include "lumen/ic.h"
#include "tests/unit/drivers/rig.h"

enum { THREADS = 3, QUESTIONS = 2000 };

static struct lumen_ic *ic;
static uint32_t stop;

static void *work(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		lumen_ic_poll(ic);
		sched_yield();
	}
	return NULL;
}

static void *host(void *argument)
{
	struct ic_vsp *vsp = (struct ic_vsp *)rig.channels[0].vsp;

	(void)argument;
	while (vsp->answers < QUESTIONS) {
		ic_ask(vsp, 0);
		rig_run();
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void run_threads(bool interrupts)
{
	const struct ic_config config = { .component = &heartbeat_component };
	const struct vsp_class *class = &heartbeat_component.class;
	pthread_t threads[THREADS + 1];

	stop = 0;
	rig_create(0);
	rig.interrupts = interrupts;
	rig_offer(0, &class->guid, class, &config);
	cr_assert_eq(lumen_heartbeat_open(NULL, &ic), LUMEN_OK);
	rig.threaded = true;
	for (uint32_t i = 0; i <= THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, i ? work : host, NULL), 0);
	for (uint32_t i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	rig.threaded = false;
	cr_assert_eq(lumen_ic_status(ic), LUMEN_OK);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	cr_assert_eq(rig.channels[0].vsp->counters.packets, QUESTIONS + 1);
	lumen_ic_close(ic);
	rig_destroy();
}

Test(ic_smp, interrupts, .timeout = 100)
{
	run_threads(true);
}

Test(ic_smp, polling, .timeout = 100)
{
	run_threads(false);
}
