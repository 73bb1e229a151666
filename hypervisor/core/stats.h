// SPDX-License-Identifier: BSD-2-Clause
// Statistics: one page of counters for each VP, by Hyper-V's numbers, that the parent reads (HvCallMapStatsPage2). Only the
// processor that runs the VP counts.
#pragma once

#include "hypercall/stats.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/vp.h"

// Which counter an exit counts for.
extern const uint8_t stats_of_exit[EXIT_REASONS];

static inline void stats_count_exit(struct vp *vp, enum exit_reason reason)
{
	vp->stats[stats_of_exit[reason]]++;
}
