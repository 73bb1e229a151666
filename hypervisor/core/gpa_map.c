// SPDX-License-Identifier: BSD-2-Clause
// Second-level page tables: a radix tree of four levels. Level 0 has 4 KiB leaves, level 1 2 MiB,
// level 2 1 GiB.
//
// Besides what the backend's format knows, an entry may be DYING: not present for the processor,
// but still holding its frames until gpa_map_reap(). Lookups take no lock: an entry is one aligned
// 64-bit word, and tables are freed with the map only.
#include "hypervisor/core/gpa_map.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/x86/memory.h"

#define TOP_LEVEL 3
#define ENTRIES	  512
#define DYING	  BIT(11) // with the present bits of all formats (2:0) clear

static const struct gpa_entry_format *format(void)
{
	return &backend->gpa_format;
}

static enum gpa_order level_order(int level)
{
	return level * 9;
}

static unsigned int entry_index(uint64_t gpa_page, int level)
{
	return gpa_page >> level_order(level) & (ENTRIES - 1);
}

static bool is_present(uint64_t entry)
{
	return entry & 7;
}

static bool is_dying(uint64_t entry)
{
	return !is_present(entry) && entry & DYING;
}

static bool is_leaf(uint64_t entry, int level)
{
	return is_present(entry) && (level == 0 || format()->is_leaf(entry, level_order(level)));
}

static uint64_t *table_of(uint64_t entry)
{
	return page_to_va(format()->page(entry));
}

static void spare_push(struct gpa_map *map, void *page)
{
	*(void **)page = map->spares;
	map->spares = page;
}

static void *spare_pop(struct gpa_map *map)
{
	void *page = map->spares;

	if (!page)
		return NULL;
	map->spares = *(void **)page;
	return memset(page, 0, PAGE_SIZE);
}

// Where a new table comes from.
enum table_source { FROM_POOL, FROM_SPARES };

// Puts a table of 512 smaller leaves, or an empty table, in the place of ENTRY.
static bool push_down(struct gpa_map *map, uint64_t *entry, int level, enum table_source source)
{
	uint64_t *table = source == FROM_POOL ? page_alloc(map->pool) : spare_pop(map);
	enum gpa_order order = level_order(level - 1);
	uint64_t old = *entry;

	if (!table)
		return false;
	map->spares_lent += source == FROM_SPARES;
	for (uint64_t i = 0; old && i < ENTRIES; i++)
		table[i] = format()->leaf(
			format()->page(old) + (i << order), format()->access(old), order);
	WRITE_ONCE(*entry, format()->table(va_to_page(table)));
	return true;
}

// The entry for GPA_PAGE at LEVEL, making (and splitting) what is above it. NULL: no memory, or
// just being removed.
static uint64_t *make_entry(
	struct gpa_map *map, uint64_t gpa_page, int level, enum table_source source)
{
	uint64_t *entry = &map->top[entry_index(gpa_page, TOP_LEVEL)];

	for (int at = TOP_LEVEL; at > level; at--) {
		if (is_dying(*entry))
			return NULL;
		if ((!*entry || is_leaf(*entry, at)) && !push_down(map, entry, at, source))
			return NULL;
		entry = &table_of(*entry)[entry_index(gpa_page, at - 1)];
	}
	return entry;
}

// The lowest entry that exists for GPA_PAGE, and its level.
static uint64_t *find_entry(const struct gpa_map *map, uint64_t gpa_page, int *level)
{
	uint64_t *entry = &map->top[entry_index(gpa_page, TOP_LEVEL)];
	int at = TOP_LEVEL;

	for (; at > 0; at--) {
		uint64_t value = READ_ONCE(*entry);

		if (!is_present(value) || is_leaf(value, at))
			break;
		entry = &table_of(value)[entry_index(gpa_page, at - 1)];
	}
	*level = at;
	return entry;
}

static struct overlay *overlay_at(const struct gpa_map *map, uint64_t gpa_page)
{
	struct overlay *overlay = map->overlays;

	while (overlay && overlay->gpa_page != gpa_page)
		overlay = overlay->next;
	return overlay;
}

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
	return map->top;
}

void gpa_map_unprovide(struct gpa_map *map, unsigned int overlays)
{
	spin_guard(&map->lock);
	for (unsigned int i = 0; i < overlays * OVERLAY_TABLES; i++)
		page_free(map->pool, spare_pop(map));
}

