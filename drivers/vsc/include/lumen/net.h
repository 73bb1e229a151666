// SPDX-License-Identifier: BSD-2-Clause
// Network cards on VMBus (NVSP 1 to 6.1 with RNDIS): frames of Ethernet out and in.
//
// The short way, with or without interrupts:
//	const struct lumen_net_config config = { .receive = on_frame };
//	lumen_net_open(lumen_net_find(bus, 0), &config, &net);
//	lumen_net_send_copy(net, frame, length);
// The fast way out is struct lumen_net_frame and lumen_net_send(): scatter-gather, checksums and
// segmentation by the host.
//
// Any number of processors may call at once, unless a function says otherwise. Nothing is allocated
// but by open. What comes from the host is checked; a host that breaks a rule costs the card, with
// a status, and nothing else.
#ifndef LUMEN_NET_H
#define LUMEN_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/segment.h"
#include "lumen/status.h"
#include "lumen/vmbus.h"

LUMEN_DECLS_BEGIN

#define LUMEN_NET_HEADER       14u // bytes of Ethernet's header
#define LUMEN_NET_MAX_MTU      9000u
#define LUMEN_NET_MAX_DEPTH    512u   // frames that the host has at once
#define LUMEN_NET_MAX_LSO      65535u // bytes of a frame that the host cuts
#define LUMEN_NET_MAX_SEGMENTS 31u    // of a frame
#define LUMEN_NET_MAX_CHANNELS 16u
#define LUMEN_NET_MAX_PIECES   562u   // of a frame that has come
#define LUMEN_NET_MAX_RECEIVED 65553u // bytes of one that the host has put together

struct lumen_net; // one card

// --- received frames ---

// What a host says of a frame: the checksums that it has found right or wrong (neither: it has not
// looked), and what else there is.
#define LUMEN_NET_GOOD_IPV4 0x01u // of the IPv4 header
#define LUMEN_NET_GOOD_TCP  0x02u
#define LUMEN_NET_GOOD_UDP  0x04u
#define LUMEN_NET_BAD_IPV4  0x08u
#define LUMEN_NET_BAD_TCP   0x10u
#define LUMEN_NET_BAD_UDP   0x20u
#define LUMEN_NET_HAS_VLAN  0x40u
#define LUMEN_NET_HAS_HASH  0x80u

// A part of a frame, in the same memory as the rest of it.
struct lumen_net_piece {
	const uint8_t *data;
	uint32_t length;
};

// A frame that has come. `data` is in memory that the host can still write to, and only until the
// function that is called with it returns. So: copy what is to be kept; and copy, before looking at
// it, whatever is looked at twice (a header whose length is checked and then used), for it may
// change in between. Reading is always safe within `length`: at least LUMEN_NET_HEADER bytes, at
// most LUMEN_NET_HEADER + 4 more than the MTU. It may begin at any address.
//
// Only with LUMEN_NET_COALESCED: the host may have put a frame together of TCP segments of one
// flow, up to LUMEN_NET_MAX_RECEIVED bytes. If that is in pieces, `data` is the first, with all
// headers, and the others, of any length but 0, are in `more`.
struct lumen_net_received {
	const uint8_t *data;
	uint32_t length;
	uint32_t flags;	    // LUMEN_NET_GOOD_* to LUMEN_NET_HAS_*
	uint16_t vlan;	    // IEEE 802.1Q's TCI: priority 15:13, DEI 12, VLAN 11:0; not in the data
	uint32_t hash_kind; // NDIS: which fields it is of
	uint32_t hash;
	uint32_t size;			    // of the whole frame
	uint32_t more_count;		    // 0: `length` is all of it
	const struct lumen_net_piece *more; // as long as data
};

// Takes a frame. Called by the channel's handler, on the VP that is the channel's target, or by
// lumen_net_poll() and by calls that wait; of a polled card by these only. For one frame of a
// channel at a time. Interrupts may be off, no lock of the SDK's is held. May send; must not wait.
// Frames may come before lumen_net_open() has returned.
typedef void lumen_net_receive(
	void *context, struct lumen_net *net, const struct lumen_net_received *frame);

// --- cards ---

// What a host may do for the kernel, both for IPv4 and IPv6.
#define LUMEN_NET_SEND_IPV4 0x01u // the sum of an IPv4 header
#define LUMEN_NET_SEND_TCP  0x02u // TCP's checksum
#define LUMEN_NET_SEND_UDP  0x04u // UDP's
#define LUMEN_NET_SEND_LSO  0x08u // cuts large TCP segments
#define LUMEN_NET_RECEIVED  0x10u // says of received frames whether checksums are right
// Puts TCP segments that come together: one frame for many. It takes LUMEN_NET_RECEIVED, as the
// checksum in such a frame is none.
#define LUMEN_NET_COALESCED 0x20u
#define LUMEN_NET_OFFLOADS  0x3fu

