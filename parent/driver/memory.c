// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// A partition's memory: ranges of the worker's memory, pinned and mapped (TLFS: HvCallMapGpaPages).
#include "driver.h"

#include <linux/overflow.h>

#define LARGE_PAGES (PMD_SIZE / PAGE_SIZE) // 4 KiB pages per large page

// The list of HvCallMapGpaPages must fit into the input page; an unmap takes the same steps.
#define LIST_MAX ((PAGE_SIZE - sizeof(struct hv_input_map_gpa_pages)) / sizeof(u64))

// Architectural: a physical address has at most 52 bits. Which of them the hypervisor has, it says.
#define GUEST_PAGES_MAX BIT_ULL(52 - PAGE_SHIFT)

struct mshv_region {
	struct list_head link; // in partition->regions
	u64 gpa_page;	       // first one
	u64 user_addr;
	unsigned long count;  // pages
	unsigned long mapped; // pages from the start that are mapped
	u32 flags;	      // HV_MAP_GPA_*
	bool large_pages;     // large ones may be used
	struct mshv_pins pins;
};

// Can page I and those after it be mapped as a large page: aligned and contiguous on both sides?
static bool large_at(const struct mshv_region *region, unsigned long i)
{
	unsigned long pfn, k;

	if (!region->large_pages || !IS_ALIGNED(region->gpa_page + i, LARGE_PAGES) ||
		region->count - i < LARGE_PAGES)
		return false;
	pfn = mshv_pin_pfn(&region->pins, i);
	if (!IS_ALIGNED(pfn, LARGE_PAGES))
		return false;
	for (k = 1; k < LARGE_PAGES; k++)
		if (mshv_pin_pfn(&region->pins, i + k) != pfn + k)
			return false;
	return true;
}

// How many repetitions of one kind (large or small pages) there are from page I on, before page
// END.
static u16 run_length(
	const struct mshv_region *region, unsigned long i, unsigned long end, bool *large)
{
	unsigned long step, reps;

	*large = large_at(region, i);
	step = *large ? LARGE_PAGES : 1;
	for (reps = 1; reps < LIST_MAX; reps++) {
		i += step;
		if (i >= end || large_at(region, i) != *large)
			break;
	}
	return reps;
}

// Maps one run from page region->mapped on and notes how far it came.
static int map_run(struct mshv_partition *partition, struct mshv_region *region,
	struct hv_input_map_gpa_pages *input)
{
	bool large;
	u16 reps = run_length(region, region->mapped, region->count, &large), i;
	unsigned long step = large ? LARGE_PAGES : 1;
	struct mshv_hvcall call = {
		.code = HvCallMapGpaPages,
		.reps = reps,
		.in = input,
		.in_size = sizeof(*input) + reps * sizeof(u64),
	};
	int ret;

	input->target_partition_id = partition->id;
	input->target_gpa_base = region->gpa_page + region->mapped;
	input->map_flags = region->flags | (large ? HV_MAP_GPA_LARGE_PAGE : 0);
	for (i = 0; i < reps; i++)
		input->source_gpa_page_list[i] =
			mshv_pin_pfn(&region->pins, region->mapped + i * step);
	ret = mshv_hvcall(&call, &partition->pool);
	region->mapped += call.reps_done * step;
	return ret;
}

static int region_map(struct mshv_partition *partition, struct mshv_region *region)
{
	struct hv_input_map_gpa_pages *input = (void *)__get_free_page(GFP_KERNEL);
	int ret = 0;

	if (!input)
		return -ENOMEM;
	while (!ret && region->mapped < region->count) {
		if (fatal_signal_pending(current))
			ret = -EINTR;
		else
			ret = map_run(partition, region, input);
		cond_resched();
	}
	free_page((unsigned long)input);
	return ret;
}

// Unmaps what is mapped. False: the hypervisor would not; the pages must stay pinned.
static bool region_unmap(struct mshv_partition *partition, struct mshv_region *region)
{
	unsigned long i = 0;

	while (i < region->mapped) {
		bool large;
		u16 reps = run_length(region, i, region->mapped, &large);
		struct hv_input_unmap_gpa_pages input = {
			.target_partition_id = partition->id,
			.target_gpa_base = region->gpa_page + i,
			.unmap_flags = large ? HV_UNMAP_GPA_LARGE_PAGE : 0,
		};
		struct mshv_hvcall call = {
			.code = HvCallUnmapGpaPages,
			.reps = reps,
			.in = &input,
			.in_size = sizeof(input),
		};

		if (mshv_hvcall(&call, &partition->pool))
			return false;
		i += reps * (large ? LARGE_PAGES : 1);
		cond_resched();
	}
	return true;
}

