// SPDX-License-Identifier: BSD-2-Clause
// Basic types of the hypervisor's interface (TLFS: Data Types). Everything in this directory is
// definitions only: it includes nothing but the compiler's fixed-width types, and fits hosted code,
// freestanding code and the Linux kernel.
#ifndef HYPERCALL_TYPES_H
#define HYPERCALL_TYPES_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/stddef.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#endif

// Kernels in C++ include these headers, too.
#ifdef __cplusplus
#define HV_ASSERT(condition, text) static_assert(condition, text)
#else
#define HV_ASSERT(condition, text) _Static_assert(condition, text)
#endif

// The layout of a wire structure is part of the interface: each one is followed by these.
#define HV_ASSERT_SIZE(type, bytes) HV_ASSERT(sizeof(type) == (bytes), "size of " #type)
#define HV_ASSERT_OFFSET(type, field, bytes)                                                       \
	HV_ASSERT(offsetof(type, field) == (bytes), "offset of " #type "." #field)

typedef uint16_t hv_status;
typedef uint64_t hv_partition_id;
typedef uint32_t hv_vp_index;
typedef uint32_t hv_port_id;	   // 24 bits, the rest is zero
typedef uint32_t hv_connection_id; // 24 bits, the rest is zero
typedef uint64_t hv_gpa;
typedef uint64_t hv_gva;
typedef uint64_t hv_gpa_page_number;
typedef uint64_t hv_gva_page_number;
typedef uint64_t hv_nano100_time; // units of 100 ns

#define HV_PAGE_SHIFT	    12
#define HV_PAGE_SIZE	    4096
#define HV_PAGE_MASK	    0xfff // the offset within a page
#define HV_LARGE_PAGE_SHIFT 21
#define HV_LARGE_PAGE_SIZE  0x200000

#define HV_PARTITION_ID_INVALID ((hv_partition_id)0)
#define HV_PARTITION_ID_SELF	((hv_partition_id)-1)

#define HV_VP_INDEX_SELF ((hv_vp_index)-2)
#define HV_ANY_VP	 ((hv_vp_index)-1)

#define HV_PORT_ID_MASK	      0x00ffffffu
#define HV_CONNECTION_ID_MASK 0x00ffffffu

// TLFS: HV_INPUT_VTL. The level is used only if USE_TARGET_VTL is set; else the caller's own.
#define HV_INPUT_VTL_TARGET_MASK    0x0f
#define HV_INPUT_VTL_USE_TARGET_VTL 0x10

// TLFS: HV_PROXIMITY_DOMAIN_INFO. All zero: no preference.
struct hv_proximity_domain_info {
	uint32_t domain_id;
	uint32_t flags;
};
HV_ASSERT_SIZE(struct hv_proximity_domain_info, 8);

// A value of 16 bytes, as registers, CPUID results and fast calls carry it.
struct hv_u128 {
	uint64_t low;
	uint64_t high;
};
HV_ASSERT_SIZE(struct hv_u128, 16);

#endif
