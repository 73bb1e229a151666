// SPDX-License-Identifier: BSD-2-Clause
// Hypercalls that show statistics pages (TLFS: HvCallMapStatsPage2, HvCallUnmapStatsPage):
// read-only overlays in the map of the object's parent, or of the root for its own.
#include "hypercall/stats.h"
#include "hypervisor/core/handlers.h"

struct stats_object {
	uint64_t *page;
	struct overlay *overlay;
};

static hv_status find_object(struct partition *target, uint32_t type,
	const union hv_stats_object_identity *id, struct stats_object *object)
{
	struct vp *vp;

	if (type == HvStatsObjectPartition) {
		if (id->partition.stats_area_type > HvStatsAreaParent || id->partition.rsvd_z0 ||
			id->partition.rsvd_z1 || id->partition.rsvd_z2)
			return HV_STATUS_INVALID_PARAMETER;
		*object = (struct stats_object){ target->stats,
			&target->stats_overlay[id->partition.stats_area_type] };
		return HV_STATUS_SUCCESS;
	}
	if (type != HvStatsObjectVp || id->vp.stats_area_type > HvStatsAreaParent ||
		id->vp.rsvd_z1 || id->vp.rsvd_z2)
		return HV_STATUS_INVALID_PARAMETER;
	vp = partition_vp(target, id->vp.vp_index);
	if (!vp)
		return HV_STATUS_INVALID_VP_INDEX;
	*object = (struct stats_object){ vp->stats, &vp->stats_overlay[id->vp.stats_area_type] };
	return HV_STATUS_SUCCESS;
}

hv_status hc_MapStatsPage2(struct hypercall *call)
{
	struct partition *target = call->target;
	const struct hv_input_map_stats_page2 *in = call->in;
	struct stats_object object;
	hv_status status = find_object(target, in->type, &in->identity, &object);

	if (status)
		return status;
	if (in->rsvd_z || in->map_location >> (GPA_BITS - PAGE_SHIFT))
		return HV_STATUS_INVALID_PARAMETER;
	partition_update_stats(target);
	if (!object.overlay->active && !gpa_map_provide(&call->partition->gpa, 1))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	if (!overlay_set(
		    &call->partition->gpa, object.overlay, in->map_location, object.page, GPA_READ))
		return HV_STATUS_INSUFFICIENT_MEMORY;
	partition_flush_gpa(call->partition);
	return HV_STATUS_SUCCESS;
}

hv_status hc_UnmapStatsPage(struct hypercall *call)
{
	const struct hv_input_unmap_stats_page *in = call->in;
	struct stats_object object;
	hv_status status = find_object(call->target, in->type, &in->identity, &object);

	if (status)
		return status;
	if (in->rsvd_z || !object.overlay->active)
		return HV_STATUS_INVALID_PARAMETER;
	overlay_clear(&call->partition->gpa, object.overlay);
	gpa_map_unprovide(&call->partition->gpa, 1);
	partition_flush_gpa(call->partition);
	return HV_STATUS_SUCCESS;
}
