// SPDX-License-Identifier: BSD-2-Clause
// What a parent has installed for a child: one page. Written under the child's partition->lock,
// read without; an entry is one 64-bit word (an index and what to do with it), so that readers see
// it whole. All functions take a partition's `intercepts`, whose lists are empty in the root.
#pragma once

#include "hypercall/intercept.h"
#include "hypervisor/core/lib.h"

enum { INTERCEPT_MSRS = 64, INTERCEPT_LEAVES = 64, INTERCEPT_RESULTS = 48 };

// An index in the lower half, what is intercepted (HV_INTERCEPT_ACCESS_MASK_*) in the upper one; all zero: free.
typedef uint64_t intercept_item;

struct cpuid_override {
	uint32_t used;	      // atomic, written last
	hv_vp_index vp_index; // or HV_ANY_VP
	struct hv_register_x64_cpuid_result_parameters parameters;
};

struct intercepts {
	uint32_t msrs, leaves, results; // items in use, free ones among them; atomic
	uint32_t hypercall;		// HV_INTERCEPT_ACCESS_MASK_EXECUTE or 0
	uint32_t apic_eoi;		// HV_INTERCEPT_ACCESS_MASK_WRITE or 0
	intercept_item msr[INTERCEPT_MSRS];
	intercept_item leaf[INTERCEPT_LEAVES];
	struct cpuid_override result[INTERCEPT_RESULTS];
};
_Static_assert(sizeof(struct intercepts) <= PAGE_SIZE, "one page");

bool intercepts_want_msr(
	const struct intercepts *intercepts, uint32_t msr, uint32_t access, bool known);
bool intercepts_want_cpuid(const struct intercepts *intercepts, uint32_t leaf);
static inline bool intercepts_want_hypercall(const struct intercepts *intercepts)
{
	return READ_ONCE(intercepts->hypercall);
}
