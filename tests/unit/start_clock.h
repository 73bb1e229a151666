// SPDX-License-Identifier: BSD-2-Clause
// Where the clock of a test's machine stands when the test begins: a run with each value that
// matters is a test of its own (clocked in tests/meson.build), and a program that is run without
// them says so. Nothing may depend on the host's clock, which is small on a machine that was just
// started.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static inline uint64_t start_clock(void)
{
	const char *text = getenv("LUMEN_TEST_CLOCK");

	if (!text) {
		fputs("LUMEN_TEST_CLOCK is not set, to 0 for instance: this program has a clock.\n",
			stderr);
		abort();
	}
	return strtoull(text, NULL, 0);
}
