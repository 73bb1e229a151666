// SPDX-License-Identifier: BSD-2-Clause
// How a part of the statistics is written: `name value` lines, into a buffer of CONTROL_PART_MAX
// bytes, which is enough for all; a line that does not fit is left out, and all after it.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct stat_text {
	char *text;
	size_t length, size;
};

__attribute__((format(printf, 2, 3))) void stat_line(
	struct stat_text *stat, const char *format, ...);
