// SPDX-License-Identifier: BSD-2-Clause
// What parents install for their children, and the hypercalls for that (TLFS:
// HvCallInstallIntercept, HvCallRegisterInterceptResult).
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/intercept.h"

static uint32_t list_access(const struct intercept_list *list, uint32_t index)
{
	uint32_t count = load_acquire(list->count);

	for (uint32_t i = 0; i < count; i++) {
		uint64_t entry = READ_ONCE(list->entry[i]);

		if (entry && (uint32_t)entry == index)
			return entry >> 32;
	}
	return 0;
}

static hv_status list_set(struct intercept_list *list, uint32_t index, uint32_t access)
{
	uint32_t place = list->count;

	for (uint32_t i = 0; i < list->count; i++) {
		if ((uint32_t)list->entry[i] == index && list->entry[i]) {
			place = i;
			break;
		}
		if (!list->entry[i] && place == list->count)
			place = i;
	}
	if (!access && place == list->count)
		return HV_STATUS_SUCCESS;
	if (place == ARRAY_SIZE(list->entry))
		return HV_STATUS_NO_RESOURCES;
	WRITE_ONCE(list->entry[place], access ? (uint64_t)access << 32 | index : 0);
	if (place == list->count)
		store_release(list->count, place + 1);
	return HV_STATUS_SUCCESS;
}

// Index 0 of the MSR list stands for all MSRs that the hypervisor does not have.
bool intercepts_want_msr(
	const struct intercepts *intercepts, uint32_t msr, uint32_t access, bool known)
{
	const struct intercept_list *list = &intercepts->msr;

	return (list_access(list, msr) | (known ? 0 : list_access(list, 0))) & access;
}

bool intercepts_want_cpuid(const struct intercepts *intercepts, uint32_t leaf)
{
	return list_access(&intercepts->leaf, leaf);
}

// The accesses that can be intercepted, by type; 0: the type is not supported.
#define READ_WRITE (HV_INTERCEPT_ACCESS_MASK_READ | HV_INTERCEPT_ACCESS_MASK_WRITE)
static const uint8_t accesses[] = {
	[HvInterceptTypeX64IoPort] = READ_WRITE,
	[HvInterceptTypeX64IoPortRange] = READ_WRITE,
	[HvInterceptTypeX64Msr] = READ_WRITE,
	[HvInterceptTypeX64MsrIndex] = READ_WRITE,
	[HvInterceptTypeX64Cpuid] = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
	[HvInterceptTypeHypercall] = HV_INTERCEPT_ACCESS_MASK_EXECUTE,
	[HvInterceptTypeX64ApicEoi] = HV_INTERCEPT_ACCESS_MASK_WRITE,
};

HANDLER(InstallIntercept, install_intercept)
{
	struct intercepts *installed = target->intercepts;
	uint32_t type = in->intercept_type, access = in->access_type;

	if (type >= ARRAY_SIZE(accesses) || !accesses[index_nospec(type, ARRAY_SIZE(accesses))] ||
		access & ~accesses[index_nospec(type, ARRAY_SIZE(accesses))])
		return HV_STATUS_INVALID_PARAMETER;
	spin_guard(&target->lock);
	switch (type) {
	case HvInterceptTypeX64Msr:
	case HvInterceptTypeX64MsrIndex:
		return list_set(&installed->msr, in->intercept_parameter.msr_index, access);
	case HvInterceptTypeX64Cpuid:
		return list_set(&installed->leaf, in->intercept_parameter.cpuid_index, access);
	case HvInterceptTypeHypercall:
		WRITE_ONCE(installed->hypercall, access);
		return HV_STATUS_SUCCESS;
	case HvInterceptTypeX64ApicEoi:
		WRITE_ONCE(installed->apic_eoi, access);
		return HV_STATUS_SUCCESS;
	default: // I/O ports reach the parent in any case
		return access ? HV_STATUS_SUCCESS : HV_STATUS_OPERATION_DENIED;
	}
}

static bool is_for(const struct cpuid_override *o, hv_vp_index vp_index, uint32_t eax, uint32_t ecx,
	bool subleaf_specific)
{
	return o->used && o->vp_index == vp_index && o->parameters.input.eax == eax &&
	       !!o->parameters.input.subleaf_specific == subleaf_specific &&
	       (!subleaf_specific || o->parameters.input.ecx == ecx);
}

