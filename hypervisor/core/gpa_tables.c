// SPDX-License-Identifier: BSD-2-Clause
// Making, splitting and folding second-level tables.
#include "hypervisor/core/gpa_tables.h"

void gpa_spare_push(struct gpa_map *map, void *page)
{
	*(void **)page = map->spares;
	map->spares = page;
}

void *gpa_spare_pop(struct gpa_map *map)
{
	void *page = map->spares;

	if (!page)
		return NULL;
	map->spares = *(void **)page;
	return memset(page, 0, PAGE_SIZE);
}

// What the processor has noted in OLD stays noted in the pieces.
static void fill(uint64_t *table, uint64_t old, enum gpa_order order)
{
	uint64_t page = gpa_page_of(old), noted = gpa_format()->noted;
	unsigned int access = gpa_access_of(old);

	for (uint64_t i = 0; i < GPA_ENTRIES; i++)
		table[i] = (gpa_leaf(page + (i << order), access, order) & ~noted) | (old & noted);
}

bool gpa_push_down(struct gpa_map *map, uint64_t *entry, int level, enum gpa_table_source source)
{
	uint64_t *table = source == GPA_FROM_POOL ? page_alloc(map->pool) : gpa_spare_pop(map);
	uint64_t old = READ_ONCE(*entry), lent = source == GPA_FROM_SPARES ? GPA_LENT : 0;

	if (!table)
		return false;
	if (old)
		fill(table, old, gpa_level_order(level - 1));
	store_release(*entry, va_to_page(table) << PAGE_SHIFT | gpa_format()->table | lent);
	return true;
}

// The processor may set its bits in the entry at the same time.
static bool own(struct gpa_map *map, uint64_t *entry)
{
	void *page;

	if (!(*entry & GPA_LENT))
		return true;
	page = page_alloc(map->pool);
	if (!page)
		return false;
	gpa_spare_push(map, page);
	__atomic_fetch_and(entry, ~GPA_LENT, __ATOMIC_RELAXED);
	return true;
}

bool gpa_own_tables(struct gpa_map *map, uint64_t gpa_page)
{
	uint64_t *entry = &map->top[gpa_entry_index(gpa_page, GPA_TOP_LEVEL)];

	for (int at = GPA_TOP_LEVEL; gpa_is_table(*entry, at); at--) {
		if (!own(map, entry))
			return false;
		entry = &gpa_table_of(*entry)[gpa_entry_index(gpa_page, at - 1)];
	}
	return true;
}

uint64_t *gpa_make_entry(
	struct gpa_map *map, uint64_t gpa_page, int level, enum gpa_table_source source)
{
	uint64_t *entry = &map->top[gpa_entry_index(gpa_page, GPA_TOP_LEVEL)];

	for (int at = GPA_TOP_LEVEL; at > level; at--) {
		if (gpa_is_dying(*entry))
			return NULL;
		if (!gpa_is_table(*entry, at) && !gpa_push_down(map, entry, at, source))
			return NULL;
		if (source == GPA_FROM_POOL && !own(map, entry))
			return NULL;
		entry = &gpa_table_of(*entry)[gpa_entry_index(gpa_page, at - 1)];
	}
	return entry;
}

uint64_t *gpa_find_entry(const struct gpa_map *map, uint64_t gpa_page, int *level)
{
	uint64_t *entry = &map->top[gpa_entry_index(gpa_page, GPA_TOP_LEVEL)];
	int at = GPA_TOP_LEVEL;

	for (; at > 0 && gpa_is_table(*entry, at); at--)
		entry = &gpa_table_of(*entry)[gpa_entry_index(gpa_page, at - 1)];
	*level = at;
	return entry;
}

// The entry that could stand for a whole table, one level up: 0 for an empty table, NOT_UNIFORM if
// there is none. What the processor has noted in its entries makes them no different, and is kept.
#define NOT_UNIFORM UINT64_MAX

static uint64_t uniform_entry(const uint64_t *table, int level)
{
	uint64_t first = READ_ONCE(table[0]), page = gpa_page_of(first);
	uint64_t noted = gpa_format()->noted, seen = first & noted;
	enum gpa_order order = gpa_level_order(level), larger = gpa_level_order(level + 1);
	unsigned int access = gpa_access_of(first);

	if (first && (!gpa_is_leaf(first, level) || larger > gpa_format()->max_order() ||
			     page & ((1ull << larger) - 1)))
		return NOT_UNIFORM;
	for (uint64_t i = 1; i < GPA_ENTRIES; i++) {
		uint64_t entry = READ_ONCE(table[i]);
		uint64_t like = first ? gpa_leaf(page + (i << order), access, order) : 0;

		if ((entry ^ like) & ~noted)
			return NOT_UNIFORM;
		seen |= entry & noted;
	}
	return first ? (gpa_leaf(page, access, larger) & ~noted) | seen : 0;
}

void gpa_fold(struct gpa_map *map, uint64_t gpa_page, bool lent, struct gpa_folded *folded)
{
	uint64_t *path[GPA_TOP_LEVEL + 1];
	int level = GPA_TOP_LEVEL;

	path[level] = &map->top[gpa_entry_index(gpa_page, level)];
	for (; level > 0 && gpa_is_table(*path[level], level); level--)
		path[level - 1] = &gpa_table_of(*path[level])[gpa_entry_index(gpa_page, level - 1)];
	for (; level < GPA_TOP_LEVEL && !(*path[level + 1] & GPA_LENT) == !lent; level++) {
		uint64_t *table = gpa_table_of(*path[level + 1]);
		uint64_t entry = uniform_entry(table, level);

		if (entry == NOT_UNIFORM)
			return;
		WRITE_ONCE(*path[level + 1], entry);
		folded->table[folded->count++] = table;
	}
}
