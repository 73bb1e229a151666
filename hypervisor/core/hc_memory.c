// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls on memory: a child's GPA space, the pools of the hypervisor and its pages of
// statistics (TLFS: HvCallMapGpaPages, HvCallReadGpa, Memory Pool Management, HvCallMapStatsPage2).
#include "hypercall/memory.h"
#include "hypercall/stats.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/memory.h"

// In a go; then interrupts get in (TLFS: Hypercall Continuation).
#define PAGES_PER_CALL	8192u
#define GPA_PAGES_TOTAL (1ull << (GPA_BITS - PAGE_SHIFT))

// TLFS-DEVIATION: HV_MAP_GPA_FLAGS: the special encodings (no access, zeroes, ones), uncached
// memory and accessed/dirty bits are not offered.
#define MAP_FLAGS                                                                                  \
	(HV_MAP_GPA_PERMISSIONS_MASK | HV_MAP_GPA_ADJUSTABLE | HV_MAP_GPA_NO_OVERLAY |             \
		HV_MAP_GPA_LARGE_PAGE)
#define UNMAP_FLAGS (HV_UNMAP_GPA_KEEP_PRECOMMITTED | HV_UNMAP_GPA_LARGE_PAGE)

// Second-level tables cannot tell kernel from user execution, and have no write-only pages. 0: not
// a valid combination.
static unsigned int map_access(uint32_t flags)
{
	unsigned int access = (flags & HV_MAP_GPA_READABLE ? GPA_READ : 0) |
			      (flags & HV_MAP_GPA_WRITABLE ? GPA_WRITE : 0) |
			      (flags & HV_MAP_GPA_EXECUTABLE ? GPA_EXECUTE : 0);

	return access & GPA_READ ? access : 0;
}

// The whole list of a rep call: all elements of 2^ORDER pages from BASE on.
static bool list_valid(const struct hypercall *call, hv_gpa_page_number base, enum gpa_order order)
{
	uint64_t pages = (uint64_t)(call->rep_start + call->reps) << order;

	return !(base & ((1ull << order) - 1)) && base <= GPA_PAGES_TOTAL &&
	       pages <= GPA_PAGES_TOTAL - base;
}

// Makes a range of TARGET not present, for good: nobody uses it any more when this returns. The
// hold is exclusive: gpa_map_reap() of one call must not meet what another has cleared and not yet
// flushed.
static bool unmap(struct partition *target, hv_gpa_page_number base, uint64_t pages)
{
	if (!gpa_map_clear(&target->gpa, base, pages))
		return false;
	partition_flush_gpa(target);
	gpa_map_reap(&target->gpa, base, pages);
	return true;
}

// Takes away the tables, now empty, of what was smaller pages where a large one is to be.
static void drop_tables(struct partition *target, hv_gpa_page_number base)
{
	struct gpa_folded folded;

	gpa_map_fold(&target->gpa, base, &folded);
	partition_flush_gpa(target);
	quiesce_wait();
	gpa_map_give_back(&target->gpa, &folded);
}

// The frame of the caller's page SOURCE. The caller's own right to it is what it may give: it must
// be mapped with ACCESS, as memory of the partition's own. A large page is looked up at both ends;
// the root, which alone has children, is identity-mapped.
static hv_status source_frame(const struct partition *caller, hv_gpa_page_number source,
	uint64_t pages, unsigned int access, uint64_t *frame)
{
	uint64_t last;

	if (source > GPA_PAGES_TOTAL - pages)
		return HV_STATUS_INVALID_PARAMETER;
	if (!gpa_map_lookup(&caller->gpa, source, access, frame) ||
		!gpa_map_lookup(&caller->gpa, source + pages - 1, access, &last) ||
		last != *frame + pages - 1)
		return HV_STATUS_OPERATION_DENIED;
	return HV_STATUS_SUCCESS;
}

static const hv_status map_statuses[] = {
	[GPA_MAP_OK] = HV_STATUS_SUCCESS,
	[GPA_MAP_NO_MEMORY] = HV_STATUS_INSUFFICIENT_MEMORY,
	[GPA_MAP_BAD_FRAME] = HV_STATUS_OPERATION_DENIED,
	[GPA_MAP_BAD_ADDRESS] = HV_STATUS_INVALID_PARAMETER,
	[GPA_MAP_BUSY] = HV_STATUS_OBJECT_IN_USE,
};

// Maps one element. *REPLACED: it took the place of another mapping, which costs a flush.
static hv_status map_one(struct hypercall *call, hv_gpa_page_number to, hv_gpa_page_number source,
	enum gpa_order order, unsigned int access, bool *replaced)
{
	struct partition *target = call->target;
	uint64_t pages = 1ull << order, frame;
	enum gpa_map_result result;

