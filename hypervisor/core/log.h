// SPDX-License-Identifier: BSD-2-Clause
// Text for people: the boot log, rate-limited warnings, and the last words of a panic.
#pragma once

#include "hypervisor/core/lib.h"

// printf with %s %u %x %lu %lx, widths and zero padding; a line has at most 200 characters. Any
// context. LIMITED: at most 20 of these a second over all: for what a partition can cause at will.
void log_line(bool limited, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_info(...)	 log_line(false, __VA_ARGS__)
#define log_limited(...) log_line(true, __VA_ARGS__)

// From now on log_line() does not wait for the console: called when the processors
// are about to run guests.
void log_in_background(void);

// The hypervisor is wrong or the machine is broken: prints, stops all processors. A partition must
// not be able to cause it.
void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("%s:%u: %s", __FILE__, __LINE__, #cond);                             \
	} while (0)
