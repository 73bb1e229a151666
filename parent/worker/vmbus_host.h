// SPDX-License-Identifier: BSD-2-Clause
// The VMBus server of a child, wired to its partition: messages in and out, and the devices that
// are offered. All on the main thread but vmbus_device_signal and vmbus_device_report.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "parent/worker/deadline.h"
#include "parent/worker/log.h"
#include "parent/worker/loop.h"
#include "vmbus/server.h"

struct worker;
struct vmbus_host;
struct vmbus_device;

enum {
	VMBUS_HOST_CHANNELS = VMBUS_RELID_MAX,
	VMBUS_HOST_GPADLS = 2 * VMBUS_HOST_CHANNELS,
	VMBUS_HOST_GPADL_BYTES = 64 << 20,
};

// What the guest opened a channel with. The pages stay until the device has closed.
struct vmbus_device_open {
	void *const *in_pages; // ring from the guest: control page first
	uint32_t in_page_count;
	void *const *out_pages; // ring to the guest
	uint32_t out_page_count;
};

struct vmbus_device_ops {
	// Starts serving. Returns false if it cannot (the guest is told).
	bool (*open)(struct vmbus_device *device, const struct vmbus_device_open *open);
	// Begins to stop serving; VMBUS_DEVICE_CLOSED is reported when no guest memory is in use.
	void (*close)(struct vmbus_device *device);
	// That was reported: gives back what open() took.
	void (*closed)(struct vmbus_device *device);
	// After vmbus_host_rescind(): host and child have let go of the device, which may be freed
	// in here. NULL: it is never rescinded.
	void (*gone)(struct vmbus_device *device);
	// VMBUS_DEVICE_ASKED was reported. NULL: it never is.
	void (*asked)(struct vmbus_device *device);
	// VMBUS_DEVICE_ORDERS was reported. NULL: it never is.
	void (*orders)(struct vmbus_device *device);
	// The guest wants a GPADL back that is held. NULL: none ever is.
	void (*teardown)(struct vmbus_device *device, uint32_t gpadl);
};

// What a device reports from its own thread, as bits.
enum vmbus_device_event {
	VMBUS_DEVICE_CLOSED = 1,
	VMBUS_DEVICE_FAILED = 2, // the guest broke the channel: it loses it, until it connects
				 // anew; a sub-channel and a socket for good
	VMBUS_DEVICE_ASKED = 4,	 // for sub-channels
	VMBUS_DEVICE_ORDERS = 8, // the device's own
};

struct vmbus_device {
	const struct vmbus_device_ops *ops;
	const char *name; // for logs and statistics
	struct vmbus_offer offer;
	// Of a sub-channel: whose. It is offered while that is open, and taken back when that
	// closes, before that is told. NULL: it is a primary one.
	struct vmbus_device *primary;
	// The host's.
	struct vmbus_host *host;
	uint32_t relid;
	int event_fd;	    // signalled when the guest signals the channel; blocking reads are not
	uint32_t target_vp; // atomic: whom we signal, or VMBUS_VP_NO_INTERRUPT
	uint32_t event_flag;
	uint32_t connection_id;
	uint32_t events;		    // atomic: VMBUS_DEVICE_*, reported and not yet seen
	struct vmbus_device *next_reported; // on host->reported, while there are events
	bool open;
	void **pages; // of both rings
	uint64_t signals;
};

// Who serves the sockets that the child asks for.
struct vmbus_host_sockets {
	void *context;
	// The child has asked: vmbus_host_answer_socket() follows. NULL: all are refused.
	void (*asked)(void *context, const struct vmbus_socket_request *request);
};

struct vmbus_host {
	struct worker *worker;
	struct vmbus_host_sockets sockets; // set before the child runs
	struct vmbus_server server;
	struct loop_source messages;			       // the partition's descriptor
	uint32_t retry_ms;				       // before the next try
	struct loop_source retry;			       // a message that could not be posted
	struct loop_source device_events;		       // some device has reported something
	struct vmbus_device *reported;			       // atomic: those with events
	struct vmbus_device *devices[VMBUS_HOST_CHANNELS + 1]; // by relid; NULL: none
	uint32_t relid_end;				       // none at or above
	size_t gpadl_bytes;				       // in use
	uint32_t version;				       // agreed on, 0 before
	uint64_t messages_in, messages_out, retries;
	struct log_limit violations, lost, openings, connections;
	struct vmbus_server_channel channels[VMBUS_HOST_CHANNELS];
	struct vmbus_gpadl gpadls[VMBUS_HOST_GPADLS];
	struct vmbus_action actions[VMBUS_SERVER_ACTIONS(VMBUS_HOST_CHANNELS, VMBUS_HOST_GPADLS)];
	struct vmbus_post posts[VMBUS_SERVER_POSTS(VMBUS_HOST_CHANNELS, VMBUS_HOST_GPADLS)];
};

// Starts the server, in a host of zeroes: from now on the child can connect. Returns false after
// logging why not.
bool vmbus_host_start(struct vmbus_host *host, struct worker *worker);

// Offers a device, whose ops, name and offer are filled in: at once, if the child is connected.
// Returns false if there are no descriptors or relids left.
bool vmbus_host_offer(struct vmbus_host *host, struct vmbus_device *device);

// Takes an offer back: the channel is closed, if it is open, and ops->gone() called when the child
// has released it, too; a child that does not keeps it until its connection ends. Returns false if
// it is not offered, or on its way out.
bool vmbus_host_rescind(struct vmbus_device *device);

// Ends the child's request for a socket: refused, or a device is offered next, as
// vmbus_server_answer_socket() says; it goes with the child's connection, as if rescinded. Returns
// false if whoever asked has left.
bool vmbus_host_answer_socket(struct vmbus_host *host, uint32_t id, bool refused);

// Returns the state of a device's channel.
enum vmbus_channel_state vmbus_host_state(const struct vmbus_device *device);

// The child is gone: closes all devices, waits for them, and lets go of everything. Returns false
// if a device still works on a request at the deadline: nothing that it uses may go then.
bool vmbus_host_stop(struct vmbus_host *host, deadline_ns deadline);

// Holds a GPADL that the guest has named in the device's channel, until it is released. Returns
// NULL if the channel has no such one.
struct vmbus_gpadl *vmbus_host_hold(struct vmbus_device *device, uint32_t gpadl);
void vmbus_host_release(struct vmbus_device *device, struct vmbus_gpadl *gpadl);

// Signals the channel to the guest. Any thread.
void vmbus_device_signal(struct vmbus_device *device);

// Reports an event to the host. Any thread.
void vmbus_device_report(struct vmbus_device *device, enum vmbus_device_event event);
