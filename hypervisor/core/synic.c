// SPDX-License-Identifier: BSD-2-Clause
// SynIC registers, message slots and event flags (TLFS: Inter-Partition Communication).
#include "hypervisor/core/synic.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/stimer.h"
#include "hypervisor/core/trace.h"

enum { MESSAGE_PENDING = 1 }; // TLFS: HV_MESSAGE_FLAGS.MessagePending

void synic_init(struct vp *vp)
{
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		list_init(&vp->synic.queue[sint]);
}

static void set_page(struct vp *vp, struct overlay *overlay, uint64_t *msr, uint64_t value)
{
	*msr = value;
	if (!(value & HV_X64_MSR_PAGE_ENABLE) && overlay->active) {
		overlay_clear(&vp->partition->gpa, overlay);
		partition_flush_gpa(vp->partition);
	}
}

void synic_reset(struct vp *vp)
{
	struct synic *s = &vp->synic;

	s->scontrol = 0;
	set_page(vp, &s->sim_overlay, &s->simp, 0);
	set_page(vp, &s->sief_overlay, &s->siefp, 0);
	memset(s->sim_page, 0, PAGE_SIZE);
	memset(s->sief_page, 0, PAGE_SIZE);
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		s->sint[sint] = HV_SYNIC_SINT_MASKED;
	stimers_reset(vp);
}

static void assert_sint(struct vp *vp, unsigned int sint)
{
	uint64_t config = READ_ONCE(vp->synic.sint[sint]);

	if (config & (HV_SYNIC_SINT_MASKED | HV_SYNIC_SINT_POLLING))
		return;
	vapic_interrupt(vp, config & HV_SYNIC_SINT_VECTOR_MASK,
		config & HV_SYNIC_SINT_AUTO_EOI ? VAPIC_AUTO_EOI : VAPIC_EDGE);
}

// --- messages ---

void synic_post(struct vp *vp, unsigned int sint, struct message *message)
{
	struct synic *s = &vp->synic;

	spin_lock(&s->lock);
	message->target = vp;
	list_append(&s->queue[sint], &message->link);
	spin_unlock(&s->lock);
	vp_request(vp, VP_REQ_MESSAGES);
}

void synic_unpost(struct message *message)
{
	struct vp *vp;

	// The target may deliver it while we wait for its lock: look again until it holds still.
	while ((vp = READ_ONCE(message->target))) {
		spin_lock(&vp->synic.lock);
		if (message->target == vp) {
			list_remove(&message->link);
			WRITE_ONCE(message->target, NULL);
		}
		spin_unlock(&vp->synic.lock);
	}
}

void synic_destroy(struct vp *vp)
{
	struct synic *s = &vp->synic;
	struct message *message;

	spin_lock(&s->lock);
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++) {
		while ((message = list_first(&s->queue[sint], struct message, link))) {
			list_remove(&message->link);
			WRITE_ONCE(message->target, NULL);
		}
	}
	spin_unlock(&s->lock);
}

static struct hv_message *slot_of(struct vp *vp, unsigned int sint)
{
	return &((struct hv_message_page *)vp->synic.sim_page)->sint_message[sint];
}

static bool slot_free(const struct hv_message *slot)
{
	return __atomic_load_n(&slot->header.message_type, __ATOMIC_ACQUIRE) == HvMessageTypeNone;
}

bool synic_slot_claim(struct vp *vp, unsigned int sint)
{
	struct hv_message *slot = slot_of(vp, sint);

	if (!(vp->synic.scontrol & HV_SYNIC_CONTROL_ENABLE) || !(vp->synic.simp & HV_X64_MSR_PAGE_ENABLE))
		return false;
	if (slot_free(slot))
		return true;
	// The guest empties the slot first and looks at the flag then; we do it the other way round, so one of us notices.
	__atomic_fetch_or(&slot->header.message_flags, MESSAGE_PENDING, __ATOMIC_SEQ_CST);
	return slot_free(slot);
}

void synic_slot_fill(struct vp *vp, unsigned int sint, const struct hv_message *message, bool more)
{
	struct hv_message *slot = slot_of(vp, sint);

	memcpy(slot->payload, message->payload, MIN(message->header.payload_size, sizeof(slot->payload)));
	slot->header.payload_size = message->header.payload_size;
	slot->header.message_flags = more ? MESSAGE_PENDING : 0;
	slot->header.rsvd = 0;
	slot->header.origination_id = message->header.origination_id;
	__atomic_store_n(&slot->header.message_type, message->header.message_type, __ATOMIC_RELEASE);
	trace(LUMEN_TRACE_MESSAGE, vp, sint, message->header.message_type);
	assert_sint(vp, sint);
}

