// SPDX-License-Identifier: BSD-2-Clause
// Flushing the TLBs of several VPs by one hypercall (TLFS: Virtual MMU). Worth it where
// lumen_is_advised(HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH); otherwise the kernel sends IPIs.
//
// address_space is the CR3 that the translations belong to, without its low 12 bits; flags are
// HV_FLUSH_* (HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES: address_space does not matter). Done when this
// returns, on VPs that do not run now too. Any context; hypercalls are enabled. Lists with a set
// use up to 4.5 KiB of stack. Errors: HV_STATUS_*, LUMEN_BAD_ARGUMENT, LUMEN_BAD_STATE.
#ifndef LUMEN_TLB_H
#define LUMEN_TLB_H

#include <stdint.h>

#include "hypercall/tlb.h"
#include "lumen/decls.h"
#include "lumen/status.h"
#include "lumen/vp.h"

LUMEN_DECLS_BEGIN

// VPs 0 to 63: a bit for each (ignored with HV_FLUSH_ALL_PROCESSORS).
lumen_status lumen_tlb_flush(uint64_t address_space, uint64_t flags, uint64_t vps);

// Only the pages of a list of `count` ranges (see below).
lumen_status lumen_tlb_flush_list(uint64_t address_space, uint64_t flags, uint64_t vps,
	const uint64_t *ranges, uint32_t count);

// The same for any VPs (NULL: all); where HV_HINT_EX_PROCESSOR_MASKS is set.
lumen_status lumen_tlb_flush_ex(
	uint64_t address_space, uint64_t flags, const struct lumen_vp_set *vps);
lumen_status lumen_tlb_flush_list_ex(uint64_t address_space, uint64_t flags,
	const struct lumen_vp_set *vps, const uint64_t *ranges, uint32_t count);

// The pages from the one of `address` on as list elements of up to 4096 pages each (TLFS:
// HV_GVA_RANGE). Writes at most `room`; returns how many there are, or 0: no room (flush all), or
// no pages.
uint32_t lumen_tlb_ranges(const void *address, uint64_t pages, uint64_t *ranges, uint32_t room);

LUMEN_DECLS_END

#endif
