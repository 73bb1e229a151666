// SPDX-License-Identifier: BSD-2-Clause
// Synthetic timers: one-shot and periodic, by message or directly by vector. The lazy bit allows
// late delivery; we are on time.
#include "hypervisor/core/partition.h"
#include "hypervisor/core/trace.h"

// A period shorter than this (in 100 ns) would leave the guest no time between expiries.
enum { MIN_PERIOD = 500 };

static uint64_t reference_now(const struct vp *vp)
{
	return partition_reference_time(vp->partition, tsc_read());
}

static void arm(struct vp *vp, unsigned int n)
{
	uint64_t delta = tsc_from_100ns(vp->synic.stimer[n].due), at;

	if (__builtin_add_overflow(vp->partition->tsc_origin, delta, &at))
		at = UINT64_MAX - 1;
	timer_arm(&vp->timers[n], at);
}

static void stop(struct vp *vp, unsigned int n)
{
	timer_cancel(&vp->timers[n]);
	vp->synic.stimer[n].message_pending = false;
}

static void start(struct vp *vp, unsigned int n)
{
	struct stimer *t = &vp->synic.stimer[n];
	uint64_t now = reference_now(vp);

	if (t->config & HV_STIMER_CONFIG_PERIODIC) {
		if (__builtin_add_overflow(now, MAX(t->count, MIN_PERIOD), &t->due))
			t->due = UINT64_MAX;
	} else {
		t->due = t->count;
	}
	arm(vp, n);
}

void stimers_reset(struct vp *vp)
{
	for (unsigned int n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		stop(vp, n);
		vp->synic.stimer[n] = (struct stimer){ 0 };
	}
}

static unsigned int direct_vector(uint64_t config)
{
	return (config & HV_STIMER_CONFIG_APIC_VECTOR_MASK) >> HV_STIMER_CONFIG_APIC_VECTOR_SHIFT;
}

static bool valid_config(uint64_t config)
{
	const uint64_t direct = HV_STIMER_CONFIG_ENABLE | HV_STIMER_CONFIG_DIRECT_MODE;

	return !(config & ~HV_STIMER_CONFIG_VALID_MASK) &&
	       ((config & direct) != direct || direct_vector(config) >= 16);
}

bool stimer_write_msr(struct vp *vp, uint32_t msr, uint64_t value)
{
	unsigned int n = (msr - HV_X64_MSR_STIMER0_CONFIG) / 2 % HV_SYNIC_STIMER_COUNT;
	struct stimer *t = &vp->synic.stimer[n];

	if (!(msr & 1) && !valid_config(value))
		return false;
	stop(vp, n);
	if (msr & 1) {
		t->count = value;
		if (!value)
			t->config &= ~HV_STIMER_CONFIG_ENABLE;
		else if (t->config & HV_STIMER_CONFIG_AUTO_ENABLE)
			t->config |= HV_STIMER_CONFIG_ENABLE;
	} else {
		t->config = value;
	}
	// TLFS: a timer that would send its message to SINT 0 is not enabled.
	if (!(t->config & (HV_STIMER_CONFIG_DIRECT_MODE | HV_STIMER_CONFIG_SINTX_MASK)))
		t->config &= ~HV_STIMER_CONFIG_ENABLE;
	if (t->config & HV_STIMER_CONFIG_ENABLE && t->count)
		start(vp, n);
	return true;
}

static bool send_message(struct vp *vp, unsigned int n)
{
	struct stimer *t = &vp->synic.stimer[n];
	unsigned int sint =
		(t->config & HV_STIMER_CONFIG_SINTX_MASK) >> HV_STIMER_CONFIG_SINTX_SHIFT;
	struct hv_timer_message_payload payload = {
		.timer_index = n,
		.expiration_time = t->due,
		.delivery_time = reference_now(vp),
	};
	struct hv_message message = { .header = { .message_type = HvMessageTypeTimerExpired,
					      .payload_size = sizeof(payload) } };

	if (!synic_slot_claim(vp, sint))
		return false;
	memcpy(message.payload, &payload, sizeof(payload));
	synic_slot_fill(vp, sint, &message, false);
	return true;
}

// The expiry has been signalled: a one-shot timer is disabled, a periodic one goes on; periods that
// were missed are skipped.
static void finish(struct vp *vp, unsigned int n)
{
	struct stimer *t = &vp->synic.stimer[n];
	uint64_t now = reference_now(vp), period = MAX(t->count, MIN_PERIOD);

	if (!(t->config & HV_STIMER_CONFIG_PERIODIC)) {
		t->config &= ~HV_STIMER_CONFIG_ENABLE;
		return;
	}
	t->due += period;
	if (t->due <= now)
		t->due = now + period - (now - t->due) % period;
	arm(vp, n);
}

static void signal_expiry(struct vp *vp, unsigned int n)
{
	struct stimer *t = &vp->synic.stimer[n];

	if (t->config & HV_STIMER_CONFIG_DIRECT_MODE)
		vapic_interrupt(vp, direct_vector(t->config), VAPIC_EDGE);
	t->message_pending = !(t->config & HV_STIMER_CONFIG_DIRECT_MODE) && !send_message(vp, n);
	if (t->message_pending)
		return;
	trace(LUMEN_TRACE_TIMER, vp, n, t->due);
	finish(vp, n);
}

void stimers_expired(struct vp *vp, uint32_t expired)
{
	for (unsigned int n = 0; n < HV_SYNIC_STIMER_COUNT; n++) {
		struct stimer *t = &vp->synic.stimer[n];

		if (!(expired & 1u << n) || !(t->config & HV_STIMER_CONFIG_ENABLE))
			continue;
		if (reference_now(vp) < t->due)
			arm(vp, n); // was set again since it fired
		else
			signal_expiry(vp, n);
	}
}

void stimers_deliver(struct vp *vp)
{
	for (unsigned int n = 0; n < HV_SYNIC_STIMER_COUNT; n++)
		if (vp->synic.stimer[n].message_pending)
			signal_expiry(vp, n);
}
