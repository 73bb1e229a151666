// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that flush the virtual TLB (TLFS: Virtual MMU). All flush everything of the VPs named,
// which is always enough.
#include "hypercall/stats.h"
#include "hypercall/tlb.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/core/vp_set.h"

// All kicks first, then all waits: the others come out side by side.
static void flush_vps(struct hypercall *call, uint64_t mask)
{
	struct vp_stay stays[PARTITION_MAX_VPS];
	uint32_t count = 0;
	struct vp *vp;

	for (; mask; mask &= mask - 1) {
		vp = partition_vp(call->partition, __builtin_ctzll(mask));
		if (vp == call->vp)
			backend->flush_tlb(vp);
		else if (vp)
			stays[count++] = vp_request_out(vp, VP_REQ_FLUSH_TLB);
	}
	while (count)
		vp_wait_out(stays[--count]);
}

static hv_status flush(struct hypercall *call, uint64_t flags, uint64_t valid_flags, uint64_t mask)
{
	vp_count(call->vp, VpVirtualMmuHypercalls);
	if (flags & ~valid_flags)
		return HV_STATUS_INVALID_PARAMETER;
	if (flags & HV_FLUSH_ALL_PROCESSORS)
		mask = UINT64_MAX;
	flush_vps(call, mask);
	call->reps_done = call->reps;
	trace(LUMEN_TRACE_TLB_FLUSH, call->vp, call->reps, mask);
	return HV_STATUS_SUCCESS;
}

#define SPACE_FLAGS                                                                                \
	(HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES |                           \
		HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY)
#define LIST_FLAGS                                                                                 \
	(HV_FLUSH_ALL_PROCESSORS | HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES |                           \
		HV_FLUSH_USE_EXTENDED_RANGE_FORMAT)

hv_status hc_FlushVirtualAddressSpace(struct hypercall *call)
{
	const struct hv_input_flush_virtual_address_space *in = call->in;

	return flush(call, in->flags, SPACE_FLAGS, in->processor_mask);
}

hv_status hc_FlushVirtualAddressList(struct hypercall *call)
{
	const struct hv_input_flush_virtual_address_list *in = call->in;

	return flush(call, in->flags, LIST_FLAGS, in->processor_mask);
}

hv_status hc_FlushVirtualAddressSpaceEx(struct hypercall *call)
{
	const struct hv_input_flush_virtual_address_space_ex *in = call->in;
	uint64_t mask;
	hv_status status = vp_set_mask(&in->processor_set, in + 1, call->variable_size, &mask);

	return status ? status : flush(call, in->flags, SPACE_FLAGS, mask);
}

hv_status hc_FlushVirtualAddressListEx(struct hypercall *call)
{
	const struct hv_input_flush_virtual_address_list_ex *in = call->in;
	uint64_t mask;
	hv_status status = vp_set_mask(&in->processor_set, in + 1, call->variable_size, &mask);

	return status ? status : flush(call, in->flags, LIST_FLAGS, mask);
}
