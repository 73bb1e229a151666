// SPDX-License-Identifier: BSD-2-Clause
// A partition's mappings, and looking them up. Lookups take no lock: an entry is one aligned 64-bit
// word, a table is complete before it is linked, and one that has been taken out of the tree is
// used again after a flush and a grace period only (overlay.c).
#include "hypervisor/core/frame.h"
#include "hypervisor/core/gpa_tables.h"
#include "hypervisor/core/overlay.h"

// Where the mapping of a page itself stands: in the tables, or below the overlay that covers it.
static uint64_t *mapping_slot(struct gpa_map *map, uint64_t gpa_page, uint64_t *entry, int level)
{
	struct overlay *overlay = level == 0 ? overlay_at(map, gpa_page) : NULL;

	return overlay ? &overlay->below : entry;
}

bool gpa_map_init(struct gpa_map *map, struct page_pool *pool, bool counts_frames)
{
	*map = (struct gpa_map){ .pool = pool, .counts_frames = counts_frames };
	map->top = page_alloc(pool);
	return map->top && overlays_provide(map, GPA_MOVERS);
}

static void free_table(struct gpa_map *map, uint64_t *table, int level)
{
	for (int i = 0; i < GPA_ENTRIES; i++) {
		uint64_t entry = table[i];

		if (gpa_is_table(entry, level))
			free_table(map, gpa_table_of(entry), level - 1);
		else if (gpa_is_present(entry) && map->counts_frames)
			frame_map_put(gpa_page_of(entry), 1ull << gpa_level_order(level));
	}
	page_free(map->pool, table);
}

void gpa_map_destroy(struct gpa_map *map)
{
	struct overlay *overlay;

	while ((overlay = map->overlays)) {
		overlay_clear(map, overlay);
		overlay_reap(map, overlay);
	}
	if (map->top)
		free_table(map, map->top, GPA_TOP_LEVEL);
	for (int mover = 0; mover < GPA_MOVERS; mover++)
		gpa_map_give_back(map, &map->left[mover].folded);
	while (map->spares)
		page_free(map->pool, gpa_spare_pop(map));
	map->top = NULL;
	map->mapped_pages = 0;
}

enum gpa_map_result gpa_map_set(struct gpa_map *map, uint64_t gpa_page, uint64_t spa_page,
	enum gpa_order order, unsigned int access)
{
	int level = order / 9, at;
	uint64_t *entry;

	if (gpa_page >> (GPA_BITS - PAGE_SHIFT) || (gpa_page | spa_page) & ((1ull << order) - 1))
		return GPA_MAP_BAD_ADDRESS;
	spin_guard(&map->lock);
	// Nothing may be there yet, not even an empty table: it could hold an overlay.
	entry = mapping_slot(map, gpa_page, gpa_find_entry(map, gpa_page, &at), at);
	if (at < level || *entry)
		return GPA_MAP_BUSY;
	entry = gpa_make_entry(map, gpa_page, level, GPA_FROM_POOL);
	if (!entry)
		return GPA_MAP_NO_MEMORY;
	if (map->counts_frames && !frame_map_get(spa_page, 1ull << order))
		return GPA_MAP_BAD_FRAME;
	entry = mapping_slot(map, gpa_page, entry, level);
	WRITE_ONCE(*entry, gpa_leaf(spa_page, access, order));
	map->mapped_pages += 1ull << order;
	return GPA_MAP_OK;
}

// Splits the leaf that BOUNDARY cuts, if there is one.
static bool split_at(struct gpa_map *map, uint64_t boundary)
{
	for (;;) {
		int level;
		uint64_t *entry = gpa_find_entry(map, boundary, &level);

		if (!gpa_is_leaf(*entry, level) ||
			!(boundary & ((1ull << gpa_level_order(level)) - 1)))
			return true;
		if (!gpa_push_down(map, entry, level, GPA_FROM_POOL))
			return false;
	}
}

// No table that holds a part of the range is lent afterwards: without what is removed it would say
// more than one entry could. A table's 512 pages at a time.
static bool own_range(struct gpa_map *map, uint64_t gpa_page, uint64_t count)
{
	uint64_t end = gpa_page + count;

	for (; gpa_page < end; gpa_page = ALIGN_DOWN(gpa_page, 1 << GPA_2M) + (1 << GPA_2M))
		if (!gpa_own_tables(map, gpa_page))
			return false;
	return true;
}

// Calls VISIT for each mapping (present or dying) in a range that cuts no leaf.
static void for_each_mapping(struct gpa_map *map, uint64_t gpa_page, uint64_t count,
	void (*visit)(struct gpa_map *map, uint64_t *slot, int level))
{
	uint64_t end = gpa_page + count, size;
	uint64_t *slot;
	int level;

	for (; gpa_page < end; gpa_page = ALIGN_DOWN(gpa_page, size) + size) {
		slot = gpa_find_entry(map, gpa_page, &level);
		size = 1ull << gpa_level_order(level);
		visit(map, mapping_slot(map, gpa_page, slot, level), level);
	}
}

static void make_dying(struct gpa_map *map, uint64_t *slot, int level)
{
	if (!gpa_is_leaf(*slot, level))
		return;
	WRITE_ONCE(*slot, gpa_page_of(*slot) << PAGE_SHIFT | GPA_DYING);
	map->mapped_pages -= 1ull << gpa_level_order(level);
}

static void reap(struct gpa_map *map, uint64_t *slot, int level)
{
	if (!gpa_is_dying(*slot))
		return;
	if (map->counts_frames)
		frame_map_put(*slot >> PAGE_SHIFT, 1ull << gpa_level_order(level));
	WRITE_ONCE(*slot, 0);
}

bool gpa_map_clear(struct gpa_map *map, uint64_t gpa_page, uint64_t count)
{
	spin_guard(&map->lock);
	if (!own_range(map, gpa_page, count) || !split_at(map, gpa_page) ||
		!split_at(map, gpa_page + count))
		return false;
	for_each_mapping(map, gpa_page, count, make_dying);
	return true;
}

void gpa_map_reap(struct gpa_map *map, uint64_t gpa_page, uint64_t count)
{
	quiesce_wait();
	spin_guard(&map->lock);
	for_each_mapping(map, gpa_page, count, reap);
}

bool gpa_map_lookup(
	const struct gpa_map *map, uint64_t gpa_page, unsigned int access, uint64_t *spa_page)
{
	const uint64_t *table = map->top;
	int level = GPA_TOP_LEVEL;
	uint64_t entry;

	if (gpa_page >> (GPA_BITS - PAGE_SHIFT))
		return false;
	// Each entry is read once, as it may change at any time. A table that is folded meanwhile
	// stays as it is: its new use waits for a grace period, and so for this processor.
	for (;; level--) {
		entry = READ_ONCE(table[gpa_entry_index(gpa_page, level)]);
		if (!gpa_is_table(entry, level))
			break;
		table = gpa_table_of(entry);
	}
	if (!gpa_is_leaf(entry, level) || (gpa_access_of(entry) & access) != access)
		return false;
	*spa_page = gpa_page_of(entry) + (gpa_page & ((1ull << gpa_level_order(level)) - 1));
	return true;
}

void gpa_map_fold(struct gpa_map *map, uint64_t gpa_page, struct gpa_folded *folded)
{
	spin_guard(&map->lock);
	folded->count = 0;
	gpa_fold(map, gpa_page, false, folded);
}

void gpa_map_give_back(struct gpa_map *map, struct gpa_folded *folded)
{
	while (folded->count)
		page_free(map->pool, folded->table[--folded->count]);
}
