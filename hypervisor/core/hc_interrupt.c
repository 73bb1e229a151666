// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that interrupt VPs, flush their virtual TLBs and advise the scheduler (TLFS: Virtual
// Interrupt Control, Virtual MMU, Virtual Processors).
#include "hypercall/interrupt.h"
#include "hypercall/stats.h"
#include "hypercall/tlb.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"

#define VECTOR_MIN 16 // below are exceptions

// TLFS-DEVIATION: HvCallAssertVirtualInterrupt: no ExtInt, SMI, remote read and local pins:
// children have no 8259.
static bool type_valid(uint32_t type, uint32_t vector)
{
	switch (type) {
	case HvX64InterruptTypeFixed:
	case HvX64InterruptTypeLowestPriority:
		return vector >= VECTOR_MIN && vector <= 0xff;
	case HvX64InterruptTypeSipi:
		return vector <= 0xff;
	default:
		return type == HvX64InterruptTypeNmi || type == HvX64InterruptTypeInit;
	}
}

HANDLER(AssertVirtualInterrupt, assert_virtual_interrupt)
{
	const uint32_t logical = HV_INTERRUPT_CONTROL_LOGICAL_DESTINATION_MODE,
		       level = HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED;
	const struct vapic_message message = {
		.dest = in->destination_address,
		.logical = in->interrupt_control.flags & logical,
		.level = in->interrupt_control.flags & level,
		.delivery = in->interrupt_control.interrupt_type,
		.vector = in->requested_vector,
	};

	vp_count(call->vp, VpVirtualInterruptHypercalls);
	if (!type_valid(in->interrupt_control.interrupt_type, in->requested_vector) ||
		in->target_vtl || in->rsvd_z0 || in->rsvd_z1 ||
		in->destination_address > UINT32_MAX ||
		in->interrupt_control.flags & ~(logical | level))
		return HV_STATUS_INVALID_PARAMETER;
	trace(LUMEN_TRACE_INTERRUPT, NULL, in->requested_vector, in->destination_address);
	return vapic_deliver(target, NULL, &message) ? HV_STATUS_SUCCESS
						     : HV_STATUS_INVALID_PARAMETER;
}

// Takes back an ExtInt that waits. There never is one (see above): nothing is left to do.
hv_status hc_ClearVirtualInterrupt(struct hypercall *call)
{
	return HV_STATUS_SUCCESS;
}

// HV_VP_SET as a mask of VP indices; BANKS are its bank contents, which end the input.
static hv_status set_mask(const struct hypercall *call, const struct hv_vp_set *set,
	const void *banks, uint64_t *mask)
{
	_Static_assert(PARTITION_MAX_VPS <= HV_VP_SET_BANK_VPS, "bank 0 holds all VPs there are");
	uint32_t bytes = 0;

	*mask = UINT64_MAX;
	if (set->format == HV_VP_SET_ALL)
		return HV_STATUS_SUCCESS;
	if (set->format != HV_VP_SET_SPARSE_4K)
		return HV_STATUS_INVALID_PARAMETER;
	for (uint64_t valid = set->valid_bank_mask; valid; valid &= valid - 1)
		bytes += sizeof(uint64_t);
	if (call->variable_size != bytes)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	*mask = set->valid_bank_mask & 1 ? *(const uint64_t *)banks : 0;
	return HV_STATUS_SUCCESS;
}

static hv_status send_ipi(struct hypercall *call, uint32_t vector, uint8_t vtl, uint64_t mask)
{
	struct vp *vp;

	vp_count(call->vp, VpVirtualInterruptHypercalls);
	if (vector < HV_SYNTHETIC_IPI_VECTOR_MIN || vector > HV_SYNTHETIC_IPI_VECTOR_MAX ||
		!input_vtl_valid(vtl))
		return HV_STATUS_INVALID_PARAMETER;
	trace(LUMEN_TRACE_IPI, call->vp, mask, vector);
	for (; mask; mask &= mask - 1) {
		vp = partition_vp(call->partition, __builtin_ctzll(mask));
		if (vp)
			vapic_interrupt(vp, vector, VAPIC_EDGE);
	}
	return HV_STATUS_SUCCESS;
}

HANDLER(SendSyntheticClusterIpi, send_synthetic_cluster_ipi)
{
	return send_ipi(call, in->vector, in->target_vtl, in->processor_mask);
}

HANDLER(SendSyntheticClusterIpiEx, send_synthetic_cluster_ipi_ex)
{
	uint64_t mask;

	TRY(set_mask(call, &in->processor_set, in + 1, &mask));
	return send_ipi(call, in->vector, in->target_vtl, mask);
}

// All flush everything of the VPs named, which is always enough.
static hv_status flush(struct hypercall *call, uint64_t flags, uint64_t valid_flags, uint64_t mask)
{
	vp_count(call->vp, VpVirtualMmuHypercalls);
	if (flags & ~valid_flags)
		return HV_STATUS_INVALID_PARAMETER;
	if (flags & HV_FLUSH_ALL_PROCESSORS)
		mask = UINT64_MAX;
	partition_flush_vps(call->partition, mask);
	call->reps_done = call->reps;
	trace(LUMEN_TRACE_TLB_FLUSH, call->vp, call->reps, mask);
	return HV_STATUS_SUCCESS;
}

#define BOTH_FLAGS  (HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES)
#define SPACE_FLAGS (BOTH_FLAGS | HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY)
#define LIST_FLAGS  (BOTH_FLAGS | HV_FLUSH_USE_EXTENDED_RANGE_FORMAT)

HANDLER(FlushVirtualAddressSpace, flush_virtual_address_space)
{
	return flush(call, in->flags, SPACE_FLAGS, in->processor_mask);
}

HANDLER(FlushVirtualAddressList, flush_virtual_address_list)
{
	return flush(call, in->flags, LIST_FLAGS, in->processor_mask);
}

HANDLER(FlushVirtualAddressSpaceEx, flush_virtual_address_space_ex)
{
	uint64_t mask;

	TRY(set_mask(call, &in->processor_set, in + 1, &mask));
	return flush(call, in->flags, SPACE_FLAGS, mask);
}

HANDLER(FlushVirtualAddressListEx, flush_virtual_address_list_ex)
{
	uint64_t mask;

	TRY(set_mask(call, &in->processor_set, in + 1, &mask));
	return flush(call, in->flags, LIST_FLAGS, mask);
}

// TLFS: HvCallNotifyLongSpinWait: the VP waits for one that perhaps waits for this processor: its
// turn is over if somebody waits.
hv_status hc_NotifyLongSpinWait(struct hypercall *call)
{
	struct pcpu *cpu = this_cpu();

	vp_count(call->vp, VpLongSpinWaitHypercalls);
	if (READ_ONCE(cpu->run_queue.queued)) {
		cpu->run_queue.slice_end = tsc_read();
		WRITE_ONCE(cpu->reschedule, true);
	}
	return HV_STATUS_SUCCESS;
}
