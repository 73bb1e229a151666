// SPDX-License-Identifier: BSD-2-Clause
// Statistics pages: counters by TLFS number, one page for each VP and partition.
#pragma once

#include "hypervisor/core/backend.h"
#include "hypervisor/core/vp.h"

static inline void stats_count_exit(struct vp *vp, enum exit_reason reason)
{
	vp->stats[400 + reason]++;
}
