// SPDX-License-Identifier: BSD-2-Clause
// The text screen of a VGA, which no child has: there is RAM at its place, and a kernel that knows
// no other console leaves there what it wanted to say. Portable.
#pragma once

#include <stdint.h>

enum { SCREEN_COLUMNS = 80, SCREEN_ROWS = 25, SCREEN_BYTES = SCREEN_COLUMNS * SCREEN_ROWS * 2 };

// Says each row of the screen with text in it, once copied; nothing if there is hardly any text.
void screen_report(const uint8_t *screen, void (*say)(const char *format, ...));
