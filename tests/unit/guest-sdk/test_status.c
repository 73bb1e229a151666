// SPDX-License-Identifier: BSD-2-Clause
// Names of statuses, and lumen_explain().
#include "machine.h"

#include "hypercall/explain.h"
#include "lumen/status.h"

static char text[512];

static const char *explain(lumen_status status, uint32_t context)
{
	return lumen_explain(status, context, text, sizeof(text));
}

#define SAYS(status, context, part)                                                                \
	cr_expect_not_null(strstr(explain(status, context), part), "%s", text)
#define SAYS_NOT(status, context, part)                                                            \
	cr_expect_null(strstr(explain(status, context), part), "%s", text)

static void with(uint64_t privileges)
{
	machine_set_hyperv(privileges | HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS, 0, 0);
	machine_set_msr(HV_X64_MSR_HYPERCALL, HV_X64_MSR_HYPERCALL_ENABLE);
}

Test(status, names)
{
	cr_expect_str_eq(lumen_status_name(0), "HV_STATUS_SUCCESS");
	cr_expect_str_eq(lumen_status_name(4), "HV_STATUS_INVALID_ALIGNMENT");
	cr_expect_str_eq(lumen_status_name(0x87), "HV_STATUS_UNKNOWN_REGISTER_NAME");
	cr_expect_str_eq(lumen_status_name(LUMEN_TIMED_OUT), "LUMEN_TIMED_OUT");
	cr_expect_str_eq(lumen_status_name(LUMEN_OUT_OF_RANGE), "LUMEN_OUT_OF_RANGE");
	cr_expect_str_eq(lumen_status_name(0x1234567), "unknown status");
}

#define NAMED(name, number, meaning)                                                               \
	cr_expect_str_eq(lumen_status_name(number), "HV_STATUS_" #name);                           \
	SAYS(number, LUMEN_CONTEXT_NONE, meaning);

Test(status, each_has_its_name_and_its_text)
{
	with(0);
	HV_STATUS_TABLE(NAMED)
}

Test(explain, without_context)
{
	with(0);
	cr_expect_str_eq(explain(HV_STATUS_INVALID_ALIGNMENT, LUMEN_CONTEXT_NONE),
		"HV_STATUS_INVALID_ALIGNMENT: a parameter is not aligned");
	cr_expect_str_eq(explain(0x77, LUMEN_CONTEXT_NONE),
		"unknown status: a status that is not known here");
}

Test(explain, no_hypervisor)
{
	SAYS(LUMEN_NO_HYPERVISOR, HvCallPostMessage, "no hypervisor with the Hyper-V interface");
}

Test(explain, lacking_privilege)
{
	with(0);
	SAYS(HV_STATUS_ACCESS_DENIED, HvCallPostMessage, "HvCallPostMessage: ");
	SAYS(HV_STATUS_ACCESS_DENIED, HvCallPostMessage,
		"lacks PostMessages (CPUID 0x40000003 EBX bit 4)");
	SAYS(HV_STATUS_ACCESS_DENIED, HvCallStartVirtualProcessor,
		"lacks CreatePartitions (CPUID 0x40000003 EBX bit 0) or StartVirtualProcessor "
		"(CPUID 0x40000003 EBX bit 21)");
}

Test(explain, privilege_that_is_there)
{
	with(HV_PRIVILEGE_POST_MESSAGES);
	SAYS(HV_STATUS_ACCESS_DENIED, HvCallPostMessage, "it has PostMessages");
	SAYS_NOT(HV_STATUS_ACCESS_DENIED, HvCallPostMessage, "partition lacks");
}

Test(explain, only_what_the_row_allows)
{
	with(HV_PRIVILEGE_POST_MESSAGES);
	SAYS(HV_STATUS_INVALID_HYPERCALL_INPUT, HvCallPostMessage, "a simple call has rep count");
	SAYS(HV_STATUS_INVALID_HYPERCALL_INPUT, HvCallPostMessage, "no fast form");
	SAYS_NOT(HV_STATUS_INVALID_HYPERCALL_INPUT, HvCallPostMessage, "a rep call needs");
	SAYS(HV_STATUS_INVALID_HYPERCALL_INPUT, HvCallFlushVirtualAddressListEx,
		"a rep call needs");
	SAYS_NOT(HV_STATUS_INVALID_HYPERCALL_INPUT, HvCallFlushVirtualAddressListEx,
		"has no variable header");
	SAYS(HV_STATUS_INVALID_ALIGNMENT, HvCallPostMessage, "multiples of 8");
}

Test(explain, advice)
{
	with(HV_PRIVILEGE_POST_MESSAGES);
	SAYS(HV_STATUS_INSUFFICIENT_BUFFERS, HvCallPostMessage, "try again later");
	SAYS_NOT(HV_STATUS_INSUFFICIENT_BUFFERS, HvCallSignalEvent, "try again later");
}

Test(explain, unknown_call)
{
	with(0);
	SAYS(HV_STATUS_INVALID_HYPERCALL_CODE, 0x3ff,
		"call 0x3ff: HV_STATUS_INVALID_HYPERCALL_CODE");
}

Test(explain, hypercall_page_is_not_enabled)
{
	with(0);
	machine_set_msr(HV_X64_MSR_HYPERCALL, 0);
	SAYS(LUMEN_BAD_STATE, HvCallNotifyLongSpinWait, "lumen_hypercall_enable() comes first");
}

Test(explain, msr)
{
	with(HV_PRIVILEGE_ACCESS_SYNIC_REGS | HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS);
	machine_set_msr(HV_X64_MSR_SCONTROL, 0);
	machine_set_msr(HV_X64_MSR_SIMP, HV_X64_MSR_PAGE_ENABLE);
	machine_set_msr(HV_X64_MSR_SIEFP, 0);
	SAYS(LUMEN_BAD_STATE, HV_X64_MSR_SINTn(3), "MSR 0x40000093: LUMEN_BAD_STATE");
	SAYS(LUMEN_BAD_STATE, HV_X64_MSR_SINTn(3), "a vector of 16 to 255");
	SAYS(LUMEN_BAD_STATE, HV_X64_MSR_SINTn(3), "the SynIC of this VP is not enabled");
	SAYS(LUMEN_BAD_STATE, HV_X64_MSR_SINTn(3), "the SIEF page of this VP is not enabled");
	SAYS_NOT(LUMEN_BAD_STATE, HV_X64_MSR_SINTn(3), "the SIM page");
	SAYS(LUMEN_NO_PRIVILEGE, HV_X64_MSR_VP_ASSIST_PAGE,
		"lacks AccessIntrCtrlRegs (CPUID 0x40000003 EAX bit 4)");
	SAYS(LUMEN_BAD_ARGUMENT, 0x400000ff, "there is no such register");
}

// Cut to each size, always ended, and nothing behind it touched.
Test(explain, any_size)
{
	char whole[512], cut[64];

	with(0);
	lumen_explain(HV_STATUS_ACCESS_DENIED, HvCallPostMessage, whole, sizeof(whole));
	for (size_t size = 0; size < sizeof(cut); size++) {
		memset(cut, '#', sizeof(cut));
		lumen_explain(HV_STATUS_ACCESS_DENIED, HvCallPostMessage, cut, size);
		if (size) {
			cr_expect_eq(strlen(cut), size - 1);
			cr_expect_eq(memcmp(cut, whole, size - 1), 0);
		}
		cr_expect_eq(cut[size], '#');
	}
}
