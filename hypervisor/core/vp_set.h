// SPDX-License-Identifier: BSD-2-Clause
// Sets of VPs as hypercalls give them (TLFS: HV_VP_SET).
#pragma once

#include "hypercall/status.h"
#include "hypercall/tlb.h"
#include "hypervisor/core/partition.h"

_Static_assert(PARTITION_MAX_VPS <= HV_VP_SET_BANK_VPS, "bank 0 holds all VPs there can be");

// SET as a mask of VP indices. BANKS: its bank contents, BYTES of them as the control word says.
static inline hv_status vp_set_mask(
	const struct hv_vp_set *set, const void *banks, uint32_t bytes, uint64_t *mask)
{
	uint32_t need = 0;

	*mask = UINT64_MAX;
	if (set->format == HV_VP_SET_ALL)
		return HV_STATUS_SUCCESS;
	if (set->format != HV_VP_SET_SPARSE_4K)
		return HV_STATUS_INVALID_PARAMETER;
	for (uint64_t valid = set->valid_bank_mask; valid; valid &= valid - 1)
		need += sizeof(uint64_t);
	if (bytes != need)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	*mask = set->valid_bank_mask & 1 ? *(const uint64_t *)banks : 0;
	return HV_STATUS_SUCCESS;
}
