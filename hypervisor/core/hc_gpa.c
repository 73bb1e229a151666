// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls on a child's GPA space (TLFS: HvCallMapGpaPages, HvCallUnmapGpaPages, HvCallReadGpa,
// HvCallWriteGpa).
#include "hypercall/memory.h"
#include "hypercall/stats.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/core/handlers.h"
#include "hypervisor/core/trace.h"

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

static bool range_valid(hv_gpa_page_number base, uint64_t pages)
{
	uint64_t end;

	return !__builtin_add_overflow(base, pages, &end) && end <= GPA_PAGES_TOTAL;
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

// The frame of the caller's page SOURCE. The caller's own right to it is what it may give: it must
// be mapped with ACCESS, as memory of the partition's own. A large page is looked up at both ends;
// the root, which alone has children, is identity-mapped.
static hv_status source_frame(const struct partition *caller, hv_gpa_page_number source,
	uint64_t pages, unsigned int access, uint64_t *frame)
{
	uint64_t last;

	if (!range_valid(source, pages))
		return HV_STATUS_INVALID_PARAMETER;
	if (!gpa_map_lookup(&caller->gpa, source, access, frame) ||
		!gpa_map_lookup(&caller->gpa, source + pages - 1, access, &last) ||
		last != *frame + pages - 1)
		return HV_STATUS_OPERATION_DENIED;
	return HV_STATUS_SUCCESS;
}

static hv_status map_status(enum gpa_map_result result)
{
	static const hv_status statuses[] = {
		[GPA_MAP_OK] = HV_STATUS_SUCCESS,
		[GPA_MAP_NO_MEMORY] = HV_STATUS_INSUFFICIENT_MEMORY,
		[GPA_MAP_BAD_FRAME] = HV_STATUS_OPERATION_DENIED,
		[GPA_MAP_BAD_ADDRESS] = HV_STATUS_INVALID_PARAMETER,
		[GPA_MAP_BUSY] = HV_STATUS_OBJECT_IN_USE,
	};

	return statuses[result];
}

// Maps one element. *REPLACED: it took the place of another mapping, which costs a flush.
static hv_status map_one(struct hypercall *call, struct partition *target, hv_gpa_page_number to,
	hv_gpa_page_number source, enum gpa_order order, unsigned int access, bool *replaced)
{
	uint64_t pages = 1ull << order, frame;
	enum gpa_map_result result;
	hv_status status = source_frame(call->partition, source, pages, access, &frame);

	if (status)
		return status;
	result = gpa_map_set(&target->gpa, to, frame, order, access);
	if (result != GPA_MAP_BUSY)
		return map_status(result);
	// TLFS: the mapping supersedes any previous one. While we wait here the source frame may
	// change hands, so that it is looked up again.
	*replaced = true;
	if (!unmap(target, to, pages))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	status = source_frame(call->partition, source, pages, access, &frame);
	return status ? status : map_status(gpa_map_set(&target->gpa, to, frame, order, access));
}

hv_status hc_MapGpaPages(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_map_gpa_pages *in = call->in;
	enum gpa_order order = in->map_flags & HV_MAP_GPA_LARGE_PAGE ? GPA_2M : GPA_4K;
	const hv_gpa_page_number *source = call->rep_in;
	unsigned int access = map_access(in->map_flags);
	uint64_t budget = MIN(call->reps, PAGES_PER_CALL >> order);
	hv_gpa_page_number to = in->target_gpa_base;
	hv_status status = HV_STATUS_SUCCESS;
	bool replaced = false;

	if (in->map_flags & ~MAP_FLAGS || in->rsvd_z || !access ||
		!range_valid(to, (uint64_t)(call->rep_start + call->reps) << order) ||
		to & ((1ull << order) - 1))
		return HV_STATUS_INVALID_PARAMETER;
	to += (uint64_t)call->rep_start << order; // the base is that of element 0 of the whole list
	while (call->reps_done < budget && !replaced) {
		if (source[call->reps_done] & ((1ull << order) - 1))
			status = HV_STATUS_INVALID_PARAMETER;
		else
			status = map_one(call, target, to, source[call->reps_done], order, access,
				&replaced);
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

hv_status hc_UnmapGpaPages(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_unmap_gpa_pages *in = call->in;
	enum gpa_order order = in->unmap_flags & HV_UNMAP_GPA_LARGE_PAGE ? GPA_2M : GPA_4K;
	uint32_t reps = MIN(call->reps, PAGES_PER_CALL >> order);
	hv_gpa_page_number base = in->target_gpa_base;

	if (in->unmap_flags & ~UNMAP_FLAGS || in->rsvd_z || base & ((1ull << order) - 1) ||
		!range_valid(base, (uint64_t)(call->rep_start + call->reps) << order))
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
static bool small_access_valid(hv_gpa gpa, uint32_t bytes)
{
	return bytes && bytes <= HV_READ_WRITE_GPA_MAX_SIZE && gpa % PAGE_SIZE + bytes <= PAGE_SIZE;
}

hv_status hc_ReadGpa(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_read_gpa *in = call->in;
	struct hv_output_read_gpa *out = call->out;

	if (!small_access_valid(in->base_gpa, in->byte_count))
		return HV_STATUS_INVALID_PARAMETER;
	if (!partition_vp(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (!guest_read(target, gpa(in->base_gpa), out->data, in->byte_count))
		out->access_result.result_code = HvAccessGpaUnmapped;
	return HV_STATUS_SUCCESS;
}

hv_status hc_WriteGpa(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_write_gpa *in = call->in;
	struct hv_output_write_gpa *out = call->out;

	if (!small_access_valid(in->base_gpa, in->byte_count))
		return HV_STATUS_INVALID_PARAMETER;
	if (!partition_vp(target, in->vp_index))
		return HV_STATUS_INVALID_VP_INDEX;
	if (!guest_write(target, gpa(in->base_gpa), in->data, in->byte_count))
		out->access_result.result_code = HvAccessGpaUnmapped;
	return HV_STATUS_SUCCESS;
}
