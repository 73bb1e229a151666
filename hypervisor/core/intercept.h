// SPDX-License-Identifier: BSD-2-Clause
// Intercepts: what a child does that its parent has to answer. The VP is suspended (TLFS:
// HvRegisterInterceptSuspend) and a message on SINT 0 of a VP of the parent says why; the parent
// changes registers as it likes and clears the suspension.
//
// The functions that return bool and take a VP alone are for the exit handlers of VP's own
// processor, before they have changed anything. Each returns true when the parent is told (VP is
// suspended now, RIP still at the instruction), and false when nobody wants to know: then the
// handler gives the architectural answer (#GP, #UD, ...). VPs of the root get false always.
#pragma once

#include "hypercall/intercept.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/x86/msr.h"

// Indices that are intercepted. Each entry is one 64-bit word, so that readers see it whole: the
// index, and above it the accesses (HV_INTERCEPT_ACCESS_MASK_*); all zero: free.
struct intercept_list {
	uint32_t count; // of entries in use, free ones among them; atomic
	uint64_t entry[64];
};

// What a parent has installed for a child: one page. Written under the child's partition->lock,
// read without. The root's is empty.
struct intercepts {
	struct intercept_list msr, leaf;
	uint32_t hypercall, apic_eoi; // HV_INTERCEPT_ACCESS_MASK_*, or 0
	uint32_t results;	      // of result[], free ones among them; atomic
	uint32_t version;	      // of result[]; odd while it changes; atomic
	struct cpuid_override {
		uint32_t used;	      // false: free
		hv_vp_index vp_index; // or HV_ANY_VP
		struct hv_register_x64_cpuid_result_parameters parameters;
	} result[48];
};
_Static_assert(sizeof(struct intercepts) <= PAGE_SIZE, "one page");

bool intercepts_want_msr(
	const struct intercepts *intercepts, uint32_t msr, uint32_t access, bool known);
bool intercepts_want_cpuid(const struct intercepts *intercepts, uint32_t leaf);
static inline bool intercepts_want_hypercall(const struct intercepts *intercepts)
{
	return READ_ONCE(intercepts->hypercall);
}

// Changes RESULT of CPUID to what the parent has registered for it, if it has. Any VP, any context.
void intercept_override_cpuid(
	struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);

// An I/O port access: always the parent's.
bool intercept_io(struct vp *vp, const struct vp_exit *exit);

// An access to a GPA that is not mapped (HvMessageTypeUnmappedGpa), or not with this access
// (HvMessageTypeGpaIntercept).
bool intercept_gpa(struct vp *vp, const struct vp_exit *exit);

// An MSR access. KNOWN: the hypervisor has this MSR; the parent gets the access if it has installed
// the MSR's index, or, for those that are not known, index 0. VALUE is what a write would store.
bool intercept_msr(struct vp *vp, uint32_t msr, bool write, uint64_t value, bool known);

// CPUID with the leaf in RAX. RESULT: the answer it would get.
bool intercept_cpuid(struct vp *vp, const struct cpuid_result *result);

// A hypercall with a call code that the hypervisor does not have.
bool intercept_hypercall(struct vp *vp);

// Triple fault, or a state that the processor refuses (HvMessageTypeUnrecoverableException).
bool intercept_shutdown(struct vp *vp);

// HLT, in a partition that was created without HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED: its parent
// emulates the interrupt controller.
bool intercept_halt(struct vp *vp);

// An EOI of a level-triggered interrupt (HvMessageTypeX64ApicEoi), if the parent has asked for
// those. Does not suspend. Own VP.
void intercept_apic_eoi(struct vp *vp, unsigned int vector);

// Own VP, before each entry when vp->eoi_pending is set: sends what could not be sent at once.
void intercept_flush_eoi(struct vp *vp);

// VP's messages to the parent are taken back (VP is destroyed). Paused VP.
void intercept_cancel(struct vp *vp);
