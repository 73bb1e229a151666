// SPDX-License-Identifier: BSD-2-Clause
// Which ports and addresses that are not there a child touches most: a table of fixed size that
// finds the frequent ones among any number ("Space-Saving", Metwally, Agrawal, El Abbadi 2005).
// Portable; the caller serialises all calls on one struct.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOUCHES_MAX = 32 };

enum touch_space { TOUCH_PORT, TOUCH_MEMORY };

struct touch {
	uint64_t address;
	enum touch_space space;
	uint64_t reads, writes; // seen for certain
	uint64_t perhaps;	// further ones, at most, from before it came into the table
	uint64_t last_ms;	// when the last one was
};

struct touches {
	unsigned count;
	struct touch entries[TOUCHES_MAX];
};

// Counts one access. Who is not in a full table takes the place of the one with the fewest.
void touches_add(struct touches *touches, enum touch_space space, uint64_t address, bool write,
	uint64_t now_ms);

// Copies the entries with the most certain accesses, the first with the most. Returns how many.
unsigned touches_top(const struct touches *touches, struct touch *top, unsigned max);

// Writes what an entry says, as "port 0x61: 12 reads, 3 writes".
void touches_describe(const struct touch *touch, char *text, size_t size);
