// SPDX-License-Identifier: BSD-2-Clause
// What a parent has installed for a child: one page. Written under the child's partition->lock,
// read without; an entry is one 64-bit word (an index and what to do with it), so that readers see
// it whole. All functions take a partition's `intercepts`, whose lists are empty in the root.
#pragma once

#include "hypervisor/core/lib.h"

struct intercepts;

bool intercepts_want_msr(
	const struct intercepts *intercepts, uint32_t msr, uint32_t access, bool known);
bool intercepts_want_cpuid(const struct intercepts *intercepts, uint32_t leaf);
bool intercepts_want_hypercall(const struct intercepts *intercepts);
