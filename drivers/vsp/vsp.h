// SPDX-License-Identifier: BSD-2-Clause
// The base of all VSPs: the host's end of one channel. It owns both rings, the loop between them,
// what waits for room, the first failure and its reason, counters, and the saved form. What a
// device is about is its class: it gets packets and sends packets.
//
// A device has one instance, of its primary channel, and one more for each sub-channel that the
// guest has open: its class asks for them (vsp_ask_sub_channels()), the embedder offers them, with
// the primary's GUIDs and an index from 1 on. Each has rings, flow, failure and saved form of its
// own, and ends by itself; those of a primary channel that has ended do nothing more, and it is
// idle when they are. Whoever opens the primary anew begins with none.
//
// Threading: all calls on the instances of one device come from one thread at a time. No call
// blocks unless a class's backend does. No memory is allocated.
//
// The embedder's loop, when the guest has signalled the channel or a backend has something done:
//	the backends' own poll functions (completions arrive in here)
//	flags = vsp_poll(vsp)
//	VSP_SIGNAL: signal the channel's event to the guest
//	VSP_AGAIN: call again, after having looked after others
//	VSP_SUB_CHANNELS: offer vsp_sub_channels() of them
//	VSP_FAILED: log vsp_failure(), then close as below
//	the class's own
// With sub-channels it polls all channels, and begins anew as long as vsp_any_waits().
// To close: vsp_stop(); run the backends until vsp_idle(); a sub-channel's: vsp_leave(); then the
// memory of the instance, of the rings and of the guest may go. Before a primary channel's, that of
// its sub-channels.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmbus/protocol.h"
#include "vmbus/ring.h"

// Results of vsp_poll().
#define VSP_SIGNAL	 0x1u
#define VSP_AGAIN	 0x2u
#define VSP_FAILED	 0x4u
#define VSP_SUB_CHANNELS 0x8u
#define VSP_OWN		 0x100u // and above: a class's own

#define VSP_ALIGNMENT 16u // of an instance's memory

struct vsp;
struct vsp_out;
struct vsp_writer;
struct vsp_reader;

// A counter, a uint64_t at an offset in the instance.
struct vsp_counter {
	const char *name; // NULL ends a table
	size_t offset;
};

// What the guest opened the channel with. The arrays and pages must outlive the instance.
struct vsp_rings {
	struct vsp *primary;   // of a sub-channel; NULL: this is the primary channel
	uint32_t index;	       // of the sub-channel; 0 of the primary
	void *const *in_pages; // ring from the guest: control page, then data pages
	uint32_t in_page_count;
	void *const *out_pages; // ring to the guest
	uint32_t out_page_count;
};

// What a device is. All calls come from within calls on the base; those that may be NULL say so.
struct vsp_class {
	const char *name;	// for logs, statistics and the command line
	struct vmbus_guid guid; // of the interface
	bool pipe;		// offered as a pipe of messages
	uint32_t poll_packets;	// what one poll takes at most: packets,
	uint32_t poll_cost;	// and what packet() returns, together
	uint32_t tick_ms;	// how often vsp_tick() is to be called; 0: never
	bool asks;		// tick() asks the guest what nobody has ordered
	uint16_t saved_version; // of what save() writes
	const struct vsp_counter *counters;

	// Returns how many bytes an instance needs (of a sub-channel), or 0 if the configuration is
	// out of bounds.
	size_t (*size)(const void *config, bool sub);
	// Fills in an instance, zeroed but for its base; sets base->buffer.
	void (*open)(struct vsp *vsp, const void *config);
	// Acts on a packet (vsp->packet, private memory). Returns what it costs of a poll. To get
	// no more packets for a while, it sets vsp->full.
	uint32_t (*packet)(struct vsp *vsp);
	// What is to be done in each poll, also of a failed channel: before packets are read, and
	// after. May be NULL.
	void (*work)(struct vsp *vsp);
	void (*kick)(struct vsp *vsp);
	// A packet that had to wait is in the ring, or will not get there: it may be used again.
	void (*sent)(struct vsp *vsp, struct vsp_out *out);
	// tick_ms have passed. Returns whether it wants to know the next time, too. NULL without.
	bool (*tick)(struct vsp *vsp);
	// Begins nothing more and ends what is under way. May be NULL.
	void (*stop)(struct vsp *vsp);
	// Returns whether nothing is under way. NULL: it never is.
	bool (*idle)(const struct vsp *vsp);
	// Writes all that the class has to know about an idle instance, without pointers.
	void (*save)(const struct vsp *vsp, struct vsp_writer *to);
	// Takes it back, right after open(). Returns false if it makes no sense.
	bool (*restore)(struct vsp *vsp, struct vsp_reader *from);
	// Restoring: gives the packet that waited for room, and is about to do so again: its
	// payload and header are writable, and have room for those of the saved one, which says
	// all about it but these. NULL: there is none.
	struct vsp_out *(*restore_out)(struct vsp *vsp, const struct vsp_out *saved);
};

// A packet to the guest. From vsp_send() until it has returned true or sent() is called it is the
// base's, and so is its payload.
struct vsp_out {
	struct vsp_out *next;
	uint64_t transaction_id;
	void *payload;
	void *header;		// ranges, in front of the payload
	uint32_t length;	// of the payload, in bytes
	uint32_t header_length; // bytes, a multiple of 8; 0: none
	uint16_t type;		// enum vmbus_packet_type
	uint16_t flags;		// VMBUS_PACKET_FLAG_*
};

