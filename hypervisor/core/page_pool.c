// SPDX-License-Identifier: BSD-2-Clause
// Page pools: a list threaded through the free pages themselves.
#include "hypervisor/core/page_pool.h"

static void push(struct page_pool *pool, void *page, unsigned int deposited)
{
	spin_guard(&pool->lock);
	*(void **)page = pool->free;
	pool->free = page;
	pool->free_pages++;
	pool->total_pages += deposited;
}

static void *pop(struct page_pool *pool, unsigned int withdrawn)
{
	void *page;

	spin_lock(&pool->lock);
	page = pool->free;
	if (page) {
		pool->free = *(void **)page;
		pool->free_pages--;
		pool->total_pages -= withdrawn;
	}
	spin_unlock(&pool->lock);
	return page ? memset(page, 0, PAGE_SIZE) : NULL;
}

void *page_alloc(struct page_pool *pool)
{
	return pop(pool, 0);
}

void page_free(struct page_pool *pool, void *page)
{
	if (page)
		push(pool, page, 0);
}

void page_pool_deposit(struct page_pool *pool, void *page)
{
	push(pool, page, 1);
}

void *page_pool_withdraw(struct page_pool *pool)
{
	return pop(pool, 1);
}
