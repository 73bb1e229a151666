// SPDX-License-Identifier: BSD-2-Clause
// The processor's time stamp counter. Only what meets the machine or a guest reads it; everything
// else lives by tsc_read() (core/clock.h). Hosted tests have another header of this name.
#pragma once

#include "hypervisor/core/lib.h"

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
