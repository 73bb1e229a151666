// SPDX-License-Identifier: BSD-2-Clause
// The worker's main loop: file descriptors and what to do when they are ready. One thread.
//
// Level-triggered: a source is ready until what made it so has been taken, and EPOLLERR and
// EPOLLHUP are reported whatever is asked for. So a handler takes what it is called for, or takes
// its source out until it can: loop_change(..., 0). Eventfds and timerfds are read by the loop. All
// others, and who clears what makes them ready:
//
// worker           signals (signalfd): the handler reads it
// vmbus_host       messages (the partition): the handler takes messages, or while the server has
//                  no room it is out; EPOLLERR, for a lost message: ends the child, and is out
// control          listener (socket): accepts, or without descriptors it is out for a moment
//                  clients (sockets): input is read, or while the child takes none it is out;
//                  room is filled, or not asked for; who is gone is dropped
// devices/socket   listener (socket): accepts, or while it cannot it is out until a tick
//                  connector (socket): answers are taken; without a supervisor it is out
//                  a connection's program (socket): its line is read; then bytes are, or while
//                  the child takes none it is out, also when the program is gone; room is
//                  filled, or not asked for
//
// What the threads of devices wait for is in devices/device_thread.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct loop_source;

// Returns whether it has taken something, or has changed what its source waits for. One that does
// not would be called again at once, for ever.
typedef bool (*loop_handler)(struct loop_source *source, uint32_t events);

// An eventfd was counted up, or a timer has expired; the loop has read it.
typedef void (*loop_event_handler)(struct loop_source *source);

// Embedded in what it belongs to. Stays the owner's; must be removed before its memory goes.
struct loop_source {
	int fd;
	uint32_t events;	   // EPOLLIN, ...; 0: it is not looked at
	loop_handler ready;	   // NULL: an eventfd or a timerfd
	loop_event_handler handle; // of one of these
};

// So many calls in a row that took nothing are chance. From then on each costs the loop a
// millisecond, so that a mistake of ours costs no processor, and the log says so once.
enum { LOOP_IDLE_MAX = 64 };

struct loop {
	int epoll_fd;
	bool stop;
	unsigned idle;		    // calls in a row that took nothing
	uint64_t turns, idle_turns; // calls, and those of them that took nothing
};

// All of these log what fails; false: the process has too few resources.
bool loop_init(struct loop *loop);
bool loop_add(
	struct loop *loop, struct loop_source *source, int fd, uint32_t events, loop_handler ready);
// Changes what is waited for; with 0 the source is out of the loop, also for EPOLLERR and EPOLLHUP,
// until the next change.
void loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
// Takes a source out; does not close its fd. A handler may remove any source, its own too.
void loop_remove(struct loop *loop, struct loop_source *source);

// Runs handlers until one sets loop->stop.
void loop_run(struct loop *loop);

// Adds an eventfd or a timerfd, non-blocking: one that is there, or a new one.
bool loop_add_event_fd(
	struct loop *loop, struct loop_source *source, int fd, loop_event_handler handle);
bool loop_add_event(struct loop *loop, struct loop_source *source, loop_event_handler handle);
bool loop_add_timer(struct loop *loop, struct loop_source *source, loop_event_handler handle);

// Signals an eventfd; any thread.
void loop_event_signal(const struct loop_source *source);
// Takes what an eventfd or a timerfd has, without the loop. Returns false if there was nothing.
bool loop_event_take(const struct loop_source *source);
// Lets a timer expire once in `ms` milliseconds (at least 1).
void loop_timer_start(const struct loop_source *source, uint64_t ms);
