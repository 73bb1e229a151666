// SPDX-License-Identifier: BSD-2-Clause
// Making the root partition: physical addresses are the same on both sides, but for what is the
// hypervisor's.
#include "hypervisor/x86/boot.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/memory.h"

#define APIC_PAGE     0xfee00ull
#define GIB_PAGES     (1ull << GPA_1G)
#define ROOT_MAP_BITS 40 // devices may lie far above RAM

static void map_identity(uint64_t page, enum gpa_order order)
{
	enum gpa_map_result result = gpa_map_set(&root_partition->gpa, page, page, order, GPA_RWX);

	if (result != GPA_MAP_OK)
		panic("cannot map page %lx to the root (%u)", page, result);
}

static bool overlaps(uint64_t page, uint64_t count, uint64_t from, uint64_t to)
{
	return page < to && from < page + count;
}

// Is any of it not the root's?
static bool excluded(uint64_t page, uint64_t count)
{
	return overlaps(page, count, APIC_PAGE, APIC_PAGE + 1) ||
	       overlaps(page, count, IMAGE_FRAME_BASE >> PAGE_SHIFT,
		       IMAGE_FRAME_END >> PAGE_SHIFT) ||
	       overlaps(page, count, reserve.base >> PAGE_SHIFT, reserve.end >> PAGE_SHIFT);
}

// Maps an aligned piece with the largest leaves that leave out what is excluded.
static void map_piece(uint64_t page, int order, bool huge)
{
	uint64_t count = 1ull << order;

	if (!excluded(page, count) && (order < GPA_1G || huge)) {
		map_identity(page, order);
		return;
	}
	if (order == GPA_4K)
		return;
	for (uint64_t i = 0; i < count; i += count >> 9)
		map_piece(page + i, order - 9, huge);
}

static void map_machine(void)
{
	bool huge = cpuid(0x80000001, 0).edx & 1 << 26;
	// Without 1 GiB leaves every GiB costs a table; then only what is surely used is mapped.
	uint64_t end = huge ? 1ull << (ROOT_MAP_BITS - PAGE_SHIFT)
			    : ALIGN_UP(MAX(memory_top(), 1ull << 32) >> PAGE_SHIFT, GIB_PAGES);

	for (uint64_t page = 0; page < end; page += GIB_PAGES)
		map_piece(page, GPA_1G, huge);
}

// What is left of the reserve is the root's pool.
static void fill_pool(struct page_pool *pool)
{
	for (; reserve.next < reserve.end; reserve.next += PAGE_SIZE)
		page_pool_deposit(pool, spa_to_va(reserve.next));
}

static void show_trace(void)
{
	for (uint64_t at = trace_spa; at < trace_spa + trace_bytes; at += PAGE_SIZE)
		if (gpa_map_set(&root_partition->gpa, at >> PAGE_SHIFT, at >> PAGE_SHIFT, GPA_4K,
			    GPA_READ) != GPA_MAP_OK)
			panic("cannot show the trace to the root");
}

static void create_vps(void)
{
	for (uint32_t i = 0; i < pcpu_count; i++) {
		struct vp *vp = vp_create(root_partition, i, pcpus[i]->apic_id);

		if (!vp)
			panic("no memory for the root's VP %u", i);
		vp->cpu = pcpus[i];
		vp->pinned = true;
		vp->explicit_suspend = false;
	}
}

void create_root_partition(void)
{
	root_partition = boot_alloc(1);
	partition_init(root_partition, NULL);
	fill_pool(&root_partition->pool);
	if (partition_initialize(root_partition) != HV_STATUS_SUCCESS ||
		!partition_publish(root_partition))
		panic("cannot make the root partition");
	map_machine();
	show_trace();
	create_vps();
}
