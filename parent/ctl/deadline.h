// SPDX-License-Identifier: BSD-2-Clause
// A deadline for system calls that wait. One at a time.
#pragma once

#include <stdbool.h>

// From now on, calls that wait return EINTR once so many seconds have passed: again and again, so
// that none is missed that only began to wait at that moment.
void deadline_start(unsigned int seconds);

// Whether they have passed.
bool deadline_passed(void);

// Calls wait for ever again.
void deadline_end(void);
