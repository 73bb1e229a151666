// SPDX-License-Identifier: BSD-2-Clause
// The guest's identity and the place of the hypercall page (TLFS: Reporting the Guest OS Identity,
// Establishing the Hypercall Interface).
#include "lumen/hypercall.h"

#include "guest-sdk/arch.h"
#include "guest-sdk/call.h"
#include "lumen/detect.h"
#include "lumen/platform.h"

static bool is_ours(uint64_t msr)
{
	return msr & HV_X64_MSR_HYPERCALL_ENABLE &&
	       (msr & HV_X64_MSR_PAGE_MASK) == lumen_gpa(lumen_hypercall_page);
}

static lumen_status check(void)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	return lumen_has(HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS) ? LUMEN_OK : LUMEN_NO_PRIVILEGE;
}

lumen_status lumen_hypercall_enable(uint64_t guest_os_id)
{
	lumen_status status = check();
	uint64_t msr;

	if (status)
		return status;
	if (!arch_rdmsr(HV_X64_MSR_GUEST_OS_ID))
		arch_wrmsr(HV_X64_MSR_GUEST_OS_ID,
			guest_os_id ? guest_os_id : LUMEN_GUEST_OS_ID(0, 1));
	msr = arch_rdmsr(HV_X64_MSR_HYPERCALL);
	if (is_ours(msr))
		return LUMEN_OK;
	if (msr & HV_X64_MSR_HYPERCALL_LOCKED) // a write would give #GP
		return LUMEN_REFUSED;
	msr = (msr & ~HV_X64_MSR_PAGE_MASK) | lumen_gpa(lumen_hypercall_page);
	arch_wrmsr(HV_X64_MSR_HYPERCALL, msr | HV_X64_MSR_HYPERCALL_ENABLE);
	return is_ours(arch_rdmsr(HV_X64_MSR_HYPERCALL)) ? LUMEN_OK : LUMEN_REFUSED;
}

lumen_status lumen_hypercall_disable(void)
{
	lumen_status status = check();
	uint64_t msr;

	if (status)
		return status;
	msr = arch_rdmsr(HV_X64_MSR_HYPERCALL);
	if (msr & HV_X64_MSR_HYPERCALL_LOCKED)
		return LUMEN_REFUSED;
	arch_wrmsr(
		HV_X64_MSR_HYPERCALL, msr & ~(HV_X64_MSR_PAGE_MASK | HV_X64_MSR_HYPERCALL_ENABLE));
	arch_wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	return LUMEN_OK;
}

lumen_status lumen_hypercall_lock(void)
{
	lumen_status status = check();
	uint64_t msr;

	if (status)
		return status;
	if (!lumen_has_features(HV_FEATURE_EDX_HYPERCALL_MSR_LOCK))
		return LUMEN_NOT_SUPPORTED;
	msr = arch_rdmsr(HV_X64_MSR_HYPERCALL);
	if (!is_ours(msr))
		return LUMEN_BAD_STATE;
	if (!(msr & HV_X64_MSR_HYPERCALL_LOCKED))
		arch_wrmsr(HV_X64_MSR_HYPERCALL, msr | HV_X64_MSR_HYPERCALL_LOCKED);
	return LUMEN_OK;
}
