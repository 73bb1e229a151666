// SPDX-License-Identifier: BSD-2-Clause
// Why a partition's hypercall or MSR access was refused: lines in the log with the texts of
// hypercall/explain.h. Rate-limited.
#pragma once

#include "hypercall/explain.h"
#include "hypervisor/core/vp.h"

// The call with this control word broke a rule of the dispatcher. Returns the status for it.
hv_status explain_rejection(const struct vp *vp, uint64_t control, enum hv_rejection why);

// The call's handler returned STATUS. Says nothing of those with which the caller only waits.
void explain_status(const struct vp *vp, uint64_t control, hv_status status);

// An access (WHAT: "read" or "write") gave #GP.
void explain_msr(const struct vp *vp, uint32_t msr, const char *what);