// Which frames are wanted, as NDIS has it (OID_GEN_CURRENT_PACKET_FILTER).
#define LUMEN_NET_DIRECTED	0x01u // to the card's own address
#define LUMEN_NET_MULTICAST	0x02u
#define LUMEN_NET_ALL_MULTICAST 0x04u
#define LUMEN_NET_BROADCAST	0x08u
#define LUMEN_NET_PROMISCUOUS	0x20u

// How to open a card. All 0 but `receive` is a good choice.
struct lumen_net_config {
	lumen_net_receive *receive; // NULL: frames are counted, and nobody has them
	void *context;		    // for receive()
	// receive() and done() are called by lumen_net_poll() and nowhere else but in calls that
	// wait: for kernels that handle frames in a thread. What one poll takes is bounded then.
	bool polled;
	uint32_t mtu;	   // the largest that the kernel takes, without Ethernet's header; 0: 1500
	uint32_t offloads; // wanted: LUMEN_NET_SEND_*, LUMEN_NET_RECEIVED, LUMEN_NET_COALESCED
	uint32_t filter;   // 0: directed, broadcast and all multicast frames
	uint32_t depth;	   // frames that the host has at once; 0: 64
	// That frames come in, 16 to 4096; 0: 128, or 512 with LUMEN_NET_COALESCED. Then Lumen's
	// host takes 17 for each frame, however short, and puts none together if there are less
	// than 136.
	uint32_t receive_buffer_pages;
	uint32_t send_pages, receive_pages; // of each ring's data; 0: 16 and 16
	uint32_t max_version; // of NVSP, as enum nvsp_version; 0: the newest; for tests
	uint64_t timeout_ns;  // for each answer in calls that wait; 0: 30 s
	// Channels that share the work: the first is the card's own, with vps[0] as target, the
	// others are sub-channels, as far as the host has them: lumen_net_info(). The frames of a
	// flow (by its addresses and, of TCP, its ports) come on one channel, and those that a VP
	// sends go on channel number (VP index) modulo (channels). NULL: one, for this VP. More
	// need `bus`, and depth and rings for each.
	const uint32_t *vps;
	uint32_t vp_count;
	struct lumen_vmbus *bus;
};

// What a card is like. It stays so while it is open.
struct lumen_net_properties {
	uint8_t mac[6];
	uint32_t mtu;		  // of the kernel and of the host
	uint32_t offloads;	  // those wanted that the host has
	uint32_t max_lso;	  // bytes of a frame that is cut; 0: none is
	uint32_t max_copy;	  // bytes for lumen_net_send_copy()
	uint32_t depth;		  // frames that the host has at once, on each channel
	uint32_t channels;	  // that are used
	uint32_t version;	  // of NVSP
	uint64_t bits_per_second; // of the link; 0: unknown
};

// The `index`th network card that the host offers, or NULL. Thread context.
struct lumen_channel *lumen_net_find(struct lumen_vmbus *bus, uint32_t index);

// Opens a card: its channels, the protocol, the buffers, and the filter.
// Allocates (rings, the receive buffer, 6 KiB for each frame of the depth; with LUMEN_NET_COALESCED
// 13 KiB for each channel). *config is not kept. Thread context; waits for the host. What
// lumen_channel_open() and lumen_gpadl_create() say; LUMEN_REFUSED (no version in common, or the
// host said no), LUMEN_TIMED_OUT, LUMEN_BAD_HOST, LUMEN_BAD_ARGUMENT, LUMEN_NO_MEMORY,
// LUMEN_RESCINDED.
lumen_status lumen_net_open(struct lumen_channel *channel, const struct lumen_net_config *config,
	struct lumen_net **net_out);

// Closes it. Frames that wait are cancelled; those that the host has are waited for, up to the
// timeout, and cancelled then; each frame's done() has been called when this returns. Memory that
// the host does not give back is never used again. Thread context; nobody else may use the card by
// now, done() must not send. A channel that was rescinded is to be released by the caller
// (lumen_channel_release()).
void lumen_net_close(struct lumen_net *net);

// LUMEN_OK while it works; LUMEN_RESCINDED, LUMEN_BAD_HOST or LUMEN_TIMED_OUT if it will never
// again: then each frame ends with that, and it is to be closed. Any context.
lumen_status lumen_net_status(const struct lumen_net *net);

// In words, for the log: what the host did wrong, or NULL. Any context; a constant string.
const char *lumen_net_failure(const struct lumen_net *net);

// Any context; the pointer lives until close.
const struct lumen_net_properties *lumen_net_info(const struct lumen_net *net);

// Whether the link is there. Any context.
bool lumen_net_link(const struct lumen_net *net);

// A counter that goes up, with lumen_wake(), when the link has come or gone, or the card has
// failed.
const uint32_t *lumen_net_changes(const struct lumen_net *net);

