// SPDX-License-Identifier: BSD-2-Clause
// The partition and VP that a hypercall names.
#include "hypervisor/core/handlers.h"

static hv_status find_target(const struct hypercall *call, hv_partition_id id, unsigned int rules,
	struct partition **target)
{
	struct partition *caller = call->partition;

	if (id == HV_PARTITION_ID_SELF || id == caller->id) {
		*target = caller;
		return rules & TARGET_SELF ? HV_STATUS_SUCCESS : HV_STATUS_ACCESS_DENIED;
	}
	// Who has no children learns nothing about which partitions there are.
	if (!(rules & TARGET_CHILD) || !(caller->privileges & HV_PRIVILEGE_CREATE_PARTITIONS))
		return HV_STATUS_ACCESS_DENIED;
	*target = partition_find(id);
	if (!*target)
		return HV_STATUS_INVALID_PARTITION_ID;
	return (*target)->parent == caller ? HV_STATUS_SUCCESS : HV_STATUS_ACCESS_DENIED;
}

hv_status with_target(
	struct hypercall *call, hv_partition_id id, unsigned int rules, target_body *body)
{
	enum partition_hold_mode mode =
		rules & TARGET_EXCLUSIVE ? PARTITION_EXCLUSIVE : PARTITION_SHARED;
	bool hold = rules & (TARGET_SHARED | TARGET_EXCLUSIVE);
	struct partition *target;
	hv_status status = find_target(call, id, rules, &target);

	if (status)
		return status;
	if (hold && !partition_hold(target, mode))
		return HYPERCALL_RETRY;
	if (rules & TARGET_ACTIVE && READ_ONCE(target->state) != PARTITION_INITIALIZED)
		status = HV_STATUS_INVALID_PARTITION_STATE;
	else
		status = body(call, target);
	if (hold && status != HYPERCALL_TARGET_GONE)
		partition_release(target, mode);
	return status == HYPERCALL_TARGET_GONE ? HV_STATUS_SUCCESS : status;
}

hv_status target_vp(
	struct hypercall *call, struct partition *target, hv_vp_index index, struct vp **vp)
{
	if (index == HV_VP_INDEX_SELF && target == call->partition)
		index = call->vp->index;
	*vp = partition_vp(target, index);
	return *vp ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_INDEX;
}

hv_status target_vp_begin(
	struct hypercall *call, struct partition *target, hv_vp_index index, struct vp **vp)
{
	hv_status status = target_vp(call, target, index, vp);

	if (status || *vp == call->vp)
		return status;
	// Two VPs of one partition that pause each other would wait for ever.
	if (target == call->partition)
		return HV_STATUS_INVALID_VP_STATE;
	vp_pause(*vp);
	return HV_STATUS_SUCCESS;
}

void target_vp_end(struct hypercall *call, struct vp *vp)
{
	if (vp != call->vp)
		vp_resume(vp);
}
