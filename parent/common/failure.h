// SPDX-License-Identifier: BSD-2-Clause
// Why something could not be done: one sentence for people, and the exit status that it leads to.
#pragma once

#include <stdbool.h>

#include "parent/common/exit_status.h"

struct failure {
	int status; // enum lumen_exit_status
	char text[400];
};

// Fills in *failure and returns false, so that a caller can `return failure_set(...)`.
__attribute__((format(printf, 3, 4))) bool failure_set(
	struct failure *failure, int status, const char *format, ...);
