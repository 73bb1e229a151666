// SPDX-License-Identifier: BSD-2-Clause
// Overlay pages (TLFS: GPA Overlay Pages): a hypervisor-owned page covers a GPA; the page below
// comes back when it goes.
//
// A guest moves its overlays with MSR writes, which cannot answer "no memory": the tables that they
// may need are set aside beforehand, and those that an overlay leaves behind are used again. Other
// processors may be walking these, and a guest's instruction must not wait until they are done. So
// a move takes tables first and gives up its old ones later: three for each overlay and three for
// each mover always suffice, if a mover's next move comes after the grace period of its last one.
// Until then it is to be tried again, by the guest's executing its instruction once more.
#pragma once

#include "hypervisor/core/gpa_map.h"

struct overlay {
	struct overlay *next;
	bool active;
	bool cleared; // since; waits for overlay_reap()
	uint64_t gpa_page;
	uint64_t leaf;		  // the entry that shows it
	uint64_t below;		  // the leaf entry (4 KiB format) that the overlay hides, 0 = none
	struct gpa_folded folded; // tables that it left behind when it was cleared
};

#define OVERLAY_NOWHERE UINT64_MAX

static inline uint64_t overlay_place(const struct overlay *overlay)
{
	return overlay->active ? overlay->gpa_page : OVERLAY_NOWHERE;
}

// Sets tables aside for so many overlays more; gpa_map_init() does so for the movers. False: dry,
// nothing taken.
bool overlays_provide(struct gpa_map *map, unsigned int overlays);
void overlays_unprovide(struct gpa_map *map, unsigned int overlays);

// Shows PAGE at GPA_PAGE (within GPA_BITS; OVERLAY_NOWHERE: not any more) instead of where it was
// shown. OVERLAY is not cleared. True: the caller flushes all VPs and then calls overlay_moved().
// False: not now, nothing has changed: MOVER's last move is not over for all processors, or what is
// at GPA_PAGE is just being removed. (A partition's pages go through partition_place_page().)
bool overlay_move(struct gpa_map *map, struct overlay *overlay, uint64_t gpa_page, void *page,
	unsigned int access, enum gpa_mover mover);
void overlay_moved(struct gpa_map *map, const struct overlay *overlay, enum gpa_mover mover);

// Management: takes it away for good, if active. partition_flush_gpa() and quiesce_wait() come
// between the two. Reap says true if there was one.
void overlay_clear(struct gpa_map *map, struct overlay *overlay);
bool overlay_reap(struct gpa_map *map, struct overlay *overlay);

// The newest overlay at GPA_PAGE, which is the one shown; NULL: none. With map->lock held.
struct overlay *overlay_at(const struct gpa_map *map, uint64_t gpa_page);
