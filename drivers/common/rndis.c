// SPDX-License-Identifier: BSD-2-Clause
// See rndis.h.
#include "drivers/common/rndis.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"

#define HEADER	 ((uint32_t)sizeof(struct rndis_header))
#define PREFIX	 ((uint32_t)(sizeof(struct rndis_header) + sizeof(struct rndis_packet)))
#define ELEMENT	 ((uint32_t)sizeof(struct rndis_info))
#define ELEMENTS (RNDIS_HEAD_MAX / ELEMENT)

// The elements that are known, each a word.
static const struct element {
	uint32_t type;
	uint32_t has;
	size_t at; // in the frame
} elements[] = {
	{ RNDIS_INFO_CHECKSUM, RNDIS_HAS_CHECKSUM, offsetof(struct rndis_frame, checksum) },
	{ RNDIS_INFO_LSO, RNDIS_HAS_LSO, offsetof(struct rndis_frame, lso) },
	{ RNDIS_INFO_8021Q, RNDIS_HAS_VLAN, offsetof(struct rndis_frame, vlan) },
	{ RNDIS_INFO_HASH_VALUE, RNDIS_HAS_HASH, offsetof(struct rndis_frame, hash_value) },
	{ RNDIS_INFO_HASH_KIND, RNDIS_HAS_HASH, offsetof(struct rndis_frame, hash_kind) },
	{ RNDIS_INFO_ID, RNDIS_HAS_ID, offsetof(struct rndis_frame, id) },
};
_Static_assert(
	RNDIS_PUT_MAX == PREFIX + (ARRAY_SIZE(elements) - 1) * (ELEMENT + 4), "RNDIS_PUT_MAX");

static bool is_within(uint32_t offset, uint32_t length, uint32_t whole)
{
	return offset <= whole && length <= whole - offset;
}

// Those that are not known are passed over. An element is its header and its data, and the data are
// in it.
static bool take_element(
	const uint8_t *bytes, const struct rndis_info *info, struct rndis_frame *frame)
{
	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		if (elements[i].type != info->type)
			continue;
		if (info->offset < ELEMENT || !is_within(info->offset, 4, info->size))
			return false;
		memcpy((char *)frame + elements[i].at, bytes + info->offset, 4);
		frame->has |= elements[i].has;
	}
	return true;
}

// Each element takes ELEMENT bytes at least, so ELEMENTS of them are the most that there is room
// for.
static bool take_elements(const uint8_t *bytes, uint32_t length, struct rndis_frame *frame)
{
	struct rndis_info info;

	for (uint32_t i = 0; i < ELEMENTS && length; i++) {
		if (length < ELEMENT)
			return false;
		memcpy(&info, bytes, ELEMENT);
		if (info.size < ELEMENT || info.size > length || !take_element(bytes, &info, frame))
			return false;
		bytes += info.size;
		length -= info.size;
	}
	return !length;
}

enum rndis_flaw rndis_parse_frame(const uint8_t *head, uint32_t head_length, uint32_t left,
	struct rndis_frame *frame, uint32_t *message_length)
{
	struct rndis_header header;
	struct rndis_packet packet;
	uint32_t length;

	if (head_length < HEADER)
		return RNDIS_FLAW_LENGTH;
	memcpy(&header, head, HEADER);
	if (header.length < HEADER || header.length > left)
		return RNDIS_FLAW_LENGTH;
	if (header.type != RNDIS_PACKET)
		return RNDIS_FLAW_TYPE;
	if (header.length < PREFIX || head_length < PREFIX)
		return RNDIS_FLAW_LENGTH;
	memcpy(&packet, head + HEADER, sizeof(packet));
	length = header.length - HEADER; // what offsets count in
	if (packet.oob_length || packet.oob_elements)
		return RNDIS_FLAW_OOB;
	if (packet.data_offset < sizeof(packet) || !packet.data_length ||
		!is_within(packet.data_offset, packet.data_length, length))
		return RNDIS_FLAW_DATA;
	*frame = (struct rndis_frame){ .offset = HEADER + packet.data_offset,
		.length = packet.data_length };
	*message_length = header.length;
	if (!packet.info_length)
		return RNDIS_RIGHT;
	length = length < head_length - HEADER ? length : head_length - HEADER;
	if (packet.info_offset < sizeof(packet) ||
		!is_within(packet.info_offset, packet.info_length, length) ||
		!take_elements(head + HEADER + packet.info_offset, packet.info_length, frame))
		return RNDIS_FLAW_INFO;
	return RNDIS_RIGHT;
}

uint32_t rndis_put_frame(uint8_t *head, struct rndis_frame *frame)
{
	struct rndis_header header = { .type = RNDIS_PACKET };
	struct rndis_packet packet = { .data_length = frame->length };
	uint32_t at = PREFIX;

	for (size_t i = 0; i < ARRAY_SIZE(elements); i++) {
		const struct rndis_info info = { ELEMENT + 4, elements[i].type, ELEMENT };

		if (!(frame->has & elements[i].has))
			continue;
		memcpy(head + at, &info, ELEMENT);
		memcpy(head + at + ELEMENT, (const char *)frame + elements[i].at, 4);
		at += info.size;
	}
	packet.info_offset = at > PREFIX ? PREFIX - HEADER : 0;
	packet.info_length = at - PREFIX;
	packet.data_offset = at - HEADER;
	header.length = at + frame->length;
	frame->offset = at;
	memcpy(head, &header, HEADER);
	memcpy(head + HEADER, &packet, sizeof(packet));
	return at;
}
