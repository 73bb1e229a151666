// SPDX-License-Identifier: BSD-2-Clause
// Frequencies of TSC and local APIC (TLFS: HV_X64_MSR_TSC_FREQUENCY, HV_X64_MSR_APIC_FREQUENCY).
#include "guest-sdk/arch.h"
#include "guest-sdk/tsc_page.h"
#include "lumen/clock.h"
#include "lumen/detect.h"

#define TICKS_PER_SECOND 10000000u

static uint64_t read_frequency(uint32_t msr)
{
	if (!lumen_has(HV_PRIVILEGE_ACCESS_FREQUENCY_REGS) ||
		!lumen_has_features(HV_FEATURE_EDX_FREQUENCY_REGS))
		return 0;
	return arch_rdmsr(msr);
}

// 10^7 * 2^64 / scale, rounded down to an integer; 0 if that is not one of 64 bits. By long
// division: the compiler's own needs a library.
static uint64_t hz_of_scale(uint64_t scale)
{
	uint64_t quotient = 0, rest = TICKS_PER_SECOND;

	if (scale <= TICKS_PER_SECOND)
		return 0;
	for (int bit = 0; bit < 64; bit++) {
		bool carry = rest >> 63;

		rest <<= 1;
		quotient <<= 1;
		if (carry || rest >= scale) {
			rest -= scale;
			quotient |= 1;
		}
	}
	return quotient;
}

uint64_t lumen_tsc_hz(void)
{
	uint64_t hz = read_frequency(HV_X64_MSR_TSC_FREQUENCY);
	struct tsc_page_values page;

	if (hz || lumen_clock_source() != LUMEN_CLOCK_TSC_PAGE)
		return hz;
	do {
		if (!tsc_page_begin(&page))
			return 0;
	} while (!tsc_page_end(&page));
	return hz_of_scale(page.scale);
}

uint64_t lumen_apic_hz(void)
{
	return read_frequency(HV_X64_MSR_APIC_FREQUENCY);
}
