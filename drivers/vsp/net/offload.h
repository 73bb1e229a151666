// SPDX-License-Identifier: BSD-2-Clause
// What RNDIS says is to be done to a frame, as a wire takes it, and back. Pure functions.
#pragma once

#include "drivers/common/rndis.h"
#include "drivers/vsp/net/backend.h"

// As much of a frame's beginning has all headers that anything is to be done to.
#define NET_HEADERS_MAX 192u

// Of a frame that is to be cut. Where the wire's other end does not take it whole, the root's Linux
// makes a frame of each, all at once.
#define NET_SEGMENTS_MAX 1024u

// Fills in *header for a frame of the guest's, and writes to its beginning what the wire expects
// there: the sum of the pseudo header, lengths, IPv4's own sum. `bytes` are the first `length`
// bytes (NET_HEADERS_MAX at most) of frame->length. Returns false if they are not what the guest
// says that they are.
bool net_offload_send(const struct rndis_frame *frame, uint8_t *bytes, uint32_t length,
	struct net_header *header);

// Returns RNDIS_CHECKSUM_*_GOOD for a received frame, by its header and its first bytes: 0 if
// nobody has looked. A sum that is not finished counts as good: nothing was between the sender and
// us that could spoil it.
uint32_t net_offload_received(
	const struct net_header *header, const uint8_t *bytes, uint32_t length);
