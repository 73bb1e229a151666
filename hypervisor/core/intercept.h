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

#include "hypervisor/core/backend.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/x86/msr.h"

// HvCallInstallIntercept for PARTITION, which has a parent. ACCESS 0 takes an intercept away.
hv_status intercept_install(struct partition *partition, uint32_t access, uint32_t type,
	union hv_intercept_parameters parameters);

// HvCallRegisterInterceptResult, HvCallUnregisterInterceptResult: answers that need no message, for
// a VP or HV_ANY_VP.
hv_status intercept_register_cpuid(struct partition *partition, hv_vp_index vp_index,
	const struct hv_register_x64_cpuid_result_parameters *parameters);
hv_status intercept_unregister_cpuid(struct partition *partition, hv_vp_index vp_index,
	uint32_t eax, uint32_t ecx, bool subleaf_specific);

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

// The guest has written HV_X64_MSR_CRASH_CTL: VP's crash registers hold what it says. True as for
// intercept_msr().
bool intercept_crash(struct vp *vp);

// An EOI of a level-triggered interrupt (HvMessageTypeX64ApicEoi), if the parent has asked for those.
// Does not suspend. Own VP.
void intercept_apic_eoi(struct vp *vp, unsigned int vector);

// Own VP, before each entry when vp->eoi_pending is set: sends what could not be sent at once.
void intercept_flush_eoi(struct vp *vp);

// VP's messages to the parent are taken back (VP is destroyed). Paused VP.
void intercept_cancel(struct vp *vp);
