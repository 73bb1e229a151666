// SPDX-License-Identifier: BSD-2-Clause
// Between the parts of the SDK's VMBus; not for its users.
#ifndef LUMEN_VMBUS_INTERNAL_H
#define LUMEN_VMBUS_INTERNAL_H

#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/spin.h"
#include "lumen/vmbus.h"
#include "vmbus/client.h"

#define VMBUS_VPS     4096u // VP indices below this can be used
#define VMBUS_VECTORS 4u    // different ones on different VPs

// A channel, beside its half in the protocol machine. The rings belong to the calls that open and
// close it; from `live` on, and as long as it is set, they may be used.
struct lumen_channel {
	struct lumen_vmbus *bus;
	struct vmbus_client_channel *protocol; // under the bus's lock, but for its offer
	bool held;			       // somebody has the pointer; under the lock
	uint32_t rescinded;
	uint32_t live;	// the rings are there: the handler is called
	uint32_t calls; // of the handler, that run now
	uint32_t target_vp;
	uint32_t gpadl; // of the rings
	uint32_t pages;
	void *memory; // rings, then the list of their pages
	lumen_channel_handler *handler;
	void *context;
	struct vmbus_ring_writer writer;
	struct vmbus_ring_reader reader;
};

struct lumen_vmbus {
	// Guards `client`, `input` and `sints`, and what is said above. Taken with
	// interrupts off, held for at most one hypercall, and no other lock is taken inside.
	struct lumen_spinlock lock;
	uint32_t answers; // goes up with each message of the host, with lumen_wake()
	uint32_t changes; // likewise with each offer and rescind
	uint32_t *watch;  // and so does this, if there is one; under the lock
	uint32_t heard;	  // the host has said something: there is VMBus
	uint64_t timeout_ns;
	struct lumen_synic *synic; // of the VP that connected
	uint32_t vp;
	bool polled;	       // no interrupt says that something has come to that VP
	uint32_t memory_pages; // of this allocation
	uint32_t channel_count;
	struct lumen_channel *channels;
	LUMEN_CALL_BLOCK struct hv_input_post_message input;
	struct vmbus_client client;
	struct lumen_sint sints[VMBUS_VECTORS];
	uint64_t vps[VMBUS_VPS / 64];	       // bits: VMBus's SINT is in use there
	uint16_t by_flag[VMBUS_RELID_MAX + 1]; // index of the channel, plus 1
};

// What a request needs; each function takes what it knows.
struct vmbus_request {
	struct lumen_channel *channel;
	const struct vmbus_client_open *open;
	uint32_t *gpadl;
	uint32_t number; // pages, a VP, a version
};

typedef enum vmbus_client_status vmbus_asker(
	struct lumen_vmbus *bus, const struct vmbus_request *request);
typedef bool vmbus_condition(struct lumen_vmbus *bus, const struct vmbus_request *request);

// --- vmbus_wait.c ---

// When to stop waiting for an answer that is asked for now.
uint64_t vmbus_deadline(const struct lumen_vmbus *bus);

// Posts the next message; with the lock held. True: done, there may be more. False: there was none
// (LUMEN_OK), or the hypervisor did not take it, and why.
bool vmbus_post_next(struct lumen_vmbus *bus, lumen_status *status);

// Posts all messages, again and again while the hypervisor has no buffer. Thread context.
lumen_status vmbus_flush(struct lumen_vmbus *bus, uint64_t deadline_ns);

// Makes a request of the machine, with the lock held, when its queue has room. Thread context.
lumen_status vmbus_ask(struct lumen_vmbus *bus, uint64_t deadline_ns, vmbus_asker *ask,
	const struct vmbus_request *request);

// Posts what was asked and waits until the condition is true; it is called with the lock held.
// LUMEN_TIMED_OUT, or why nothing can be posted. Thread context.
lumen_status vmbus_wait(struct lumen_vmbus *bus, uint64_t deadline_ns, vmbus_condition *done,
	const struct vmbus_request *request);

// Both: makes the request and waits until it is answered.
lumen_status vmbus_ask_and_wait(struct lumen_vmbus *bus, uint64_t deadline_ns, vmbus_asker *ask,
	vmbus_condition *done, const struct vmbus_request *request);

// Whether the condition is true now: called with the lock held. Any context.
bool vmbus_look(
	struct lumen_vmbus *bus, vmbus_condition *condition, const struct vmbus_request *request);

// --- vmbus_channel.c ---

// Calls the channel's handler, if it is open.
void vmbus_channel_call(struct lumen_channel *channel);

// Whether the bus takes events on this VP.
static inline bool vmbus_uses_vp(const struct lumen_vmbus *bus, uint32_t vp)
{
	return vp < VMBUS_VPS &&
	       __atomic_load_n(&bus->vps[vp / 64], __ATOMIC_RELAXED) >> vp % 64 & 1;
}

static inline bool vmbus_rescinded(const struct lumen_channel *channel)
{
	return __atomic_load_n(&channel->rescinded, __ATOMIC_ACQUIRE);
}

#endif
