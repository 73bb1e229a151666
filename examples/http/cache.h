// SPDX-License-Identifier: BSD-2-Clause
// Blocks of the file system in memory: read when somebody asks for them, kept while somebody uses
// them, and for as long as nobody else needs the place. One thread calls all of it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "examples/disk/disk.h"

enum { CACHE_BLOCKS = 512 };

enum cache_state { CACHE_READY, CACHE_READING, CACHE_FAILED };

struct cache_block;

// Where blocks of this file system are kept from now on. `news` is called, in an interrupt, when a
// block is not being read any more. Allocates. LUMEN_NO_MEMORY.
lumen_status cache_start(const struct ext2 *fs, void (*news)(void));

// A block, by its number (0: a hole), for the caller to use until it puts it back. It may have to
// be read first: then there will be news. NULL: all places where it could be are in use; there will
// be news when one is not.
struct cache_block *cache_get(uint32_t number);
void cache_put(struct cache_block *block);

enum cache_state cache_state(const struct cache_block *block);

// Its contents, when it is ready.
const uint8_t *cache_bytes(const struct cache_block *block);

struct cache_counters {
	uint64_t hits, reads;
	uint32_t used; // blocks that somebody uses now
};

extern struct cache_counters cache_counters;
