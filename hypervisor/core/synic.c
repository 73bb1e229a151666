// SPDX-License-Identifier: BSD-2-Clause
// SynIC registers, message slots and event flags (TLFS: Inter-Partition Communication).
#include "hypervisor/core/synic.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/trace.h"

enum { MESSAGE_PENDING = 1 }; // TLFS: HV_MESSAGE_FLAGS.MessagePending

void synic_init(struct vp *vp)
{
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		list_init(&vp->synic.queue[sint]);
}

// Writes one of the two page registers.
static enum msr_result set_page(
	struct vp *vp, struct overlay *overlay, void *page, uint64_t *msr, uint64_t value)
{
	if (!partition_place_page(vp->partition, overlay, page, value, GPA_READ | GPA_WRITE))
		return MSR_AGAIN;
	*msr = value;
	return MSR_DONE;
}

void synic_reset(struct vp *vp)
{
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		vp->synic.sint[sint] = HV_SYNIC_SINT_MASKED;
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

static bool enabled(const struct synic *s, const uint64_t *page_msr)
{
	return READ_ONCE(s->scontrol) & HV_SYNIC_CONTROL_ENABLE &&
	       READ_ONCE(*page_msr) & HV_X64_MSR_PAGE_ENABLE;
}

// --- messages ---

struct message *message_free(struct message *messages, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (!load_acquire(messages[i].target))
			return &messages[i];
	return NULL;
}

hv_status synic_accepts_messages(const struct vp *vp)
{
	return enabled(&vp->synic, &vp->synic.simp) ? HV_STATUS_SUCCESS
						    : HV_STATUS_INVALID_SYNIC_STATE;
}

void synic_post(struct vp *vp, unsigned int sint, struct message *message)
{
	struct synic *s = &vp->synic;

	sint = index_nospec(sint, HV_SYNIC_SINT_COUNT);
	spin_lock(&s->lock);
	message->target = vp;
	list_insert_before(&s->queue[sint], &message->link);
	spin_unlock(&s->lock);
	vp_request(vp, VP_REQ_MESSAGES);
}

// From here on the owner may use it again.
static void unqueue(struct message *message)
{
	list_remove(&message->link);
	store_release(message->target, NULL);
}

void synic_unpost(struct message *message)
{
	struct vp *vp;

	// The target may deliver it while we wait for its lock: look again until it holds still.
	while ((vp = READ_ONCE(message->target))) {
		spin_guard(&vp->synic.lock);
		if (message->target == vp)
			unqueue(message);
	}
}

static struct message *first_message(struct synic *s, unsigned int sint)
{
	return list_first(&s->queue[sint], struct message, link);
}

void synic_destroy(struct vp *vp)
{
	struct synic *s = &vp->synic;

	spin_guard(&s->lock);
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		while (!list_empty(&s->queue[sint]))
			unqueue(first_message(s, sint));
}

static struct hv_message *slot_of(struct vp *vp, unsigned int sint)
{
	return &((struct hv_message_page *)vp->synic.sim_page)->sint_message[sint];
}

static bool slot_free(const struct hv_message *slot)
{
	return load_acquire(slot->header.message_type) == HvMessageTypeNone;
}

bool synic_slot_claim(struct vp *vp, unsigned int sint)
{
	struct hv_message *slot = slot_of(vp, sint);

	if (!enabled(&vp->synic, &vp->synic.simp))
		return false;
	if (slot_free(slot))
		return true;
	vp->synic.waiting = true;
	// The guest empties the slot first and looks at the flag then; we do it the other way
	// round, so one of us notices.
	__atomic_fetch_or(&slot->header.message_flags, MESSAGE_PENDING, __ATOMIC_SEQ_CST);
	return slot_free(slot);
}

void synic_slot_fill(struct vp *vp, unsigned int sint, const struct hv_message *message, bool more)
{
	struct hv_message *slot = slot_of(vp, sint);

	memcpy(slot->payload, message->payload,
		MIN(message->header.payload_size, sizeof(slot->payload)));
	slot->header.payload_size = message->header.payload_size;
	slot->header.message_flags = more ? MESSAGE_PENDING : 0;
	vp->synic.waiting |= more;
	slot->header.rsvd = 0;
	slot->header.origination_id = message->header.origination_id;
	store_release(slot->header.message_type, message->header.message_type);
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
	spin_guard(&s->lock);
	message = first_message(s, sint);
	if (!message)
		return;
	synic_slot_fill(vp, sint, &message->body, message->link.next != &s->queue[sint]);
	unqueue(message);
}

void synic_deliver(struct vp *vp)
{
	vp->synic.waiting = false; // unless it is found again
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
	sint = index_nospec(sint, HV_SYNIC_SINT_COUNT);
	flag = index_nospec(flag, HV_EVENT_FLAGS_COUNT);
	if (!enabled(s, &s->siefp) || READ_ONCE(s->sint[sint]) & HV_SYNIC_SINT_MASKED)
		return HV_STATUS_INVALID_SYNIC_STATE;
	*newly_signaled = !bit_test_and_set(page->sint_event_flags[sint].flags, flag);
	if (*newly_signaled) {
		trace(LUMEN_TRACE_EVENT_FLAG, vp, sint, flag);
		assert_sint(vp, sint);
	}
	return HV_STATUS_SUCCESS;
}

// --- registers ---

static uint64_t *register_of(struct synic *s, uint32_t msr)
{
	struct stimer *t;

	switch (msr) {
	case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
		return &s->sint[index_nospec(msr - HV_X64_MSR_SINT0, HV_SYNIC_SINT_COUNT)];
	case HV_X64_MSR_STIMER0_CONFIG ... HV_X64_MSR_STIMER3_COUNT:
		t = &s->stimer[(msr - HV_X64_MSR_STIMER0_CONFIG) / 2 % HV_SYNIC_STIMER_COUNT];
		return msr & 1 ? &t->count : &t->config;
	case HV_X64_MSR_SCONTROL:
		return &s->scontrol;
	case HV_X64_MSR_SIEFP:
		return &s->siefp;
	case HV_X64_MSR_SIMP:
		return &s->simp;
	}
	return NULL;
}

bool synic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value)
{
	const uint64_t *r = register_of(&vp->synic, msr);

	*value = r ? *r : msr == HV_X64_MSR_SVERSION ? HV_SYNIC_VERSION : 0;
	return r || msr == HV_X64_MSR_SVERSION || msr == HV_X64_MSR_EOM;
}

