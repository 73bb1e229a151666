// SPDX-License-Identifier: BSD-2-Clause
// The cache: a block's number says in which set it may be, and a set has a few places.
#include "examples/http/cache.h"

#include "lumen/platform.h"

enum { WAYS = 8, SETS = CACHE_BLOCKS / WAYS };

struct cache_block {
	uint32_t number; // 0: none
	uint32_t users;
	uint32_t state; // enum cache_state; the interrupt ends CACHE_READING
	uint8_t *bytes;
	struct lumen_request request;
	struct lumen_segment segment;
};

struct cache_counters cache_counters;

static const struct ext2 *fs;
static void (*tell)(void);
static struct cache_block sets[SETS][WAYS];
static uint32_t victims[SETS]; // where each set begins to look for a place
static struct cache_block hole;
static bool starved;

lumen_status cache_start(const struct ext2 *of, void (*news)(void))
{
	uint8_t *pages = lumen_alloc_pages(CACHE_BLOCKS + 1);

	if (!pages)
		return LUMEN_NO_MEMORY;
	for (uint32_t i = 0; i < CACHE_BLOCKS; i++)
		sets[i / WAYS][i % WAYS].bytes = pages + (size_t)i * EXT2_BLOCK_MAX;
	hole.bytes = pages + (size_t)CACHE_BLOCKS * EXT2_BLOCK_MAX;
	fs = of;
	tell = news;
	return LUMEN_OK;
}

// --- reading ---

static void set_state(struct cache_block *block, enum cache_state state)
{
	__atomic_store_n(&block->state, state, __ATOMIC_RELEASE);
}

static void on_done(struct lumen_request *request)
{
	set_state(request->context, request->status ? CACHE_FAILED : CACHE_READY);
	tell();
}

static void read(struct cache_block *block, uint32_t number)
{
	struct lumen_request *request = &block->request;
	uint64_t first;
	uint32_t count;
	lumen_status status = ext2_locate(fs, number, &first, &count);

	block->number = number;
	set_state(block, CACHE_READING);
	block->segment = (struct lumen_segment){ .data = block->bytes, .length = fs->block_size };
	*request = (struct lumen_request){
		.disk = fs->partition.disk,
		.operation = LUMEN_READ,
		.block = first,
		.count = count,
		.segments = &block->segment,
		.segment_count = 1,
		.done = on_done,
		.context = block,
	};
	cache_counters.reads++;
	if (status || lumen_storage_submit(request))
		set_state(block, CACHE_FAILED);
}

// --- places ---

static struct cache_block *find(struct cache_block *set, uint32_t number)
{
	for (uint32_t i = 0; i < WAYS; i++)
		if (set[i].number == number && cache_state(&set[i]) != CACHE_FAILED)
			return &set[i];
	return NULL;
}

// One that nobody uses, and that the disk does not write to.
static struct cache_block *find_place(uint32_t set)
{
	for (uint32_t i = 0; i < WAYS; i++) {
		struct cache_block *block = &sets[set][victims[set]++ % WAYS];

		if (!block->users && cache_state(block) != CACHE_READING)
			return block;
	}
	return NULL;
}

static struct cache_block *get(uint32_t number)
{
	const uint32_t set = number % SETS;
	struct cache_block *block;

	if (!number)
		return &hole;
	block = find(sets[set], number);
	if (block) {
		cache_counters.hits++;
		return block;
	}
	block = find_place(set);
	if (block)
		read(block, number);
	return block;
}

struct cache_block *cache_get(uint32_t number)
{
	struct cache_block *block = get(number);

	if (!block) {
		starved = true;
		return NULL;
	}
	cache_counters.used += !block->users++;
	return block;
}

void cache_put(struct cache_block *block)
{
	cache_counters.used -= !--block->users;
	if (!starved || block->users)
		return;
	starved = false;
	tell();
}

enum cache_state cache_state(const struct cache_block *block)
{
	return (enum cache_state)__atomic_load_n(&block->state, __ATOMIC_ACQUIRE);
}

const uint8_t *cache_bytes(const struct cache_block *block)
{
	return block->bytes;
}
