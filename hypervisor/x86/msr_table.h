// SPDX-License-Identifier: BSD-2-Clause
// Rows of the MSR tables (msr.c: the processor's, msr_hv.c: the TLFS's). An MSR that has no row
// gives #GP, and so does a function that is NULL or says false. Writes say true, false or
// MSR_AGAIN.
#pragma once

#include "hypervisor/x86/msr.h"

struct msr_row;
#define MSR_READ_ARGS  struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t *value
#define MSR_WRITE_ARGS struct vp *vp, const struct msr_row *row, uint32_t msr, uint64_t value

// Functions for rows: with a body; one that reads as an expression; one that hands on to another.
#define MSR_READ(name)	static bool name(MSR_READ_ARGS)
#define MSR_WRITE(name) static enum msr_result name(MSR_WRITE_ARGS)
#define MSR_VALUE(name, expression)                                                                \
	MSR_READ(name)                                                                             \
	{                                                                                          \
		*value = (expression);                                                             \
		return true;                                                                       \
	}
#define MSR_READ_BY(name, call)                                                                    \
	MSR_READ(name)                                                                             \
	{                                                                                          \
		return call;                                                                       \
	}
#define MSR_WRITE_BY(name, call)                                                                   \
	MSR_WRITE(name)                                                                            \
	{                                                                                          \
		return call;                                                                       \
	}

enum msr_roles { MSR_ROOT = 1, MSR_CHILD = 2, MSR_ALL = 3 };

struct msr_row {
	uint32_t first, last;
	uint8_t roles;
	uint64_t privilege; // HV_PRIVILEGE_* without which it gives #GP
	bool (*read)(MSR_READ_ARGS);
	enum msr_result (*write)(MSR_WRITE_ARGS);
	uint64_t data; // for the two
};

// The rows for synthetic MSRs.
extern const struct msr_row msr_hv_rows[];
extern const size_t msr_hv_row_count;

// VP's processor has this MSR? Its row, or NULL.
const struct msr_row *msr_find(const struct vp *vp, uint32_t msr);

// The guest has written CRASH_CTL with CrashNotify: says so in the log.
void msr_hv_log_crash(struct vp *vp);
