// SPDX-License-Identifier: BSD-2-Clause
// Text for people: the boot log, rate-limited warnings, and the last words of a panic.
#pragma once

#include "hypervisor/core/lib.h"

// printf with %s %u %x %lu %lx, widths and zero padding; a line has at most 200 characters. Any
// context.
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// As log_info, but at most LOG_BURST lines a second over all: for what a partition can cause at
// will.
void log_limited(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

// From now on log_info() and log_limited() do not wait for the console: called when the processors
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
