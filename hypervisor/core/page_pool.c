// SPDX-License-Identifier: BSD-2-Clause
// Page pools: a list threaded through the free pages themselves.
#include "hypervisor/core/page_pool.h"

static void push(struct page_pool *pool, void *page)
{
	*(void **)page = pool->free;
	pool->free = page;
	pool->free_pages++;
}

static void *pop(struct page_pool *pool)
{
	void *page = pool->free;

	if (page) {
		pool->free = *(void **)page;
		pool->free_pages--;
	}
	return page;
}

void *page_alloc(struct page_pool *pool)
{
	void *page;

	spin_lock(&pool->lock);
	page = pop(pool);
	spin_unlock(&pool->lock);
	if (page)
		memset(page, 0, PAGE_SIZE);
	return page;
}

void page_free(struct page_pool *pool, void *page)
{
	if (!page)
		return;
	spin_lock(&pool->lock);
	push(pool, page);
	spin_unlock(&pool->lock);
}

void page_pool_deposit(struct page_pool *pool, void *page)
{
	spin_lock(&pool->lock);
	push(pool, page);
	pool->total_pages++;
	spin_unlock(&pool->lock);
}

void *page_pool_withdraw(struct page_pool *pool)
{
	void *page;

	spin_lock(&pool->lock);
	page = pop(pool);
	if (page)
		pool->total_pages--;
	spin_unlock(&pool->lock);
	if (page)
		memset(page, 0, PAGE_SIZE);
	return page;
}
