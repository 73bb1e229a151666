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
	struct partition *target;    // that the call names (HC_TARGETS), found and held; or NULL
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

// Which partition a call may name, in which state it has to be, and whether the handler waits
// during its work (partition_hold). Calls without a rule name no partition.
enum target_rule {
	TARGET_SELF = 1 << 0,	 // the caller
	TARGET_SELF_IF = 1 << 1, // the caller, if it has the row's other privilege
	TARGET_CHILD = 1 << 2,	 // a child of the caller, which may create partitions
	TARGET_ACTIVE = 1 << 3,	 // else: any state
	TARGET_SHARED = 1 << 4,
	TARGET_EXCLUSIVE = 1 << 5,
	TARGET_ID_AT_8 = 1 << 6, // the id's place in the input; else it comes first
};
#define OWN_OR_CHILD  (TARGET_SELF | TARGET_CHILD)
#define RUNNING	      (OWN_OR_CHILD | TARGET_ACTIVE)
#define RUNNING_CHILD (TARGET_CHILD | TARGET_ACTIVE)

#define HC_TARGETS(X)                                                                              \
	X(InitializePartition, TARGET_CHILD | TARGET_EXCLUSIVE)                                    \
	X(FinalizePartition, RUNNING_CHILD | TARGET_EXCLUSIVE)                                     \
	X(DeletePartition, TARGET_CHILD | TARGET_EXCLUSIVE)                                        \
	X(GetPartitionProperty, OWN_OR_CHILD)                                                      \
	X(SetPartitionProperty, OWN_OR_CHILD)                                                      \
	X(GetNextChildPartition, OWN_OR_CHILD)                                                     \
	X(DepositMemory, OWN_OR_CHILD | TARGET_SHARED)                                             \
	X(WithdrawMemory, OWN_OR_CHILD)                                                            \
	X(GetMemoryBalance, OWN_OR_CHILD)                                                          \
	X(MapGpaPages, RUNNING_CHILD | TARGET_EXCLUSIVE)                                           \
	X(UnmapGpaPages, RUNNING_CHILD | TARGET_EXCLUSIVE)                                         \
	X(InstallIntercept, RUNNING_CHILD)                                                         \
	X(CreateVp, RUNNING_CHILD | TARGET_EXCLUSIVE)                                              \
	X(DeleteVp, RUNNING_CHILD | TARGET_EXCLUSIVE)                                              \
	X(GetVpRegisters, RUNNING_CHILD | TARGET_SELF_IF | TARGET_SHARED)                          \
	X(SetVpRegisters, RUNNING_CHILD | TARGET_SELF_IF | TARGET_SHARED)                          \
	X(TranslateVirtualAddress, RUNNING_CHILD | TARGET_SHARED)                                  \
	X(ReadGpa, RUNNING_CHILD)                                                                  \
	X(WriteGpa, RUNNING_CHILD)                                                                 \
	X(ClearVirtualInterrupt, RUNNING_CHILD)                                                    \
	X(DeletePort, RUNNING | TARGET_SHARED)                                                     \
	X(DisconnectPort, RUNNING | TARGET_SHARED)                                                 \
	X(UnmapStatsPage, RUNNING | TARGET_EXCLUSIVE | TARGET_ID_AT_8)                             \
	X(RegisterInterceptResult, RUNNING_CHILD)                                                  \
	X(UnregisterInterceptResult, RUNNING_CHILD)                                                \
	X(AssertVirtualInterrupt, RUNNING_CHILD)                                                   \
	X(CreatePort, RUNNING | TARGET_SHARED)                                                     \
	X(ConnectPort, RUNNING | TARGET_SHARED)                                                    \
	X(StartVirtualProcessor, RUNNING_CHILD | TARGET_SELF_IF | TARGET_SHARED)                   \
	X(GetVpIndexFromApicId, RUNNING)                                                           \
	X(SignalEventDirect, RUNNING_CHILD)                                                        \
	X(PostMessageDirect, RUNNING_CHILD)                                                        \
	X(MapVpStatePage, RUNNING)                                                                 \
	X(UnmapVpStatePage, RUNNING)                                                               \
	X(GetVpCpuidValues, RUNNING_CHILD | TARGET_SHARED)                                         \
	X(MapStatsPage2, RUNNING | TARGET_EXCLUSIVE | TARGET_ID_AT_8)

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
