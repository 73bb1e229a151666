// SPDX-License-Identifier: BSD-2-Clause
// The partition and VP that a hypercall names.
#include "hypervisor/core/handlers.h"

static hv_status find_target(struct hypercall *call, unsigned int rules, uint64_t privilege)
{
	struct partition *caller = call->partition;
	hv_partition_id id;

	memcpy(&id, (const char *)call->in + (rules & TARGET_ID_AT_8 ? 8 : 0), sizeof(id));
	if (rules & TARGET_SELF_IF &&
		caller->privileges & privilege & ~HV_PRIVILEGE_CREATE_PARTITIONS)
		rules |= TARGET_SELF;
	if (id == HV_PARTITION_ID_SELF || id == caller->id) {
		call->target = caller;
		return rules & TARGET_SELF ? HV_STATUS_SUCCESS : HV_STATUS_ACCESS_DENIED;
	}
	// Who has no children learns nothing about which partitions there are.
	if (!(rules & TARGET_CHILD) || !(caller->privileges & HV_PRIVILEGE_CREATE_PARTITIONS))
		return HV_STATUS_ACCESS_DENIED;
	call->target = partition_find(id);
	if (!call->target)
		return HV_STATUS_INVALID_PARTITION_ID;
	return call->target->parent == caller ? HV_STATUS_SUCCESS : HV_STATUS_ACCESS_DENIED;
}

hv_status handle_with_target(
	struct hypercall *call, unsigned int rules, uint64_t privilege, hypercall_handler *handler)
{
	enum partition_hold_mode mode =
		rules & TARGET_EXCLUSIVE ? PARTITION_EXCLUSIVE : PARTITION_SHARED;
	bool hold = rules & (TARGET_SHARED | TARGET_EXCLUSIVE);
	hv_status status = find_target(call, rules, privilege);

	if (status)
		return status;
	if (hold && !partition_hold(call->target, mode))
		return HYPERCALL_RETRY;
	if (rules & TARGET_ACTIVE && READ_ONCE(call->target->state) != PARTITION_INITIALIZED)
		status = HV_STATUS_INVALID_PARTITION_STATE;
	else
		status = handler(call);
	if (status == HYPERCALL_TARGET_GONE)
		return HV_STATUS_SUCCESS;
	if (hold)
		partition_release(call->target, mode);
	return status;
}

hv_status target_vp(struct hypercall *call, hv_vp_index index, struct vp **vp)
{
	if (index == HV_VP_INDEX_SELF && call->target == call->partition)
		index = call->vp->index;
	*vp = partition_vp(call->target, index);
	return *vp ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_INDEX;
}

bool vp_examine(struct vp *vp)
{
	if (__atomic_exchange_n(&vp->examined, true, __ATOMIC_ACQUIRE))
		return false;
	vp_pause(vp);
	return true;
}

void vp_examine_end(struct vp *vp)
{
	// The flag goes first: whoever comes next pauses the VP for itself.
	__atomic_store_n(&vp->examined, false, __ATOMIC_RELEASE);
	vp_resume(vp);
}

hv_status target_vp_begin(struct hypercall *call, hv_vp_index index, struct vp **vp)
{
	hv_status status = target_vp(call, index, vp);

	if (status || *vp == call->vp)
		return status;
	// Two VPs of one partition that pause each other would wait for ever.
	if (call->target == call->partition)
		return HV_STATUS_INVALID_VP_STATE;
	return vp_examine(*vp) ? HV_STATUS_SUCCESS : HYPERCALL_RETRY;
}

void target_vp_end(struct hypercall *call, struct vp *vp)
{
	if (vp != call->vp)
		vp_examine_end(vp);
}
