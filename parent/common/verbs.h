// SPDX-License-Identifier: BSD-2-Clause
// What a running child can be asked for through one of its devices: a row each, which lumenctl's
// commands, their help, and the worker read. On the control socket a verb is its name, the seconds
// that the child has (for each block, of a file), and its words (text_quote()), with tabs in
// between.
#pragma once

#include <stdint.h>

enum verb_flags {
	VERB_ENDS = 1,	   // the child ends then: that is waited for
	VERB_RESTARTS = 2, // and is started again
	VERB_TELLS = 4,	   // `name value` lines follow
	VERB_SENDS = 8,	   // the first word is a file: its size goes in its place, its bytes behind
	VERB_BRINGS = 16,  // the first word may be DEVICE=HOW: what such a device is made of that a
			   // confined worker cannot make goes with the request, a descriptor
};

// The argument of those without a device.
enum verb_of_worker { VERB_ATTACH, VERB_DETACH };

enum { VERB_LINE_MAX = 4096 }; // bytes of a request

struct verb {
	const char *name;
	const char *device;			   // its class's name; NULL: the first word is
	uint32_t argument;			   // what the device, or the worker, takes it by
	uint32_t words;				   // behind the child's name
	uint32_t flags;				   // enum verb_flags
	uint32_t seconds;			   // for an answer, without --timeout
	const char *arguments, *summary, *details; // struct ctl_command's
};

extern const struct verb child_verbs[];
extern const unsigned child_verb_count;

// Returns the row of a name, or NULL.
const struct verb *verb_find(const char *name);
