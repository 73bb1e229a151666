// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// Statistics pages: the hypervisor's counters, laid over a page of ours (TLFS:
// HvCallMapStatsPage2).
#include "driver.h"

#include <linux/io.h>

static union hv_stats_object_identity identity(const struct mshv_partition *partition, u32 vp_index)
{
	return (union hv_stats_object_identity){
		.vp = { .partition_id = partition->id, .vp_index = vp_index },
	};
}

static int stats_map(
	struct mshv_partition *partition, struct mshv_stats *stats, u32 type, u32 vp_index)
{
	struct hv_input_map_stats_page2 input = {
		.type = type,
		.identity = identity(partition, vp_index),
	};
	void *page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	int ret;

	if (!page)
		return -ENOMEM;
	input.map_location = virt_to_phys(page) >> PAGE_SHIFT;
	ret = mshv_simple_call(HvCallMapStatsPage2, input, &partition->pool);
	if (ret)
		free_page((unsigned long)page);
	else
		stats->page = page;
	return ret;
}

// A page that the hypervisor does not uncover is never used again.
static void stats_unmap(
	struct mshv_partition *partition, struct mshv_stats *stats, u32 type, u32 vp_index)
{
	struct hv_input_unmap_stats_page input = {
		.type = type,
		.identity = identity(partition, vp_index),
	};

	if (stats->page && !mshv_simple_call(HvCallUnmapStatsPage, input, NULL))
		free_page((unsigned long)stats->page);
	stats->page = NULL;
}

// The object's page, mapped if it was not. The partition's lock is held.
static void *stats_page(struct mshv_partition *partition, u32 type, u32 vp_index)
{
	struct mshv_stats *stats = &partition->stats;
	int ret = 0;

	if (type == LUMEN_MSHV_STATS_VP) {
		if (vp_index >= MSHV_MAX_VPS || !partition->vps[vp_index])
			return ERR_PTR(-ENOENT);
		stats = &partition->vps[vp_index]->stats;
	} else if (type != LUMEN_MSHV_STATS_PARTITION || vp_index) {
		return ERR_PTR(-EINVAL);
	}
	if (!stats->page)
		ret = stats_map(partition, stats, type, vp_index);
	return ret ? ERR_PTR(ret) : stats->page;
}

long mshv_stats_read(struct mshv_partition *partition, void __user *arg)
{
	struct lumen_mshv_read_stats args;
	void *page;
	long ret = 0;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (args.rsvd || args.buf_sz > MSHV_HV_PAGE_SIZE)
		return -EINVAL;
	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	page = stats_page(partition, args.object_type, args.vp_index);
	if (IS_ERR(page))
		ret = PTR_ERR(page);
	else if (copy_to_user(u64_to_user_ptr(args.buf_ptr), page, args.buf_sz))
		ret = -EFAULT;
	mutex_unlock(&partition->lock);
	return ret;
}

void mshv_stats_release(struct mshv_partition *partition)
{
	unsigned int i;

	for (i = 0; i < MSHV_MAX_VPS; i++)
		if (partition->vps[i])
			stats_unmap(partition, &partition->vps[i]->stats, LUMEN_MSHV_STATS_VP, i);
	stats_unmap(partition, &partition->stats, LUMEN_MSHV_STATS_PARTITION, 0);
}