struct vsp_counters {
	uint64_t packets;   // from the guest
	uint64_t malformed; // packets that broke a rule
	uint64_t batches;   // polls that found packets
	uint64_t signals;   // polls that asked to signal the guest
	uint64_t ring_full; // packets that had to wait for room
};

// A class's instance begins with this.
struct vsp {
	const struct vsp_class *class;
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	struct vsp *primary;	   // of a sub-channel, or NULL
	struct vsp *next;	   // the first sub-channel that has joined; in its, the next
	uint32_t index;		   // of the sub-channel, or 0
	uint32_t sub_channels;	   // that the class has asked for; atomic
	uint32_t sub_channels_max; // that it may ask for: set by its open()
	const char *failure;
	bool stopped, paused, signal_due, again;
	bool full;	    // the class takes no packets now; it sees to the next poll
	bool held;	    // the last poll left packets because of that
	bool wrote;	    // since the last poll
	uint32_t behind;    // bytes: so many at most are left of what vsp_mark() is about
	uint32_t own_flags; // for the next return of vsp_poll()
	struct vsp_out *unsent_first, **unsent_end;
	void *buffer; // for one packet; the class's, aligned to 8
	uint32_t buffer_size;
	struct vmbus_packet packet;
	struct vsp_counters counters;
};

// --- for the embedder ---

// Returns how many bytes an instance needs (of a sub-channel), or 0 if the configuration is out of
// the class's bounds.
size_t vsp_size(const struct vsp_class *class, const void *config, bool sub);

// Makes an instance in `memory` (VSP_ALIGNMENT, vsp_size() bytes), for a channel that the guest has
// opened. Returns NULL if the configuration is out of bounds; rings that are unusable are a failure
// that the first poll tells.
struct vsp *vsp_open(const struct vsp_class *class, void *memory, const struct vsp_rings *rings,
	const void *config);

// Does what can be done now, up to the class's bounds. Returns VSP_* flags.
uint32_t vsp_poll(struct vsp *vsp);

// Returns whether a channel of the device has something to do that came of what another one did
// after its own last poll, or stopped to do: an answer in its ring, a slot, a mark.
bool vsp_any_waits(const struct vsp *primary);

// class->tick_ms have passed; poll afterwards. Returns whether to call again in as many.
bool vsp_tick(struct vsp *vsp);

// Puts an open sub-channel to those of its primary: it may be polled now. (Only this has to be in
// the primary's thread.) And takes it away again, when it is idle, before its memory goes.
void vsp_join(struct vsp *sub);
void vsp_leave(struct vsp *sub);

// Returns how many sub-channels there should be, those with index 1 to so many. Any thread.
uint32_t vsp_sub_channels(const struct vsp *vsp);

// Returns why the channel has failed, a constant string for the log, or NULL.
const char *vsp_failure(const struct vsp *vsp);

// Stops: the rings are not touched any more, nothing begins, what is under way ends without an
// answer. A primary channel stops with all its sub-channels.
void vsp_stop(struct vsp *vsp);

// Returns whether nothing is under way that uses the guest's memory; of a primary channel, also on
// its sub-channels.
bool vsp_idle(const struct vsp *vsp);

// Returns the counter of this number, the base's first, or NULL behind the last.
const struct vsp_counter *vsp_counter(const struct vsp_class *class, unsigned index);

// Any thread.
uint64_t vsp_count(const struct vsp *vsp, const struct vsp_counter *counter);

// --- saving (saved.c). A device's saved form is that of its primary channel, and one for each of
// the open sub-channels: all are paused, idle and saved, restored, and joined, before any goes on.
// ---

// No packet is read any more until vsp_resume(); what is under way goes on. What the guest has sent
// stays in its ring.
void vsp_pause(struct vsp *vsp);
void vsp_resume(struct vsp *vsp);

// Writes the saved form of a paused instance. Returns its length, or 0: it does not fit, or the
// instance has failed, is stopped, or is not idle yet (poll on).
size_t vsp_save(struct vsp *vsp, void *form, size_t size);

// Opens an instance as vsp_open() does, over rings with the contents that they had, and has it go
// on where the saved one was. The guest is signalled by the first poll: a signal may have been
// lost. Returns NULL if the form is none of this class, of a version that is not known, or makes no
// sense.
struct vsp *vsp_restore(const struct vsp_class *class, void *memory, const struct vsp_rings *rings,
	const void *config, const void *form, size_t size);

// --- for classes ---

// Asks the embedder for sub-channels: so many in all, as there may already be. Returns false if
// that is more than vsp->sub_channels_max.
bool vsp_ask_sub_channels(struct vsp *vsp, uint32_t count);

static inline struct vsp *vsp_primary(struct vsp *vsp)
{
	return vsp->primary ? vsp->primary : vsp;
}

// Marks what is in the ring from the guest now: vsp->behind is 0 when all of that has been read (or
// more, which has followed it at once).
void vsp_mark(struct vsp *vsp);

// Ends the channel: nothing is read or written any more. The first reason stays.
void vsp_fail(struct vsp *vsp, const char *reason);

// Sends a packet, behind all that wait. Returns true if that is over (it is in the ring, or the
// channel is dead); false: it waits, and class->sent() comes.
bool vsp_send(struct vsp *vsp, struct vsp_out *out);

// A saved form as it grows, and as it is taken apart: no more than there is room, or bytes, for.
struct vsp_writer {
	uint8_t *next;
	size_t room;
	bool overrun;
};

struct vsp_reader {
	const uint8_t *next;
	size_t left;
};

void vsp_write(struct vsp_writer *to, const void *bytes, size_t length);
// Returns false, and zeroes, if there is less.
bool vsp_read(struct vsp_reader *from, void *bytes, size_t length);
