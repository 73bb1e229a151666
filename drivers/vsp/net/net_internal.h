// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the network VSP: net.c (the class), net_nvsp.c (messages), net_send.c
// (frames of the guest's), net_receive.c (frames to the guest), net_buffer.c (what it lends).
#pragma once

#include "drivers/proto/nvsp.h"
#include "drivers/vsp/net/net.h"
#include "drivers/vsp/net/offload.h"
#include "drivers/vsp/net/toeplitz.h"

enum {
	NET_SECTION_SIZE = 6144, // of the send buffer, as Hyper-V has it
	NET_SEND_PIECES = 80,	 // of a frame: header, first bytes, and 64 KiB in 32 ranges
	NET_RECEIVE_PIECES = 19, // of a room: header, and 64 KiB anywhere
	NET_BATCH = 16,		 // frames in one packet to the guest
	NET_HEAD_ROOM = 128,	 // in front of a received frame, for what RNDIS says of it
	NET_CONTROL_ROOMS = 4,	 // of the receive buffer, for answers to control messages
	NET_PACKET_MAX = 4096,	 // from the guest: ranges of 17 pages and a message
};
_Static_assert(NET_HEAD_ROOM >= RNDIS_PUT_MAX, "room for a head");

// Frames that are dropped, by cause; the guest's first.
#define NET_DROPS(X)                                                                               \
	X(bad_message)	/* an RNDIS message that lies, or is none */                               \
	X(bad_headers)	/* its headers are not what the guest says */                              \
	X(bad_length)	/* too short for Ethernet's header, or too long */                         \
	X(bad_memory)	/* not in the guest's memory, or in too many pieces */                     \
	X(spoofed)	/* a source address that is not the card's */                              \
	X(wire_refused) /* the wire could not take it */                                           \
	X(unwanted)	/* from the wire: the guest's filter says no */                            \
	X(unfinished)	/* from the wire: what the guest has not said that it takes */

struct net_drops {
#define X(cause) uint64_t cause;
	NET_DROPS(X)
#undef X
};

struct net_vsp;

// A packet of the guest's from when it is read until its completion is in the ring.
struct net_slot {
	struct vsp_out out; // the completion: first; its payload is `answer`
	struct net_vsp *vsp;
	struct net_slot *next; // on the free list
	bool wants_completion;
	uint32_t frames; // that the wire has, and one while more may come
	struct nvsp_message answer;
};

// A frame on its way to the wire. Its beginning is copied: that is what is looked at, and changed.
struct net_frame {
	struct net_buffer buffer; // first
	struct net_slot *slot;
	struct net_frame *next; // on the free list
	struct net_header header;
	uint8_t bytes[NET_HEADERS_MAX + 4]; // and a tag
	struct vsp_iovec iov[NET_SEND_PIECES];
};

enum net_room_state {
	NET_ROOM_FREE,
	NET_ROOM_ON_WIRE,
	NET_ROOM_FILLED, // in the batch that is being made
	NET_ROOM_WAITS,	 // for room in the ring
	NET_ROOM_SENT,	 // the guest has it
};

// A piece of the receive buffer. Those that the guest gets in one packet are a batch: the packet is
// the first one's, and its id that one's number.
struct net_room {
	struct vsp_out out;	  // first
	struct net_buffer buffer; // of an answer: none
	struct net_card_state *owner;
	uint32_t channel;      // by index, from which the guest gets it
	struct net_room *next; // on the free list, or of the batch
	enum net_room_state state;
	bool is_first; // of a batch
	struct nvsp_message message;
	struct {
		struct vmbus_transfer_header header;
		struct vmbus_transfer_range ranges[NET_BATCH];
	} transfer;
	struct net_header header;
	struct vsp_iovec iov[NET_RECEIVE_PIECES];
};

enum net_loan_state {
	NET_LOAN_NONE,
	NET_LOAN_ASKED,	       // the host is to say
	NET_LOAN_ENDING_ASKED, // likewise, but the guest does not lend it any more
	NET_LOAN_LENT,
	NET_LOAN_ENDING, // it is in use still, and goes when it is not
};

struct net_loan {
	enum net_loan_state state;
	uint32_t gpadl;
	struct vmbus_gpa_range range;
	struct net_slot *slot; // to be answered; NULL: nobody waits
};

