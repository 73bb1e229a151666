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

struct ic_component {
	struct vmbus_guid type;
	enum ic_message_type message;
	struct ic_versions versions;
	uint32_t size; // of the shortest request's body
	// Takes a request. Its body, a private copy of `size` bytes or more, goes back as the
	// response's. Locked. Returns the response's status.
	uint32_t (*take)(const struct lumen_ic *ic, uint8_t *body, uint32_t body_size,
		struct ic_event *event);
	// If event->due was set: tells the kernel, when the response is with the host. Nothing
	// locked.
	void (*tell)(const struct lumen_ic *ic, const uint64_t *words);
};

struct lumen_ic {
	struct vsc vsc;
	const struct ic_component *component;
	const void *handlers;	   // the kernel's, of the component's kind
	struct ic_dialect dialect; // zeroes: none yet
	uint32_t bad;		   // messages
	uint32_t page_count;	   // of this allocation
};

// Opens a component on the channel that the host offers for it. Thread context.
lumen_status ic_open(struct lumen_vmbus *bus, const struct ic_component *component,
	const void *handlers, struct lumen_ic **ic_out);

#endif
