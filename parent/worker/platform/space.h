// SPDX-License-Identifier: BSD-2-Clause
// What of a child's RAM below 4 GiB is taken while its kernel is loaded, and where there is room:
// the kernel says where it goes, everything else goes around it. Portable, without memory of its
// own.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { SPACE_RANGES_MAX = 80 }; // a kernel's 64 segments, and what the loader adds

struct space_range {
	uint64_t start, end; // GPAs; the end is not in it
};

struct space {
	unsigned count;
	struct space_range taken[SPACE_RANGES_MAX]; // in no order; they may overlap
};

// Notes that a range is taken, free or not. Returns false if it is one range too many.
bool space_take(struct space *space, uint64_t start, uint64_t end);

// Returns whether nothing of a range is taken.
bool space_is_free(const struct space *space, uint64_t start, uint64_t end);

// Returns the lowest (the highest) page-aligned GPA of `size` free bytes within `within`, or
// SPACE_NONE.
#define SPACE_NONE UINT64_MAX
uint64_t space_lowest(const struct space *space, uint64_t size, struct space_range within);
uint64_t space_highest(const struct space *space, uint64_t size, struct space_range within);
