// SPDX-License-Identifier: BSD-2-Clause
// Interrupt messages within a partition: the interrupt command register, MSIs, and who they are for
// (APM2 16.5, 16.9).
#include "hypervisor/x86/vapic_internal.h"

enum delivery { FIXED, LOWEST_PRIORITY, SMI, NMI = 4, INIT, SIPI };
enum shorthand { TO_DEST, TO_SELF, TO_ALL, TO_OTHERS };

#define BROADCAST	 UINT32_MAX
#define ICR_LOGICAL	 BIT(11)
#define ICR_LEVEL_ASSERT BIT(14)
#define ICR_LEVEL	 BIT(15)

static bool matches_logical(const struct vp *vp, uint32_t dest)
{
	uint32_t ldr = READ_ONCE(vp->apic.ldr), member;

	if (vapic_mode(vp) == VAPIC_X2APIC)
		return ldr >> 16 == dest >> 16 && ldr & dest & 0xffff;
	ldr >>= 24;
	member = ldr & dest & 0xff;
	if (READ_ONCE(vp->apic.dfr) >> 28 == 0xf) // flat
		return member;
	return (ldr ^ dest) >> 4 << 28 == 0 && member & 0xf;
}

static bool matches(const struct vp *vp, const struct vp *sender, const struct vapic_message *m)
{
	if (vapic_mode(vp) == VAPIC_DISABLED)
		return false;
	switch (m->shorthand) {
	case TO_SELF:
		return vp == sender;
	case TO_ALL:
		return true;
	case TO_OTHERS:
		return vp != sender;
	default:
		return m->dest == BROADCAST ||
		       (m->logical ? matches_logical(vp, m->dest) : vp->apic.id == m->dest);
	}
}

static bool deliver_to(struct vp *vp, const struct vapic_message *m)
{
	switch (m->delivery) {
	case FIXED:
	case LOWEST_PRIORITY:
		return vapic_interrupt(vp, m->vector, m->level ? VAPIC_LEVEL : VAPIC_EDGE);
	case SIPI:
		__atomic_store_n(&vp->sipi_vector, m->vector, __ATOMIC_RELEASE);
		vp_request(vp, VP_REQ_SIPI);
		return true;
	default:
		vp_request(vp, m->delivery == NMI ? VP_REQ_NMI : VP_REQ_INIT);
		return true;
	}
}

static bool lower_priority(const struct vp *vp, const struct vp *than)
{
	return READ_ONCE(vp->apic.svr) & SVR_ENABLE &&
	       (!than || READ_ONCE(vp->apic.tpr) < READ_ONCE(than->apic.tpr));
}

bool vapic_deliver(struct partition *partition, struct vp *sender, const struct vapic_message *m)
{
	struct vp *vp, *lowest = NULL;
	bool delivered = false;

	if (m->delivery == SMI || m->delivery == 3 || m->delivery > SIPI)
		return false;
	partition_for_each_vp(vp, partition)
	{
		if (!matches(vp, sender, m))
			continue;
		if (m->delivery != LOWEST_PRIORITY)
			delivered |= deliver_to(vp, m);
		else if (lower_priority(vp, lowest))
			lowest = vp;
	}
	return lowest ? deliver_to(lowest, m) : delivered;
}

void vapic_send_icr(struct vp *vp, uint64_t icr)
{
	bool x2apic = vapic_mode(vp) == VAPIC_X2APIC;
	struct vapic_message m = {
		.dest = x2apic ? icr >> 32 : icr >> 56,
		.logical = icr & ICR_LOGICAL,
		.level = icr & ICR_LEVEL,
		.delivery = icr >> 8 & 7,
		.vector = icr,
		.shorthand = icr >> 18 & 3,
	};

	if (!x2apic && m.dest == 0xff)
		m.dest = BROADCAST;
	// INIT level de-assert: an arbitration matter of old buses, does nothing (APM2 16.5).
	if (m.delivery == INIT && m.level && !(icr & ICR_LEVEL_ASSERT))
		return;
	// Only fixed interrupts go to oneself by shorthand; the trigger mode of an IPI is always
	// edge.
	if (m.shorthand != TO_DEST && m.shorthand != TO_OTHERS && m.delivery != FIXED)
		return;
	m.level = false;
	if (m.delivery <= LOWEST_PRIORITY && m.vector < 16) {
		vapic_error(vp, ESR_SEND_ILLEGAL_VECTOR);
		return;
	}
	vapic_deliver(vp->partition, vp, &m);
}
