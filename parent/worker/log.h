// SPDX-License-Identifier: BSD-2-Clause
// The worker's log: lines on standard error, which is the child's file `log`.
#pragma once

#include <stdint.h>

// Writes one line, with the time since the worker's start. Any thread.
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);

// How often something that a guest can cause at will has been logged.
struct log_limit {
	uint32_t count;
};

enum { LOG_LIMIT = 16 };

// As log_line, for the first LOG_LIMIT times with this limit; the last of them says that it is the
// last. Any thread.
__attribute__((format(printf, 2, 3))) void log_limited(
	struct log_limit *limit, const char *format, ...);
