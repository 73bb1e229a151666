// SPDX-License-Identifier: BSD-2-Clause
// Flushes of the virtual TLB, and sets of virtual processors (TLFS: Virtual MMU, HV_VP_SET).
#ifndef HYPERCALL_TLB_H
#define HYPERCALL_TLB_H

#include "hypercall/types.h"

// TLFS: HV_VP_SET. A bank is 64 processors. The contents of the banks that are valid follow, in the
// order of their bits in the mask.
#define HV_VP_SET_SPARSE_4K 0
#define HV_VP_SET_ALL	    1
#define HV_VP_SET_BANKS	    64
#define HV_VP_SET_BANK_VPS  64

struct hv_vp_set {
	uint64_t format; // HV_VP_SET_*
	uint64_t valid_bank_mask;
};
HV_ASSERT_SIZE(struct hv_vp_set, 16);

// Flags of all four calls.
#define HV_FLUSH_ALL_PROCESSORS		    0x1ull
#define HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES 0x2ull
#define HV_FLUSH_NON_GLOBAL_MAPPINGS_ONLY   0x4ull // not for lists
#define HV_FLUSH_USE_EXTENDED_RANGE_FORMAT  0x8ull // lists only
#define HV_FLUSH_VALID_MASK		    0xfull

// An element of a list: bits 63:12 are the first page, bits 11:0 how many more follow it. In the
// extended format bit 11 set means large pages, and bits 10:0 count those.
#define HV_GVA_RANGE_PAGE_SHIFT		   12
#define HV_GVA_RANGE_ADDITIONAL_MASK	   0xfffull
#define HV_GVA_RANGE_LARGE_PAGE		   0x800ull
#define HV_GVA_RANGE_ADDITIONAL_LARGE_MASK 0x7ffull

// TLFS: HvCallFlushVirtualAddressSpace.
struct hv_input_flush_virtual_address_space {
	uint64_t address_space; // CR3
	uint64_t flags;
	uint64_t processor_mask; // bit per VP index
};
HV_ASSERT_SIZE(struct hv_input_flush_virtual_address_space, 24);

// TLFS: HvCallFlushVirtualAddressList. The list: GVA ranges (uint64_t).
struct hv_input_flush_virtual_address_list {
	uint64_t address_space;
	uint64_t flags;
	uint64_t processor_mask;
};
HV_ASSERT_SIZE(struct hv_input_flush_virtual_address_list, 24);

// TLFS: HvCallFlushVirtualAddressSpaceEx. The set's banks are the variable header.
struct hv_input_flush_virtual_address_space_ex {
	uint64_t address_space;
	uint64_t flags;
	struct hv_vp_set processor_set;
};
HV_ASSERT_SIZE(struct hv_input_flush_virtual_address_space_ex, 32);
HV_ASSERT_OFFSET(struct hv_input_flush_virtual_address_space_ex, processor_set, 16);

// TLFS: HvCallFlushVirtualAddressListEx. The banks, then the list of GVA ranges.
struct hv_input_flush_virtual_address_list_ex {
	uint64_t address_space;
	uint64_t flags;
	struct hv_vp_set processor_set;
};
HV_ASSERT_SIZE(struct hv_input_flush_virtual_address_list_ex, 32);

// TLFS: HvCallNotifyLongSpinWait. Advice only; always succeeds.
struct hv_input_notify_long_spin_wait {
	uint32_t spin_count;
	uint32_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_notify_long_spin_wait, 8);

#endif
