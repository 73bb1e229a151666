// SPDX-License-Identifier: BSD-2-Clause
// What a write to an MSR comes to.
#pragma once

#include <stdbool.h>

enum msr_result {
	MSR_FAULT = false, // #GP, nothing has changed
	MSR_DONE = true,
	MSR_AGAIN, // not now, nothing has changed: the instruction, or hypercall, is executed again
};
