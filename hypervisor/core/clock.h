// SPDX-License-Identifier: BSD-2-Clause
// The time base: TSC ticks since the hypervisor began, calibrated at boot, and their conversion to
// TLFS reference time (100 ns units).
#pragma once

#include "hypervisor/core/lib.h"
#include "hypervisor/x86/tsc.h"

extern uint64_t tsc_start; // the TSC when the hypervisor began
extern uint64_t tsc_hz;	   // TSC frequency
extern uint64_t
	tsc_to_100ns_scale; // reference time = tsc * scale / 2^64 (TLFS: reference TSC page)

// The hypervisor's clock. Whatever the TSC stood at, also right before its end, this one begins at
// 0: deadlines can be compared and do not wrap.
static inline uint64_t tsc_read(void)
{
	return rdtsc() - tsc_start;
}

static inline uint64_t tsc_to_100ns(uint64_t ticks)
{
	return mul_hi(ticks, tsc_to_100ns_scale);
}

// Ticks that take at least T units of 100 ns; saturates.
static inline uint64_t tsc_from_100ns(uint64_t t)
{
	uint64_t ticks = mul_div(t, tsc_hz, 10000000);

	return ticks == UINT64_MAX ? ticks : ticks + 1;
}
