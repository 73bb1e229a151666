// SPDX-License-Identifier: BSD-2-Clause
// The TSC of the test's machine in place of the processor's (tests/unit/start_clock.h).
#pragma once

#include <stdint.h>

uint64_t rdtsc(void);
