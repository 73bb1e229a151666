// SPDX-License-Identifier: BSD-2-Clause
// Virtual processors: their index, sets of them, and starting others (TLFS: Virtual Processors,
// HV_VP_SET, HvCallStartVirtualProcessor).
#ifndef LUMEN_VP_H
#define LUMEN_VP_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/interrupt.h"
#include "hypercall/tlb.h"
#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

// The VP index of this processor (HV_X64_MSR_VP_INDEX): an intercept, so a kernel reads it once on
// each processor and keeps it (lumen_this_vp() of <lumen/platform.h>). 0 without the privilege
// AccessVpIndex. Any context.
uint32_t lumen_vp_index(void);

// --- sets ---

#define LUMEN_VP_MAX (HV_VP_SET_BANKS * HV_VP_SET_BANK_VPS) // 4096

// A set of VPs: bit n % 64 of bank[n / 64] is VP index n. Zeroed: empty.
struct lumen_vp_set {
	uint64_t bank[HV_VP_SET_BANKS];
};

// VPs of LUMEN_VP_MAX and above are in no set.
void lumen_vp_set_add(struct lumen_vp_set *set, uint32_t vp);
void lumen_vp_set_remove(struct lumen_vp_set *set, uint32_t vp);
bool lumen_vp_set_has(const struct lumen_vp_set *set, uint32_t vp);

// The set as hypercalls have it (TLFS: HV_VP_SET, sparse 4K): *header, then a word for each bank
// that is not empty, in `banks` (room for `room` of them). NULL is the set of all VPs. Returns the
// number of banks, or -1: no room.
int lumen_vp_set_pack(const struct lumen_vp_set *set, struct hv_vp_set *header, uint64_t *banks,
	unsigned int room);

// --- starting ---

// Starts the processor with this APIC id in real mode at start_page * 4096 (below 1 MiB), by INIT
// and SIPI through lumen_icr_write(). lumen_apic_start() has been called on this VP, and
// lumen_now_ns() works. Thread context; takes about 10 ms. Returns when both are sent: whether the
// processor came up is for the caller to see. LUMEN_BAD_ARGUMENT, LUMEN_BAD_STATE.
lumen_status lumen_vp_start_sipi(uint32_t apic_id, uint8_t start_page);

// What is to be called on a VP that lumen_vp_start() starts; it does not return.
typedef void lumen_vp_entry(void *argument);

// Describes a VP that is like this one: the same page tables, control registers, descriptor tables
// and segments in 64-bit mode, with no task register, interrupts off, on the stack that ends at
// stack_top (aligned to 16), and calls entry(argument). FS and GS have base 0 there: a kernel that
// finds its per-processor data by GS sets context->gs.base. The caller may change all of it. Any
// context.
void lumen_vp_context_like_this(struct hv_initial_vp_context *context, lumen_vp_entry *entry,
	void *argument, void *stack_top);

// Starts a VP in *context (HvCallStartVirtualProcessor): no real mode, no trampoline. Any context.
// HV_STATUS_INVALID_VP_STATE: it runs already; HV_STATUS_ACCESS_DENIED (StartVirtualProcessor) and
// HV_STATUS_INVALID_HYPERCALL_CODE: not on this hypervisor, use SIPI.
lumen_status lumen_vp_start(uint32_t vp, const struct hv_initial_vp_context *context);

// The VP index of the processor with this APIC id (HvCallGetVpIndexFromApicId), for processors that
// do not run yet. Any context. HV_STATUS_INVALID_PARAMETER: there is none.
lumen_status lumen_vp_index_of(uint32_t apic_id, uint32_t *vp);

LUMEN_DECLS_END

#endif
