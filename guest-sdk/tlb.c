// SPDX-License-Identifier: BSD-2-Clause
// TLB flushes (TLFS: Virtual MMU).
#include "lumen/tlb.h"

#include "guest-sdk/vp_set_call.h"

// Words of the fixed headers.
enum { PLAIN_WORDS = 3, EX_WORDS = 4, ADDRESS_SPACE = 0, FLAGS = 1, PLAIN_VPS = 2 };

_Static_assert(sizeof(struct hv_input_flush_virtual_address_list) == PLAIN_WORDS * 8, "plain");
_Static_assert(sizeof(struct hv_input_flush_virtual_address_list_ex) == EX_WORDS * 8, "ex");

static void begin(struct set_call *call, uint64_t address_space, uint64_t flags)
{
	call->word[ADDRESS_SPACE] = address_space & ~(uint64_t)HV_PAGE_MASK;
	call->word[FLAGS] = flags;
}

static void begin_plain(struct set_call *call, uint64_t address_space, uint64_t flags, uint64_t vps)
{
	begin(call, address_space, flags);
	call->word[PLAIN_VPS] = vps;
	call->header = PLAIN_WORDS;
	call->banks = 0;
}

static void begin_ex(struct set_call *call, uint64_t address_space, uint64_t flags,
	const struct lumen_vp_set *vps)
{
	begin(call, address_space, flags);
	set_call_pack(call, EX_WORDS, vps);
}

// The list in pieces that fit in the block behind the header.
static lumen_status flush_list(
	struct set_call *call, uint16_t code, const uint64_t *ranges, uint32_t count)
{
	uint32_t room = SET_CALL_WORDS - call->header;
	lumen_status status = LUMEN_OK;

	while (count && !status) {
		uint32_t now = count < room ? count : room;

		__builtin_memcpy(&call->word[call->header], ranges, now * sizeof(*ranges));
		status = lumen_hypercall_rep(
			hv_call_control(code, call->banks, now, 0), call->word, NULL, NULL);
		ranges += now;
		count -= now;
	}
	return status;
}

lumen_status lumen_tlb_flush(uint64_t address_space, uint64_t flags, uint64_t vps)
{
	LUMEN_CALL_BLOCK struct hv_input_flush_virtual_address_space in = {
		.address_space = address_space & ~(uint64_t)HV_PAGE_MASK,
		.flags = flags,
		.processor_mask = vps,
	};

	return lumen_hypercall(HvCallFlushVirtualAddressSpace, &in, NULL);
}

lumen_status lumen_tlb_flush_list(uint64_t address_space, uint64_t flags, uint64_t vps,
	const uint64_t *ranges, uint32_t count)
{
	struct set_call call;

	begin_plain(&call, address_space, flags, vps);
	return flush_list(&call, HvCallFlushVirtualAddressList, ranges, count);
}

lumen_status lumen_tlb_flush_ex(
	uint64_t address_space, uint64_t flags, const struct lumen_vp_set *vps)
{
	struct set_call call;

	begin_ex(&call, address_space, flags, vps);
	return lumen_hypercall(hv_call_control(HvCallFlushVirtualAddressSpaceEx, call.banks, 0, 0),
		call.word, NULL);
}

lumen_status lumen_tlb_flush_list_ex(uint64_t address_space, uint64_t flags,
	const struct lumen_vp_set *vps, const uint64_t *ranges, uint32_t count)
{
	struct set_call call;

	begin_ex(&call, address_space, flags, vps);
	return flush_list(&call, HvCallFlushVirtualAddressListEx, ranges, count);
}

uint32_t lumen_tlb_ranges(const void *address, uint64_t pages, uint64_t *ranges, uint32_t room)
{
	uint64_t at = (uintptr_t)address & ~(uint64_t)HV_PAGE_MASK;
	uint32_t count = 0;

	while (pages) {
		uint64_t more = pages - 1 < HV_GVA_RANGE_ADDITIONAL_MASK
					? pages - 1
					: HV_GVA_RANGE_ADDITIONAL_MASK;

		if (count == room)
			return 0;
		ranges[count++] = at | more;
		at += (more + 1) << HV_GVA_RANGE_PAGE_SHIFT;
		pages -= more + 1;
	}
	return count;
}