// Moves the first message of a queue to its slot.
static void deliver_one(struct vp *vp, unsigned int sint)
{
	struct synic *s = &vp->synic;
	struct message *message;

	if (list_empty(&s->queue[sint]) || !synic_slot_claim(vp, sint))
		return;
	spin_lock(&s->lock);
	message = list_first(&s->queue[sint], struct message, link);
	if (message) {
		list_remove(&message->link);
		synic_slot_fill(vp, sint, &message->body, !list_empty(&s->queue[sint]));
		// From here on the owner may use it again.
		__atomic_store_n(&message->target, NULL, __ATOMIC_RELEASE);
	}
	spin_unlock(&s->lock);
}

void synic_deliver(struct vp *vp)
{
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		deliver_one(vp, sint);
	stimers_deliver(vp);
}

// --- event flags ---

hv_status synic_signal(struct vp *vp, unsigned int sint, unsigned int flag, bool *newly_signaled)
{
	struct synic *s = &vp->synic;
	struct hv_synic_event_flags_page *page = s->sief_page;

	*newly_signaled = false;
	if (!(READ_ONCE(s->scontrol) & HV_SYNIC_CONTROL_ENABLE) || !(READ_ONCE(s->siefp) & HV_X64_MSR_PAGE_ENABLE) ||
		READ_ONCE(s->sint[sint]) & HV_SYNIC_SINT_MASKED)
		return HV_STATUS_INVALID_SYNIC_STATE;
	*newly_signaled = !bit_test_and_set(page->sint_event_flags[sint].flags, flag);
	if (*newly_signaled) {
		trace(LUMEN_TRACE_EVENT_FLAG, vp, sint, flag);
		assert_sint(vp, sint);
	}
	return HV_STATUS_SUCCESS;
}

// --- registers ---

static bool write_page_msr(struct vp *vp, struct overlay *overlay, void *page, uint64_t *msr, uint64_t value)
{
	if (value & HV_X64_MSR_PAGE_ENABLE) {
		if (!overlay_set(&vp->partition->gpa, overlay, value >> HV_X64_MSR_PAGE_SHIFT, page, GPA_READ | GPA_WRITE))
			return false;
		partition_flush_gpa(vp->partition);
	}
	set_page(vp, overlay, msr, value);
	return true;
}

static bool write_sint(struct vp *vp, unsigned int sint, uint64_t value)
{
	if (!(value & HV_SYNIC_SINT_MASKED) && (value & HV_SYNIC_SINT_VECTOR_MASK) < HV_SYNIC_SINT_VECTOR_MIN)
		return false;
	WRITE_ONCE(vp->synic.sint[sint], value);
	return true;
}

bool synic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value)
{
	struct synic *s = &vp->synic;

	if (msr >= HV_X64_MSR_SINT0 && msr <= HV_X64_MSR_SINT15) {
		*value = s->sint[msr - HV_X64_MSR_SINT0];
		return true;
	}
	if (msr >= HV_X64_MSR_STIMER0_CONFIG && msr <= HV_X64_MSR_STIMER3_COUNT) {
		stimer_read_msr(vp, msr, value);
		return true;
	}
	switch (msr) {
	case HV_X64_MSR_SCONTROL:
		*value = s->scontrol;
		return true;
	case HV_X64_MSR_SVERSION:
		*value = HV_SYNIC_VERSION;
		return true;
	case HV_X64_MSR_SIEFP:
		*value = s->siefp;
		return true;
	case HV_X64_MSR_SIMP:
		*value = s->simp;
		return true;
	case HV_X64_MSR_EOM:
		*value = 0;
		return true;
	}
	return false;
}

static bool write_register(struct vp *vp, uint32_t msr, uint64_t value)
{
	struct synic *s = &vp->synic;

	if (msr >= HV_X64_MSR_SINT0 && msr <= HV_X64_MSR_SINT15)
		return write_sint(vp, msr - HV_X64_MSR_SINT0, value);
	switch (msr) {
	case HV_X64_MSR_SCONTROL:
		WRITE_ONCE(s->scontrol, value);
		return true;
	case HV_X64_MSR_SIEFP:
		return write_page_msr(vp, &s->sief_overlay, s->sief_page, &s->siefp, value);
	case HV_X64_MSR_SIMP:
		return write_page_msr(vp, &s->sim_overlay, s->sim_page, &s->simp, value);
	case HV_X64_MSR_EOM:
		return true;
	}
	return false;
}

bool synic_write_msr(struct vp *vp, uint32_t msr, uint64_t value)
{
	if (msr >= HV_X64_MSR_STIMER0_CONFIG && msr <= HV_X64_MSR_STIMER3_COUNT)
		return stimer_write_msr(vp, msr, value);
	if (!write_register(vp, msr, value))
		return false;
	// Any of these can be what a queued message has waited for.
	synic_deliver(vp);
	return true;
}
