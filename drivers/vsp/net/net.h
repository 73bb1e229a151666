// SPDX-License-Identifier: BSD-2-Clause
// The network VSP: the host's end of a netvsc channel, a class of vsp.h. NVSP and RNDIS in, frames
// to a wire (backend.h); frames from the wire straight into the guest's receive buffer.
//
// A card is its primary channel and its sub-channels: NVSP, the card's settings (card.h) and both
// buffers are the primary's; frames come and go on all. What comes from the wire goes to the
// channel that the guest's hash and table name. All of one card is driven by one thread.
#pragma once

#include "drivers/vsp/net/backend.h"
#include "drivers/vsp/net/card.h"
#include "drivers/vsp/vsp.h"
#include "vmbus/memory.h"

// What one poll takes at most from the guest: packets, and bytes of frames.
#define NET_VSP_POLL_PACKETS 256u
#define NET_VSP_POLL_BYTES   (4u << 20)

#define NET_VSP_SLOTS_MIN (2 * NET_MAX_MESSAGES)
#define NET_VSP_SLOTS_MAX 1024u
#define NET_VSP_ROOMS_MIN 8u
#define NET_VSP_ROOMS_MAX 1024u

// What an instance is opened with.
struct net_vsp_config {
	struct vmbus_memory memory; // the guest's
	struct net_wire *wire;
	const struct net_host *host;
	struct net_card_config card;
	// Packets of the guest's that are under way on each channel, and frames in them.
	uint32_t slot_count; // NET_VSP_SLOTS_MIN to NET_VSP_SLOTS_MAX
	// Frames that the guest has, or that can be received, at most, if its buffer is so large.
	uint32_t room_count; // NET_VSP_ROOMS_MIN to NET_VSP_ROOMS_MAX
	bool any_source;     // frames with source addresses that are not the card's may be sent
};

extern const struct vsp_class net_vsp_class;

// Answers net_host.borrow(): the range of the GPADL, whose pfns stay until it is given back; NULL:
// there is no such one. Poll afterwards.
void net_vsp_lend(struct vsp *vsp, enum net_lent which, const struct vmbus_gpa_range *range);

// The guest wants a buffer back that is lent: it is given back as soon as it is not in use. Poll
// afterwards.
void net_vsp_end_loan(struct vsp *vsp, enum net_lent which);

// The link has come or gone: the guest is told by the next poll.
void net_vsp_set_link(struct vsp *vsp, bool link);