bool gpa_map_provide(struct gpa_map *map, unsigned int overlays)
{
	spin_guard(&map->lock);
	for (unsigned int i = 0; i < overlays * OVERLAY_TABLES; i++) {
		void *page = page_alloc(map->pool);

		if (!page) {
			while (i--)
				page_free(map->pool, spare_pop(map));
			return false;
		}
		spare_push(map, page);
	}
	return true;
}

static void free_table(struct gpa_map *map, uint64_t *table, int level)
{
	for (int i = 0; i < ENTRIES; i++) {
		uint64_t entry = table[i];

		if (is_present(entry) && !is_leaf(entry, level))
			free_table(map, table_of(entry), level - 1);
		else if (is_present(entry) && map->counts_frames)
			frame_map_put(format()->page(entry), 1ull << level_order(level));
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
		free_table(map, map->top, TOP_LEVEL);
	while (map->spares)
		page_free(map->pool, spare_pop(map));
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
	entry = mapping_slot(map, gpa_page, find_entry(map, gpa_page, &at), at);
	if (at < level || *entry)
		return GPA_MAP_BUSY;
	entry = make_entry(map, gpa_page, level, FROM_POOL);
	if (!entry)
		return GPA_MAP_NO_MEMORY;
	if (map->counts_frames && !frame_map_get(spa_page, 1ull << order))
		return GPA_MAP_BAD_FRAME;
	entry = mapping_slot(map, gpa_page, entry, level);
	WRITE_ONCE(*entry, format()->leaf(spa_page, access, order));
	map->mapped_pages += 1ull << order;
	return GPA_MAP_OK;
}

// Splits the leaf that BOUNDARY cuts, if there is one.
static bool split_at(struct gpa_map *map, uint64_t boundary)
{
	for (;;) {
		int level;
		uint64_t *entry = find_entry(map, boundary, &level);

		if (!is_leaf(*entry, level) || !(boundary & ((1ull << level_order(level)) - 1)))
			return true;
		if (!push_down(map, entry, level, FROM_POOL))
			return false;
	}
}

// Calls VISIT for each mapping (present or dying) in a range that cuts no leaf.
static void for_each_mapping(struct gpa_map *map, uint64_t gpa_page, uint64_t count,
	void (*visit)(struct gpa_map *map, uint64_t *slot, int level))
{
	uint64_t end = gpa_page + count, size;
	uint64_t *slot;
	int level;

	for (; gpa_page < end; gpa_page = ALIGN_DOWN(gpa_page, size) + size) {
		slot = find_entry(map, gpa_page, &level);
		size = 1ull << level_order(level);
		visit(map, mapping_slot(map, gpa_page, slot, level), level);
	}
}

static void make_dying(struct gpa_map *map, uint64_t *slot, int level)
{
	if (!is_leaf(*slot, level))
		return;
	WRITE_ONCE(*slot, format()->page(*slot) << PAGE_SHIFT | DYING);
	map->mapped_pages -= 1ull << level_order(level);
}

static void reap(struct gpa_map *map, uint64_t *slot, int level)
{
	if (!is_dying(*slot))
		return;
	if (map->counts_frames)
		frame_map_put(*slot >> PAGE_SHIFT, 1ull << level_order(level));
	WRITE_ONCE(*slot, 0);
}

bool gpa_map_clear(struct gpa_map *map, uint64_t gpa_page, uint64_t count)
{
	spin_guard(&map->lock);
	if (!split_at(map, gpa_page) || !split_at(map, gpa_page + count))
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
	uint64_t entry, folds;
	int level;

	if (gpa_page >> (GPA_BITS - PAGE_SHIFT))
		return false;
	do {
		folds = READ_ONCE(map->folds);
		entry = READ_ONCE(*find_entry(map, gpa_page, &level));
	} while (READ_ONCE(map->folds) != folds); // a table may have got another use
	if (!is_leaf(entry, level) || (format()->access(entry) & access) != access)
		return false;
	*spa_page = format()->page(entry) + (gpa_page & ((1ull << level_order(level)) - 1));
	return true;
}

// The entry that could stand for a whole table, one level up: 0 for an empty table, NOT_UNIFORM if
// there is none.
#define NOT_UNIFORM UINT64_MAX

static uint64_t uniform_entry(const uint64_t *table, int level)
{
	uint64_t first = table[0], page = format()->page(first);
	enum gpa_order order = level_order(level), larger = level_order(level + 1);
	unsigned int access = format()->access(first);

	if (first && (!is_leaf(first, level) || larger > format()->max_order() ||
			     page & ((1ull << larger) - 1)))
		return NOT_UNIFORM;
	for (uint64_t i = 1; i < ENTRIES; i++)
		if (table[i] != (first ? format()->leaf(page + (i << order), access, order) : 0))
			return NOT_UNIFORM;
	return first ? format()->leaf(page, access, larger) : 0;
}

// Takes the tables above GPA_PAGE out of the tree that say no more than one entry could, MOST at
// most. The processors may still walk them.
static void fold(struct gpa_map *map, uint64_t gpa_page, uint64_t most, struct gpa_folded *folded)
{
	uint64_t *path[TOP_LEVEL + 1], entry;
	int level;

	folded->count = 0;
	find_entry(map, gpa_page, &level);
	path[TOP_LEVEL] = &map->top[entry_index(gpa_page, TOP_LEVEL)];
	for (int at = TOP_LEVEL; at > level; at--)
		path[at - 1] = &table_of(*path[at])[entry_index(gpa_page, at - 1)];
	for (; level < TOP_LEVEL && folded->count < most; level++) {
		uint64_t *table = table_of(*path[level + 1]);

		entry = uniform_entry(table, level);
		if (entry == NOT_UNIFORM)
			return;
		WRITE_ONCE(*path[level + 1], entry);
		folded->table[folded->count++] = table;
	}
}

void gpa_map_fold(struct gpa_map *map, uint64_t gpa_page, struct gpa_folded *folded)
{
	spin_guard(&map->lock);
	fold(map, gpa_page, UINT64_MAX, folded);
}

void gpa_map_give_back(struct gpa_map *map, struct gpa_folded *folded)
{
	spin_guard(&map->lock);
	__atomic_fetch_add(&map->folds, 1, __ATOMIC_SEQ_CST);
	for (; folded->count; folded->count--) {
		if (map->spares_lent) {
			map->spares_lent--;
			spare_push(map, folded->table[folded->count - 1]);
		} else {
			page_free(map->pool, folded->table[folded->count - 1]);
		}
	}
}

bool overlay_set(struct gpa_map *map, struct overlay *overlay, uint64_t gpa_page, void *page,
	unsigned int access)
{
	struct overlay *covered;
	uint64_t *entry;

	if (gpa_page >> (GPA_BITS - PAGE_SHIFT))
		return false;
	spin_guard(&map->lock);
	entry = make_entry(map, gpa_page, 0, FROM_SPARES);
	if (!entry)
		return false;
	covered = overlay_at(map, gpa_page);
	*overlay = (struct overlay){
		.next = map->overlays,
		.active = true,
		.gpa_page = gpa_page,
		.leaf = format()->leaf(va_to_page(page), access, GPA_4K),
		.below = covered ? covered->below : *entry,
	};
	map->overlays = overlay;
	WRITE_ONCE(*entry, overlay->leaf);
	return true;
}

// A page shows its newest overlay, the first in the list (TLFS leaves the order open); that one
// knows what lies below.
void overlay_clear(struct gpa_map *map, struct overlay *overlay)
{
	struct overlay **link = &map->overlays, *next;
	uint64_t *entry;
	bool shown;
	int level;

	spin_guard(&map->lock);
	if (!overlay->active)
		return;
	shown = overlay_at(map, overlay->gpa_page) == overlay;
	while (*link != overlay)
		link = &(*link)->next;
	*link = overlay->next;
	overlay->active = false;
	overlay->cleared = true;
	if (!shown)
		return;
	entry = find_entry(map, overlay->gpa_page, &level);
	next = overlay_at(map, overlay->gpa_page);
	if (next)
		next->below = overlay->below;
	WRITE_ONCE(*entry, next ? next->leaf : overlay->below);
	if (!next)
		fold(map, overlay->gpa_page, map->spares_lent, &overlay->folded);
}

bool overlay_reap(struct gpa_map *map, struct overlay *overlay)
{
	if (!overlay->cleared)
		return false;
	gpa_map_give_back(map, &overlay->folded);
	overlay->cleared = false;
	return true;
}
