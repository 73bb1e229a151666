// SPDX-License-Identifier: BSD-2-Clause
// A partition's pages for the hypervisor's own use: what its parent deposited (TLFS: Memory Pool
// Management).
#pragma once

#include "hypervisor/core/lib.h"

struct page_pool {
	struct spinlock lock; // leaf lock: guards all below
	void *free;	      // free pages, linked through their first word
	uint64_t free_pages;  // on the list
	uint64_t total_pages; // deposited and not yet withdrawn
};

// A zeroed page, or NULL when the pool is dry: the caller answers HV_STATUS_INSUFFICIENT_MEMORY.
void *page_alloc(struct page_pool *pool);

// Gives a page from page_alloc() back to the pool it came from. NULL is allowed.
void page_free(struct page_pool *pool, void *page);

// The same for all that SLOT(OWNER, 0), SLOT(OWNER, 1), ... name, until it says NULL. False: not
// all of them (those that are there stay noted). Then, or for good: the slots are NULL again.
typedef void **page_slot(void *owner, unsigned int i);
static inline bool pages_alloc(struct page_pool *pool, page_slot *slot, void *owner)
{
	void **page;

	for (unsigned int i = 0; (page = slot(owner, i)); i++)
		if (!(*page = page_alloc(pool)))
			return false;
	return true;
}

static inline void pages_free(struct page_pool *pool, page_slot *slot, void *owner)
{
	void **page;

	for (unsigned int i = 0; (page = slot(owner, i)); i++) {
		page_free(pool, *page);
		*page = NULL;
	}
}

// Deposits a page that the hypervisor owns from now on; withdraws one (NULL: none is free), zeroed.
void page_pool_deposit(struct page_pool *pool, void *page);
void *page_pool_withdraw(struct page_pool *pool);
