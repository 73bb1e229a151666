// SPDX-License-Identifier: BSD-2-Clause
// A partition's guest physical address space: the second-level page table that the processor walks.
// Four levels of 512 entries, with leaves of 4 KiB, 2 MiB and 1 GiB; the backend gives the format
// of an entry.
#pragma once

#include "hypervisor/core/grace.h"
#include "hypervisor/core/page_pool.h"

#define GPA_BITS 48

enum gpa_access {
	GPA_READ = 1,
	GPA_WRITE = 2,
	GPA_EXECUTE = 4,
	GPA_RWX = 7,
};

enum gpa_order { // log2 of a leaf's size in 4 KiB pages
	GPA_4K = 0,
	GPA_2M = 9,
	GPA_1G = 18,
};

// The vendor's entry format, as bits: lookups must not cost a call for each level. A page is at
// ADDRESS, and an entry of 0 is not present.
struct gpa_entry_format {
	uint64_t leaf, table; // set in each leaf, in each entry for a table
	uint64_t large;	      // set in leaves above 4 KiB, and in no entry for a table
	uint64_t write, execute, no_execute; // as the leaf's access is; 0: there is no such bit
	uint64_t address;
	// The bits that a processor sets itself (accessed, dirty). LEAF and TABLE may have them,
	// which spares the processor a write; who compares entries passes over them.
	uint64_t noted;
	enum gpa_order (*max_order)(void); // of leaves
};

struct overlay;

// Tables that are no longer in the tree, but that processors may still walk.
enum { GPA_FOLDED_MAX = 3 };
struct gpa_folded {
	unsigned int count;
	void *table[GPA_FOLDED_MAX];
};

// What the last move of an overlay has left behind.
struct gpa_left {
	struct gpa_folded folded;
	const struct overlay *flushing; // by whose mover the VPs are still being flushed; or NULL
	struct grace grace;		// that began then
};

// A partition's own VPs and its parent's calls do not wait for each other.
enum gpa_mover { GPA_MOVER_OWN, GPA_MOVER_PARENT, GPA_MOVERS };

struct gpa_map {
	struct spinlock lock; // guards the tables and overlays; taken before page_pool locks
	uint64_t *top;	      // level 4 table
	struct page_pool *pool;
	bool counts_frames;	  // a child's map: each leaf holds a frame_map_get()
	uint64_t mapped_pages;	  // 4 KiB pages that leaves map, overlays not counted
	struct overlay *overlays; // the active ones
	void *spares; // pages kept for overlays' tables, linked through their first word
	struct gpa_left left[GPA_MOVERS];
};

// Functions that change the map take map->lock themselves; lookups take none: an entry or a frame
// that has been removed is reused only after a flush and a grace period, and so is a table. Page
// numbers are in units of 4 KiB.
bool gpa_map_init(struct gpa_map *map, struct page_pool *pool, bool counts_frames);

// Frees all tables and drops all leaves. No VP uses the map any more: a grace period has passed.
void gpa_map_destroy(struct gpa_map *map);

enum gpa_map_result {
	GPA_MAP_OK,
	GPA_MAP_NO_MEMORY,
	GPA_MAP_BAD_FRAME,
	GPA_MAP_BAD_ADDRESS,
	GPA_MAP_BUSY // part of it is mapped, or there is a table: gpa_map_clear(), gpa_map_fold()
};

// Maps 2^ORDER pages; GPA_PAGE and SPA_PAGE are multiples of that.
enum gpa_map_result gpa_map_set(struct gpa_map *map, uint64_t gpa_page, uint64_t spa_page,
	enum gpa_order order, unsigned int access);

// Removing is done in three steps: gpa_map_clear() makes the pages not present (those that are not
// mapped are passed over), partition_flush_gpa() makes the VPs forget them, gpa_map_reap() waits
// for a grace period and lets go of the frames. The range is within GPA_BITS. Splitting a large
// leaf may need a page, and so may tables that were lent to an overlay: false = none, nothing
// changed.
bool gpa_map_clear(struct gpa_map *map, uint64_t gpa_page, uint64_t count);
void gpa_map_reap(struct gpa_map *map, uint64_t gpa_page, uint64_t count);

// Takes out of the tree the tables above GPA_PAGE that say no more than one entry could, as they
// are empty or map one large page. Once partition_flush_gpa() has made the VPs forget them and a
// grace period is over they may be given back.
void gpa_map_fold(struct gpa_map *map, uint64_t gpa_page, struct gpa_folded *folded);
void gpa_map_give_back(struct gpa_map *map, struct gpa_folded *folded);

// Looks a page up as the processor would see it (overlays included). False: not mapped, or not with
// all of ACCESS. The answer is good until this processor's next quiescent point.
bool gpa_map_lookup(
	const struct gpa_map *map, uint64_t gpa_page, unsigned int access, uint64_t *spa_page);
