// SPDX-License-Identifier: BSD-2-Clause
// Extended processor state (x87, SSE, AVX, ...): the components that fit the one page that a VP has for them.
#pragma once

#include "hypervisor/core/lib.h"

// XCR0 while the hypervisor saves and restores; what guests may set at most.
extern uint64_t host_xcr0;

void xstate_enable(void); // on each processor
