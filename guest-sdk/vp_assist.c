// SPDX-License-Identifier: BSD-2-Clause
// The VP assist page (TLFS: Virtual Processor Assist Page).
#include "guest-sdk/arch.h"
#include "lumen/apic.h"
#include "lumen/detect.h"
#include "lumen/platform.h"

static uint64_t rsvd_bits(void)
{
	return arch_rdmsr(HV_X64_MSR_VP_ASSIST_PAGE) &
	       ~(HV_X64_MSR_PAGE_MASK | HV_X64_MSR_PAGE_ENABLE);
}

lumen_status lumen_vp_assist_enable(struct hv_vp_assist_page *page)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		return LUMEN_NO_PRIVILEGE;
	if ((uintptr_t)page % HV_PAGE_SIZE)
		return LUMEN_BAD_ARGUMENT;
	arch_wrmsr(
		HV_X64_MSR_VP_ASSIST_PAGE, rsvd_bits() | lumen_gpa(page) | HV_X64_MSR_PAGE_ENABLE);
	return LUMEN_OK;
}

void lumen_vp_assist_disable(void)
{
	if (lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		arch_wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, rsvd_bits());
}
