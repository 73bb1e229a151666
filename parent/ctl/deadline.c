// SPDX-License-Identifier: BSD-2-Clause
// See deadline.h.
#include "parent/ctl/deadline.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

enum { AGAIN_US = 100000 };

static volatile sig_atomic_t passed;

static void on_alarm(int number)
{
	passed = 1;
}

void deadline_start(unsigned int seconds)
{
	const struct sigaction action = { .sa_handler = on_alarm }; // no SA_RESTART
	const struct itimerval timer = { .it_value.tv_sec = (time_t)seconds,
		.it_interval.tv_usec = AGAIN_US };

	passed = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

bool deadline_passed(void)
{
	return passed;
}

void deadline_end(void)
{
	const struct itimerval none = { .it_value.tv_sec = 0 };

	setitimer(ITIMER_REAL, &none, NULL);
}
