// SPDX-License-Identifier: BSD-2-Clause
// Where the clock of a test's machine stands when the test begins: a run with each value that
// matters is a test of its own (clocks in meson.build). Nothing may depend on the host's clock,
// which is small on a machine that was just started.
#pragma once

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t start_clock(void)
{
	const char *text = getenv("LUMEN_TEST_CLOCK");

	return text ? strtoull(text, NULL, 0) : 0;
}
