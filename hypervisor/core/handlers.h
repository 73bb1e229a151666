// SPDX-License-Identifier: BSD-2-Clause
// What the hypercalls' handlers share. There is one handler for each row of hypercall/table.h:
// hc_<Name>.
#pragma once

#include "hypervisor/core/hypercall.h"

#define HC_PROTOTYPE(                                                                              \
	code, name, kind, in, in_element, out, out_element, fast, variable, privilege)             \
	hypercall_handler hc_##name;
HV_HYPERCALL_TABLE(HC_PROTOTYPE)
#undef HC_PROTOTYPE

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
	X(UnmapStatsPage, RUNNING | TARGET_SHARED | TARGET_ID_AT_8)                                \
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
	X(MapStatsPage2, RUNNING | TARGET_SHARED | TARGET_ID_AT_8)

// Finds what CALL names, takes the hold, calls HANDLER with call->target set, and lets go. This is
// the only place where one partition's right to another is decided. PRIVILEGE: that of the call's
// row. HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_PARTITION_ID, HV_STATUS_INVALID_PARTITION_STATE,
// HYPERCALL_RETRY, or what HANDLER says.
hv_status handle_with_target(
	struct hypercall *call, unsigned int rules, uint64_t privilege, hypercall_handler *handler);

// The target's VP with INDEX, which may be HV_VP_INDEX_SELF. HV_STATUS_INVALID_VP_INDEX.
hv_status target_vp(struct hypercall *call, hv_vp_index index, struct vp **vp);

// As target_vp(), and the VP's registers may be touched until target_vp_end(): it is the caller, or
// a child's and paused now. HV_STATUS_INVALID_VP_STATE: another VP of the caller's own partition.
hv_status target_vp_begin(struct hypercall *call, hv_vp_index index, struct vp **vp);
void target_vp_end(struct hypercall *call, struct vp *vp);

// Pauses VP for one examiner, who alone touches its registers until the end. False: somebody else
// does; the hypercall is to be executed again.
bool vp_examine(struct vp *vp);
void vp_examine_end(struct vp *vp);

// Only the caller's own virtual trust level, 0, exists.
static inline bool input_vtl_valid(uint8_t input_vtl)
{
	return input_vtl == 0 || input_vtl == HV_INPUT_VTL_USE_TARGET_VTL;
}
