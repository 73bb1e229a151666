// SPDX-License-Identifier: BSD-2-Clause
// Input of the calls whose variable header is a VP set, and of those that have a list behind it.
// Internal.
#ifndef GUEST_SDK_VP_SET_CALL_H
#define GUEST_SDK_VP_SET_CALL_H

#include "lumen/hypercall.h"
#include "lumen/vp.h"

// Aligned to its size, so that it does not cross a page.
#define SET_CALL_WORDS 128

struct set_call {
	_Alignas(SET_CALL_WORDS * 8) uint64_t word[SET_CALL_WORDS];
	unsigned int header; // words that are in use, the set's banks included
	unsigned int banks;
};

_Static_assert(SET_CALL_WORDS > 8 + HV_VP_SET_BANKS, "each set fits, with room for a list");

// Fills in the set, whose header is the last 16 bytes of the fixed header of `fixed` words, and its
// banks behind that.
static inline void set_call_pack(
	struct set_call *call, unsigned int fixed, const struct lumen_vp_set *vps)
{
	struct hv_vp_set header;

	call->banks =
		(unsigned int)lumen_vp_set_pack(vps, &header, &call->word[fixed], HV_VP_SET_BANKS);
	__builtin_memcpy(&call->word[fixed - 2], &header, sizeof(header));
	call->header = fixed + call->banks;
}

#endif
