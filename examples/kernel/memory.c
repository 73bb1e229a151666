// SPDX-License-Identifier: BSD-2-Clause
// Pages: a bit for each page of the RAM behind the kernel, first fit.
#include "examples/kernel/internal.h"

#include "lumen/platform.h"

enum { POOL_PAGES = 64 * 1024 }; // 256 MiB are enough for anybody who starts here

static uint64_t used[POOL_PAGES / 64];
static uint64_t pool_base;
static size_t pool_pages, pages_left;
static uint32_t pool_lock;

static bool is_used(size_t page)
{
	return used[page / 64] >> page % 64 & 1;
}

static void set_used(size_t page, bool value)
{
	uint64_t bit = 1ull << page % 64;

	if (is_used(page) == value)
		return;
	used[page / 64] ^= bit;
	pages_left += value ? -1ull : 1;
}

// The pool is in the region of RAM that holds the kernel, from its end on, mapped from the start.
void memory_start(void)
{
	uint64_t image_end =
		((uint64_t)kernel_image_end + KERNEL_PAGE_SIZE - 1) & -(uint64_t)KERNEL_PAGE_SIZE;
	struct kernel_region region;

	for (uint32_t i = 0; kernel_memory_region(i, &region); i++) {
		uint64_t end = region.base + region.size;

		if (!region.ram || region.base > image_end || end <= image_end)
			continue;
		pool_base = image_end;
		pool_pages = (end - image_end) / KERNEL_PAGE_SIZE;
		if (pool_pages > POOL_PAGES)
			pool_pages = POOL_PAGES;
		pages_left = pool_pages;
	}
}

void memory_reserve(uint64_t base, uint64_t size)
{
	for (size_t i = 0; i < pool_pages; i++) {
		uint64_t page = pool_base + i * KERNEL_PAGE_SIZE;

		if (page + KERNEL_PAGE_SIZE > base && page < base + size)
			set_used(i, true);
	}
}

// Takes `count` free pages in a row; returns the number of the first, or pool_pages.
static size_t take(size_t count)
{
	size_t run = 0;

	for (size_t i = 0; i < pool_pages; i++) {
		run = is_used(i) ? 0 : run + 1;
		if (run < count)
			continue;
		for (size_t j = i + 1 - count; j <= i; j++)
			set_used(j, true);
		return i + 1 - count;
	}
	return pool_pages;
}

void *lumen_alloc_pages(size_t count)
{
	uint64_t flags = lock(&pool_lock);
	size_t first = count ? take(count) : pool_pages;
	uint64_t *pages = (uint64_t *)(pool_base + first * KERNEL_PAGE_SIZE);

	unlock(&pool_lock, flags);
	if (first == pool_pages)
		return NULL;
	for (size_t i = 0; i < count * KERNEL_PAGE_SIZE / sizeof(*pages); i++)
		pages[i] = 0;
	return pages;
}

void lumen_free_pages(void *pages, size_t count)
{
	size_t first = ((uint64_t)pages - pool_base) / KERNEL_PAGE_SIZE;
	uint64_t flags = lock(&pool_lock);

	for (size_t i = first; i < first + count && i < pool_pages; i++)
		set_used(i, false);
	unlock(&pool_lock, flags);
}

size_t kernel_free_pages_left(void)
{
	return pages_left;
}
