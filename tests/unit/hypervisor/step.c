// SPDX-License-Identifier: BSD-2-Clause
// The hypervisor's code is compiled with -fsanitize-coverage=trace-pc, this file is not.
#include "tests/unit/hypervisor/step.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stddef.h>

enum { WAITS, RUNS, RELAXES, DONE }; // the second thread
enum { SECOND_MAX = 10000 };	     // basic blocks; if it takes more it waits for the first

static const struct step_case *step_case;
static int second_state; // atomic
static sem_t start;
static _Thread_local unsigned int left; // basic blocks until the other may run; 0: no matter
static _Thread_local bool is_second;
static bool ended; // the first came to its end before the switch

static int state(void)
{
	return __atomic_load_n(&second_state, __ATOMIC_SEQ_CST);
}

static void set_state(int to)
{
	__atomic_store_n(&second_state, to, __ATOMIC_SEQ_CST);
}

static void let_second_run(void)
{
	left = 0;
	set_state(RUNS);
	sem_post(&start);
	while (state() == RUNS)
		sched_yield();
}

// Called by the compiler's code at the beginning of each basic block.
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	if (!left || --left)
		return;
	if (is_second)
		set_state(RELAXES);
	else
		let_second_run();
}

bool step_end(void)
{
	if (state() == WAITS) {
		ended = true;
		let_second_run();
	}
	sched_yield();
	return state() == DONE;
}

static void *second(void *unused)
{
	is_second = true;
	left = SECOND_MAX;
	sem_wait(&start);
	step_case->second();
	set_state(DONE);
	return NULL;
}

// One order: the switch comes after N basic blocks. False: FIRST has fewer.
static bool one_order(unsigned int n)
{
	pthread_t thread;

	step_case->setup();
	ended = false;
	set_state(WAITS);
	if (pthread_create(&thread, NULL, second, NULL))
		return false;
	left = n;
	step_case->first();
	pthread_join(thread, NULL);
	step_case->check();
	return !ended;
}

unsigned int step_through(const struct step_case *c)
{
	unsigned int n = 1;

	step_case = c;
	sem_init(&start, 0, 0);
	while (one_order(n))
		n++;
	return n;
}