static enum msr_result write_register(struct vp *vp, uint32_t msr, uint64_t value)
{
	struct synic *s = &vp->synic;

	switch (msr) {
	case HV_X64_MSR_SINT0 ... HV_X64_MSR_SINT15:
		if (!(value & HV_SYNIC_SINT_MASKED) &&
			(value & HV_SYNIC_SINT_VECTOR_MASK) < HV_SYNIC_SINT_VECTOR_MIN)
			return MSR_FAULT;
		// fallthrough
	case HV_X64_MSR_SCONTROL:
		WRITE_ONCE(*register_of(s, msr), value);
		return MSR_DONE;
	case HV_X64_MSR_SIEFP:
		return set_page(vp, &s->sief_overlay, s->sief_page, &s->siefp, value);
	case HV_X64_MSR_SIMP:
		return set_page(vp, &s->sim_overlay, s->sim_page, &s->simp, value);
	}
	return msr == HV_X64_MSR_EOM ? MSR_DONE : MSR_FAULT;
}

enum msr_result synic_write_msr(struct vp *vp, uint32_t msr, uint64_t value)
{
	enum msr_result result;

	if (msr >= HV_X64_MSR_STIMER0_CONFIG && msr <= HV_X64_MSR_STIMER3_COUNT)
		return stimer_write_msr(vp, msr, value);
	result = write_register(vp, msr, value);
	// Any of these can be what a queued message has waited for.
	if (result == MSR_DONE)
		synic_deliver(vp);
	return result;
}
