// SPDX-License-Identifier: BSD-2-Clause
// The VP assist page (TLFS: Virtual Processor Assist Page).
#include "guest-sdk/page_register.h"
#include "lumen/apic.h"
#include "lumen/detect.h"

lumen_status lumen_vp_assist_enable(struct hv_vp_assist_page *page)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		return LUMEN_NO_PRIVILEGE;
	if ((uintptr_t)page % HV_PAGE_SIZE)
		return LUMEN_BAD_ARGUMENT;
	page_register_enable(HV_X64_MSR_VP_ASSIST_PAGE, page);
	return LUMEN_OK;
}

void lumen_vp_assist_disable(void)
{
	if (lumen_has(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		page_register_disable(HV_X64_MSR_VP_ASSIST_PAGE);
}
