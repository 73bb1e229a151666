// SPDX-License-Identifier: BSD-2-Clause
// The index of this VP, and sets of VPs (TLFS: Virtual Processor Index, HV_VP_SET).
#include "lumen/vp.h"

#include "guest-sdk/arch.h"
#include "hypercall/msr.h"
#include "lumen/detect.h"

uint32_t lumen_vp_index(void)
{
	return lumen_has(HV_PRIVILEGE_ACCESS_VP_INDEX) ? (uint32_t)arch_rdmsr(HV_X64_MSR_VP_INDEX)
						       : 0;
}

void lumen_vp_set_add(struct lumen_vp_set *set, uint32_t vp)
{
	if (vp < LUMEN_VP_MAX)
		set->bank[vp / HV_VP_SET_BANK_VPS] |= 1ull << vp % HV_VP_SET_BANK_VPS;
}

void lumen_vp_set_remove(struct lumen_vp_set *set, uint32_t vp)
{
	if (vp < LUMEN_VP_MAX)
		set->bank[vp / HV_VP_SET_BANK_VPS] &= ~(1ull << vp % HV_VP_SET_BANK_VPS);
}

bool lumen_vp_set_has(const struct lumen_vp_set *set, uint32_t vp)
{
	return vp < LUMEN_VP_MAX &&
	       set->bank[vp / HV_VP_SET_BANK_VPS] >> vp % HV_VP_SET_BANK_VPS & 1;
}

int lumen_vp_set_pack(const struct lumen_vp_set *set, struct hv_vp_set *header, uint64_t *banks,
	unsigned int room)
{
	unsigned int count = 0;

	*header = (struct hv_vp_set){ set ? HV_VP_SET_SPARSE_4K : HV_VP_SET_ALL, 0 };
	for (unsigned int i = 0; set && i < HV_VP_SET_BANKS; i++) {
		// The set may be in use: each bank is looked at once.
		uint64_t bank = __atomic_load_n(&set->bank[i], __ATOMIC_RELAXED);

		if (!bank)
			continue;
		if (count == room)
			return -1;
		header->valid_bank_mask |= 1ull << i;
		banks[count++] = bank;
	}
	return (int)count;
}
