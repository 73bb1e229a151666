// SPDX-License-Identifier: BSD-2-Clause
// Intercepts: what a child does that its parent has to answer. The VP is suspended (TLFS: HvRegisterInterceptSuspend) and a
// message on SINT 0 of a VP of the parent says why; the parent changes registers as it likes and clears the suspension.
//
// All functions but the last two are for the exit handlers of VP's own processor, before they have changed anything. Each returns
// true when the parent is told (VP is suspended now, RIP still at the instruction), and false when nobody wants to
// know: then the handler gives the architectural answer (#GP, #UD, ...). VPs of the root get false always.
#pragma once

#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"

enum { INTERCEPT_MSRS = 32, INTERCEPT_CPUID_LEAVES = 32, INTERCEPT_EOI_MESSAGES = 2 };

// What the parent installed (HvCallInstallIntercept). Written by the parent under partition->lock, read without it.
struct intercepts {
	uint32_t types;	     // bit per enum hv_intercept_type that is installed for at least one object
	uint32_t exceptions; // bit per vector
	uint8_t unknown_msr_access; // HV_INTERCEPT_ACCESS_MASK_*: of MSRs that the hypervisor does not have (MSR index 0)
	uint32_t msr_count, cpuid_count; // atomic; entries below are complete
	struct intercept_msr {
		uint32_t index;
		uint32_t access; // HV_INTERCEPT_ACCESS_MASK_*
	} msr[INTERCEPT_MSRS];
	uint32_t cpuid_leaf[INTERCEPT_CPUID_LEAVES];
};

// HvCallInstallIntercept for PARTITION, which has a parent. ACCESS 0 takes an intercept away.
hv_status intercept_install(
	struct partition *partition, uint32_t access, uint32_t type, union hv_intercept_parameters parameters);

// An I/O port access: always the parent's.
bool intercept_io(struct vp *vp, const struct vp_exit *exit);

// An access to a GPA that is not mapped (HvMessageTypeUnmappedGpa), or not with this access (HvMessageTypeGpaIntercept).
bool intercept_gpa(struct vp *vp, const struct vp_exit *exit);

// An MSR access. KNOWN: the hypervisor has this MSR; the parent gets the access if it has installed the MSR's index, or,
// for those that are not known, index 0. VALUE is what a write would store.
bool intercept_msr(struct vp *vp, uint32_t msr, bool write, uint64_t value, bool known);

// CPUID with the leaf in RAX. RESULT: the answer it would get.
struct cpuid_result;
bool intercept_cpuid(struct vp *vp, const struct cpuid_result *result);

// The VP raises exception VECTOR.
bool intercept_exception(struct vp *vp, unsigned int vector, bool has_code, uint32_t code, uint64_t parameter);

// A hypercall with a call code that the hypervisor does not have.
bool intercept_hypercall(struct vp *vp);

// Triple fault, or a state that the processor refuses (HvMessageTypeUnrecoverableException).
bool intercept_shutdown(struct vp *vp);

// HLT, when the parent has asked for it.
bool intercept_halt(struct vp *vp);

// The guest has written HV_X64_MSR_CRASH_CTL: VP's crash registers hold what it says. True as for intercept_msr().
bool intercept_crash(struct vp *vp);

// An EOI of a level-triggered interrupt (HvMessageTypeX64ApicEoi). Does not suspend. Own VP.
void intercept_apic_eoi(struct vp *vp, unsigned int vector);

// Own VP, before each entry when vp->eoi_pending is not zero: sends what could not be sent at once.
void intercept_flush_eoi(struct vp *vp);

// VP's messages to the parent are taken back (VP is destroyed, or its partition is being finalized). Paused VP.
void intercept_cancel(struct vp *vp);
