// SPDX-License-Identifier: BSD-2-Clause
// The time base: the TSC, calibrated at boot, and its conversion to TLFS reference time (100 ns
// units).
#pragma once

#include "hypervisor/core/lib.h"

extern uint64_t tsc_hz; // TSC frequency
extern uint64_t
	tsc_to_100ns_scale; // reference time = tsc * scale / 2^64 (TLFS: reference TSC page)

static inline uint64_t tsc_read(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
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
