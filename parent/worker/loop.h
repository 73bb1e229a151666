// SPDX-License-Identifier: BSD-2-Clause
// The worker's main loop: file descriptors and what to do when they are ready. One thread.
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop_source;

typedef void (*loop_handler)(struct loop_source *source, uint32_t events);

// Embedded in what it belongs to. Stays the owner's; must be removed before its memory goes.
struct loop_source {
	int fd;
	uint32_t events; // EPOLLIN, ...
	loop_handler ready;
};

struct loop {
	int epoll_fd;
	bool stop;
};

// All of these log what fails; false: the process has too few resources.
bool loop_init(struct loop *loop);
bool loop_add(
	struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler ready);
void loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
// Takes a source out; does not close its fd. A handler may remove any source, its own too.
void loop_remove(struct loop *loop, struct loop_source *source);

// Runs handlers until one sets loop->stop.
void loop_run(struct loop *loop);

// Makes an eventfd or a timerfd and adds it. Non-blocking.
bool loop_add_event(struct loop *loop, struct loop_source *source, loop_handler ready);
bool loop_add_timer(struct loop *loop, struct loop_source *source, loop_handler ready);

// Signals an eventfd; any thread.
void loop_event_signal(const struct loop_source *source);
// Takes what an eventfd or a timerfd has; call it from its handler.
void loop_event_take(const struct loop_source *source);
// Lets a timer expire once in `ms` milliseconds (at least 1).
void loop_timer_start(const struct loop_source *source, uint64_t ms);

#endif
