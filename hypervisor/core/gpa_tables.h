// SPDX-License-Identifier: BSD-2-Clause
// The second-level tables themselves, for gpa_map.c and overlay.c only: a radix tree of four
// levels. Level 0 has 4 KiB leaves, level 1 2 MiB, level 2 1 GiB. All that changes it needs
// map->lock.
//
// Besides what the backend's format knows, an entry may be DYING: not present for the processor,
// but still holding its frames until gpa_map_reap(). And a table may be LENT: one of map->spares,
// put in for overlays, some of which are below it; but for them it says no more than one entry
// could, and it comes back when the last of them goes.
#pragma once

#include "hypervisor/core/backend.h"
#include "hypervisor/core/gpa_map.h"
#include "hypervisor/x86/memory.h"

#define GPA_TOP_LEVEL 3
#define GPA_ENTRIES   512

// Bit 11 is the hypervisor's own in all formats.
#define GPA_DYING BIT(11) // with the present bits of all formats (2:0) clear
#define GPA_LENT  BIT(11) // of a present entry that is no leaf

static inline const struct gpa_entry_format *gpa_format(void)
{
	return &backend->gpa_format;
}

static inline enum gpa_order gpa_level_order(int level)
{
	return level * 9;
}

static inline unsigned int gpa_entry_index(uint64_t gpa_page, int level)
{
	return gpa_page >> gpa_level_order(level) & (GPA_ENTRIES - 1);
}

static inline bool gpa_is_present(uint64_t entry)
{
	return entry & 7;
}

static inline bool gpa_is_dying(uint64_t entry)
{
	return !gpa_is_present(entry) && entry & GPA_DYING;
}

static inline bool gpa_is_leaf(uint64_t entry, int level)
{
	return gpa_is_present(entry) && (level == 0 || entry & gpa_format()->large);
}

static inline bool gpa_is_table(uint64_t entry, int level)
{
	return gpa_is_present(entry) && !gpa_is_leaf(entry, level);
}

// The SPA page that a leaf, or an entry for a table, points to.
static inline uint64_t gpa_page_of(uint64_t entry)
{
	return (entry & gpa_format()->address) >> PAGE_SHIFT;
}

static inline uint64_t gpa_leaf(uint64_t spa_page, unsigned int access, enum gpa_order order)
{
	const struct gpa_entry_format *f = gpa_format();

	return spa_page << PAGE_SHIFT | f->leaf | (order ? f->large : 0) |
	       (access & GPA_WRITE ? f->write : 0) |
	       (access & GPA_EXECUTE ? f->execute : f->no_execute);
}

static inline unsigned int gpa_access_of(uint64_t leaf)
{
	const struct gpa_entry_format *f = gpa_format();

	return GPA_READ | (leaf & f->write ? GPA_WRITE : 0) |
	       ((leaf ^ f->no_execute) & (f->execute | f->no_execute) ? GPA_EXECUTE : 0);
}

static inline uint64_t *gpa_table_of(uint64_t entry)
{
	return page_to_va(gpa_page_of(entry));
}

// The lowest entry that exists for GPA_PAGE, and its level.
uint64_t *gpa_find_entry(const struct gpa_map *map, uint64_t gpa_page, int *level);

// Where the page of a new table comes from.
enum gpa_table_source { GPA_FROM_POOL, GPA_FROM_SPARES };

// The entry for GPA_PAGE at LEVEL, making (and splitting) what is above it. From the pool: what is
// lent on the way is the mapping's own afterwards. NULL: no memory, or just being removed.
uint64_t *gpa_make_entry(
	struct gpa_map *map, uint64_t gpa_page, int level, enum gpa_table_source source);

// Puts a table of 512 smaller leaves, or an empty table, in the place of ENTRY. False: no memory.
bool gpa_push_down(struct gpa_map *map, uint64_t *entry, int level, enum gpa_table_source source);

// Makes the tables above GPA_PAGE the mapping's own, with pages of the pool for those that were
// lent. False: no memory.
bool gpa_own_tables(struct gpa_map *map, uint64_t gpa_page);

// Takes the tables above GPA_PAGE out of the tree that say no more than one entry could, as long as
// they are lent (or are not), and adds them to FOLDED. The processors may still walk them.
void gpa_fold(struct gpa_map *map, uint64_t gpa_page, bool lent, struct gpa_folded *folded);

void gpa_spare_push(struct gpa_map *map, void *page);
void *gpa_spare_pop(struct gpa_map *map); // zeroed; NULL: none
