// SPDX-License-Identifier: BSD-2-Clause
// The child's synthetic devices: for each a row that says what it is, and one machinery that offers
// it, serves its channel in a thread of its own or in the main loop, and takes it back.
//
// Main thread, but for what a row says is the device's own thread's.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/vsp.h"
#include "parent/common/failure.h"
#include "parent/common/verbs.h"
#include "parent/worker/deadline.h"
#include "parent/worker/log.h"
#include "parent/worker/loop.h"
#include "parent/worker/stat.h"
#include "parent/worker/vmbus_host.h"

struct device;

// A verb that a device is to carry out.
struct device_request {
	const struct verb *verb;
	uint32_t seconds;      // that the child has (drivers/vsp/ic.h: ic_order)
	const char *words;     // verb->words of them, each ends with a zero
	uint32_t words_length; // bytes
};

// What a device is. Calls that may be NULL say so.
struct device_row {
	const struct vsp_class *class;
	struct vmbus_guid instance;
	size_t size;	    // of the device's struct, which begins with struct device
	bool threaded;	    // its channel is served by a thread of its own, which may block
	const void *detail; // what several rows of one kind differ in

	// Before the child runs and before the worker is confined: opens what the device needs, and
	// sets what the class is opened with in device->config. Left NULL: the child has none. NULL
	// on failure, too: *failure says why. A device with a thread sets device->sub_count, too,
	// if its class may ask for sub-channels: the most that there can be.
	bool (*attach)(struct device *device, struct failure *failure);
	// While it runs, of a device that the child does not have: takes what lumenctl has made for
	// it, a text that says what it is to be and a descriptor, and sets device->config as
	// attach() does. Returns NULL, and the descriptor is the device's; or why not: a sentence.
	// NULL: it needs nothing of that kind.
	const char *(*bring)(struct device *device, const char *how, int descriptor);
	// Host and child have let go of it, after it was taken back. May be NULL.
	void (*gone)(struct device *device);
	// Offers, in place of a channel of its own, what there is when there is some: before the
	// child runs. Returns false after logging why not. NULL: it has a channel.
	bool (*offer)(struct device *device);
	// What a counter has counted on channels that the base does not know of. NULL: none are.
	uint64_t (*count)(const struct device *device, const struct vsp_counter *counter);
	// When the channel is closed. Returns false if the kernel has not let go of everything by
	// the deadline: nothing of the device may go then. May be NULL.
	bool (*detach)(struct device *device, deadline_ns deadline);
	// The channel is served: the class's own flags (VSP_OWN and above) of a poll. May be NULL.
	void (*flags)(struct device *device, uint32_t flags);
	// The channel goes. May be NULL.
	void (*closing)(struct device *device);

	// The thread's. poll: what has been completed is taken, before each vsp_poll(). watch: adds
	// what that waits for. timeout_ms: until it is to be called anyway; -1: never.
	void (*poll)(struct device *device);
	bool (*watch)(struct device *device, int epoll_fd);
	int (*timeout_ms)(const struct device *device);

	// May be NULL, all of them. activity: a number that changes when a child does what a kernel
	// does that boots or writes. file_size: the largest file that it writes.
	void (*stat)(struct device *device, struct stat_text *stat);
	uint64_t (*activity)(const struct device *device);
	uint64_t (*file_size)(const struct device *device);

	// The verbs of verbs.h that name the device; may be NULL without any. begin: returns NULL,
	// and device_verb_done() says what became of it, or why it cannot be: a sentence. forget:
	// nobody waits any more for what it has begun. tell: what the child is known to be, as
	// `info` has it.
	const char *(*begin)(struct device *device, const struct device_request *request);
	void (*forget)(struct device *device);
	void (*tell)(struct device *device, struct stat_text *text);

	// Of what a thread asks of the main thread, which calls these; NULL: it asks for nothing.
	// orders: there are some. teardown: the child wants back a GPADL that the device holds.
	void (*orders)(struct device *device);
	void (*teardown)(struct device *device, uint32_t gpadl);
};

enum { DEVICE_COUNTERS_MAX = 24 };

// What the main thread has told the device's thread of a sub-channel.
enum device_sub_order {
	DEVICE_SUB_NOTHING, // it is not open: the main thread's
	DEVICE_SUB_OPEN,    // serve it
	DEVICE_SUB_CLOSE,   // do not any more; when it is idle that is reported, and the order over
};

// A sub-channel that a device has, offered or not. In an array of the device's, for good.
struct device_sub {
	struct vmbus_device vmbus;
	struct device *device;
	struct vsp *vsp;      // while it is open
	bool offered;	      // since the primary channel was opened: no second time
	uint32_t order;	      // atomic: enum device_sub_order
	bool joined, stopped; // the thread's
};

