// SPDX-License-Identifier: BSD-2-Clause
// The virtual local APIC's core: requests, priorities, acceptance, EOI and the EOI assist
// (APM2 16.6).
#include "hypervisor/x86/vapic_internal.h"

enum { FIRST_VECTOR = 16 };

// The highest vector of a set, or -1, which is what it most often is.
static inline int highest(const uint64_t *set)
{
	if (likely(!(
		    READ_ONCE(set[3]) | READ_ONCE(set[2]) | READ_ONCE(set[1]) | READ_ONCE(set[0]))))
		return -1;
	for (int word = 3; word >= 0; word--) {
		uint64_t bits = READ_ONCE(set[word]);

		if (bits)
			return word * 64 + 63 - __builtin_clzll(bits);
	}
	return -1;
}

static void set_bit_to(uint64_t *set, unsigned int vector, bool value)
{
	if (bit_test(set, vector) != value)
		(value ? bit_test_and_set : bit_test_and_clear)(set, vector);
}

bool vapic_interrupt(struct vp *vp, unsigned int vector, enum vapic_irq_flags flags)
{
	struct vapic *apic = &vp->apic;

	if (vector < FIRST_VECTOR || vector > 255 || vapic_mode(vp) == VAPIC_DISABLED ||
		!(READ_ONCE(apic->svr) & SVR_ENABLE))
		return false;
	set_bit_to(apic->level, vector, flags & VAPIC_LEVEL);
	set_bit_to(apic->auto_eoi, vector, flags & VAPIC_AUTO_EOI);
	// A request that is pending already has been announced already; its VP looks at the IRR
	// before it enters or blocks.
	if (!bit_test_and_set(apic->irr, vector))
		vp_kick(vp);
	return true;
}

uint64_t vapic_ppr(const struct vp *vp)
{
	int in_service = highest(vp->apic.isr);
	uint32_t service_class = in_service < 0 ? 0 : in_service & 0xf0;

	return (vp->apic.tpr & 0xf0) >= service_class ? vp->apic.tpr : service_class;
}

int vapic_pending(const struct vp *vp)
{
	int vector = highest(vp->apic.irr);

	if (vector < 0 || vapic_mode(vp) == VAPIC_DISABLED)
		return -1;
	return (uint64_t)vector >> 4 > vapic_ppr(vp) >> 4 ? vector : -1;
}

bool vapic_requested(const struct vp *vp)
{
	return highest(vp->apic.irr) >= 0 && vapic_mode(vp) != VAPIC_DISABLED;
}

void vapic_offered(struct vp *vp, unsigned int vector)
{
	bit_test_and_clear(vp->apic.irr, vector);
}

void vapic_withdrawn(struct vp *vp, unsigned int vector)
{
	bit_test_and_set(vp->apic.irr, vector);
}

void vapic_accepted(struct vp *vp, unsigned int vector)
{
	struct vapic *apic = &vp->apic;
	uint64_t bit = BIT(vector % 64);

	if (bit_test(apic->auto_eoi, vector))
		return;
	apic->isr[vector / 64] |= bit;
	if (bit_test(apic->level, vector))
		apic->tmr[vector / 64] |= bit;
}

void vapic_eoi(struct vp *vp)
{
	struct vapic *apic = &vp->apic;
	int vector = highest(apic->isr);
	uint64_t bit;

	if (vector < 0)
		return;
	// TLFS: SynIC Messages: an EOI lets the next message of a queue in.
	if (vp->synic.waiting)
		vp_request(vp, VP_REQ_MESSAGES);
	bit = BIT(vector % 64);
	apic->isr[vector / 64] &= ~bit;
	if (!(apic->tmr[vector / 64] & bit))
		return;
	apic->tmr[vector / 64] &= ~bit;
	vapic_level_eoi(vp, vector);
}

// The EOI assist (TLFS: EOI Assist). The bit is set only while one edge-triggered interrupt is all
// that there is to the APIC, so that it does not matter when we learn of its end. Whatever is
// requested later kicks the VP out; vapic_assist_collect() then takes the offer back before
// anything else looks at the APIC.