static struct cpuid_override *find_result(struct intercepts *installed, hv_vp_index vp_index,
	uint32_t eax, uint32_t ecx, bool subleaf_specific)
{
	for (uint32_t i = 0; i < installed->results; i++)
		if (is_for(&installed->result[i], vp_index, eax, ecx, subleaf_specific))
			return &installed->result[i];
	return NULL;
}

static struct cpuid_override *free_place(struct intercepts *installed)
{
	uint32_t i = 0;

	while (i < installed->results && installed->result[i].used)
		i++;
	return i < ARRAY_SIZE(installed->result) ? &installed->result[i] : NULL;
}

// Readers take no lock: what they have read meanwhile they read again. Pairs with
// intercept_override_cpuid().
static void change_result(
	struct intercepts *installed, struct cpuid_override *place, struct cpuid_override result)
{
	__atomic_fetch_add(&installed->version, 1, __ATOMIC_SEQ_CST);
	*place = result;
	__atomic_fetch_add(&installed->version, 1, __ATOMIC_SEQ_CST);
}

static bool vp_index_valid(struct partition *target, hv_vp_index index)
{
	return index == HV_ANY_VP || partition_vp(target, index);
}

// TLFS-DEVIATION: results for single MSRs are not offered;
// HvPartitionPropertyUnimplementedMsrAction is, for all that are unknown.
HANDLER(RegisterInterceptResult, register_intercept_result)
{
	const __typeof__(in->cpuid.input) *key = &in->cpuid.input;
	struct intercepts *installed = target->intercepts;
	struct cpuid_override *place;

	if (!vp_index_valid(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (in->intercept_type != HvInterceptTypeX64Cpuid || key->subleaf_specific > 1 ||
		key->always_override > 1 || key->rsvd_z)
		return HV_STATUS_INVALID_PARAMETER;
	spin_guard(&target->lock);
	place = find_result(installed, in->vp_index, key->eax, key->ecx, key->subleaf_specific);
	if (!place && !(place = free_place(installed)))
		return HV_STATUS_NO_RESOURCES;
	change_result(installed, place, (struct cpuid_override){ true, in->vp_index, in->cpuid });
	if (place == &installed->result[installed->results])
		store_release(installed->results, installed->results + 1);
	return HV_STATUS_SUCCESS;
}

HANDLER(UnregisterInterceptResult, unregister_intercept_result)
{
	struct intercepts *installed = target->intercepts;
	struct cpuid_override *place;

	if (!vp_index_valid(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (in->intercept_type != HvInterceptTypeX64Cpuid || in->cpuid.subleaf_specific > 1)
		return HV_STATUS_INVALID_PARAMETER;
	spin_guard(&target->lock);
	place = find_result(
		installed, in->vp_index, in->cpuid.eax, in->cpuid.ecx, in->cpuid.subleaf_specific);
	if (!place)
		return HV_STATUS_INVALID_PARAMETER;
	change_result(installed, place, (struct cpuid_override){ 0 });
	return HV_STATUS_SUCCESS;
}

static void mix(uint32_t *own, uint32_t registered, uint32_t mask)
{
	*own = (*own & ~mask) | (registered & mask);
}

static void override_cpuid(
	const struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
	const struct intercepts *installed = vp->partition->intercepts;
	uint32_t results = load_acquire(installed->results);

	for (uint32_t i = 0; i < results; i++) {
		const struct cpuid_override *o = &installed->result[i];
		const __typeof__(o->parameters.result) *r = &o->parameters.result;

		if ((o->vp_index != HV_ANY_VP && o->vp_index != vp->index) ||
			!is_for(o, o->vp_index, leaf, subleaf,
				o->parameters.input.subleaf_specific))
			continue;
		mix(&result->eax, r->eax, r->eax_mask);
		mix(&result->ebx, r->ebx, r->ebx_mask);
		mix(&result->ecx, r->ecx, r->ecx_mask);
		mix(&result->edx, r->edx, r->edx_mask);
	}
}

// A change takes a few stores, and only the parent makes one.
void intercept_override_cpuid(
	struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result)
{
	const struct intercepts *installed = vp->partition->intercepts;
	const struct cpuid_result own = *result;
	uint32_t version;

	do {
		version = load_acquire(installed->version);
		*result = own;
		override_cpuid(vp, leaf, subleaf, result);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (version & 1 || READ_ONCE(installed->version) != version);
}
