// SPDX-License-Identifier: BSD-2-Clause
// The parts of lumenctl capture: where what is captured comes from, each an interface of the file.
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "parent/common/capture_wire.h"
#include "parent/common/pcapng.h"

struct capture_source;

enum { CAPTURE_SOURCES = 3 };

// What the worker has said when it was connected to.
struct capture_worker {
	int fd; // records follow (capture_wire.h); -1: nobody needs it
	struct capture_hello hello;
};

struct capture_source_class {
	const char *name; // for --only, and of the interface unless open() gives another
	uint16_t link_type;
	bool asks_worker; // it needs the connection
	// Before the child is started, if that is to be done. NULL: there is nothing to do. Both
	// return 0, or an exit status after saying why not. What the child does not have may be
	// missing if the source is not `named`: then it is `missing`, and nothing is said.
	int (*prepare)(struct capture_source *source);
	int (*open)(struct capture_source *source, const struct capture_worker *worker);
	// Gets the next frame, in source->frame: all of it but the interface. Returns false if
	// there is none now, or, when it has `ended`, ever. Not before the last one is written.
	bool (*next)(struct capture_source *source);
	// At the end: what is to be known about what was lost. NULL: nothing more.
	void (*finish)(struct capture_source *source);
};

struct capture_source {
	const struct capture_source_class *class;
	const char *child;
	char name[IFNAMSIZ], description[80]; // of the interface
	bool named;			      // by --only
	bool missing;
	bool unwanted; // it is open for its end only
	int fd;	       // readable when there may be a frame; -1: it is looked at from time to time
	bool full;     // there is a frame that waits
	bool ended;
	bool last;  // whatever there is now is wanted: nobody will ask again
	int status; // why it has ended: 0, or an exit status after saying so
	struct pcapng_frame frame;
	uint64_t frames, lost; // written; known to be lost
};

extern const struct capture_source_class capture_net, capture_messages, capture_calls;

struct capture {
	const char *output; // NULL: standard output
	uint64_t count;	    // frames; UINT64_MAX: until it is told to stop
	int signals;
	FILE *file;
	uint64_t frames;
	struct capture_source sources[CAPTURE_SOURCES];
	unsigned used; // of them
};

// Returns the time in ns since 1970.
uint64_t capture_now(void);

// Says that the file cannot be written. Returns the status for it.
int capture_write_failed(const struct capture *capture);

// Writes frames until enough have come, a signal, or the child's end. Returns 0, or an exit status
// after saying why not.
int capture_follow(struct capture *capture);

// Writes what there is to say at the end, into the file and for whoever has typed the command.
// Returns the capture's exit status.
int capture_finish(struct capture *capture);
