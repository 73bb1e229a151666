// SPDX-License-Identifier: BSD-2-Clause
// Tries, instead of waits, are unfair: who tries often, and from several processors, has what
// another one wants each time that one tries. So who fails, and has the better right, leaves a
// claim: the others give way until it succeeds, or has not tried again for CLAIM_HZ.
#pragma once

#include "hypervisor/core/clock.h"

typedef uint64_t claim_t; // TSC until which it stands; atomic

enum { CLAIM_HZ = 50 }; // 20 ms: the turn of a claimant's VP comes again before that

static inline bool claim_stands(const claim_t *claim)
{
	uint64_t until = READ_ONCE(*claim);

	return unlikely(until) && tsc_read() < until;
}

static inline void claim_set(claim_t *claim, bool stands)
{
	if (stands)
		WRITE_ONCE(*claim, tsc_read() + tsc_hz / CLAIM_HZ);
	else if (READ_ONCE(*claim))
		WRITE_ONCE(*claim, 0);
}
