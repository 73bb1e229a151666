// SPDX-License-Identifier: BSD-2-Clause
#include "hypervisor/core/event.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/vp.h"

enum severity { BENIGN, CONTRIBUTORY, PAGE_FAULT };

static enum severity severity(unsigned int vector)
{
	// #DE, #TS, #NP, #SS, #GP, #CP
	const uint32_t contributory = 1 << 0 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 21;

	if (vector == VECTOR_PF)
		return PAGE_FAULT;
	return contributory >> vector & 1 ? CONTRIBUTORY : BENIGN;
}

struct event event_merge(const struct event *first, const struct event *next)
{
	enum severity was = severity(first->vector), is = severity(next->vector);

	if (!first->pending || first->type == HvX64PendingNmi)
		return *next;
	if (first->type == EVENT_SHUTDOWN || first->vector == VECTOR_DF)
		return (struct event){ .pending = true, .type = EVENT_SHUTDOWN };
	if (was == BENIGN || is == BENIGN || (was == CONTRIBUTORY && is == PAGE_FAULT))
		return *next; // one after the other: the first one's instruction is tried again
	return event_exception(VECTOR_DF, true, 0);
}

void vp_raise(struct vp *vp, unsigned int vector, bool has_code, uint32_t code)
{
	const struct event next = event_exception(vector, has_code, code);

	if (vp->event.pending && vp->event.type == HvX64PendingNmi)
		vp->nmi_waits = true; // until the exception has been delivered
	vp->event = event_merge(&vp->event, &next);
	vp->recheck = true;
}

void vp_inject_ud(struct vp *vp)
{
	vp_raise(vp, VECTOR_UD, false, 0);
}

void vp_inject_gp(struct vp *vp)
{
	vp_raise(vp, VECTOR_GP, true, 0);
}

static bool is_exception(unsigned int vector)
{
	return vector < EXCEPTIONS && vector != VECTOR_NMI;
}

uint64_t event_get_interruption(const struct vp *vp)
{
	const struct event *e = &vp->event;

	if (!e->pending || e->type == EVENT_SHUTDOWN || (!e->cut && e->type != HvX64PendingNmi))
		return 0;
	return HV_PENDING_INTERRUPTION_PENDING |
	       (uint64_t)e->type << HV_PENDING_INTERRUPTION_TYPE_SHIFT |
	       (e->has_code ? HV_PENDING_INTERRUPTION_DELIVER_ERROR_CODE : 0) |
	       (uint64_t)e->vector << HV_PENDING_INTERRUPTION_VECTOR_SHIFT |
	       (uint64_t)e->code << HV_PENDING_INTERRUPTION_ERROR_CODE_SHIFT;
}

hv_status event_set_interruption(struct vp *vp, uint64_t value)
{
	unsigned int type =
		(value & HV_PENDING_INTERRUPTION_TYPE_MASK) >> HV_PENDING_INTERRUPTION_TYPE_SHIFT;
	unsigned int vector = (value & HV_PENDING_INTERRUPTION_VECTOR_MASK) >>
			      HV_PENDING_INTERRUPTION_VECTOR_SHIFT;

	if (!(value & HV_PENDING_INTERRUPTION_PENDING)) {
		vp->event.pending &= !event_get_interruption(vp);
		return HV_STATUS_SUCCESS;
	}
	if (!(type == HvX64PendingNmi && vector == VECTOR_NMI) &&
		!(type == HvX64PendingException && is_exception(vector)))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	vp->event = event_exception(vector,
		type == HvX64PendingException && value & HV_PENDING_INTERRUPTION_DELIVER_ERROR_CODE,
		value >> HV_PENDING_INTERRUPTION_ERROR_CODE_SHIFT);
	vp->event.type = type;
	vp->event.cut = true;
	vp->recheck = true;
	return HV_STATUS_SUCCESS;
}

static bool is_raised(const struct event *e)
{
	return e->pending && !e->cut && e->type == HvX64PendingException;
}

uint64_t event_get_pending(const struct vp *vp)
{
	const struct event *e = &vp->event;

	if (!is_raised(e))
		return 0;
	return HV_PENDING_EVENT_PENDING |
	       HvX64PendingEventException << HV_PENDING_EVENT_TYPE_SHIFT |
	       (e->has_code ? HV_PENDING_EVENT_DELIVER_ERROR_CODE : 0) |
	       (uint64_t)e->vector << HV_PENDING_EVENT_VECTOR_SHIFT |
	       (uint64_t)e->code << HV_PENDING_EVENT_ERROR_CODE_SHIFT;
}

hv_status event_set_pending(struct vp *vp, uint64_t value, uint64_t parameter)
{
	unsigned int vector =
		(value & HV_PENDING_EVENT_VECTOR_MASK) >> HV_PENDING_EVENT_VECTOR_SHIFT;
	struct hv_register_value cr2 = { .reg64 = parameter };

	if (value & HV_PENDING_EVENT_PENDING &&
		((value & HV_PENDING_EVENT_TYPE_MASK) >> HV_PENDING_EVENT_TYPE_SHIFT !=
				HvX64PendingEventException ||
			!is_exception(vector)))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	vp->event.pending &= !is_raised(&vp->event); // the new one takes its place
	if (!(value & HV_PENDING_EVENT_PENDING))
		return HV_STATUS_SUCCESS;
	if (vector == VECTOR_PF)
		backend->set_register(vp, HvX64RegisterCr2, &cr2);
	vp_raise(vp, vector, value & HV_PENDING_EVENT_DELIVER_ERROR_CODE,
		value >> HV_PENDING_EVENT_ERROR_CODE_SHIFT);
	return HV_STATUS_SUCCESS;
}
