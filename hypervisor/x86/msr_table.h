// SPDX-License-Identifier: BSD-2-Clause
// Rows of the MSR tables (msr.c: the processor's, msr_hv.c: the TLFS's). An MSR that has no row
// gives #GP.
#pragma once

#include "hypervisor/x86/msr.h"

enum msr_roles { MSR_ROOT = 1, MSR_CHILD = 2, MSR_ALL = 3 };

struct msr_row {
	uint32_t first, last;
	uint8_t roles;
	bool (*read)(struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t *value);
	// NULL, or false: #GP
	bool (*write)(struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t value);
	union {
		uint64_t constant;  // what the MSR reads
		uint64_t writable;  // bits that a write may change
		uint64_t privilege; // HV_PRIVILEGE_* without which it gives #GP
		uint32_t name;	    // enum hv_register_name
	};
};

// The rows for synthetic MSRs, sorted by number.
extern const struct msr_row msr_hv_rows[];
extern const size_t msr_hv_row_count;

// VP's processor has this MSR? Its row, or NULL.
const struct msr_row *msr_find(const struct vp *vp, uint32_t msr);

// The guest has written CRASH_CTL with CrashNotify: says so in the log.
void msr_hv_log_crash(struct vp *vp);
