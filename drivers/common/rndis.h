// SPDX-License-Identifier: BSD-2-Clause
// Frames in RNDIS messages, as both ends see them: what stands in front of a frame (its header and
// per-packet information), read and written. No state, no allocation; any thread.
#ifndef LUMEN_DRIVERS_COMMON_RNDIS_H
#define LUMEN_DRIVERS_COMMON_RNDIS_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/proto/rndis.h"

// RNDIS_INFO_8021Q from the two bytes of a frame's tag (IEEE 802.1Q: priority 15:13, DEI 12, VLAN
// 11:0), and back.
static inline uint32_t rndis_vlan_of_tag(uint32_t tag)
{
	return tag >> 13 | (tag >> 12 & 1) << 3 | (tag & 0xFFF) << 4;
}

static inline uint16_t rndis_tag_of_vlan(uint32_t vlan)
{
	return (uint16_t)((vlan & 7) << 13 | (vlan >> 3 & 1) << 12 | (vlan >> 4 & 0xFFF));
}

// As much of a message's beginning holds its per-packet information, however much a guest writes.
// (Linux needs 112 bytes, FreeBSD 140.)
#define RNDIS_HEAD_MAX 512u

// What rndis_put_frame() writes at most; with RNDIS_HAS_ID, which no guest has to say, 16 more.
#define RNDIS_PUT_MAX (sizeof(struct rndis_header) + sizeof(struct rndis_packet) + 5 * 16u)

// A frame, and those elements of its information that are known; `has` says which are there.
#define RNDIS_HAS_CHECKSUM 0x1u
#define RNDIS_HAS_LSO	   0x2u
#define RNDIS_HAS_VLAN	   0x4u
#define RNDIS_HAS_HASH	   0x8u // both of its elements, or (read) one of them
#define RNDIS_HAS_ID	   0x10u
struct rndis_frame {
	uint32_t offset; // of its data, from the message's first byte on
	uint32_t length;
	uint32_t has;
	uint32_t checksum; // RNDIS_CHECKSUM_*
	uint32_t lso;	   // RNDIS_LSO_*
	uint32_t vlan;	   // RNDIS_INFO_8021Q
	uint32_t hash_value, hash_kind;
	struct rndis_info_id id;
};

// Why a message is not taken. The names are those of counters.
enum rndis_flaw {
	RNDIS_RIGHT,
	RNDIS_FLAW_LENGTH, // the message is shorter than its header, or longer than what came
	RNDIS_FLAW_TYPE,   // it is no frame
	RNDIS_FLAW_DATA,   // the data are not in it, or there are none
	RNDIS_FLAW_OOB,	   // it has out-of-band data, which nobody sends
	RNDIS_FLAW_INFO,   // the information is not in it, not within RNDIS_HEAD_MAX, or an element
			   // lies
	RNDIS_FLAWS,
};

// Reads the beginning of a message: `head` has the first head_length bytes of the `left` bytes that
// there are of this and the messages behind it (private memory; head_length is left, or
// RNDIS_HEAD_MAX if that is less). Fills in *frame and *message_length, which is at least 8 and at
// most `left`, if it returns RNDIS_RIGHT.
enum rndis_flaw rndis_parse_frame(const uint8_t *head, uint32_t head_length, uint32_t left,
	struct rndis_frame *frame, uint32_t *message_length);

// Writes what stands in front of a frame of frame->length bytes with the elements of frame->has:
// RNDIS_PUT_MAX bytes at most, to `head`. Sets frame->offset. Returns how much that is: the data
// come right behind, and both together are the message.
uint32_t rndis_put_frame(uint8_t *head, struct rndis_frame *frame);

#endif
