// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Memory pools: pages that the hypervisor holds for a partition (TLFS: Partition Memory
// Management).
#include "driver.h"

#include <linux/gfp.h>
#include <linux/mm.h>

// A block is 2^order pages; smaller ones if there is no such block.
#define BLOCK_ORDER_MAX 4
#define BLOCK_PAGES_MAX (1u << BLOCK_ORDER_MAX)

struct mshv_pool mshv_own_pool;

void mshv_pool_init(struct mshv_pool *pool, hv_partition_id id)
{
	pool->id = id;
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->guards);
	atomic_long_set(&pool->pages, 0);
}

static void pool_count(struct mshv_pool *pool, long pages)
{
	atomic_long_add(pages, &pool->pages);
	atomic_long_add(pages, &mshv_counters.deposited_pages);
}

// The kernel may not touch a page that the hypervisor holds: "offline" makes the readers of all
// memory (dump, hibernation, /proc/kcore) pass over it.
static void page_lend(struct page *page)
{
	__SetPageOffline(page);
}

static void page_return(struct page *page)
{
	__ClearPageOffline(page);
	__free_page(page);
}

// Splits a free block into single pages. NULL: no memory. A child's are charged to the cgroup of
// the process that it is; our own pool's outlive it.
static struct page *block_alloc(const struct mshv_pool *pool, unsigned int *pages)
{
	gfp_t gfp = pool == &mshv_own_pool ? GFP_KERNEL : GFP_KERNEL_ACCOUNT;
	unsigned int order;

	for (order = BLOCK_ORDER_MAX; order; order--) {
		struct page *block = alloc_pages(gfp | __GFP_NORETRY | __GFP_NOWARN, order);

		if (block) {
			split_page(block, order);
			*pages = 1u << order;
			return block;
		}
	}
	return NULL;
}

static unsigned int deposit_pages(
	struct mshv_pool *pool, struct page *first, unsigned int count, int *error)
{
	struct {
		struct hv_input_deposit_memory header;
		u64 pfns[BLOCK_PAGES_MAX];
	} input = { .header.partition_id = pool->id };
	struct mshv_hvcall call = {
		.code = HvCallDepositMemory,
		.reps = count,
		.in = &input,
		.in_size = sizeof(input.header) + count * sizeof(u64),
	};
	unsigned int i;

	for (i = 0; i < count; i++) {
		page_lend(first + i);
		input.pfns[i] = page_to_pfn(first + i);
	}
	// To cut the pages out of the root's own map may take a table of the root's pool.
	*error = mshv_hvcall(&call, pool == &mshv_own_pool ? NULL : &mshv_own_pool);
	for (i = call.reps_done; i < count; i++)
		page_return(first + i);
	return call.reps_done;
}

// load_unaligned_zeropad() may read up to seven bytes beyond the end of the page that it is asked
// for. So that this never hits a page that the hypervisor holds, the first page of each block is
// not deposited: it is the one before, and nobody reads it.
int mshv_pool_deposit(struct mshv_pool *pool)
{
	unsigned int pages, taken;
	struct page *guard;
	int error;

	guard = block_alloc(pool, &pages);
	if (!guard)
		return -ENOMEM;
	taken = deposit_pages(pool, guard + 1, pages - 1, &error);
	if (!taken) {
		__free_page(guard);
		return error ?: -EIO;
	}
	spin_lock(&pool->lock);
	list_add(&guard->lru, &pool->guards);
	spin_unlock(&pool->lock);
	pool_count(pool, taken);
	return 0;
}

// Takes up to a page full of page numbers back. False: there are no more. A page that comes back
// and was not lent is lost: it must not get into the kernel's hands.
static bool withdraw_some(struct mshv_pool *pool, u64 *pfns)
{
	struct hv_input_withdraw_memory input = { .partition_id = pool->id };
	struct mshv_hvcall call = {
		.code = HvCallWithdrawMemory,
		.reps = PAGE_SIZE / sizeof(u64),
		.quiet = true,
		.in = &input,
		.in_size = sizeof(input),
		.out = pfns,
		.out_size = PAGE_SIZE,
	};
	unsigned int i;
	int ret;

	memset(pfns, 0, PAGE_SIZE);
	ret = mshv_hvcall(&call, NULL);
	for (i = 0; i < call.reps_done; i++) {
		struct page *page = pfn_valid(pfns[i]) ? pfn_to_page(pfns[i]) : NULL;

		if (WARN_ON_ONCE(!page || !PageOffline(page)))
			continue;
		page_return(page);
		pool_count(pool, -1);
	}
	return !ret;
}

static void guards_free(struct mshv_pool *pool)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &pool->guards, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

void mshv_pool_withdraw(struct mshv_pool *pool)
{
	u64 *pfns = (u64 *)__get_free_page(GFP_KERNEL | __GFP_NOFAIL);

	while (withdraw_some(pool, pfns))
		cond_resched();
	free_page((unsigned long)pfns);
	if (!atomic_long_read(&pool->pages))
		guards_free(pool);
	else
		pr_err("partition 0x%llx: the hypervisor keeps %ld pages\n", (u64)pool->id,
			atomic_long_read(&pool->pages));
}
