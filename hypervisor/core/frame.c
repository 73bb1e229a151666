// SPDX-License-Identifier: BSD-2-Clause
// The frame table.
#include "hypervisor/core/frame.h"

enum { FRAME_NO_RAM = 0xffff, FRAME_HYPERVISOR = 0xfffe, FRAME_MAPS_MAX = 0xfffd };

static uint16_t *frames;
static uint64_t frame_count;

uint64_t frame_table_bytes(uint64_t top_spa)
{
	return ALIGN_UP((top_spa >> 12) * sizeof(frames[0]), 4096);
}

void frame_table_init(uint64_t top_spa, void *storage)
{
	frames = storage;
	frame_count = top_spa >> 12;
	memset(frames, 0xff, frame_count * sizeof(frames[0]));
}

void frame_mark(uint64_t first_page, uint64_t count, bool hypervisor)
{
	for (uint64_t i = first_page; i < first_page + count && i < frame_count; i++)
		frames[i] = hypervisor ? FRAME_HYPERVISOR : 0;
}

bool frame_is_hypervisor(uint64_t spa_page)
{
	return spa_page < frame_count &&
	       READ_ONCE(frames[index_nospec(spa_page, frame_count)]) == FRAME_HYPERVISOR;
}

static bool get_one(uint64_t page)
{
	uint16_t old = page < frame_count ? READ_ONCE(frames[index_nospec(page, frame_count)])
					  : FRAME_NO_RAM;

	do {
		if (old >= FRAME_MAPS_MAX)
			return false;
	} while (!__atomic_compare_exchange_n(
		&frames[page], &old, old + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return true;
}

bool frame_map_get(uint64_t first_page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		if (!get_one(first_page + i)) {
			frame_map_put(first_page, i);
			return false;
		}
	}
	return true;
}

void frame_map_put(uint64_t first_page, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		__atomic_fetch_sub(&frames[first_page + i], 1, __ATOMIC_RELEASE);
}

bool frame_take(uint64_t spa_page)
{
	uint16_t unmapped = 0;

	return spa_page < frame_count &&
	       __atomic_compare_exchange_n(&frames[spa_page], &unmapped, FRAME_HYPERVISOR, false,
		       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void frame_release(uint64_t spa_page)
{
	store_release(frames[spa_page], 0);
}
