// SPDX-License-Identifier: BSD-2-Clause
// What cannot be undone, at the end: the lock of the hypercall register stays until a reset.
#include "tests/conformance/internal.h"

#define SECTION "Establishing the Hypercall Interface"
#define LOCKED	(gpa_of(hypercall_page) | HV_X64_MSR_HYPERCALL_LOCKED | HV_X64_MSR_HYPERCALL_ENABLE)

static void lock(void)
{
	if (rdmsr(HV_X64_MSR_HYPERCALL) != LOCKED)
		wrmsr(HV_X64_MSR_HYPERCALL, LOCKED);
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL), LOCKED, "the locked register");
}

TEST(page_lock, "Hypercall page: locked, the register says so and the page works", SECTION,
	.edx = HV_FEATURE_EDX_HYPERCALL_MSR_LOCK)
{
	lock();
	expect_status(hv_result_status(hypercall(0xfffe, 0, 0)), HV_STATUS_INVALID_HYPERCALL_CODE,
		"an unknown code");
}

// Whether the write raises #GP is not said; that it has no effect is.
TEST(page_locked, "Hypercall page: locked, it cannot be moved, disabled or unlocked", SECTION,
	.edx = HV_FEATURE_EDX_HYPERCALL_MSR_LOCK)
{
	const uint64_t values[] = { 0, gpa_of(hypercall_page), LOCKED + HV_PAGE_SIZE,
		gpa_of(hypercall_page) | HV_X64_MSR_HYPERCALL_ENABLE };

	lock();
	for (unsigned int i = 0; i < COUNT(values); i++) {
		try_wrmsr(HV_X64_MSR_HYPERCALL, values[i]);
		EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL), LOCKED, "the locked register");
	}
	expect_status(hv_result_status(hypercall(0xfffe, 0, 0)), HV_STATUS_INVALID_HYPERCALL_CODE,
		"an unknown code");
}
