// SPDX-License-Identifier: BSD-2-Clause
// The crash report (TLFS: Guest Crash Enlightenment Interface).
#include "lumen/crash.h"

#include "guest-sdk/arch.h"
#include "hypercall/msr.h"
#include "lumen/detect.h"
#include "lumen/platform.h"

enum { P_TEXT = 3, P_LENGTH = 4 };

// Aligned to its size: in one page.
static _Alignas(LUMEN_CRASH_TEXT_MAX) char text_block[LUMEN_CRASH_TEXT_MAX];

static uint8_t reported;

lumen_status lumen_crash_report(const uint64_t p[5], const char *text, size_t length)
{
	uint64_t control = HV_CRASH_CTL_CRASH_NOTIFY;
	bool with_text = false;

	if (!lumen_has_features(HV_FEATURE_EDX_GUEST_CRASH_REGS))
		return LUMEN_NOT_SUPPORTED;
	if (__atomic_exchange_n(&reported, 1, __ATOMIC_ACQ_REL))
		return LUMEN_BUSY;
	if (text)
		with_text = arch_rdmsr(HV_X64_MSR_CRASH_CTL) & HV_CRASH_CTL_CRASH_MESSAGE;
	for (uint32_t n = 0; n < HV_X64_MSR_CRASH_P_COUNT; n++)
		arch_wrmsr(HV_X64_MSR_CRASH_Pn(n), p[n]);
	if (with_text) {
		length = length < sizeof(text_block) ? length : sizeof(text_block);
		__builtin_memcpy(text_block, text, length);
		arch_wrmsr(HV_X64_MSR_CRASH_Pn(P_TEXT), lumen_gpa(text_block));
		arch_wrmsr(HV_X64_MSR_CRASH_Pn(P_LENGTH), length);
		control |= HV_CRASH_CTL_CRASH_MESSAGE;
	}
	arch_wrmsr(HV_X64_MSR_CRASH_CTL, control);
	return LUMEN_OK;
}