	if (source & (pages - 1))
		return HV_STATUS_INVALID_PARAMETER;
	TRY(source_frame(call->partition, source, pages, access, &frame));
	result = gpa_map_set(&target->gpa, to, frame, order, access);
	if (result != GPA_MAP_BUSY)
		return map_statuses[result];
	// TLFS: the mapping supersedes any previous one. While we wait here the source frame may
	// change hands, so that it is looked up again.
	*replaced = true;
	if (!unmap(target, to, pages))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	if (order > GPA_4K)
		drop_tables(target, to);
	TRY(source_frame(call->partition, source, pages, access, &frame));
	return map_statuses[gpa_map_set(&target->gpa, to, frame, order, access)];
}

HANDLER(MapGpaPages, map_gpa_pages)
{
	enum gpa_order order = in->map_flags & HV_MAP_GPA_LARGE_PAGE ? GPA_2M : GPA_4K;
	const hv_gpa_page_number *source = call->rep_in;
	unsigned int access = map_access(in->map_flags);
	uint64_t budget = MIN(call->reps, PAGES_PER_CALL >> order);
	hv_gpa_page_number to = in->target_gpa_base;
	hv_status status = HV_STATUS_SUCCESS;
	bool replaced = false;

	if (in->map_flags & ~MAP_FLAGS || in->rsvd_z || !access || !list_valid(call, to, order))
		return HV_STATUS_INVALID_PARAMETER;
	to += (uint64_t)call->rep_start << order; // the base is that of element 0 of the whole list
	while (call->reps_done < budget && !replaced) {
		status = map_one(call, to, source[call->reps_done], order, access, &replaced);
		if (status)
			break;
		call->reps_done++;
		to += 1ull << order;
	}
	partition_update_stats(target);
	vp_count(call->vp, VpGpaSpaceHypercalls);
	trace(LUMEN_TRACE_GPA_MAP, NULL, to, call->reps_done << order);
	return status;
}

HANDLER(UnmapGpaPages, unmap_gpa_pages)
{
	enum gpa_order order = in->unmap_flags & HV_UNMAP_GPA_LARGE_PAGE ? GPA_2M : GPA_4K;
	uint32_t reps = MIN(call->reps, PAGES_PER_CALL >> order);
	hv_gpa_page_number base = in->target_gpa_base;

	if (in->unmap_flags & ~UNMAP_FLAGS || in->rsvd_z || !list_valid(call, base, order))
		return HV_STATUS_INVALID_PARAMETER;
	base += (uint64_t)call->rep_start << order;
	if (!unmap(target, base, (uint64_t)reps << order))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	call->reps_done = reps;
	partition_update_stats(target);
	vp_count(call->vp, VpGpaSpaceHypercalls);
	return HV_STATUS_SUCCESS;
}

// TLFS: up to 16 bytes, which do not cross a page.
static hv_status check_small_access(
	struct partition *target, hv_gpa gpa, uint32_t bytes, hv_vp_index vp_index)
{
	if (!bytes || bytes > HV_READ_WRITE_GPA_MAX_SIZE || gpa % PAGE_SIZE + bytes > PAGE_SIZE)
		return HV_STATUS_INVALID_PARAMETER;
	return partition_vp(target, vp_index) ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_VP_INDEX;
}

HANDLER(ReadGpa, read_gpa)
{
	struct hv_output_read_gpa *out = call->out;

	TRY(check_small_access(target, in->base_gpa, in->byte_count, in->vp_index));
	if (!guest_read(target, gpa(in->base_gpa), out->data, in->byte_count))
		out->access_result.result_code = HvAccessGpaUnmapped;
	return HV_STATUS_SUCCESS;
}

HANDLER(WriteGpa, write_gpa)
{
	struct hv_output_write_gpa *out = call->out;

	TRY(check_small_access(target, in->base_gpa, in->byte_count, in->vp_index));
	if (!guest_write(target, gpa(in->base_gpa), in->data, in->byte_count))
		out->access_result.result_code = HvAccessGpaUnmapped;
	return HV_STATUS_SUCCESS;
}

// --- pools. Only the root deposits. Its pages are identity-mapped, so that a page's GPA is its
// frame number and it comes back to where it was. ---

// Makes PAGE of the root the hypervisor's: no partition can map it from here on, and the root's own
// map loses it. The caller still has to wait until nobody uses what it had mapped.
static hv_status take_page(struct partition *root, hv_gpa_page_number page)
{
	uint64_t spa_page;

	if (!gpa_map_lookup(&root->gpa, page, GPA_RWX, &spa_page) || spa_page != page)
		return HV_STATUS_OPERATION_DENIED; // not mapped, or covered by an overlay
	if (!frame_take(page))
		return HV_STATUS_OPERATION_DENIED; // a child has it, or it is not RAM, or in a pool
	if (gpa_map_clear(&root->gpa, page, 1))
		return HV_STATUS_SUCCESS;
	frame_release(page);
	return HV_STATUS_INSUFFICIENT_ROOT_MEMORY;
}

// Exactly these pages, as others may be on their way at the same time; what is consecutive at once.
static void reap_pages(struct partition *root, const hv_gpa_page_number *pages, uint32_t count)
{
	for (uint32_t first = 0, next; first < count; first = next) {
		for (next = first + 1; next < count && pages[next] == pages[next - 1] + 1; next++)
			;
		gpa_map_reap(&root->gpa, pages[first], next - first);
	}
}

