// SPDX-License-Identifier: BSD-2-Clause
// A raw guest for the tests of the network VSP, on the rig: netvsc's side of the protocol.
#pragma once

#include "drivers/common/rndis.h"
#include "drivers/proto/nvsp.h"
#include "net_host.h"

enum {
	GUEST_RAM = 512,	// pages
	GUEST_RECEIVE_PAGE = 8, // the receive buffer's first page; its pages lie backwards
	GUEST_RECEIVE_PAGES = 256,
	GUEST_SEND_PAGE = 300, // likewise
	GUEST_SEND_PAGES = 32,
	GUEST_DATA_PAGE = 400, // what the tests send from
	GUEST_RECEIVE_GPADL = 1,
	GUEST_SEND_GPADL = 2,
};

// A frame that has come.
struct net_guest_frame {
	struct rndis_frame info;
	uint32_t channel;
	uint64_t transaction_id;
	uint8_t bytes[66000];
};

struct net_guest {
	uint32_t at; // the channel that calls are about
	struct nvsp_message answer;
	uint64_t answer_id;
	uint32_t room_size, room_count;
	bool keeps; // it does not complete what it gets
	uint8_t control[1024];
	uint32_t control_length;      // of the last control message; 0: none
	uint32_t frame_count;	      // that have come
	struct net_guest_frame frame; // the last one
};

extern struct net_guest net_guest;

static inline struct lumen_channel *net_guest_channel(void)
{
	return &rig.channels[net_guest.at];
}

// Makes everything; the channel is open, and nothing has been said.
void net_guest_create(uint32_t queues);
void net_guest_destroy(void);

// Lets host and wire do all that they can.
void net_guest_run(void);

// Takes all that has come, answers and frames; completes them, unless it keeps them. Returns how
// many packets.
uint32_t net_guest_take(void);

// Says to the host that a packet is done with.
void net_guest_complete(uint64_t transaction_id);

// Puts an NVSP message into the ring, with ranges (count may be 0) and a completion requested.
void net_guest_send(uint64_t transaction_id, const struct nvsp_message *message,
	const struct vmbus_gpa_range *ranges, uint32_t count);

// The same in-band, and waits for its answer (net_guest.answer), which there has to be.
void net_guest_ask(const struct nvsp_message *message);

// Goes through netvsc's initialization at a version: the card is there, and takes all frames.
void net_guest_initialize(uint32_t version);
void net_guest_ask_version(uint32_t version);
void net_guest_lend(void);

// RNDIS: a control message by the send buffer's first section; and its answer (net_guest.control).
void net_guest_control(const void *message, uint32_t length);
void net_guest_set(uint32_t oid, const void *value, uint32_t length);

// Writes an RNDIS message with a frame to the data pages, `at` bytes from their beginning. Returns
// its length.
uint32_t net_guest_put_frame(uint32_t at, struct rndis_frame *info, const void *bytes);

// Sends what is in the data pages, in ranges that are cut where `cuts` says (a list of offsets, the
// last one is the length).
void net_guest_send_data(uint64_t transaction_id, const uint32_t *cuts, uint32_t count);

// A frame with the card's source address: an IPv4 TCP segment of so many bytes in all.
uint32_t net_guest_make_tcp(uint8_t *bytes, uint32_t length);

// Opens a sub-channel, which the host has offered.
void net_guest_open_sub(uint32_t index);
