// SPDX-License-Identifier: BSD-2-Clause
// Memory of partitions: the hypervisor's pools and the GPA space (TLFS: HvCallDepositMemory and
// following, HV_MAP_GPA_FLAGS, HvCallTranslateVirtualAddress).
#ifndef HYPERCALL_MEMORY_H
#define HYPERCALL_MEMORY_H

#include "hypercall/types.h"

enum hv_cache_type {
	HvCacheTypeUncached = 0,
	HvCacheTypeWriteCombining = 1,
	HvCacheTypeWriteThrough = 4,
	HvCacheTypeWriteProtected = 5,
	HvCacheTypeWriteBack = 6,
};

// TLFS: HvCallDepositMemory. The list: page numbers of the caller.
struct hv_input_deposit_memory {
	hv_partition_id partition_id;
};
HV_ASSERT_SIZE(struct hv_input_deposit_memory, 8);

// TLFS: HvCallWithdrawMemory. The list comes out: page numbers of the caller.
struct hv_input_withdraw_memory {
	hv_partition_id partition_id;
	struct hv_proximity_domain_info proximity_domain_info;
};
HV_ASSERT_SIZE(struct hv_input_withdraw_memory, 16);

// TLFS: HvCallGetMemoryBalance.
struct hv_input_get_memory_balance {
	hv_partition_id partition_id;
	struct hv_proximity_domain_info proximity_domain_info;
};
HV_ASSERT_SIZE(struct hv_input_get_memory_balance, 16);

struct hv_output_get_memory_balance {
	uint64_t pages_available;
	uint64_t pages_in_use;
};
HV_ASSERT_SIZE(struct hv_output_get_memory_balance, 16);

// TLFS: HV_MAP_GPA_FLAGS.
#define HV_MAP_GPA_PERMISSIONS_NONE	   0x0
#define HV_MAP_GPA_READABLE		   0x1
#define HV_MAP_GPA_WRITABLE		   0x2
#define HV_MAP_GPA_KERNEL_EXECUTABLE	   0x4
#define HV_MAP_GPA_USER_EXECUTABLE	   0x8
#define HV_MAP_GPA_EXECUTABLE		   0xc
#define HV_MAP_GPA_PERMISSIONS_MASK	   0xf
#define HV_MAP_GPA_ADJUSTABLE		   0x8000
#define HV_MAP_GPA_NO_ACCESS		   0x10000
#define HV_MAP_GPA_ZEROED		   0x20000
#define HV_MAP_GPA_ONES			   0x30000
#define HV_MAP_GPA_SPECIAL_MASK		   0x30000
#define HV_MAP_GPA_NO_OVERLAY		   0x100000
#define HV_MAP_GPA_NOT_CACHED		   0x200000
#define HV_MAP_GPA_CLEAR_ACCESSED	   0x01000000
#define HV_MAP_GPA_SET_ACCESSED		   0x02000000
#define HV_MAP_GPA_CLEAR_DIRTY		   0x04000000
#define HV_MAP_GPA_SET_DIRTY		   0x08000000
#define HV_MAP_GPA_DONT_SET_RANGE_ACCESSED 0x10000000
#define HV_MAP_GPA_LARGE_PAGE		   0x80000000u // an element stands for 2 MiB, aligned

// TLFS: HvCallMapGpaPages. The list: page numbers of the caller (with LARGE_PAGE the first 4 KiB
// page of each large one). The base is a 4 KiB page number; it advances with each element.
struct hv_input_map_gpa_pages {
	hv_partition_id target_partition_id;
	hv_gpa_page_number target_gpa_base;
	uint32_t map_flags; // the TLFS counts eight bytes; the type has four
	uint32_t rsvd_z;
	hv_gpa_page_number source_gpa_page_list[];
};
HV_ASSERT_SIZE(struct hv_input_map_gpa_pages, 24);
HV_ASSERT_OFFSET(struct hv_input_map_gpa_pages, map_flags, 16);

// TLFS: HV_UNMAP_GPA_FLAGS.
#define HV_UNMAP_GPA_KEEP_PRECOMMITTED 0x2
#define HV_UNMAP_GPA_LARGE_PAGE	       0x4 // a repetition stands for 2 MiB

// TLFS: HvCallUnmapGpaPages. Repeated, but without a list.
struct hv_input_unmap_gpa_pages {
	hv_partition_id target_partition_id;
	hv_gpa_page_number target_gpa_base;
	uint32_t unmap_flags;
	uint32_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_unmap_gpa_pages, 24);
HV_ASSERT_OFFSET(struct hv_input_unmap_gpa_pages, unmap_flags, 16);

