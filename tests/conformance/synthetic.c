// SPDX-License-Identifier: BSD-2-Clause
// The SynIC for tests that use it.
#include "tests/conformance/synthetic.h"

struct synic_pages synic_enable(void)
{
	struct synic_pages pages = { page_get(), page_get() };

	wrmsr(HV_X64_MSR_SIMP, gpa_of((void *)pages.messages) | HV_X64_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SIEFP, gpa_of((void *)pages.events) | HV_X64_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
	// Where the page's contents outlive a disabled register, a message of before may be there.
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		pages.messages->sint_message[sint].header.message_type = HvMessageTypeNone;
	return pages;
}

void sint_set(unsigned int sint, unsigned int vector, uint64_t more_bits)
{
	wrmsr(HV_X64_MSR_SINTn(sint), vector | more_bits);
}
