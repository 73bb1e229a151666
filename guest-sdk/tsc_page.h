// SPDX-License-Identifier: BSD-2-Clause
// The reference TSC page and how it is read while the hypervisor may change it (TLFS: Partition
// Reference TSC Mechanism). Internal.
#ifndef GUEST_SDK_TSC_PAGE_H
#define GUEST_SDK_TSC_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/msr.h"

extern struct hv_reference_tsc_page lumen_tsc_page;

struct tsc_page_values {
	uint32_t sequence;
	uint64_t scale;
	int64_t offset;
};

// Reads what is there. False: the page is not valid.
static inline bool tsc_page_begin(struct tsc_page_values *v)
{
	v->sequence = __atomic_load_n(&lumen_tsc_page.tsc_sequence, __ATOMIC_ACQUIRE);
	v->scale = __atomic_load_n(&lumen_tsc_page.tsc_scale, __ATOMIC_RELAXED);
	v->offset = __atomic_load_n(&lumen_tsc_page.tsc_offset, __ATOMIC_RELAXED);
	return v->sequence != HV_REFERENCE_TSC_SEQUENCE_INVALID;
}

// Whether all of it, and what was read between, belongs together. The hypervisor changes the
// sequence before the rest.
static inline bool tsc_page_end(const struct tsc_page_values *v)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&lumen_tsc_page.tsc_sequence, __ATOMIC_RELAXED) == v->sequence;
}

#endif
