// SPDX-License-Identifier: BSD-2-Clause
// A guest's RDMSR, WRMSR and CPUID. Default: #GP.
#pragma once

#include "hypervisor/core/vp.h"
#include "hypervisor/x86/cpu.h"

struct vp_exit;

// Own VP, at the exit: emulate, tell the parent or inject #GP, and advance RIP.
void msr_read_exit(struct vp *vp, const struct vp_exit *exit);
void msr_write_exit(struct vp *vp, const struct vp_exit *exit);
void cpuid_exit(struct vp *vp, const struct vp_exit *exit);

// By number (own VP or paused): for exits and for the register hypercalls alike. A read says false
// for #GP.
bool msr_read(struct vp *vp, uint32_t msr, uint64_t *value);
enum msr_result msr_write(struct vp *vp, uint32_t msr, uint64_t value);

// May this be written to the PAT? The processor refuses a VP that has another value.
bool msr_pat_valid(uint64_t value);

// The width of guest physical addresses that CPUID tells: where the GPA space ends.
uint32_t guest_address_bits(void);

// What guests may set in registers that switch features on: what CPUID offers them, for exits and
// for the parent's register hypercalls alike.
enum guest_control { GUEST_CR4, GUEST_EFER, GUEST_SPEC_CTRL, GUEST_VIRT_SPEC_CTRL, GUEST_CONTROLS };
uint64_t guest_control_bits(enum guest_control control);

// The processor's own answer; zero for leaves that it does not have.
struct cpuid_result host_cpuid(uint32_t leaf, uint32_t subleaf);
void cpuid_read(struct vp *vp, uint32_t leaf, uint32_t subleaf, struct cpuid_result *result);
