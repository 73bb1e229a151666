// SPDX-License-Identifier: BSD-2-Clause
// The APIC timer: one-shot, periodic and TSC-deadline (APM2 16.4.1). Counts are of VAPIC_TIMER_HZ
// ticks over the divider.
#include "hypervisor/x86/vapic_internal.h"
#include "hypervisor/x86/state.h"

// A guest that asks for more gets this: its own timer must not keep it from running at all.
enum { MIN_PERIOD_100NS = 500 };

static unsigned int timer_mode(const struct vp *vp)
{
	return LVT_TIMER_MODE(vp->apic.lvt[LVT_TIMER]);
}

// log2 of the divider: 000 = 2, 001 = 4, ... 110 = 128, 111 = 1; in bits 3, 1 and 0.
static unsigned int divide_shift(const struct vp *vp)
{
	uint32_t value = vp->apic.timer_divide;

	return (((value >> 1 & 4) | (value & 3)) + 1) & 7;
}

static uint64_t counts_to_tsc(const struct vp *vp, uint32_t counts)
{
	return mul_div((uint64_t)counts << divide_shift(vp), tsc_hz, VAPIC_TIMER_HZ);
}

static uint64_t period(const struct vp *vp)
{
	uint64_t exact = counts_to_tsc(vp, vp->apic.timer_initial);

	if (timer_mode(vp) != TIMER_PERIODIC)
		return MAX(exact, 1);
	return MAX(exact, tsc_from_100ns(MIN_PERIOD_100NS));
}

static void arm(struct vp *vp, uint64_t due)
{
	vp->apic.timer_due = due;
	timer_arm(&vp->timers[VP_APIC_TIMER], due);
}

void vapic_timer_stop(struct vp *vp)
{
	vp->apic.timer_due = 0;
	vp->apic.tsc_deadline = 0;
	timer_cancel(&vp->timers[VP_APIC_TIMER]);
}

void vapic_timer_set_initial(struct vp *vp, uint64_t count)
{
	if (timer_mode(vp) == TIMER_TSC_DEADLINE)
		return; // SDM 10.5.4.1: ignored in this mode
	vapic_timer_stop(vp);
	vp->apic.timer_initial = count;
	if (count == 0)
		return;
	vp->apic.timer_start = tsc_read();
	arm(vp, vp->apic.timer_start + period(vp));
}

uint64_t vapic_timer_current(const struct vp *vp)
{
	const struct vapic *apic = &vp->apic;
	uint64_t elapsed, now = tsc_read();

	if (apic->timer_due == 0 || timer_mode(vp) == TIMER_TSC_DEADLINE)
		return 0;
	elapsed = now - apic->timer_start;
	if (timer_mode(vp) == TIMER_PERIODIC)
		elapsed %= period(vp);
	elapsed = mul_div(elapsed, VAPIC_TIMER_HZ, tsc_hz) >> divide_shift(vp);
	return elapsed < apic->timer_initial ? apic->timer_initial - elapsed : 0;
}

void vapic_timer_set_divide(struct vp *vp, uint64_t divide)
{
	struct vapic *apic = &vp->apic;
	uint32_t left = vapic_timer_current(vp);
	uint64_t now = tsc_read();

	apic->timer_divide = divide & 0xb;
	if (apic->timer_due == 0 || timer_mode(vp) == TIMER_TSC_DEADLINE)
		return;
	// What is left is counted at the new rate.
	apic->timer_start = now - counts_to_tsc(vp, apic->timer_initial - left);
	arm(vp, MAX(now, apic->timer_start + period(vp)));
}

void vapic_timer_set_lvt(struct vp *vp, uint32_t lvt)
{
	unsigned int old_mode = timer_mode(vp), mode = LVT_TIMER_MODE(lvt);

	// SDM 10.5.4.1: going to or from TSC-deadline mode disarms the timer.
	if (mode != old_mode && (mode == TIMER_TSC_DEADLINE || old_mode == TIMER_TSC_DEADLINE)) {
		vapic_timer_stop(vp);
		vp->apic.timer_initial = 0;
	}
	vp->apic.lvt[LVT_TIMER] = lvt;
}

uint64_t vapic_tsc_deadline(const struct vp *vp)
{
	return timer_mode(vp) == TIMER_TSC_DEADLINE ? vp->apic.tsc_deadline : 0;
}

void vapic_set_tsc_deadline(struct vp *vp, uint64_t guest_tsc)
{
	uint64_t due, now = tsc_read(), guest_now = now + vp_tsc_offset(vp);

	if (timer_mode(vp) != TIMER_TSC_DEADLINE)
		return;
	vapic_timer_stop(vp);
	if (guest_tsc == 0)
		return;
	vp->apic.tsc_deadline = guest_tsc;
	if (guest_tsc <= guest_now) {
		vp->apic.timer_due = now;
		vapic_timer_expired(vp);
		return;
	}
	if (__builtin_add_overflow(now, guest_tsc - guest_now, &due))
		due = UINT64_MAX;
	arm(vp, due);
}

void vapic_timer_expired(struct vp *vp)
{
	uint32_t lvt = vp->apic.lvt[LVT_TIMER];
	uint64_t now = tsc_read(), length = period(vp);

	// The timer was stopped or set anew after it fired and before its VP came here.
	if (vp->apic.timer_due == 0 || now < vp->apic.timer_due)
		return;
	if (timer_mode(vp) == TIMER_PERIODIC) {
		// Missed expirations are one interrupt; the phase is kept.
		vp->apic.timer_start = now - (now - vp->apic.timer_start) % length;
		arm(vp, vp->apic.timer_start + length);
	} else {
		vapic_timer_stop(vp);
	}
	if (!(lvt & LVT_MASKED))
		vapic_interrupt(vp, lvt & LVT_VECTOR, VAPIC_EDGE);
}
