// SPDX-License-Identifier: BSD-2-Clause
// The synthetic interrupt controller of a VP and its synthetic timers (TLFS: Inter-Partition
// Communication, Timers).
#pragma once

#include "hypercall/msr.h"
#include "hypercall/synic.h"
#include "hypervisor/core/msr_result.h"
#include "hypervisor/core/overlay.h"

struct vp;
struct timer;

// A message on its way to a SIM slot. It belongs to somebody who gets it back: a port, a VP (its
// intercept), a VP's direct pool.
struct message {
	struct list link;  // in synic->queue[sint]
	struct vp *target; // whose queue; NULL = free. Changes under the target's synic.lock
	struct hv_message body;
};

struct stimer {
	uint64_t config;      // HV_X64_MSR_STIMERn_CONFIG
	uint64_t count;	      // HV_X64_MSR_STIMERn_COUNT
	uint64_t due;	      // reference time of the next expiry
	bool message_pending; // expired; waits for its SIM slot
};

struct synic {
	uint64_t scontrol;
	uint64_t simp, siefp;		    // MSR values
	uint64_t sint[HV_SYNIC_SINT_COUNT]; // read by others with READ_ONCE
	void *sim_page, *sief_page; // for the VP's whole life; others may set flags atomically
	struct overlay sim_overlay, sief_overlay;

	struct spinlock lock; // guards queue[] and message.target/link; leaf
	struct list queue[HV_SYNIC_SINT_COUNT];
	bool waiting; // a message waits for its slot: the next EOI looks again; own VP only
	struct message *direct; // pool for HvCallPostMessageDirect, SYNIC_DIRECT_MESSAGES of them

	struct stimer stimer[HV_SYNIC_STIMER_COUNT];
};

enum { SYNIC_DIRECT_MESSAGES = 12 };

void synic_init(struct vp *vp);	   // sim_page, sief_page and direct are set
void synic_reset(struct vp *vp);   // at power-on: a new VP, zeroed, whose pages are nowhere
void synic_destroy(struct vp *vp); // unqueues everything that others have queued here

// MSRs HV_X64_MSR_SCONTROL..EOM, SINTn, STIMERn. Own VP. False: #GP.
bool synic_read_msr(struct vp *vp, uint32_t msr, uint64_t *value);
enum msr_result synic_write_msr(struct vp *vp, uint32_t msr, uint64_t value);

// Queues MESSAGE (filled in; the caller owns it and it is free) for SINT of VP, even while that is
// masked or the SynIC disabled. Any context.
void synic_post(struct vp *vp, unsigned int sint, struct message *message);
void synic_unpost(struct message *message); // after it returns the message is free; any context

// A free one of the COUNT from MESSAGES on. NULL: all are on their way. Whoever takes messages from
// the same ones does so under a lock.
struct message *message_free(struct message *messages, unsigned int count);

// May a message go to VP? HV_STATUS_INVALID_SYNIC_STATE: its SynIC or its page is disabled.
hv_status synic_accepts_messages(const struct vp *vp);

// Sets FLAG in SINT's event flags of VP and asserts the SINT if the flag was clear. Any context.
// HV_STATUS_INVALID_SYNIC_STATE: as above, or the SINT is masked.
hv_status synic_signal(struct vp *vp, unsigned int sint, unsigned int flag, bool *newly_signaled);

// Before entry, own VP: delivers queued messages to free slots, handles expired synthetic timers.
void synic_deliver(struct vp *vp);
void stimers_expired(struct vp *vp, uint32_t expired);

// --- between synic.c and stimer.c; own VP or paused ---
void stimers_reset(struct vp *vp);
bool stimer_write_msr(struct vp *vp, uint32_t msr, uint64_t value); // false: #GP
void stimers_deliver(struct vp *vp); // tries again to put expired timers' messages into their slots

// May SINT's slot be filled now? If not, the guest will write EOM when it is free. Then fills it.
bool synic_slot_claim(struct vp *vp, unsigned int sint);
void synic_slot_fill(struct vp *vp, unsigned int sint, const struct hv_message *message, bool more);
