// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that move pages between the root and the pools of the hypervisor (TLFS: Memory Pool
// Management).
//
// Only the root deposits. Its pages are identity-mapped, so that a page's GPA is its frame number
// and it comes back to where it was.
#include "hypercall/memory.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/memory.h"

// Makes PAGE of the root the hypervisor's: no partition can map it from here on, and the root's own
// map loses it. The caller still has to wait until nobody uses what it had mapped.
static hv_status take_page(struct partition *root, hv_gpa_page_number page)
{
	uint64_t spa_page;

	if (!gpa_map_lookup(&root->gpa, page, GPA_RWX, &spa_page) || spa_page != page)
		return HV_STATUS_OPERATION_DENIED; // not mapped, or covered by an overlay
	if (!frame_take(page))
		return HV_STATUS_OPERATION_DENIED; // a child has it, or it is not RAM, or in a pool
	if (!gpa_map_clear(&root->gpa, page, 1)) {
		frame_release(page);
		return HV_STATUS_INSUFFICIENT_ROOT_MEMORY;
	}
	return HV_STATUS_SUCCESS;
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

hv_status hc_DepositMemory(struct hypercall *call)
{
	struct partition *target = call->target;
	const hv_gpa_page_number *pages = call->rep_in;
	struct partition *root = call->partition;
	hv_status status = HV_STATUS_SUCCESS;
	uint32_t taken = 0;

	if (target->state == PARTITION_FINALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	while (taken < call->reps && !(status = take_page(root, pages[taken])))
		taken++;
	if (!taken)
		return status;
	partition_flush_gpa(root);
	reap_pages(root, pages, taken);
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

hv_status hc_WithdrawMemory(struct hypercall *call)
{
	struct partition *target = call->target;
	hv_gpa_page_number *pages = call->rep_out;
	uint32_t given = 0;

	while (given < call->reps && (pages[given] = give_page(call->partition, target)))
		given++;
	call->reps_done = given;
	partition_update_stats(target);
	return given < call->reps ? HV_STATUS_NO_RESOURCES : HV_STATUS_SUCCESS;
}

// TLFS: HV_PROXIMITY_DOMAIN_INFO. There is one domain; any wish for it is granted.
hv_status hc_GetMemoryBalance(struct hypercall *call)
{
	struct partition *target = call->target;
	struct hv_output_get_memory_balance *out = call->out;

	spin_lock(&target->pool.lock);
	out->pages_available = target->pool.free_pages;
	out->pages_in_use = target->pool.total_pages - target->pool.free_pages;
	spin_unlock(&target->pool.lock);
	return HV_STATUS_SUCCESS;
}
