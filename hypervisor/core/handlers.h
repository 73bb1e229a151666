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
// during its work (partition_hold).
enum target_rule {
	TARGET_SELF = 1 << 0, // the caller
	TARGET_CHILD =
		1 << 1, // a child of the caller, which has the privilege to create partitions
	TARGET_ACTIVE = 1 << 2, // else: any state
	TARGET_SHARED = 1 << 3,
	TARGET_EXCLUSIVE = 1 << 4,
};

typedef hv_status target_body(struct hypercall *call, struct partition *target);

// Finds the partition ID, checks RULES, and calls BODY with it; the only place where one
// partition's right to another is decided. HV_STATUS_ACCESS_DENIED, HV_STATUS_INVALID_PARTITION_ID,
// HV_STATUS_INVALID_PARTITION_STATE, HYPERCALL_RETRY.
hv_status with_target(
	struct hypercall *call, hv_partition_id id, unsigned int rules, target_body *body);

// TARGET's VP with INDEX, which may be HV_VP_INDEX_SELF. HV_STATUS_INVALID_VP_INDEX.
hv_status target_vp(
	struct hypercall *call, struct partition *target, hv_vp_index index, struct vp **vp);

// As target_vp(), and the VP's registers may be touched until target_vp_end(): it is the caller, or
// a child's and paused now. HV_STATUS_INVALID_VP_STATE: another VP of the caller's own partition.
// The target is held.
hv_status target_vp_begin(
	struct hypercall *call, struct partition *target, hv_vp_index index, struct vp **vp);
void target_vp_end(struct hypercall *call, struct vp *vp);

// Only the caller's own virtual trust level, 0, exists.
static inline bool input_vtl_valid(uint8_t input_vtl)
{
	return input_vtl == 0 || input_vtl == HV_INPUT_VTL_USE_TARGET_VTL;
}
