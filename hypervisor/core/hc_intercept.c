// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that install intercepts (TLFS: HvCallInstallIntercept, HvCallRegisterInterceptResult).
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/intercept.h"

hv_status hc_InstallIntercept(struct hypercall *call)
{
	const struct hv_input_install_intercept *in = call->in;

	return intercept_install(
		call->target, in->access_type, in->intercept_type, in->intercept_parameter);
}

static bool vp_index_valid(struct partition *target, hv_vp_index index)
{
	return index == HV_ANY_VP || partition_vp(target, index);
}

// TLFS-DEVIATION: results for single MSRs are not offered;
// HvPartitionPropertyUnimplementedMsrAction is, for all that are unknown.
hv_status hc_RegisterInterceptResult(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_register_intercept_result *in = call->in;

	if (!vp_index_valid(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (in->intercept_type != HvInterceptTypeX64Cpuid || in->cpuid.input.subleaf_specific > 1 ||
		in->cpuid.input.always_override > 1 || in->cpuid.input.rsvd_z)
		return HV_STATUS_INVALID_PARAMETER;
	return intercept_register_cpuid(target, in->vp_index, &in->cpuid);
}

hv_status hc_UnregisterInterceptResult(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_unregister_intercept_result *in = call->in;

	if (!vp_index_valid(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (in->intercept_type != HvInterceptTypeX64Cpuid || in->cpuid.subleaf_specific > 1)
		return HV_STATUS_INVALID_PARAMETER;
	return intercept_unregister_cpuid(
		target, in->vp_index, in->cpuid.eax, in->cpuid.ecx, in->cpuid.subleaf_specific);
}
