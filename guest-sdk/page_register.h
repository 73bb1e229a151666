// SPDX-License-Identifier: BSD-2-Clause
// Registers that place a page (SIMP, SIEFP, the VP assist page, the reference TSC page): bit 0
// enables, bits 63:12 are where, and the reserved bits between are preserved. Internal.
#ifndef GUEST_SDK_PAGE_REGISTER_H
#define GUEST_SDK_PAGE_REGISTER_H

#include "guest-sdk/arch.h"
#include "hypercall/msr.h"
#include "lumen/platform.h"

static inline void page_register_write(uint32_t msr, uint64_t value)
{
	uint64_t rsvd = arch_rdmsr(msr) & ~(HV_X64_MSR_PAGE_MASK | HV_X64_MSR_PAGE_ENABLE);

	arch_wrmsr(msr, rsvd | value);
}

static inline void page_register_enable(uint32_t msr, const void *page)
{
	page_register_write(msr, lumen_gpa(page) | HV_X64_MSR_PAGE_ENABLE);
}

static inline void page_register_disable(uint32_t msr)
{
	page_register_write(msr, 0);
}

#endif
