// SPDX-License-Identifier: BSD-2-Clause
// Overlay pages, and the tables that are lent to them.
#include "hypervisor/core/overlay.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/gpa_tables.h"

enum { TABLES = GPA_FOLDED_MAX }; // that an overlay may need: all but the top one

void overlays_unprovide(struct gpa_map *map, unsigned int overlays)
{
	spin_guard(&map->lock);
	for (unsigned int i = 0; i < overlays * TABLES; i++)
		page_free(map->pool, gpa_spare_pop(map));
}

bool overlays_provide(struct gpa_map *map, unsigned int overlays)
{
	spin_guard(&map->lock);
	for (unsigned int i = 0; i < overlays * TABLES; i++) {
		void *page = page_alloc(map->pool);

		if (!page) {
			while (i--)
				page_free(map->pool, gpa_spare_pop(map));
			return false;
		}
		gpa_spare_push(map, page);
	}
	return true;
}

static void give_back(struct gpa_map *map, struct gpa_folded *folded)
{
	while (folded->count)
		gpa_spare_push(map, folded->table[--folded->count]);
}

// Are the tables of a mover's last move spares again?
static bool collect(struct gpa_map *map, struct gpa_left *left)
{
	if (left->folded.count && (left->flushing || !grace_over(&left->grace)))
		return false;
	give_back(map, &left->folded);
	return true;
}

struct overlay *overlay_at(const struct gpa_map *map, uint64_t gpa_page)
{
	struct overlay *overlay = map->overlays;

	while (overlay && overlay->gpa_page != gpa_page)
		overlay = overlay->next;
	return overlay;
}

static struct overlay **link_to(struct gpa_map *map, const struct overlay *overlay)
{
	struct overlay **link = &map->overlays;

	for (; *link != overlay; link = &(*link)->next)
		ASSERT(*link); // it is there
	return link;
}

static void show(struct gpa_map *map, struct overlay *overlay, uint64_t gpa_page, uint64_t leaf,
	uint64_t *entry)
{
	const struct overlay *covered = overlay_at(map, gpa_page);

	*overlay = (struct overlay){
		.next = map->overlays,
		.active = true,
		.gpa_page = gpa_page,
		.leaf = leaf,
		.below = covered ? covered->below : *entry,
	};
	map->overlays = overlay;
	WRITE_ONCE(*entry, leaf);
}

// A page shows its newest overlay, the first in the list (TLFS leaves the order open); that one
// knows what lies below.
static void hide(struct gpa_map *map, struct overlay *overlay, struct gpa_folded *folded)
{
	bool shown = overlay_at(map, overlay->gpa_page) == overlay;
	struct overlay *next;
	uint64_t *entry;
	int level;

	*link_to(map, overlay) = overlay->next;
	overlay->active = false;
	if (!shown)
		return;
	entry = gpa_find_entry(map, overlay->gpa_page, &level);
	next = overlay_at(map, overlay->gpa_page);
	if (next)
		next->below = overlay->below;
	WRITE_ONCE(*entry, next ? next->leaf : overlay->below);
	if (!next)
		gpa_fold(map, overlay->gpa_page, true, folded);
}

bool overlay_move(struct gpa_map *map, struct overlay *overlay, uint64_t gpa_page, void *page,
	unsigned int access, enum gpa_mover mover)
{
	struct gpa_left *left = &map->left[mover];
	struct overlay before;
	uint64_t *entry = NULL;

	spin_guard(&map->lock);
	if (!collect(map, left))
		return false;
	before = *overlay; // others change its place in the list, and what lies below it
	if (gpa_page != OVERLAY_NOWHERE &&
		!(entry = gpa_make_entry(map, gpa_page, 0, GPA_FROM_SPARES)))
		return false;
	if (before.active)
		*link_to(map, overlay) = &before; // which is what goes
	overlay->active = false;
	if (entry)
		show(map, overlay, gpa_page, gpa_leaf(va_to_page(page), access, GPA_4K), entry);
	if (before.active)
		hide(map, &before, &left->folded);
	left->flushing = left->folded.count ? overlay : NULL;
	return true;
}

void overlay_moved(struct gpa_map *map, const struct overlay *overlay, enum gpa_mover mover)
{
	struct gpa_left *left = &map->left[mover];

	spin_guard(&map->lock);
	if (left->flushing != overlay)
		return; // nothing was left behind
	left->flushing = NULL;
	grace_begin(&left->grace);
}

void overlay_clear(struct gpa_map *map, struct overlay *overlay)
{
	spin_guard(&map->lock);
	if (!overlay->active)
		return;
	hide(map, overlay, &overlay->folded);
	overlay->cleared = true;
}

bool overlay_reap(struct gpa_map *map, struct overlay *overlay)
{
	spin_guard(&map->lock);
	if (!overlay->cleared)
		return false;
	give_back(map, &overlay->folded);
	overlay->cleared = false;
	return true;
}
