// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that send interrupts, and advice to the scheduler (TLFS: Virtual Interrupt Control,
// Virtual Processors).
#include "hypercall/interrupt.h"
#include "hypercall/stats.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/core/vp_set.h"

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
	case HvX64InterruptTypeNmi:
	case HvX64InterruptTypeInit:
		return true;
	default:
		return false;
	}
}

hv_status hc_AssertVirtualInterrupt(struct hypercall *call)
{
	const struct hv_input_assert_virtual_interrupt *in = call->in;
	const struct vapic_message message = {
		.dest = in->destination_address,
		.logical =
			in->interrupt_control.flags & HV_INTERRUPT_CONTROL_LOGICAL_DESTINATION_MODE,
		.level = in->interrupt_control.flags & HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED,
		.delivery = in->interrupt_control.interrupt_type,
		.vector = in->requested_vector,
	};

	vp_count(call->vp, VpVirtualInterruptHypercalls);
	if (!type_valid(in->interrupt_control.interrupt_type, in->requested_vector) ||
		in->target_vtl || in->rsvd_z0 || in->rsvd_z1 ||
		in->destination_address > UINT32_MAX ||
		in->interrupt_control.flags & ~(HV_INTERRUPT_CONTROL_LOGICAL_DESTINATION_MODE |
						      HV_INTERRUPT_CONTROL_LEVEL_TRIGGERED))
		return HV_STATUS_INVALID_PARAMETER;
	trace(LUMEN_TRACE_INTERRUPT, NULL, in->requested_vector, in->destination_address);
	return vapic_deliver(call->target, NULL, &message) ? HV_STATUS_SUCCESS
							   : HV_STATUS_INVALID_PARAMETER;
}

// Takes back an ExtInt that waits. There never is one (see above): nothing is left to do.
hv_status hc_ClearVirtualInterrupt(struct hypercall *call)
{
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

hv_status hc_SendSyntheticClusterIpi(struct hypercall *call)
{
	const struct hv_input_send_synthetic_cluster_ipi *in = call->in;

	return send_ipi(call, in->vector, in->target_vtl, in->processor_mask);
}

hv_status hc_SendSyntheticClusterIpiEx(struct hypercall *call)
{
	const struct hv_input_send_synthetic_cluster_ipi_ex *in = call->in;
	uint64_t mask;
	hv_status status = vp_set_mask(&in->processor_set, in + 1, call->variable_size, &mask);

	return status ? status : send_ipi(call, in->vector, in->target_vtl, mask);
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
