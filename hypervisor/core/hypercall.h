// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls: one dispatcher that checks everything that tables can express, and one handler for
// each row of hypercall/table.h, which sees private copies only.
#pragma once

#include "hypercall/call.h"
#include "hypercall/table.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"

struct hypercall {
	struct vp *vp;		     // the caller, in its own context
	struct partition *partition; // vp->partition
	struct partition *target;    // that the call names (HV_TARGET_*), found and held; or NULL
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

#define HC_PROTOTYPE(code, name, ...) hypercall_handler hc_##name;
HV_HYPERCALL_TABLE(HC_PROTOTYPE)
#undef HC_PROTOTYPE

// Defines the handler of a call whose input is struct hv_input_INPUT. Its body sees CALL, TARGET
// (call->target) and IN.
#define HANDLER(name, input)                                                                       \
	static hv_status handle_##name(struct hypercall *call, struct partition *target,           \
		const struct hv_input_##input *in);                                                \
	hv_status hc_##name(struct hypercall *call)                                                \
	{                                                                                          \
		return handle_##name(call, call->target, call->in);                                \
	}                                                                                          \
	static hv_status handle_##name(struct hypercall *call, struct partition *target,           \
		const struct hv_input_##input *in)

// What a handler may return besides the TLFS's statuses. The guest sees neither.
#define HYPERCALL_RETRY	      ((hv_status)0xffff) // the object is in use: the guest is to call again
#define HYPERCALL_TARGET_GONE ((hv_status)0xfffe) // success; the target with its hold is no more

// Only the caller's own virtual trust level, 0, exists.
static inline bool input_vtl_valid(uint8_t input_vtl)
{
	return input_vtl == 0 || input_vtl == HV_INPUT_VTL_USE_TARGET_VTL;
}

// The target's VP with INDEX, which may be HV_VP_INDEX_SELF. HV_STATUS_INVALID_VP_INDEX.
hv_status target_vp(struct hypercall *call, hv_vp_index index, struct vp **vp);

// The handler of EXIT_HYPERCALL: decodes VP's registers, does the call, sets its result and
// advances RIP.
void hypercall_exit(struct vp *vp, const struct vp_exit *exit);