static struct mshv_region *region_alloc(
	const struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	struct mshv_region *region = kzalloc(sizeof(*region), GFP_KERNEL_ACCOUNT);

	if (!region)
		return NULL;
	region->gpa_page = args->guest_pfn;
	region->user_addr = args->userspace_addr;
	region->count = args->size / PAGE_SIZE;
	region->large_pages = partition->large_pages;
	region->flags = HV_MAP_GPA_READABLE;
	if (args->flags & BIT(MSHV_SET_MEM_BIT_WRITABLE))
		region->flags |= HV_MAP_GPA_WRITABLE;
	if (args->flags & BIT(MSHV_SET_MEM_BIT_EXECUTABLE))
		region->flags |= HV_MAP_GPA_KERNEL_EXECUTABLE | HV_MAP_GPA_USER_EXECUTABLE;
	return region;
}

// Undoes region_add(). What the hypervisor does not let go is never given back to the kernel.
static void region_remove(struct mshv_partition *partition, struct mshv_region *region)
{
	list_del(&region->link);
	partition->region_count--;
	if (region_unmap(partition, region)) {
		mshv_unpin(&region->pins);
	} else {
		pr_err("partition 0x%llx: %lu pages are lost: they stay mapped\n",
			(u64)partition->id, region->count);
		mshv_pins_forget(&region->pins);
	}
	kfree(region);
}

static int region_add(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	struct mshv_region *region = region_alloc(partition, args);
	int ret;

	if (!region)
		return -ENOMEM;
	ret = mshv_pin(&region->pins, region->user_addr, region->count);
	if (ret) {
		kfree(region);
		return ret;
	}
	list_add_tail(&region->link, &partition->regions);
	partition->region_count++;
	ret = region_map(partition, region);
	if (ret)
		region_remove(partition, region);
	return ret;
}

static struct mshv_region *region_overlapping(
	const struct mshv_partition *partition, u64 gpa_page, u64 count)
{
	struct mshv_region *region;

	list_for_each_entry(region, &partition->regions, link)
		if (gpa_page < region->gpa_page + region->count &&
			region->gpa_page < gpa_page + count)
			return region;
	return NULL;
}

static int memory_map(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	if (region_overlapping(partition, args->guest_pfn, args->size / PAGE_SIZE))
		return -EEXIST;
	if (partition->region_count == MSHV_MAX_REGIONS)
		return -ENOSPC;
	return region_add(partition, args);
}

static int memory_unmap(struct mshv_partition *partition, const struct mshv_user_mem_region *args)
{
	u64 count = args->size / PAGE_SIZE;
	struct mshv_region *region = region_overlapping(partition, args->guest_pfn, count);

	if (!region || region->gpa_page != args->guest_pfn || region->count != count ||
		region->user_addr != args->userspace_addr)
		return -EINVAL;
	region_remove(partition, region);
	return 0;
}

// Guest pages and user addresses do not wrap; what else an address may be is for pinning to say.
static bool args_valid(const struct mshv_user_mem_region *args)
{
	u64 pages = args->size / PAGE_SIZE, end;

	return args->size && PAGE_ALIGNED(args->size) && PAGE_ALIGNED(args->userspace_addr) &&
	       !check_add_overflow(args->userspace_addr, args->size, &end) &&
	       args->guest_pfn < GUEST_PAGES_MAX && pages <= GUEST_PAGES_MAX - args->guest_pfn &&
	       !(args->flags & ~(BIT(MSHV_SET_MEM_BIT_COUNT) - 1)) &&
	       !memchr_inv(args->rsvd, 0, sizeof(args->rsvd));
}

long mshv_memory_set(struct mshv_partition *partition, void __user *arg)
{
	struct mshv_user_mem_region args;
	long ret;

	if (copy_from_user(&args, arg, sizeof(args)))
		return -EFAULT;
	if (!args_valid(&args))
		return -EINVAL;
	if (mutex_lock_killable(&partition->lock))
		return -EINTR;
	if (args.flags & BIT(MSHV_SET_MEM_BIT_UNMAP))
		ret = memory_unmap(partition, &args);
	else
		ret = memory_map(partition, &args);
	mutex_unlock(&partition->lock);
	return ret;
}

void mshv_memory_release(struct mshv_partition *partition)
{
	struct mshv_region *region, *next;

	list_for_each_entry_safe(region, next, &partition->regions, link)
		region_remove(partition, region);
}
