// SPDX-License-Identifier: BSD-2-Clause
// What the kernel says of itself: the page /stats.
#pragma once

#include <stddef.h>

#define STATS_PATH "/stats"
#define STATS_TYPE "application/json"

enum { STATS_MAX = 1024 };

// Writes the page, ended by a 0 byte.
void stats_print(char to[STATS_MAX]);
