// SPDX-License-Identifier: BSD-2-Clause
// The guest SDK's VMBus joined to the host's, in one process and one thread: guest-sdk/vmbus*.c
// over fake hypercalls, a fake SynIC, fake memory and a fake clock; the real vmbus/server.* behind
// them, and devices that the test defines. For tests of VMBus and of VSCs against VSPs.
//
// The host runs while the guest waits (lumen_wait()) and when the test calls guest_rig_run(); with
// interrupts (GUEST_RIG_VECTOR) also whenever the guest turns them on again, so that answers come
// at every moment at which they may. If the guest waits and there is nothing that the host could
// do, time jumps to the guest's deadline: a host that does not answer costs no time. Memory that
// the guest frees while the host has it in a GPADL ends the test. There is one rig at a time.
#pragma once

#include "lumen/platform.h"
#include "lumen/vmbus.h"
#include "vmbus/server.h"

#define GUEST_RIG_VPS	   4u
#define GUEST_RIG_CHANNELS 16u
#define GUEST_RIG_GPADLS   32u
#define GUEST_RIG_VECTOR   0x40u // the vector of a config that wants interrupts

struct guest_rig;
struct guest_rig_device;

// What the host gets with an open channel. Pages are host addresses, control pages first; good
// until guest_rig_closed().
struct guest_rig_open {
	void *const *in_pages; // guest to host
	uint32_t in_page_count;
	void *const *out_pages; // host to guest
	uint32_t out_page_count;
	const uint8_t *user_data;
};

// What a device does. Any may be NULL: it opens, closes at once, and does nothing.
struct guest_rig_ops {
	// The guest opens the channel; false refuses.
	bool (*open)(
		void *context, struct guest_rig_device *device, const struct guest_rig_open *open);
	// Stop; when nothing of the guest's memory is in use any more, guest_rig_closed(): in here
	// or later.
	void (*close)(void *context, struct guest_rig_device *device);
	// The guest has signalled the open channel.
	void (*signalled)(void *context, struct guest_rig_device *device);
	// Something that the device does by itself while its channel is open or closing (a disk
	// that completes a request). Returns whether it did anything; called until not.
	bool (*run)(void *context, struct guest_rig_device *device);
};

struct guest_rig_device {
	const struct guest_rig_ops *ops;
	void *context;
	struct guest_rig *rig;
	uint32_t relid;	    // 0: not offered, or gone
	bool open, closing; // what its ops were told
	bool open_held;	    // the guest waits for guest_rig_complete_opens()
	bool signal_pending;
	uint32_t target_vp; // of the open channel
	void **pages;	    // of both rings
	uint8_t user_data[VMBUS_USER_DEFINED_SIZE];
	struct guest_rig_open rings; // as given to open
	uint32_t signals;	     // that the guest has sent
};

// A moment at which the test wants to do something: the host is about to hand the guest `message`
// (VMBUS_TO_GUEST). Returns false to lose the message.
typedef bool guest_rig_hook(void *context, struct guest_rig *rig, union vmbus_message *message);

struct guest_rig {
	struct vmbus_server server;
	struct guest_rig_device devices[GUEST_RIG_CHANNELS];

	// Knobs, free to be changed at any time.
	uint64_t start_ns, now_ns;
	uint32_t this_vp;
	bool deaf;		// the host takes no messages (they wait in its port)
	bool mute;		// the host's messages wait
	bool hold_opens;	// VMBUS_ACTION_OPEN waits for guest_rig_complete_opens()
	uint32_t post_failures; // so many of the HvCallPostMessage from number post_fails_at on
	uint32_t post_fails_at; // (by `posts`) end with post_status
	uint16_t post_status;
	uint32_t pages_left;  // lumen_alloc_pages() gives so many more, then NULL
	bool old_host;	      // nobody listens at VMBus's connection id 4
	bool no_host;	      // nor at 1
	bool no_privilege;    // lumen_has() says no
	guest_rig_hook *hook; // before each message to the guest
	void *hook_context;
	void (*on_post)(void *context, struct guest_rig *rig); // before each HvCallPostMessage
	// Instead of running the host when the guest waits. Returns whether anything happened.
	bool (*on_wait)(void *context, struct guest_rig *rig);
	// The guest asks for a socket: vmbus_server_answer_socket(), in here or later.
	void (*on_socket)(struct guest_rig *rig, const struct vmbus_socket_request *request);
	bool messages_wait;  // in the SIM page, not taken
	bool sleeps;	     // lumen_wait() is the kernel's own: it does not look at the SynIC
	bool swallow;	     // posts succeed, and nobody hears them
	bool signal_at_once; // devices act within the HvCallSignalEvent that is for them

	// Counters, for tests to look at.
	uint32_t posts;		     // HvCallPostMessage, all
	uint32_t last_connection_id; // of a post
	uint8_t last_type;	     // the same one\'s message type
	union vmbus_message last_post;
	uint32_t signals;      // HvCallSignalEvent, all
	uint32_t lost_signals; // that found no open channel
	uint32_t violations;   // of the guest, as the server sees them
	enum vmbus_violation last_violation;
	uint32_t messages; // to the guest
	uint32_t events;   // to the guest
	uint32_t waits, wakes;
	uint32_t irq_depth;
	uint32_t pages_out; // that lumen_alloc_pages() gave and did not get back
	char log[32][200];  // the last lines of lumen_log(); see guest_rig_said()
	uint32_t log_count;

	struct lumen_synic synics[GUEST_RIG_VPS]; // for lumen_vmbus_config.synic: "started"
	struct guest_rig_private *host;		  // the rig's own
};

// Makes the rig: a host that speaks up to `host_version`, no device, time 1 s, VP 0, no limits.
struct guest_rig *guest_rig_create(uint32_t host_version);

// Ends it: the server is reset and must become idle. Memory that the guest did not free is counted
// in the result (pages), for the test to compare, and freed.
uint32_t guest_rig_destroy(struct guest_rig *rig);

// A device for an offer; the guest hears of it when it is next run. NULL: no slot.
struct guest_rig_device *guest_rig_offer(struct guest_rig *rig, const struct vmbus_offer *offer,
	const struct guest_rig_ops *ops, void *context);
void guest_rig_rescind(struct guest_rig *rig, struct guest_rig_device *device);

// Whether the guest has said that, in one of its last lines.
bool guest_rig_said(const struct guest_rig *rig, const char *line);

// For devices: the close is complete; a signal for the guest.
void guest_rig_closed(struct guest_rig_device *device);
void guest_rig_signal(struct guest_rig_device *device);

// Completes the opens that were held.
void guest_rig_complete_opens(struct guest_rig *rig, bool success);

// Runs the host until it has nothing more to do, and gives the guest its messages and events.
// Returns whether anything happened.
bool guest_rig_run(struct guest_rig *rig);

// Hands a message to the guest's handler at once, past the server: a host that lies.
void guest_rig_say(struct guest_rig *rig, const void *bytes, uint32_t length);

// Sets an event flag of the guest at once, whatever it means.
void guest_rig_event(struct guest_rig *rig, uint32_t vp, uint32_t flag);

// The guest's memory as a VSP sees it: what lumen_alloc_pages() gave and what was added by
// guest_rig_add_memory(). GPAs are addresses.
struct vmbus_memory guest_rig_memory(struct guest_rig *rig);
void guest_rig_add_memory(struct guest_rig *rig, void *pages, size_t count);

// Connects with polling (vector 0) or with interrupts (GUEST_RIG_VECTOR), 1 s for each answer.
lumen_status guest_rig_connect(struct guest_rig *rig, uint8_t vector, struct lumen_vmbus **bus);
