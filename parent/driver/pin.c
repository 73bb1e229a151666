// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Pinned user memory: which pages a range has, in chunks, charged to the process like locked
// memory.
#include "driver.h"

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#define CHUNK_BYTES(pages) ((pages) * sizeof(struct page *))

static unsigned long chunk_count(const struct mshv_pins *pins)
{
	return DIV_ROUND_UP(pins->count, MSHV_PIN_CHUNK);
}

static unsigned long chunk_pages(const struct mshv_pins *pins, unsigned long chunk)
{
	return min_t(unsigned long, pins->count - chunk * MSHV_PIN_CHUNK, MSHV_PIN_CHUNK);
}

static void chunk_unpin(struct mshv_pins *pins, unsigned long chunk, unsigned long pages)
{
	unpin_user_pages_dirty_lock(pins->chunks[chunk], pages, true);
	atomic_long_sub(pages, &mshv_counters.pinned_pages);
}

// Pins all pages of a chunk or none.
static int chunk_pin(struct mshv_pins *pins, unsigned long chunk, u64 user_addr)
{
	unsigned long pages = chunk_pages(pins, chunk), done = 0;
	struct page **list = (void *)__get_free_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	int n = -ENOMEM;

	BUILD_BUG_ON(CHUNK_BYTES(MSHV_PIN_CHUNK) != PAGE_SIZE);
	if (!list)
		return n;
	pins->chunks[chunk] = list;
	while (done < pages) {
		n = pin_user_pages_fast(user_addr + done * PAGE_SIZE, pages - done,
			FOLL_LONGTERM | FOLL_WRITE, list + done);
		if (n <= 0)
			break;
		done += n;
		atomic_long_add(n, &mshv_counters.pinned_pages);
	}
	if (done == pages)
		return 0;
	chunk_unpin(pins, chunk, done);
	free_page((unsigned long)list);
	pins->chunks[chunk] = NULL;
	return n ?: -EFAULT;
}

// Pins one chunk after the other, until a fatal signal comes.
static int chunks_pin(struct mshv_pins *pins, u64 user_addr)
{
	unsigned long i;
	int ret = 0;

	for (i = 0; i < chunk_count(pins) && !ret; i++) {
		ret = chunk_pin(pins, i, user_addr + i * MSHV_PIN_CHUNK * PAGE_SIZE);
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	return ret;
}

void mshv_pins_forget(struct mshv_pins *pins)
{
	unsigned long i;

	for (i = 0; i < chunk_count(pins); i++)
		free_page((unsigned long)pins->chunks[i]);
	kvfree(pins->chunks);
	mmdrop(pins->mm);
}

void mshv_unpin(struct mshv_pins *pins)
{
	unsigned long i;

	for (i = 0; i < chunk_count(pins) && pins->chunks[i]; i++) {
		chunk_unpin(pins, i, chunk_pages(pins, i));
		cond_resched();
	}
	account_locked_vm(pins->mm, pins->count, false);
	mshv_pins_forget(pins);
}

int mshv_pin(struct mshv_pins *pins, u64 user_addr, unsigned long count)
{
	int ret;

	// No range has more pages than the machine, whatever the limits are.
	if (count > totalram_pages())
		return -ENOMEM;
	pins->count = count;
	pins->chunks = kvcalloc(
		chunk_count(pins), sizeof(*pins->chunks), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!pins->chunks)
		return -ENOMEM;
	ret = account_locked_vm(current->mm, count, true);
	if (ret) {
		kvfree(pins->chunks);
		return ret;
	}
	pins->mm = current->mm;
	mmgrab(pins->mm);
	ret = chunks_pin(pins, user_addr);
	if (ret)
		mshv_unpin(pins);
	return ret;
}
