// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that create, enumerate and destroy partitions (TLFS: Partition Management).
#include "hypercall/partition.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/trace.h"

// What makes no difference here is accepted: a child has an APIC with x2APIC mode, and large pages,
// in any case.
#define CREATION_FLAGS                                                                             \
	(HV_PARTITION_CREATION_FLAG_SMT_ENABLED_GUEST |                                            \
		HV_PARTITION_CREATION_FLAG_GPA_SUPER_PAGES_ENABLED |                               \
		HV_PARTITION_CREATION_FLAG_EXO_PARTITION |                                         \
		HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED |                                         \
		HV_PARTITION_CREATION_FLAG_X2APIC_CAPABLE)

static hv_status create(
	struct partition *parent, const struct hv_input_create_partition *in, hv_partition_id *id)
{
	struct partition *partition = page_alloc(&parent->pool);

	if (!partition)
		return HV_STATUS_INSUFFICIENT_MEMORY;
	partition_init(partition, parent);
	partition->creation_flags = in->flags;
	if (!partition_publish(partition)) {
		page_free(&parent->pool, partition);
		return HV_STATUS_NO_RESOURCES;
	}
	*id = partition->id;
	trace(LUMEN_TRACE_PARTITION, NULL, partition->id, PARTITION_CREATED);
	return HV_STATUS_SUCCESS;
}

hv_status hc_CreatePartition(struct hypercall *call)
{
	const struct hv_input_create_partition *in = call->in;
	struct hv_output_create_partition *out = call->out;

	// TLFS: HvCallCreatePartition. Disabled processor features are the parent's wish; those
	// that there are none of are no error.
	if (in->flags & ~CREATION_FLAGS || in->rsvd_z0 || in->rsvd_z1)
		return HV_STATUS_INVALID_PARAMETER;
	return create(call->partition, in, &out->partition_id);
}

hv_status hc_InitializePartition(struct hypercall *call)
{
	struct partition *target = call->target;
	hv_status status = partition_initialize(target);

	if (!status)
		trace(LUMEN_TRACE_PARTITION, NULL, target->id, PARTITION_INITIALIZED);
	return status;
}

hv_status hc_FinalizePartition(struct hypercall *call)
{
	struct partition *target = call->target;

	partition_finalize(target);
	trace(LUMEN_TRACE_PARTITION, NULL, target->id, PARTITION_FINALIZED);
	return HV_STATUS_SUCCESS;
}

hv_status hc_DeletePartition(struct hypercall *call)
{
	struct partition *target = call->target;

	if (target->state == PARTITION_INITIALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	if (target->pool.total_pages)
		return HV_STATUS_OPERATION_DENIED; // TLFS: the pool has not been drained
	partition_delete(target);
	return HYPERCALL_TARGET_GONE;
}

hv_status hc_GetPartitionId(struct hypercall *call)
{
	struct hv_output_get_partition_id *out = call->out;

	out->partition_id = call->partition->id;
	return HV_STATUS_SUCCESS;
}

hv_status hc_GetNextChildPartition(struct hypercall *call)
{
	const struct hv_input_get_next_child_partition *in = call->in;
	struct hv_output_get_next_child_partition *out = call->out;
	hv_partition_id previous = in->previous_child_partition_id;
	const struct partition *child;

	if (previous != HV_PARTITION_ID_INVALID) {
		child = partition_find(previous);
		if (!child || child->parent != call->target)
			return HV_STATUS_INVALID_PARTITION_ID;
	}
	out->next_child_partition_id = partition_next_child(call->target, previous);
	return HV_STATUS_SUCCESS;
}
