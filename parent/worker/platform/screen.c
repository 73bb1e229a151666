// SPDX-License-Identifier: BSD-2-Clause
// See screen.h. A cell is a character and its colours.
#include "parent/worker/platform/screen.h"

#include <string.h>

enum { TEXT_MIN = 4 }; // characters: fewer may be anything

// Makes a line of printable characters of a row. Returns how many are no spaces.
static unsigned read_row(const uint8_t *row, char *line)
{
	unsigned used = 0, length = 0;

	for (unsigned i = 0; i < SCREEN_COLUMNS; i++) {
		uint8_t character = row[2 * i];

		line[i] = character > ' ' && character <= '~' ? (char)character : ' ';
		if (line[i] == ' ')
			continue;
		used++;
		length = i + 1;
	}
	line[length] = 0;
	return used;
}

void screen_report(const uint8_t *screen, void (*say)(const char *format, ...))
{
	uint8_t copy[SCREEN_BYTES];
	char line[SCREEN_COLUMNS + 1];
	unsigned used = 0;

	memcpy(copy, screen, sizeof(copy)); // the child may still write to it
	for (unsigned i = 0; i < SCREEN_ROWS; i++)
		used += read_row(copy + i * SCREEN_COLUMNS * 2, line);
	if (used < TEXT_MIN)
		return;
	say("there is no VGA, but text at 0xb8000 (the console is the 16550 at port 0x3f8):");
	for (unsigned i = 0; i < SCREEN_ROWS; i++)
		if (read_row(copy + i * SCREEN_COLUMNS * 2, line))
			say("  | %s", line);
}