HANDLER(DepositMemory, deposit_memory)
{
	const hv_gpa_page_number *pages = call->rep_in;
	hv_status status = HV_STATUS_SUCCESS;
	uint32_t taken = 0;

	if (target->state == PARTITION_FINALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	while (taken < call->reps && !(status = take_page(call->partition, pages[taken])))
		taken++;
	if (!taken)
		return status;
	partition_flush_gpa(call->partition);
	reap_pages(call->partition, pages, taken);
	for (uint32_t i = 0; i < taken; i++)
		page_pool_deposit(&target->pool, page_to_va(pages[i]));
	call->reps_done = taken;
	partition_update_stats(target);
	trace(LUMEN_TRACE_DEPOSIT, NULL, target->id, taken);
	return status;
}

// Gives a free page of TARGET's pool back to the root. 0: none is free.
static hv_gpa_page_number give_page(struct partition *root, struct partition *target)
{
	void *page = page_pool_withdraw(&target->pool);
	uint64_t number;

	if (!page)
		return 0;
	number = va_to_page(page);
	frame_release(number);
	if (gpa_map_set(&root->gpa, number, number, GPA_4K, GPA_RWX) == GPA_MAP_OK)
		return number;
	// The root has put an overlay there since. Nobody could reach the frame meanwhile.
	frame_take(number);
	page_pool_deposit(&target->pool, page);
	return 0;
}

HANDLER(WithdrawMemory, withdraw_memory)
{
	hv_gpa_page_number *pages = call->rep_out;
	uint32_t given = 0;

	while (given < call->reps && (pages[given] = give_page(call->partition, target)))
		given++;
	call->reps_done = given;
	partition_update_stats(target);
	return given < call->reps ? HV_STATUS_NO_RESOURCES : HV_STATUS_SUCCESS;
}

// TLFS: HV_PROXIMITY_DOMAIN_INFO. There is one domain; any wish for it is granted.
HANDLER(GetMemoryBalance, get_memory_balance)
{
	struct hv_output_get_memory_balance *out = call->out;

	spin_guard(&target->pool.lock);
	out->pages_available = target->pool.free_pages;
	out->pages_in_use = target->pool.total_pages - target->pool.free_pages;
	return HV_STATUS_SUCCESS;
}

// --- statistics: read-only overlays in the map of the object's parent, or of the root for its own

static hv_status find_statistics(struct partition *target, uint32_t type,
	const union hv_stats_object_identity *id, uint64_t **page, struct overlay **overlay)
{
	struct vp *vp;

	if (type == HvStatsObjectPartition) {
		if (id->partition.stats_area_type > HvStatsAreaParent || id->partition.rsvd_z0 ||
			id->partition.rsvd_z1 || id->partition.rsvd_z2)
			return HV_STATUS_INVALID_PARAMETER;
		*page = target->stats;
		*overlay = &target->stats_overlay[id->partition.stats_area_type & 1];
		return HV_STATUS_SUCCESS;
	}
	if (type != HvStatsObjectVp || id->vp.stats_area_type > HvStatsAreaParent ||
		id->vp.rsvd_z1 || id->vp.rsvd_z2)
		return HV_STATUS_INVALID_PARAMETER;
	vp = partition_vp(target, id->vp.vp_index);
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	*page = vp->stats;
	*overlay = &vp->stats_overlay[id->vp.stats_area_type & 1];
	return HV_STATUS_SUCCESS;
}

HANDLER(MapStatsPage2, map_stats_page2)
{
	struct partition *viewer = call->partition;
	struct overlay *overlay;
	uint64_t *page;
	bool new;

	TRY(find_statistics(target, in->type, &in->identity, &page, &overlay));
	if (in->rsvd_z || in->map_location >> (GPA_BITS - PAGE_SHIFT))
		return HV_STATUS_INVALID_PARAMETER;
	partition_update_stats(target);
	new = !overlay->active;
	if (new && !overlays_provide(&viewer->gpa, 1))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	if (partition_place_page(viewer, overlay, page,
		    in->map_location << PAGE_SHIFT | HV_X64_MSR_PAGE_ENABLE, GPA_READ))
		return HV_STATUS_SUCCESS;
	if (new)
		overlays_unprovide(&viewer->gpa, 1);
	return HYPERCALL_RETRY;
}

HANDLER(UnmapStatsPage, unmap_stats_page)
{
	struct overlay *overlay;
	uint64_t *page;

	TRY(find_statistics(target, in->type, &in->identity, &page, &overlay));
	if (in->rsvd_z || !overlay->active)
		return HV_STATUS_INVALID_PARAMETER;
	overlay_clear(&call->partition->gpa, overlay);
	partition_flush_gpa(call->partition);
	quiesce_wait();
	overlay_reap(&call->partition->gpa, overlay);
	overlays_unprovide(&call->partition->gpa, 1);
	return HV_STATUS_SUCCESS;
}
