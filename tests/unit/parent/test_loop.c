// SPDX-License-Identifier: BSD-2-Clause
// The worker's main loop: what is ready and cannot be taken costs no processor.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "parent/worker/deadline.h"
#include "parent/worker/loop.h"

static struct loop loop;
static struct loop_source broken, event, end;
static unsigned broken_calls, event_calls;

static void end_now(struct loop_source *source)
{
	loop.stop = true;
}

static void setup(void)
{
	cr_assert(loop_init(&loop));
	cr_assert(loop_add_timer(&loop, &end, end_now));
}

TestSuite(loop, .init = setup, .timeout = 60);

// A pipe whose reader is gone: EPOLLERR, for ever, whatever is asked for.
static int broken_pipe(void)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	close(ends[0]);
	return ends[1];
}

// Masks it, the second time.
static bool mask(struct loop_source *source, uint32_t events)
{
	cr_expect(events & EPOLLERR);
	if (++broken_calls == 2) {
		loop_change(&loop, source, 0);
		loop_timer_start(&end, 50);
	}
	return broken_calls == 2;
}

Test(loop, a_source_without_events_is_out_also_for_errors)
{
	cr_assert(loop_add(&loop, &broken, broken_pipe(), EPOLLIN, mask));
	loop_run(&loop);
	cr_assert_eq(broken_calls, 2);
	loop_change(&loop, &broken, EPOLLIN); // and in again
	broken_calls = 0;
	loop.stop = false;
	loop_run(&loop);
	cr_assert_eq(broken_calls, 2);
	loop_remove(&loop, &broken);
	loop_remove(&loop, &broken); // nothing
}

static bool ignore(struct loop_source *source, uint32_t events)
{
	broken_calls++;
	return false;
}

static unsigned logged_lines(int fd)
{
	char text[4096];
	ssize_t length = pread(fd, text, sizeof(text), 0);
	unsigned lines = 0;

	for (ssize_t i = 0; i < length; i++)
		lines += text[i] == '\n';
	return lines;
}

// Each call after the first ones costs a millisecond at least: no more of them than that.
Test(loop, a_handler_that_takes_nothing_is_slowed_down_and_said)
{
	char path[] = "/tmp/lumen-loop-XXXXXX";
	int log = mkstemp(path), old = dup(STDERR_FILENO);
	deadline_ns start = deadline_now();

	unlink(path);
	dup2(log, STDERR_FILENO);
	cr_assert(loop_add(&loop, &broken, broken_pipe(), EPOLLIN, ignore));
	loop_timer_start(&end, 300);
	loop_run(&loop);
	dup2(old, STDERR_FILENO);
	cr_assert_gt(broken_calls, LOOP_IDLE_MAX);
	cr_assert_leq(broken_calls, LOOP_IDLE_MAX + 1 + (deadline_now() - start) / 1000000);
	cr_assert_eq(loop.idle_turns, broken_calls);
	cr_assert_eq(loop.turns, broken_calls + 1);
	cr_assert_eq(logged_lines(log), 1);
}

static void count_event(struct loop_source *source)
{
	loop_event_signal(source); // there is always more
	if (++event_calls == 1000)
		loop.stop = true;
}

static bool count_broken(struct loop_source *source, uint32_t events)
{
	broken_calls++;
	return true;
}

Test(loop, what_is_always_ready_does_not_keep_the_others_waiting)
{
	cr_assert(loop_add(&loop, &broken, broken_pipe(), EPOLLIN, count_broken));
	cr_assert(loop_add_event(&loop, &event, count_event));
	loop_event_signal(&event);
	loop_run(&loop);
	cr_assert_geq(broken_calls, 999);
	cr_assert_leq(broken_calls, 1001);
}
