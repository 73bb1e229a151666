// SPDX-License-Identifier: BSD-2-Clause
// See loop.h.
#include "parent/worker/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "parent/worker/log.h"

bool loop_init(struct loop *loop)
{
	*loop = (struct loop){ 0 };
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		return true;
	log_line("epoll_create1 failed: %s", strerror(errno));
	return false;
}

static bool watch(struct loop *loop, struct loop_source *source)
{
	struct epoll_event event = { .events = source->events, .data.ptr = source };

	if (source->fd >= 0 && !epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event))
		return true;
	log_line("a file descriptor cannot be watched: %s", strerror(errno));
	return false;
}

bool loop_add(
	struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler ready)
{
	*source = (struct loop_source){ .fd = fd, .events = events, .ready = ready };
	return watch(loop, source);
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };
	int operation = EPOLL_CTL_MOD;

	if (source->events == events)
		return;
	if (!events)
		operation = EPOLL_CTL_DEL;
	else if (!source->events)
		operation = EPOLL_CTL_ADD;
	source->events = events;
	epoll_ctl(loop->epoll_fd, operation, source->fd, &event);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	loop_change(loop, source, 0);
}

// Somebody does not keep to what loop_handler says.
static void slow_down(struct loop *loop, int fd, uint32_t events)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	static struct log_limit limit;

	if (loop->idle == LOOP_IDLE_MAX)
		log_limited(
			&limit, "descriptor %d is ready (0x%x), and nobody takes it", fd, events);
	nanosleep(&pause, NULL);
}

static bool call(struct loop_source *source, uint32_t events)
{
	if (source->ready)
		return source->ready(source, events);
	if (!loop_event_take(source))
		return false;
	source->handle(source);
	return true;
}

// One event per turn: a handler may free its own source, and no other event is then stale. Those
// that are ready take turns: epoll puts what it has reported at the end of its list.
static void take_turn(struct loop *loop)
{
	struct loop_source *source;
	struct epoll_event event;
	int fd;

	if (epoll_wait(loop->epoll_fd, &event, 1, -1) != 1)
		return; // a signal
	source = event.data.ptr;
	fd = source->fd;
	loop->turns++;
	if (call(source, event.events)) {
		loop->idle = 0;
		return;
	}
	loop->idle_turns++;
	if (++loop->idle >= LOOP_IDLE_MAX)
		slow_down(loop, fd, event.events);
}

void loop_run(struct loop *loop)
{
	while (!loop->stop)
		take_turn(loop);
}

bool loop_add_event_fd(
	struct loop *loop, struct loop_source *source, int fd, loop_event_handler handle)
{
	*source = (struct loop_source){ .fd = fd, .events = EPOLLIN, .handle = handle };
	return watch(loop, source);
}

bool loop_add_event(struct loop *loop, struct loop_source *source, loop_event_handler handle)
{
	return loop_add_event_fd(loop, source, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), handle);
}

bool loop_add_timer(struct loop *loop, struct loop_source *source, loop_event_handler handle)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return loop_add_event_fd(loop, source, fd, handle);
}

void loop_event_signal(const struct loop_source *source)
{
	eventfd_write(source->fd, 1);
}

bool loop_event_take(const struct loop_source *source)
{
	uint64_t count;

	return read(source->fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

void loop_timer_start(const struct loop_source *source, uint64_t ms)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(ms / 1000),
					   .tv_nsec = (long)(ms % 1000 * 1000000) } };

	timerfd_settime(source->fd, 0, &when, NULL);
}