// What a primary channel has more than others.
struct net_card_state {
	struct net_vsp *primary;
	struct net_card card;
	struct net_loan loans[NET_LENT];
	uint32_t version;    // enum nvsp_version; 0: none yet
	uint32_t frame_max;  // bytes of a frame that is not cut or coalesced, either way
	bool large_possible; // the guest knows coalesced frames
	bool large;	     // and there is room for them
	bool link;	     // the guest is to know
	uint32_t takes;	     // NET_TAKES_*, as the wire knows
	uint32_t room_size, room_count;
	uint32_t rooms_expected; // in the buffer that is lent again after a restore; 0: any
	uint32_t rooms_on_wire;	 // or in a batch that is being made
	uint32_t rooms_waiting;	 // for room in a ring
	struct net_room *free_rooms, *control_rooms;
	struct toeplitz toeplitz;
	bool key_known;
	uint8_t key[NDIS_RSS_KEY_SIZE];		// that toeplitz is made of
	struct net_vsp *queues[NET_QUEUES_MAX]; // channels by index; NULL: not open
	struct net_room *rooms;			// config->room_count of them
};

// A channel.
struct net_vsp {
	struct vsp base;
	const struct net_vsp_config *config;
	struct net_card_state *state; // the primary's
	struct net_slot *free_slots;
	struct net_frame *free_frames;
	uint32_t free_frame_count;
	uint32_t in_flight;		     // frames that the wire has
	struct net_room *batch, *batch_last; // frames that are about to be sent together
	uint64_t sent, sent_bytes, received, received_bytes; // frames
	struct net_drops drops;
	struct net_slot *slots;	  // config->slot_count of them
	struct net_frame *frames; // likewise
};

// --- net.c ---

struct net_slot *net_take_slot(struct net_vsp *vsp);

// Ends what a slot is for, with what is in its answer.
void net_answer(struct net_slot *slot, uint32_t type);

// Nothing more is read while there is no slot, or no frame for each message that may come in one,
// or while it is not known yet what is lent.
void net_look_full(struct net_vsp *vsp);

// --- net_nvsp.c ---

bool net_knows_version(uint32_t version);

// For the class: a packet of the guest's.
uint32_t net_packet(struct vsp *vsp);

// What the guest has set may change what the wire is to give, and how it is spread.
void net_apply(struct net_vsp *vsp);

// The guest is told of the link, if it has changed and there is room.
void net_tell_link(struct net_vsp *vsp);

// --- net_send.c ---

// Frames of an RNDIS packet, of channel NVSP_CHANNEL_DATA. Returns the bytes.
uint32_t net_send_frames(struct net_slot *slot, const struct nvsp_rndis_packet *packet);

// Copies a control message to `to` (`max` bytes). Returns its length, 0 if it is not in the guest's
// memory or too long.
uint32_t net_read_control(
	struct net_vsp *vsp, const struct nvsp_rndis_packet *packet, uint8_t *to, uint32_t max);

void net_init_frames(struct net_vsp *vsp);
void net_free_frame(struct net_vsp *vsp, struct net_frame *frame);

// --- net_receive.c ---

// The receive buffer is lent: makes rooms in it. Returns false if there is no room for any.
bool net_make_rooms(struct net_vsp *vsp);

// Gives all free rooms to the wire.
void net_give_rooms(struct net_vsp *vsp);

// Takes back those that have no frame yet.
void net_take_rooms(struct net_vsp *vsp);

// The receive buffer is not lent any more.
void net_end_rooms(struct net_vsp *vsp);

// Sends what has been received for a channel; or not.
void net_send_batch(struct net_vsp *vsp);
void net_drop_batch(struct net_vsp *vsp);

// A batch that had to wait is in the ring.
void net_rooms_sent(struct net_room *first);

// The guest has done with a batch. Returns false if it had no such one.
bool net_take_batch(struct net_vsp *vsp, uint64_t transaction_id);

// The channel has ended: what the guest had from it is free.
void net_forget_rooms(struct net_vsp *vsp);

// Sends a control message of the host's (private memory) by the receive buffer. Returns false if
// there is no room in it.
bool net_send_control(struct net_vsp *vsp, const uint8_t *message, uint32_t length);

// --- net_buffer.c ---

void net_begin_loan(struct net_slot *slot, enum net_lent which, uint32_t gpadl);
void net_end_loan(struct net_vsp *vsp, enum net_lent which);
// Gives back what is not in use any more.
void net_check_loans(struct net_vsp *vsp);
