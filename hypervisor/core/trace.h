// SPDX-License-Identifier: BSD-2-Clause
// The trace ring: what happened last, cheap enough to be always on. The root reads it (format:
// hypercall/lumen_trace.h).
#pragma once

#include "hypercall/lumen_trace.h"
#include "hypervisor/core/lib.h"

struct vp;

extern uint32_t trace_mask;		// bit per event number
extern uint64_t trace_spa, trace_bytes; // where the root finds it

void trace_write(enum lumen_trace_event event, const struct vp *vp, uint64_t a, uint64_t b);

// Records EVENT; VP may be NULL. Any context.
#define trace(event, vp, a, b)                                                                     \
	do {                                                                                       \
		if (trace_mask & 1u << (event))                                                    \
			trace_write(event, vp, a, b);                                              \
	} while (0)

void trace_init(void *pages, uint64_t bytes);
