// SPDX-License-Identifier: BSD-2-Clause
#include "hypercall/msr.h"
#include "lumen/platform.h"
#include "tests/guests/hostile/hostile.h"

#define APIC_PAGE 0xfee00000u
#define HOLE	  0xd0000000u // between a child's RAM and what lies below 4 GiB
#define OS_ID	  0x8100000000000000ull

static uint64_t place(uint32_t msr)
{
	uint64_t page = (uint64_t)lumen_alloc_pages(1);
	int vector = page ? kernel_try_wrmsr(msr, page | HV_X64_MSR_PAGE_ENABLE) : -1;

	return kernel_check(!vector, "MSR %x puts a page there (%d)", msr, vector) ? page : 0;
}

uint64_t hostile_page(enum hostile_page page)
{
	switch (page) {
	case PAGE_HYPERCALL:
		kernel_wrmsr(HV_X64_MSR_GUEST_OS_ID, OS_ID);
		return place(HV_X64_MSR_HYPERCALL);
	case PAGE_TSC:
		return place(HV_X64_MSR_REFERENCE_TSC);
	case PAGE_SIM:
		return place(HV_X64_MSR_SIMP);
	case PAGE_APIC:
		return APIC_PAGE;
	default:
		return HOLE;
	}
}
