// SPDX-License-Identifier: BSD-2-Clause
// The devices of a PC that a child does not have: where kernels look for them, and what to do
// instead. One table; docs/sdk.md ("What your PC kernel expects") repeats it for people. Portable.
#pragma once

#include "parent/worker/platform/touches.h"

struct missing_device {
	enum touch_space space;
	uint64_t first, last; // ports or addresses
	const char *name;
	const char
		*advice; // what to do instead; NULL: touching it is harmless, nobody waits for it
};

// Returns the device that a PC has there, or NULL if none is known.
const struct missing_device *missing_find(enum touch_space space, uint64_t address);

enum { MISSING_SENTENCE_MAX = 320 };

// Says what a child that does not end seems to be waiting for: " It seems to wait for ...", with a
// space in front, or "" if nothing hints at that it waits for anything that is not there.
void missing_waits_for(const struct touches *touches, uint64_t now_ms, char *sentence, size_t size);

// Says which were touched most, in at most MISSING_LINES_MAX lines.
enum { MISSING_LINES_MAX = 9 };
void missing_report(
	const struct touches *touches, uint64_t now_ms, void (*say)(const char *format, ...));
