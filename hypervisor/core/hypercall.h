// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls: one dispatcher that checks everything the table can express, and handlers that see
// private copies only.
#pragma once

#include "hypercall/call.h"
#include "hypercall/table.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"

struct hypercall {
	struct vp *vp;		     // the caller, in its own context
	struct partition *partition; // vp->partition
	struct partition *target;    // that the call names (core/handlers.h); NULL = none
	const void *in;		     // input header, private copy
	uint32_t variable_size;	     // bytes of variable header that follow the fixed one
	const void *rep_in;	     // input elements from the rep start index on
	uint32_t rep_start;	     // index of the first one in the whole list
	uint32_t reps;		     // how many of them
	uint32_t reps_done;	     // set by handlers of rep calls
	void *out;		     // output header, zeroed
	void *rep_out;		     // output elements from the rep start index on, zeroed
};

// Handlers have no side effects when they fail, but for the elements that reps_done counts. A rep
// call may do a part of its elements and return HV_STATUS_SUCCESS with reps_done < reps: the guest
// then re-executes the rest.
typedef hv_status hypercall_handler(struct hypercall *call);

// What a handler may return besides the TLFS's statuses. The guest sees neither.
#define HYPERCALL_RETRY                                                                            \
	((hv_status)0xffff) // somebody else works on the object: the guest is to issue the call
			    // again
#define HYPERCALL_TARGET_GONE                                                                      \
	((hv_status)0xfffe) // success, and the target partition with its hold is no more

// The handler of EXIT_HYPERCALL: decodes VP's registers, does the call, sets its result and advances RIP.
void hypercall_exit(struct vp *vp, const struct vp_exit *exit);
