// SPDX-License-Identifier: BSD-2-Clause
// See space.h. A range of free bytes that cannot be moved lower begins where `within` or a taken
// range ends; there are few of those, so that each is simply tried. Likewise for higher.
#include "parent/worker/platform/space.h"

static const uint64_t page_mask = 0xfff;

bool space_take(struct space *space, uint64_t start, uint64_t end)
{
	if (space->count == SPACE_RANGES_MAX)
		return false;
	space->taken[space->count++] = (struct space_range){ start, end };
	return true;
}

bool space_is_free(const struct space *space, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < space->count; i++)
		if (start < space->taken[i].end && space->taken[i].start < end)
			return false;
	return true;
}

static bool fits(
	const struct space *space, uint64_t start, uint64_t size, struct space_range within)
{
	return start >= within.start && start <= within.end && size <= within.end - start &&
	       space_is_free(space, start, start + size);
}

uint64_t space_lowest(const struct space *space, uint64_t size, struct space_range within)
{
	uint64_t best = SPACE_NONE;

	for (unsigned i = 0; i <= space->count; i++) {
		uint64_t after = i < space->count ? space->taken[i].end : within.start;
		uint64_t start = (after + page_mask) & ~page_mask;

		if (start < best && fits(space, start, size, within))
			best = start;
	}
	return best;
}

uint64_t space_highest(const struct space *space, uint64_t size, struct space_range within)
{
	uint64_t best = SPACE_NONE;

	for (unsigned i = 0; i <= space->count; i++) {
		uint64_t before = i < space->count ? space->taken[i].start : within.end;
		uint64_t start = (before - size) & ~page_mask;

		if (before >= size && (best == SPACE_NONE || start > best) &&
			fits(space, start, size, within))
			best = start;
	}
	return best;
}