// Changes which frames are wanted (LUMEN_NET_DIRECTED and so on; 0: none). Thread context, one
// caller at a time; waits for the host. LUMEN_REFUSED, LUMEN_TIMED_OUT (the card has failed), or
// what lumen_net_status() says.
lumen_status lumen_net_set_filter(struct lumen_net *net, uint32_t filter);

// Takes what the host has sent: calls receive() and done(). For kernels without interrupts, and to
// look before sleeping. Returns whether there was anything: if so, there may be more. Any context
// but receive() and done(), also with interrupts off; a polled card: thread context.
bool lumen_net_poll(struct lumen_net *net);

// Waits until a polled card has something for lumen_net_poll(), or lumen_now_ns() reaches the
// deadline. May return early. Thread context, interrupts on, no lock held.
void lumen_net_wait(struct lumen_net *net, uint64_t deadline_ns);

// Makes lumen_net_wait() return, now or when it is next called: the thread that serves a polled
// card has something else to do, such as a disk's request that is done. Any context.
void lumen_net_wake(struct lumen_net *net);

// Since it was opened.
struct lumen_net_counters {
	uint64_t sent, sent_bytes; // frames that the host has taken
	uint64_t refused;	   // that it has not
	uint64_t received, received_bytes;
	uint64_t dropped; // that came, but too short, too long, or in pieces that make no frame
};

// Any context; what is counted meanwhile may be half in it.
void lumen_net_statistics(const struct lumen_net *net, struct lumen_net_counters *statistics);

// --- sending ---

// What is to be done to a frame. All but the tag need what lumen_net_info() says of `offloads`.
#define LUMEN_NET_SUM_IPV4 0x01u // fill in the sum of the IPv4 header
#define LUMEN_NET_SUM_TCP  0x02u // fill in TCP's checksum
#define LUMEN_NET_SUM_UDP  0x04u // fill in UDP's
#define LUMEN_NET_IPV6	   0x08u // with these: it is IPv6, not IPv4
#define LUMEN_NET_TAG	   0x10u // add a tag of IEEE 802.1Q: `vlan`

// A frame to be sent. The caller's memory, and the SDK's from a send that said LUMEN_OK until
// done(). Fields that are to be filled in by the host hold what NDIS wants there: a checksum of TCP
// or UDP the sum of the pseudo header; with segment_size that sum without the length, and 0 for
// IP's length and header sum.
struct lumen_net_frame {
	const struct lumen_segment *segments; // of any place and length; until done()
	uint32_t segment_count;		      // up to LUMEN_NET_MAX_SEGMENTS
	uint32_t flags;			      // LUMEN_NET_SUM_* to LUMEN_NET_TAG
	uint16_t vlan;			      // TCI, as in struct lumen_net_received
	uint16_t transport;		      // offset of TCP's or UDP's header in the frame
	// Not 0: the frame is longer than the MTU allows and TCP, and the host cuts it into frames
	// with so many bytes of TCP's data each. LUMEN_NET_SUM_* need not be given.
	uint16_t segment_size;
	// Called once: as receive() is, and by who closes; and by a send, of this frame or of
	// others, if that finds the host at fault. So what done() locks must not be held around
	// these. May send this frame or others, and give its memory back. NULL: status is enough.
	void (*done)(struct lumen_net_frame *frame);
	void *context; // the caller's

	// The result. LUMEN_IO_ERROR: the host did not take it; LUMEN_RESCINDED, LUMEN_BAD_HOST,
	// LUMEN_TIMED_OUT, LUMEN_CANCELLED.
	lumen_status status;

	// The SDK's.
	struct lumen_net_frame *next;
};

// Sends a frame: a short one is copied to memory that the host has, a longer one is read where it
// is. Without LUMEN_NET_TAG no tag is added, but the frame may have one. More than the depth may be
// sent: they wait their turn. Any context, also receive() and done(). Otherwise than with LUMEN_OK,
// done() is not called: LUMEN_BAD_ARGUMENT (segments, length, transport), LUMEN_NOT_SUPPORTED (an
// offload that is not there), LUMEN_BAD_STATE (closing), or what lumen_net_status() says.
lumen_status lumen_net_send(struct lumen_net *net, struct lumen_net_frame *frame);

// The same, but the host may be told of it only by the next lumen_net_kick() of this VP: one signal
// for a batch.
lumen_status lumen_net_queue(struct lumen_net *net, struct lumen_net_frame *frame);
void lumen_net_kick(struct lumen_net *net);

// Sends a copy of a frame of `length` bytes, at most lumen_net_info()->max_copy: the memory is the
// caller's again when this returns, and nobody is called. Any context, also receive() and done().
// LUMEN_BUSY: the host has as many frames as it can, or others wait; LUMEN_BAD_ARGUMENT (length),
// LUMEN_BAD_STATE, or what lumen_net_status() says.
lumen_status lumen_net_send_copy(struct lumen_net *net, const void *data, uint32_t length);

LUMEN_DECLS_END

#endif
