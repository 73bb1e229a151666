// SPDX-License-Identifier: BSD-2-Clause
// Who may hold a frame of RAM. One 16-bit word for each 4 KiB frame: either it is the hypervisor's
// (its image, a deposited page), or it counts how many second-level leaf entries of child
// partitions map it. This is what keeps a page that a child can reach from becoming hypervisor
// memory, and hypervisor memory from being mapped anywhere.
#pragma once

#include "hypervisor/core/lib.h"

// Sets up the table for frames below TOP_SPA, all marked as "no RAM". STORAGE has
// frame_table_bytes(TOP_SPA) bytes.
uint64_t frame_table_bytes(uint64_t top_spa);
void frame_table_init(uint64_t top_spa, void *storage);

// Boot only: these frames are RAM, which the root may use or the hypervisor.
void frame_mark(uint64_t first_page, uint64_t count, bool hypervisor);

bool frame_is_hypervisor(uint64_t spa_page);

// Counts one more mapping in a child of COUNT frames from FIRST; false, and nothing changed, if any
// of them is not RAM that a partition may hold (or is mapped 65,533 times).
bool frame_map_get(uint64_t first_page, uint64_t count);
void frame_map_put(uint64_t first_page, uint64_t count);

// Takes an unmapped frame for the hypervisor (deposit) and gives it back (withdraw). False: it is
// mapped, or not RAM.
bool frame_take(uint64_t spa_page);
void frame_release(uint64_t spa_page);
