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

// Deposits a page that the hypervisor owns from now on; withdraws one (NULL: none is free), zeroed.
void page_pool_deposit(struct page_pool *pool, void *page);
void *page_pool_withdraw(struct page_pool *pool);
