// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that create, enumerate and destroy partitions (TLFS: Partition Management).
#include "hypercall/partition.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/log.h"
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
	// TLFS-DEVIATION: only the root has children, as only its memory is known to be
	// identity-mapped (hc_memory.c).
	if (!call->partition->is_root)
		return HV_STATUS_PARTITION_TOO_DEEP;
	return create(call->partition, in, &out->partition_id);
}

static hv_status initialize(struct hypercall *call, struct partition *target)
{
	hv_status status = partition_initialize(target);

	(void)call;
	if (!status)
		trace(LUMEN_TRACE_PARTITION, NULL, target->id, PARTITION_INITIALIZED);
	return status;
}

hv_status hc_InitializePartition(struct hypercall *call)
{
	const struct hv_input_initialize_partition *in = call->in;

	return with_target(call, in->partition_id, TARGET_CHILD | TARGET_EXCLUSIVE, initialize);
}

static hv_status finalize(struct hypercall *call, struct partition *target)
{
	(void)call;
	partition_finalize(target);
	trace(LUMEN_TRACE_PARTITION, NULL, target->id, PARTITION_FINALIZED);
	return HV_STATUS_SUCCESS;
}

hv_status hc_FinalizePartition(struct hypercall *call)
{
	const struct hv_input_finalize_partition *in = call->in;

	return with_target(
		call, in->partition_id, TARGET_CHILD | TARGET_ACTIVE | TARGET_EXCLUSIVE, finalize);
}

static hv_status delete (struct hypercall *call, struct partition *target)
{
	(void)call;
	if (target->state == PARTITION_INITIALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	if (target->pool.total_pages)
		return HV_STATUS_OPERATION_DENIED; // TLFS: HvDeletePartition: the pool has not been
						   // drained
	partition_delete(target);
	return HYPERCALL_TARGET_GONE;
}

hv_status hc_DeletePartition(struct hypercall *call)
{
	const struct hv_input_delete_partition *in = call->in;

	return with_target(call, in->partition_id, TARGET_CHILD | TARGET_EXCLUSIVE, delete);
}

hv_status hc_GetPartitionId(struct hypercall *call)
{
	struct hv_output_get_partition_id *out = call->out;

	out->partition_id = call->partition->id;
	return HV_STATUS_SUCCESS;
}

static hv_status next_child(struct hypercall *call, struct partition *parent)
{
	const struct hv_input_get_next_child_partition *in = call->in;
	struct hv_output_get_next_child_partition *out = call->out;
	hv_partition_id previous = in->previous_child_partition_id;

	if (previous != HV_PARTITION_ID_INVALID) {
		const struct partition *child = partition_find(previous);

		if (!child || child->parent != parent)
			return HV_STATUS_INVALID_PARTITION_ID;
	}
	out->next_child_partition_id = partition_next_child(parent, previous);
	return HV_STATUS_SUCCESS;
}

hv_status hc_GetNextChildPartition(struct hypercall *call)
{
	const struct hv_input_get_next_child_partition *in = call->in;

	return with_target(call, in->parent_partition_id, TARGET_SELF | TARGET_CHILD, next_child);
}
