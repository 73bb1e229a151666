// SPDX-License-Identifier: BSD-2-Clause
// See loop.h.
#include "parent/worker/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "parent/worker/log.h"

bool loop_init(struct loop *loop)
{
	loop->stop = false;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd >= 0)
		return true;
	log_line("epoll_create1 failed: %s", strerror(errno));
	return false;
}

bool loop_add(
	struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler ready)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	*source = (struct loop_source){ .fd = fd, .events = events, .ready = ready };
	if (fd >= 0 && !epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return true;
	log_line("a file descriptor cannot be watched: %s", strerror(errno));
	return false;
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (source->events == events)
		return;
	source->events = events;
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

void loop_run(struct loop *loop)
{
	// One event per turn: a handler may free its own source, and no other event is then stale.
	while (!loop->stop) {
		struct loop_source *source;
		struct epoll_event event;

		if (epoll_wait(loop->epoll_fd, &event, 1, -1) != 1)
			continue;
		source = event.data.ptr;
		source->ready(source, event.events);
	}
}

bool loop_add_event(struct loop *loop, struct loop_source *source, loop_handler ready)
{
	return loop_add(loop, source, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), EPOLLIN, ready);
}

bool loop_add_timer(struct loop *loop, struct loop_source *source, loop_handler ready)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	return loop_add(loop, source, fd, EPOLLIN, ready);
}

void loop_event_signal(const struct loop_source *source)
{
	eventfd_write(source->fd, 1);
}

void loop_event_take(const struct loop_source *source)
{
	uint64_t count;

	if (read(source->fd, &count, sizeof(count)) < 0)
		return; // EAGAIN: somebody has taken it already
}

void loop_timer_start(const struct loop_source *source, uint64_t ms)
{
	struct itimerspec when = { .it_value = { .tv_sec = (time_t)(ms / 1000),
					   .tv_nsec = (long)(ms % 1000 * 1000000) } };

	timerfd_settime(source->fd, 0, &when, NULL);
}