struct device {
	struct vmbus_device vmbus;
	const struct device_row *row;
	struct worker *worker;
	const void *config;	 // of the class; NULL: there is no such device
	struct vsp *vsp;	 // while the channel is open
	struct device_sub *subs; // sub_count of them, by index - 1
	uint32_t sub_count;
	uint64_t closed[DEVICE_COUNTERS_MAX]; // of earlier openings of the channel, together
	struct log_limit failures;	      // a guest can cause some with each connection
	// In a thread of its own:
	pthread_t thread;
	int stop_fd;  // eventfd: the thread is to end
	bool stopped; // it has been told so; the thread's
	int epoll_fd;
	uint64_t turns; // of the thread's loop; atomic
	// In the main loop:
	bool served;
	struct loop_source signalled; // while the channel is served
	struct loop_source ticks;     // class->tick_ms
};

// --- all devices, in the order of the table (table.c); stopped in reverse ---

// Makes and attaches the devices. On failure nothing is left open, and *failure says why.
bool synthetic_attach(struct worker *worker, struct failure *failure);

// Offers them to the child. Returns false after logging why not.
bool synthetic_offer(struct worker *worker);

// When all channels are closed. Returns false if the kernel has not let go of everything by the
// deadline: nothing of the devices may go then.
bool synthetic_detach(struct worker *worker, deadline_ns deadline);

// Gives their memory back.
void synthetic_free(struct worker *worker);

// Returns the device of this number, or NULL behind the last.
struct device *synthetic_at(struct worker *worker, unsigned index);

// Returns the largest file that a device writes, and a number that changes with their activity.
uint64_t synthetic_file_size(struct worker *worker);
uint64_t synthetic_activity(struct worker *worker);

// Begins a verb on the device that has it; `words` are as on the control socket, and changed.
// control_verb_done() says what became of it. *brought: the descriptor that came with them, or -1;
// -1 if a device has taken it. Returns NULL, or why it cannot be: a sentence.
const char *synthetic_begin_verb(struct worker *worker, const struct verb *verb, uint32_t seconds,
	char *words, int *brought);

// There is nobody any more who waits for a verb that was begun.
void synthetic_forget_verb(struct worker *worker, const struct verb *verb);

// Writes what the devices know of the child.
void synthetic_tell(struct worker *worker, struct stat_text *text);

// Serves the device of a verb that sends bytes: there are more, or nobody any more who sends them.
void synthetic_sent(struct worker *worker, const struct verb *verb);

// Writes the counters of a device since the child's start, and what the row adds.
void device_stat(struct device *device, struct stat_text *stat);

// Tells those who wait what a verb has led to: NULL, or why not: a sentence.
void device_verb_done(struct device *device, const struct verb *verb, const char *error);

// --- parts of the above ---

extern const struct vmbus_device_ops device_loop_ops, device_thread_ops; // one of them each

// Opens the VSP on the rings: of the device's channel, or of sub-channel `index` of `primary`; or,
// with a config of the caller's, of another channel of this class. Returns NULL if there is no
// memory. And closes it: its counters stay the device's.
struct vsp *device_open_vsp(struct device *device, const struct vmbus_device_open *open,
	struct vsp *primary, uint32_t index);
struct vsp *device_open_other(
	struct device *device, const struct vmbus_device_open *open, const void *config);
void device_close_vsp(struct device *device, struct vsp **vsp);

// Host and child have let go of a device that was taken back; it can be offered again.
void device_gone(struct vmbus_device *vmbus);

// Polls the VSP once and does what the flags ask for, but for VSP_AGAIN. If the channel has failed,
// that is logged and reported, and the VSP is stopped. Returns the flags.
uint32_t device_serve(struct device *device);
// The same of a sub-channel, or of another channel.
uint32_t device_serve_sub(struct device_sub *sub);
uint32_t device_serve_other(struct device *device, struct vmbus_device *vmbus, struct vsp *vsp);

// device_sub.c: makes room for a device's sub-channels; false without memory. The device's channel
// is opened. The class has asked for some (vmbus_device_ops.asked).
bool device_init_subs(struct device *device);
void device_reset_subs(struct device *device);
void device_offer_subs(struct vmbus_device *vmbus);

// For row->watch(): the thread waits for this descriptor, too. Returns false if it cannot.
bool device_watch(int epoll_fd, int fd);

// For the main loop: serves the channel now, because something has been asked for.
void device_loop_serve(struct device *device);

// Makes the timer of a device in the main loop, if it has one.
bool device_loop_init(struct device *device);
