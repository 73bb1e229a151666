// SPDX-License-Identifier: BSD-2-Clause
// TLFS: HvCallInstallIntercept, HvCallRegisterInterceptResult: the lists.
#include "hypervisor/core/intercept_list.h"
#include "hypervisor/core/intercept.h"

static uint32_t list_access(const intercept_item *list, const uint32_t *count, uint32_t index)
{
	uint32_t n = __atomic_load_n(count, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n; i++) {
		intercept_item it = READ_ONCE(list[i]);

		if (it && (uint32_t)it == index)
			return it >> 32;
	}
	return 0;
}

static hv_status list_set(
	intercept_item *list, uint32_t *count, uint32_t max, uint32_t index, uint32_t access)
{
	uint32_t place = *count;

	for (uint32_t i = 0; i < *count; i++) {
		if ((uint32_t)list[i] == index && list[i]) {
			place = i;
			break;
		}
		if (!list[i] && place == *count)
			place = i;
	}
	if (!access && place == *count)
		return HV_STATUS_SUCCESS;
	if (place == max)
		return HV_STATUS_NO_RESOURCES;
	WRITE_ONCE(list[place], access ? (intercept_item)access << 32 | index : 0);
	if (place == *count)
		__atomic_store_n(count, *count + 1, __ATOMIC_RELEASE);
	return HV_STATUS_SUCCESS;
}

// Index 0 of the MSR list stands for all MSRs that the hypervisor does not have.
bool intercepts_want_msr(
	const struct intercepts *intercepts, uint32_t msr, uint32_t access, bool known)
{
	if (!READ_ONCE(intercepts->msrs))
		return false;
	return (list_access(intercepts->msr, &intercepts->msrs, msr) |
		       (known ? 0 : list_access(intercepts->msr, &intercepts->msrs, 0))) &
	       access;
}

bool intercepts_want_cpuid(const struct intercepts *intercepts, uint32_t leaf)
{
	return READ_ONCE(intercepts->leaves) &&
	       list_access(intercepts->leaf, &intercepts->leaves, leaf);
}

// The accesses that can be intercepted, by type; 0: the type is not supported.
static const uint8_t accesses[] = {
	[HvInterceptTypeX64IoPort] = HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
	[HvInterceptTypeX64IoPortRange] =
		HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
	[HvInterceptTypeX64Msr] = HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
	[HvInterceptTypeX64MsrIndex] =
		HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE,
	[HvInterceptTypeX64Cpuid] = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
	[HvInterceptTypeHypercall] = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
	[HvInterceptTypeX64ApicEoi] = HV_INTERCEPT_ACCESS_MASK_WRITE,
};

static hv_status install(struct intercepts *in, uint32_t access, uint32_t type,
	union hv_intercept_parameters parameters)
{
	switch (type) {
	case HvInterceptTypeX64Msr:
	case HvInterceptTypeX64MsrIndex:
		return list_set(in->msr, &in->msrs, INTERCEPT_MSRS, parameters.msr_index, access);
	case HvInterceptTypeX64Cpuid:
		return list_set(
			in->leaf, &in->leaves, INTERCEPT_LEAVES, parameters.cpuid_index, access);
	case HvInterceptTypeHypercall:
		WRITE_ONCE(in->hypercall, access);
		return HV_STATUS_SUCCESS;
	case HvInterceptTypeX64ApicEoi:
		WRITE_ONCE(in->apic_eoi, access);
		return HV_STATUS_SUCCESS;
	default: // I/O ports reach the parent in any case
		return access ? HV_STATUS_SUCCESS : HV_STATUS_OPERATION_DENIED;
	}
}

hv_status intercept_install(struct partition *partition, uint32_t access, uint32_t type,
	union hv_intercept_parameters parameters)
{
	hv_status status;

	if (type >= ARRAY_SIZE(accesses) || !accesses[type] || access & ~accesses[type])
		return HV_STATUS_INVALID_PARAMETER;
	spin_lock(&partition->lock);
	status = install(partition->intercepts, access, type, parameters);
	spin_unlock(&partition->lock);
	return status;
}

static bool same_leaf(const struct cpuid_override *o, hv_vp_index vp_index, uint32_t eax,
	uint32_t ecx, bool subleaf_specific)
{
	return o->used && o->vp_index == vp_index && o->parameters.input.eax == eax &&
	       !!o->parameters.input.subleaf_specific == subleaf_specific &&
	       (!subleaf_specific || o->parameters.input.ecx == ecx);
}

hv_status intercept_register_cpuid(struct partition *partition, hv_vp_index vp_index,
	const struct hv_register_x64_cpuid_result_parameters *parameters)
{
	struct intercepts *in = partition->intercepts;
	hv_status status = HV_STATUS_NO_RESOURCES;
	uint32_t i;

	spin_lock(&partition->lock);
	for (i = 0; i < in->results; i++)
		if (same_leaf(&in->result[i], vp_index, parameters->input.eax,
			    parameters->input.ecx, parameters->input.subleaf_specific))
			break;
	if (i == in->results)
		for (i = 0; i < in->results && in->result[i].used; i++)
			;
	if (i < INTERCEPT_RESULTS) {
		in->result[i].vp_index = vp_index;
		in->result[i].parameters = *parameters;
		__atomic_store_n(&in->result[i].used, 1, __ATOMIC_RELEASE);
		__atomic_store_n(&in->results, MAX(in->results, i + 1), __ATOMIC_RELEASE);
		status = HV_STATUS_SUCCESS;
	}
	spin_unlock(&partition->lock);
	return status;
}

hv_status intercept_unregister_cpuid(struct partition *partition, hv_vp_index vp_index,
	uint32_t eax, uint32_t ecx, bool subleaf_specific)
{
	struct intercepts *in = partition->intercepts;
	hv_status status = HV_STATUS_INVALID_PARAMETER;

	spin_lock(&partition->lock);
	for (uint32_t i = 0; i < in->results; i++) {
		if (!same_leaf(&in->result[i], vp_index, eax, ecx, subleaf_specific))
			continue;
		__atomic_store_n(&in->result[i].used, 0, __ATOMIC_RELEASE);
		status = HV_STATUS_SUCCESS;
	}
	spin_unlock(&partition->lock);
	return status;
}

static uint32_t mix(uint32_t own, uint32_t registered, uint32_t mask)
{
	return (own & ~mask) | (registered & mask);
}

void intercept_override_cpuid(
	struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
	const struct intercepts *in = vp->partition->intercepts;
	uint32_t results = __atomic_load_n(&in->results, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < results; i++) {
		const struct cpuid_override *o = &in->result[i];
		const __typeof__(o->parameters.result) *r = &o->parameters.result;

		if (!__atomic_load_n(&o->used, __ATOMIC_ACQUIRE) ||
			(o->vp_index != HV_ANY_VP && o->vp_index != vp->index) ||
			!same_leaf(o, o->vp_index, leaf, subleaf,
				o->parameters.input.subleaf_specific))
			continue;
		result->eax = mix(result->eax, r->eax, r->eax_mask);
		result->ebx = mix(result->ebx, r->ebx, r->ebx_mask);
		result->ecx = mix(result->ecx, r->ecx, r->ecx_mask);
		result->edx = mix(result->edx, r->edx, r->edx_mask);
	}
}
