// SPDX-License-Identifier: BSD-2-Clause
// The rig of all drivers' tests: channels whose ends are joined in one process, over real rings. At
// the host's end is a VSP, by its class, or the test (a raw host); at the guest's a VSC, which
// stands on <lumen/platform.h> and <lumen/vmbus.h> as they are here (rig_kernel.c), or the test (a
// raw guest). Faults come on demand; time passes only when nothing else happens.
//
// There is one rig. One thread drives it, or (threaded) one is the host and the processor that
// takes interrupts, and others are the guest's. What must not be ends the program (rig_check()).
#pragma once

#include "drivers/vsp/vsp.h"
#include "lumen/platform.h"
#include "lumen/vmbus.h"
#include "vmbus/memory.h"

enum {
	RIG_CHANNELS = 3, // a primary one and two sub-channels
	RIG_SENT = 64,	  // bytes of a packet that are remembered
};

// An end of a channel for the test that is at it.
struct rig_end {
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	struct vmbus_packet packet;    // the last one read
	enum vmbus_ring_status status; // of the last read or write
	bool wrote;		       // the other end is to be signalled
	_Alignas(8) uint8_t buffer[16384];
};

struct lumen_channel {
	uint32_t index;
	bool open, rescinded;
	struct vsp_rings rings; // in: from the guest
	struct rig_end guest, host;

	// The host.
	struct vmbus_guid type;
	const struct vsp_class *class; // NULL: a raw host
	const void *vsp_config;
	struct vsp *vsp;  // NULL: not open, or a raw host
	bool stopped;	  // the VSP
	bool signalled;	  // the guest is to be
	uint32_t tick_ms; // that have passed since the last one

	// The guest.
	struct lumen_channel_config config; // no handler: a raw guest
	uint32_t flushes, signals;	    // to the host
	uint8_t sent[RIG_SENT];		    // the last payload
	uint32_t sent_length;
	uint64_t sent_id;
	uint64_t sent_gpa; // of its data's first byte; 0: none
};

struct rig {
	// To be changed by tests.
	bool threaded;	 // only between open and close
	bool interrupts; // the handler is called when the host signals; else only polling
	bool polled;	 // with these: handlers are called while the guest waits, and nowhere else
	bool hostile;	 // rings may be broken, and a VSP may fail
	bool full;	 // a VSC finds no room in its ring
	bool moves;	 // rig_run() moves VSPs before and after each poll
	bool mute;	 // the host does nothing
	uint32_t mute_after;	  // the host does nothing after so many runs; 0: never
	uint32_t rescind_after;	  // the host takes the device away after so many runs; 0: never
	lumen_status open_status; // of the next lumen_channel_open()
	// Of the next lumen_vmbus_connect_socket(); whether there is a connection to be accepted.
	lumen_status connect_status;
	bool wanted;
	uint32_t fail_alloc;	   // the allocation with this number fails, from 1 on
	lumen_status gpadl_status; // of the next lumen_gpadl_create()
	bool keeps_gpadls;	   // the host gives none back
	uint32_t offered_subs; // sub-channels that the guest finds: those that the VSP asked for
	uint32_t complete;     // what the backend does in a run
	uint32_t (*backend)(uint32_t count); // does up to so much of what is due; returns how much
	void (*on_open)(struct lumen_channel *channel);
	// A VSC lends pages as the GPADL with this number, from 1 on; or takes them back (NULL).
	void (*on_gpadl)(uint32_t number, const void *pages, uint32_t count);
	// A VSC sends this: it may be changed. It is in the ring.
	void (*on_send)(struct lumen_channel *channel, struct vmbus_packet_out *packet);
	void (*on_sent)(struct lumen_channel *channel, const struct vmbus_packet_out *packet);
	// A VSC has read this, and it may be changed.
	void (*on_receive)(struct lumen_channel *channel, struct vmbus_packet *packet);
	void (*on_commit)(void);	      // a VSC has said how far it has read
	uint64_t time_of_day, reference_time; // in 100 ns; see rig_pass()
	uint64_t now;			      // in ns

	// To be looked at.
	struct lumen_channel channels[RIG_CHANNELS];
	uint8_t *ram; // the raw guest's, from GPA 0 on
	uint32_t ram_pages;
	bool waiting; // the guest
	uint32_t runs, waits, slept, moved;
	uint32_t pages; // that the VSC has allocated now
	uint32_t allocations;
	uint32_t gpadls; // bits, of numbers that are lent
	uint32_t changes;
	uint32_t *watch;
	uint32_t given_back;	 // channels of sockets
	struct vmbus_guid guest; // the last one that was to be connected
};

extern struct rig rig;
extern _Thread_local bool rig_irq_off;
extern _Thread_local uint32_t rig_vp; // that this thread is

void rig_check(bool condition);

// Begins anew, with so many pages of memory for a raw guest.
void rig_create(uint32_t ram_pages);

// Frees the host's things; nothing of the guest's may be left.
void rig_destroy(void);

// Frees what the VSC has not given back.
void rig_free_pages(void);

// Offers a channel: a VSP for whoever opens it, or a raw host (class NULL). *config is kept.
struct lumen_channel *rig_offer(uint32_t index, const struct vmbus_guid *type,
	const struct vsp_class *class, const void *config);

// Opens it for a raw guest, with rings of so many pages, control pages included.
void rig_open(struct lumen_channel *channel, uint32_t to_host_pages, uint32_t to_guest_pages);

// Closes it: the VSP stops, and what is under way ends. Of a primary channel, the host takes its
// sub-channels away first; the guest has their rings until it closes them, too.
void rig_close(struct lumen_channel *channel);

// Starts the VSP once more, over channel->rings as they are.
void rig_start(struct lumen_channel *channel);

// Stops it: a raw host goes on in its place.
struct rig_end *rig_take_over(struct lumen_channel *channel);

// The VSP goes on as other instances, elsewhere, with all channels: saved when they are idle, and
// restored. False: it has failed.
bool rig_move(void);

// Lets the VSP run on this channel (and on others, if they have become due by that) until it has
// nothing more to do; returns all flags that it gave.
uint32_t rig_poll(struct lumen_channel *channel);

// The host does all that it can, and signals the guest. Returns whether anything has happened.
bool rig_run(void);

// Time passes: VSPs get their ticks.
void rig_pass(uint32_t ms);

// The host takes all channels away, or one, and says so if it can.
void rig_rescind(void);
void rig_rescind_one(struct lumen_channel *channel);

// The control page of one of the rings.
struct vmbus_ring_control *rig_control(struct lumen_channel *channel, bool to_guest);

// For who is at an end: the next packet of the other end (false: none, or the ring is broken); and
// packets to it (false: no room).
bool rig_read(struct rig_end *end);
bool rig_write(struct rig_end *end, const struct vmbus_packet_out *packet);
bool rig_say(struct rig_end *end, uint16_t type, uint64_t transaction_id, const void *payload,
	uint32_t length);

// The guest's memory as a VSP sees it: the RAM of a raw guest; for a VSC, whatever it says.
extern const struct vmbus_memory rig_memory;
void *rig_memory_at(uint64_t gpa);
