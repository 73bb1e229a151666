// SPDX-License-Identifier: BSD-2-Clause
// The channel over which a child is asked to power off. Main thread.
#ifndef WORKER_SHUTDOWN_DEVICE_H
#define WORKER_SHUTDOWN_DEVICE_H

#include "drivers/vsp/shutdown.h"
#include "parent/worker/loop.h"
#include "parent/worker/vmbus_host.h"

struct shutdown_device {
	struct vmbus_device vmbus;
	struct loop_source signalled; // while the channel is served
	struct loop *loop;
	bool served;
	// The child has answered a request. error: a sentence, or NULL if it powers off.
	void (*answered)(void *context, const char *error);
	void *context;
	struct shutdown_vsp vsp;
};

// Offers the channel to the child.
bool shutdown_device_offer(struct shutdown_device *shutdown, struct vmbus_host *host,
	struct loop *loop, void (*answered)(void *context, const char *error), void *context);

// Asks the child to power off; answered() says what became of it. Returns NULL, or why it cannot be
// asked: a sentence.
const char *shutdown_device_request(struct shutdown_device *shutdown);

#endif
