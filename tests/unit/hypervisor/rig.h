// SPDX-License-Identifier: BSD-2-Clause
// A partition with a few VPs and a little memory, and no machine: what the code under test asks of
// the rest of the hypervisor is answered here and noted down.
#pragma once

#include <criterion/criterion.h>
#include <string.h>

#include "hypervisor/core/backend.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/x86/msr.h"

enum { RIG_VPS = 4, RIG_PAGES = 64, RIG_REGISTERS = 32, RIG_NO_EXCEPTION = -1 };

#define RIG_TSC_HZ 1000000000000ull

struct rig_vp {
	struct hv_register_assoc registers[RIG_REGISTERS];
	unsigned int register_count;
	int exception; // injected last, or RIG_NO_EXCEPTION
	unsigned int kicks;
	uint64_t start_rip; // where RIP was, for rig_skipped()
	unsigned int level_eois, last_level_eoi;
	unsigned int mirrored; // calls of phys_apic_mirror_ldr()
	_Alignas(PAGE_SIZE) uint8_t assist[PAGE_SIZE];
};

struct rig {
	struct partition partition;
	struct vp vp[RIG_VPS];
	struct rig_vp of[RIG_VPS];
	_Alignas(PAGE_SIZE) uint8_t memory[RIG_PAGES * PAGE_SIZE]; // GPA 0 and up
	_Alignas(PAGE_SIZE) uint8_t hypercall_page[PAGE_SIZE], reference_tsc_page[PAGE_SIZE];
	uint64_t tsc; // the host's; each reading takes a tick
	unsigned int flushes, intercepted_crashes;
	bool intercept_msrs; // the parent takes all MSR accesses
	uint64_t synic_written;
};

extern struct rig rig;

// Fresh state: all VPs in 64-bit mode without paging, APICs reset (VP i has APIC id i) and enabled
// in software.
void rig_setup(void);

// The register that the backend keeps for VP.
struct hv_register_value *rig_register(const struct vp *vp, enum hv_register_name name);
void rig_set(const struct vp *vp, enum hv_register_name name, uint64_t value);

static inline struct rig_vp *rig_of(const struct vp *vp)
{
	return &rig.of[vp->index];
}

// By how many bytes RIP went on.
static inline uint64_t rig_skipped(const struct vp *vp)
{
	return vp->regs.rip - rig_of(vp)->start_rip;
}

// The hypervisor's clock becomes NOW: not before it was.
static inline void rig_set_clock(uint64_t now)
{
	rig.tsc = tsc_start + now;
}

static inline void rig_put(uint64_t gpa, const void *data, size_t size)
{
	memcpy(rig.memory + gpa, data, size);
}

static inline void rig_put64(uint64_t gpa, uint64_t value)
{
	rig_put(gpa, &value, sizeof(value));
}