// HvCallReadGpa, HvCallWriteGpa: up to 16 bytes that do not cross a page.
#define HV_READ_WRITE_GPA_MAX_SIZE 16

enum hv_access_gpa_result_code {
	HvAccessGpaSuccess = 0,
	HvAccessGpaUnmapped = 1,
	HvAccessGpaReadIntercept = 2,
	HvAccessGpaWriteIntercept = 3,
	HvAccessGpaIllegalOverlayAccess = 4,
};

struct hv_access_gpa_result {
	uint32_t result_code; // enum hv_access_gpa_result_code
	uint32_t rsvd;
};
HV_ASSERT_SIZE(struct hv_access_gpa_result, 8);

struct hv_input_read_gpa {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t byte_count;
	hv_gpa base_gpa;
	uint64_t control_flags; // bits 7:0: enum hv_cache_type
};
HV_ASSERT_SIZE(struct hv_input_read_gpa, 32);

struct hv_output_read_gpa {
	struct hv_access_gpa_result access_result;
	uint8_t data[HV_READ_WRITE_GPA_MAX_SIZE];
};
HV_ASSERT_SIZE(struct hv_output_read_gpa, 24);

struct hv_input_write_gpa {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t byte_count;
	hv_gpa base_gpa;
	uint64_t control_flags;
	uint8_t data[HV_READ_WRITE_GPA_MAX_SIZE];
};
HV_ASSERT_SIZE(struct hv_input_write_gpa, 48);
HV_ASSERT_OFFSET(struct hv_input_write_gpa, data, 32);

struct hv_output_write_gpa {
	struct hv_access_gpa_result access_result;
};
HV_ASSERT_SIZE(struct hv_output_write_gpa, 8);

// TLFS: HV_TRANSLATE_GVA_CONTROL_FLAGS.
#define HV_TRANSLATE_GVA_VALIDATE_READ	     0x0001
#define HV_TRANSLATE_GVA_VALIDATE_WRITE	     0x0002
#define HV_TRANSLATE_GVA_VALIDATE_EXECUTE    0x0004
#define HV_TRANSLATE_GVA_PRIVILEGE_EXEMPT    0x0008
#define HV_TRANSLATE_GVA_SET_PAGE_TABLE_BITS 0x0010
#define HV_TRANSLATE_GVA_TLB_FLUSH_INHIBIT   0x0020
#define HV_TRANSLATE_GVA_SUPERVISOR_ACCESS   0x0040
#define HV_TRANSLATE_GVA_USER_ACCESS	     0x0080
#define HV_TRANSLATE_GVA_ENFORCE_SMAP	     0x0100
#define HV_TRANSLATE_GVA_OVERRIDE_SMAP	     0x0200
#define HV_TRANSLATE_GVA_SHADOW_STACK	     0x0400
#define HV_TRANSLATE_GVA_INPUT_VTL_MASK	     0xff00000000000000ull

// TLFS: HV_TRANSLATE_GVA_RESULT.
enum hv_translate_gva_result_code {
	HvTranslateGvaSuccess = 0,
	HvTranslateGvaPageNotPresent = 1,
	HvTranslateGvaPrivilegeViolation = 2,
	HvTranslateGvaInvalidPageTableFlags = 3,
	HvTranslateGvaGpaUnmapped = 4,
	HvTranslateGvaGpaNoReadAccess = 5,
	HvTranslateGvaGpaNoWriteAccess = 6,
	HvTranslateGvaGpaIllegalOverlayAccess = 7,
	HvTranslateGvaIntercept = 8,
	HvTranslateGvaGpaUnaccepted = 9,
};

#define HV_TRANSLATE_GVA_ATTRIBUTE_CACHE_TYPE_MASK 0xff
#define HV_TRANSLATE_GVA_ATTRIBUTE_OVERLAY_PAGE	   0x100

struct hv_translate_gva_result {
	uint32_t result_code; // enum hv_translate_gva_result_code
	uint32_t attributes;
};
HV_ASSERT_SIZE(struct hv_translate_gva_result, 8);

// TLFS: HvCallTranslateVirtualAddress.
struct hv_input_translate_virtual_address {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint32_t rsvd_z;
	uint64_t control_flags;
	hv_gva_page_number gva_page;
};
HV_ASSERT_SIZE(struct hv_input_translate_virtual_address, 32);
HV_ASSERT_OFFSET(struct hv_input_translate_virtual_address, control_flags, 16);
HV_ASSERT_OFFSET(struct hv_input_translate_virtual_address, gva_page, 24);

struct hv_output_translate_virtual_address {
	struct hv_translate_gva_result translation_result;
	hv_gpa_page_number gpa_page;
};
HV_ASSERT_SIZE(struct hv_output_translate_virtual_address, 16);

#endif