// Is VECTOR the only one of the set?
static bool is_only(const uint64_t *set, unsigned int vector)
{
	for (unsigned int word = 0; word < 4; word++)
		if (READ_ONCE(set[word]) & ~(word == vector / 64 ? BIT(vector % 64) : 0))
			return false;
	return true;
}

// Is there one interrupt, in service or about to be taken, whose EOI nobody would have to know of?
static bool assist_possible(const struct vp *vp)
{
	const struct vapic *apic = &vp->apic;
	int in_service = highest(apic->isr), requested = highest(apic->irr);

	if (vp->synic.waiting)
		return false; // a message waits for this EOI
	if (in_service >= 0)
		return requested < 0 && is_only(apic->isr, in_service) &&
		       !bit_test(apic->tmr, in_service);
	return requested >= 0 && is_only(apic->irr, requested) &&
	       !bit_test(apic->level, requested) && !bit_test(apic->auto_eoi, requested) &&
	       vapic_pending(vp) >= 0;
}

void vapic_assist_offer(struct vp *vp)
{
	uint32_t *assist = vp->assist_page;
	bool offer = vp->assist_msr & HV_X64_MSR_PAGE_ENABLE && assist_possible(vp);

	if (offer == vp->apic.no_eoi_offered)
		return; // offered before an entry that did not happen
	if (offer)
		__atomic_fetch_or(assist, HV_APIC_ASSIST_NO_EOI, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(assist, ~HV_APIC_ASSIST_NO_EOI, __ATOMIC_RELAXED);
	vp->apic.no_eoi_offered = offer;
}

void vapic_assist_collect(struct vp *vp)
{
	uint32_t *assist = vp->assist_page;

	if (!vp->apic.no_eoi_offered)
		return;
	vp->apic.no_eoi_offered = false;
	// Cleared by the guest: that was the EOI, if the interrupt has been taken at all (else
	// nothing is in service).
	if (!(__atomic_fetch_and(assist, ~HV_APIC_ASSIST_NO_EOI, __ATOMIC_RELAXED) &
		    HV_APIC_ASSIST_NO_EOI))
		vapic_eoi(vp);
}

uint64_t vapic_get_cr8(const struct vp *vp)
{
	return vp->apic.tpr >> 4;
}

void vapic_set_cr8(struct vp *vp, uint64_t cr8)
{
	vp->apic.tpr = (cr8 & 15) << 4;
}

void vapic_error(struct vp *vp, uint32_t error)
{
	uint32_t lvt = vp->apic.lvt[LVT_ERROR];

	vp->apic.esr_shadow |= error;
	if (!(lvt & LVT_MASKED))
		vapic_interrupt(vp, lvt & LVT_VECTOR, VAPIC_EDGE);
}

void vapic_reset(struct vp *vp, bool power_on)
{
	struct vapic *apic = &vp->apic;

	vapic_timer_stop(vp);
	for (unsigned int word = 0; word < 4; word++)
		__atomic_store_n(&apic->irr[word], 0, __ATOMIC_RELAXED);
	// A level-triggered interrupt that was in service is over: whoever waits for its end must
	// not wait for ever.
	while (highest(apic->isr) >= 0)
		vapic_eoi(vp);
	apic->tpr = apic->esr = apic->esr_shadow = 0;
	apic->icr = apic->ldr = 0;
	apic->dfr = UINT32_MAX;
	apic->svr = 0xff;
	apic->timer_divide = apic->timer_initial = 0;
	apic->no_eoi_offered = false;
	for (unsigned int i = 0; i < LVT_COUNT; i++)
		apic->lvt[i] = LVT_MASKED;
	if (power_on)
		vp->apic_base =
			APIC_BASE_ADDRESS | APIC_BASE_ENABLE | (vp->index == 0 ? APIC_BASE_BSP : 0);
	if (vapic_mode(vp) == VAPIC_X2APIC)
		apic->ldr = vapic_x2apic_ldr(vp);
	if (vp->partition->is_root && !power_on)
		phys_apic_mirror_ldr(vp);
}
