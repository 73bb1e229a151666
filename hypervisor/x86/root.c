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

static void map_identity(uint64_t page, enum gpa_order order, unsigned int access)
{
	enum gpa_map_result result = gpa_map_set(&root_partition->gpa, page, page, order, access);

	if (result != GPA_MAP_OK)
		panic("cannot map page %lx to the root (%u)", page, result);
}

// Is any of it not the root's?
static bool excluded(uint64_t page, uint64_t count)
{
	for (const struct spa_range *r = hypervisor_memory; r <= RESERVE; r++)
		if (page < r->end >> PAGE_SHIFT && r->base >> PAGE_SHIFT < page + count)
			return true;
	return APIC_PAGE - page < count;
}

// Maps an aligned piece with the largest leaves that leave out what is excluded.
static void map_piece(uint64_t page, int order, bool huge)
{
	uint64_t count = 1ull << order;

	if (!excluded(page, count) && (order < GPA_1G || huge)) {
		map_identity(page, order, GPA_RWX);
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

void create_root_partition(void)
{
	root_partition = boot_alloc(1);
	partition_init(root_partition, NULL);
	for (; reserve_next < RESERVE->end; reserve_next += PAGE_SIZE)
		page_pool_deposit(&root_partition->pool, spa_to_va(reserve_next));
	if (partition_initialize(root_partition) != HV_STATUS_SUCCESS ||
		!partition_publish(root_partition))
		panic("cannot make the root partition");
	map_machine();
	for (uint64_t at = trace_spa; at < trace_spa + trace_bytes; at += PAGE_SIZE)
		map_identity(at >> PAGE_SHIFT, GPA_4K, GPA_READ);
	for (uint32_t i = 0; i < pcpu_count; i++) {
		struct vp *vp = vp_create(root_partition, i, pcpus[i]->apic_id);

		if (!vp)
			panic("no memory for the root's VP %u", i);
		vp->cpu = pcpus[i];
		vp->pinned = true;
		vp->explicit_suspend = false;
	}
}
