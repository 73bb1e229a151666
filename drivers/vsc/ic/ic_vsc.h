// SPDX-License-Identifier: BSD-2-Clause
// What the integration components' VSCs share: a component is a struct ic_component and a function
// that opens it.
#ifndef LUMEN_DRIVERS_VSC_IC_VSC_H
#define LUMEN_DRIVERS_VSC_IC_VSC_H

#include "drivers/common/ic.h"
#include "drivers/vsc/vsc.h"
#include "lumen/ic.h"

#define IC_EVENT_WORDS 4u

// What the kernel is told of a request. words are the component's.
struct ic_event {
	bool due;
	uint64_t words[IC_EVENT_WORDS];
};

// Its functions are called one at a time, with nothing locked, and may call the kernel.
struct ic_component {
	struct vmbus_guid type;
	enum ic_message_type message;
	struct ic_versions versions;
	uint32_t size;	     // of the shortest request's body
	uint32_t state_size; // of what the component keeps
	// Its calls of the kernel may wait: requests are taken in lumen_ic_poll() and nowhere else.
	bool polled;
	// Takes a request. Its body, a private copy of `size` bytes or more, aligned to 4, goes
	// back as the response's. Returns the response's status.
	uint32_t (*take)(
		struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event);
	// If event->due was set: tells the kernel, when the response is with the host.
	void (*tell)(const struct lumen_ic *ic, const uint64_t *words);
	// The host begins anew, or is gone: undoes what it has left half done, once. NULL: nothing
	// outlasts a request.
	void (*abandon)(struct lumen_ic *ic);
};

struct lumen_ic {
	struct vsc vsc;
	const struct ic_component *component;
	const void *handlers;	   // the kernel's, of the component's kind
	struct ic_dialect dialect; // zeroes: none yet
	uint32_t bad;		   // messages
	uint32_t page_count;	   // of this allocation
	uint64_t state[];	   // component->state_size bytes, zeroes at first
};

// Counts a request that breaks the rules, and returns the status that it gets.
uint32_t ic_refuse(struct lumen_ic *ic);

// Opens a component on the channel that the host offers for it. Thread context.
lumen_status ic_open(struct lumen_vmbus *bus, const struct ic_component *component,
	const void *handlers, struct lumen_ic **ic_out);

#endif
