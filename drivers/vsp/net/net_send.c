// SPDX-License-Identifier: BSD-2-Clause
// Frames of the guest's: found in the send buffer and in the packet's ranges, one behind the other,
// and given to the wire where they are, but for their beginning, which is copied.
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/ethernet.h"
#include "drivers/vsp/net/net_internal.h"

// What the guest has put together of ranges.
struct source {
	const struct vmbus_memory *memory;
	uint32_t length; // bytes, of all
	uint32_t count;
	struct {
		const struct vmbus_gpa_range *range;
		uint32_t offset, length;
	} parts[1 + VMBUS_PACKET_MAX_RANGES];
};

static bool append(struct source *source, const struct vmbus_gpa_range *range, uint32_t offset,
	uint32_t length)
{
	if (length > NET_MAX_MESSAGES * NET_MESSAGE_MAX - source->length)
		return false;
	source->parts[source->count].range = range;
	source->parts[source->count].offset = offset;
	source->parts[source->count++].length = length;
	source->length += length;
	return true;
}

static bool append_section(
	struct source *source, struct net_vsp *vsp, const struct nvsp_rndis_packet *packet)
{
	const struct net_loan *loan = &vsp->state->loans[NET_SEND_BUFFER];
	const uint64_t offset = (uint64_t)packet->section * NET_SECTION_SIZE;

	if (packet->section == NVSP_NO_SECTION)
		return true;
	return loan->state == NET_LOAN_LENT && packet->section_size <= NET_SECTION_SIZE &&
	       offset + packet->section_size <= loan->range.byte_count &&
	       append(source, &loan->range, (uint32_t)offset, packet->section_size);
}

static bool find_source(
	struct source *source, struct net_vsp *vsp, const struct nvsp_rndis_packet *packet)
{
	const struct vmbus_packet *in = &vsp->base.packet;

	source->memory = &vsp->config->memory;
	source->length = source->count = 0;
	if (!append_section(source, vsp, packet))
		return false;
	for (uint32_t i = 0; in->type == VMBUS_PACKET_GPA_DIRECT && i < in->range_count; i++)
		if (!append(source, &in->ranges[i], 0, in->ranges[i].byte_count))
			return false;
	return true;
}

// Does something with each part of some bytes of it. Returns false if that fails, or there are not
// so many.
static bool for_each_part(const struct source *source, uint32_t offset, uint32_t length,
	bool (*act)(const struct source *source, const struct vmbus_gpa_range *range,
		uint32_t offset, uint32_t length, void *context),
	void *context)
{
	for (uint32_t i = 0; i < source->count && length; i++) {
		const uint32_t size = source->parts[i].length;
		uint32_t now;

		if (offset >= size) {
			offset -= size;
			continue;
		}
		now = length < size - offset ? length : size - offset;
		if (!act(source, source->parts[i].range, source->parts[i].offset + offset, now,
			    context))
			return false;
		length -= now;
		offset = 0;
	}
	return !length;
}

static bool copy_part(const struct source *source, const struct vmbus_gpa_range *range,
	uint32_t offset, uint32_t length, void *context)
{
	uint8_t **to = context;

	if (!vmbus_memory_read(source->memory, range, offset, *to, length))
		return false;
	*to += length;
	return true;
}

static bool copy(const struct source *source, uint32_t offset, void *to, uint32_t length)
{
	return for_each_part(source, offset, length, copy_part, &to);
}

static bool add_part(const struct source *source, const struct vmbus_gpa_range *range,
	uint32_t offset, uint32_t length, void *context)
{
	struct net_buffer *buffer = context;

	return vsp_iovec_add(buffer->iov, &buffer->iov_count, NET_SEND_PIECES, source->memory,
		range, offset, length);
}

// --- one frame ---

static void frame_done(struct net_buffer *buffer, uint32_t length)
{
	struct net_frame *frame = container_of(buffer, struct net_frame, buffer);
	struct net_slot *slot = frame->slot;
	struct net_vsp *vsp = slot->vsp;

	vsp->in_flight--;
	if (length) {
		vsp->sent++;
		vsp->state->card.sent++;
		vsp->sent_bytes += length;
	} else {
		vsp->drops.wire_refused++;
	}
	net_free_frame(vsp, frame);
	if (!--slot->frames)
		net_answer(slot, NVSP_SEND_RNDIS_PACKET_COMPLETE);
	net_check_loans(vsp);
}

void net_init_frames(struct net_vsp *vsp)
{
	for (uint32_t i = vsp->config->slot_count; i-- > 0;) {
		struct net_frame *frame = &vsp->frames[i];

		frame->buffer.iov = frame->iov;
		frame->buffer.done = frame_done;
		frame->iov[0] = (struct vsp_iovec){ &frame->header, sizeof(frame->header) };
		net_free_frame(vsp, frame);
	}
}

void net_free_frame(struct net_vsp *vsp, struct net_frame *frame)
{
	frame->next = vsp->free_frames;
	vsp->free_frames = frame;
	vsp->free_frame_count++;
	net_look_full(vsp);
}

// Puts a tag into the copied beginning; offsets behind it move.
static void insert_tag(struct net_frame *frame, uint32_t *copied, uint32_t info)
{
	const uint16_t tci = rndis_tag_of_vlan(info);
	const uint8_t tag[ETHERNET_TAG] = { ETHERNET_VLAN >> 8, ETHERNET_VLAN & 0xFF,
		(uint8_t)(tci >> 8), (uint8_t)tci };

	memmove(frame->bytes + ETHERNET_TYPE_AT + ETHERNET_TAG, frame->bytes + ETHERNET_TYPE_AT,
		*copied - ETHERNET_TYPE_AT);
	memcpy(frame->bytes + ETHERNET_TYPE_AT, tag, ETHERNET_TAG);
	*copied += ETHERNET_TAG;
	if (frame->header.flags)
		frame->header.checksum_start += ETHERNET_TAG;
	if (frame->header.segments)
		frame->header.headers_length += ETHERNET_TAG;
}

// Where a message begins in the source, and the frame in it.
struct place {
	const struct source *source;
	uint32_t message;
	const uint8_t *head; // the message's first bytes
	uint32_t head_length;
	struct rndis_frame frame;
};

static bool copy_beginning(const struct place *place, uint8_t *to, uint32_t length)
{
	const uint32_t at = place->frame.offset;

	if (at <= place->head_length && length <= place->head_length - at) {
		memcpy(to, place->head + at, length);
		return true;
	}
	return copy(place->source, place->message + at, to, length);
}

static bool is_own(const struct net_vsp *vsp, const uint8_t *bytes)
{
	return vsp->config->any_source || !memcmp(bytes + ETHERNET_SOURCE_AT, vsp->config->card.mac,
						  sizeof(vsp->config->card.mac));
}

// Makes it ready for the wire. Returns NULL, or the counter of why it is dropped.
static uint64_t *prepare(struct net_vsp *vsp, struct net_frame *frame, const struct place *place)
{
	const struct rndis_frame *of = &place->frame;
	const bool large = of->has & RNDIS_HAS_LSO && RNDIS_LSO_MSS(of->lso);
	uint32_t copied = of->length < NET_HEADERS_MAX ? of->length : NET_HEADERS_MAX;
	const uint32_t rest = of->length - copied;
	const uint32_t max = large ? NET_LSO_MAX + ETHERNET_HEADER : vsp->state->frame_max;

	if (of->length < ETHERNET_HEADER || of->length > max)
		return &vsp->drops.bad_length;
	if (!copy_beginning(place, frame->bytes, copied))
		return &vsp->drops.bad_memory;
	if (!is_own(vsp, frame->bytes))
		return &vsp->drops.spoofed;
	if (!net_offload_send(of, frame->bytes, copied, &frame->header))
		return &vsp->drops.bad_headers;
	if (of->has & RNDIS_HAS_VLAN)
		insert_tag(frame, &copied, of->vlan);
	frame->iov[1] = (struct vsp_iovec){ frame->bytes, copied };
	frame->buffer.iov_count = 2;
	if (rest && !for_each_part(place->source, place->message + of->offset + of->length - rest,
			    rest, add_part, &frame->buffer))
		return &vsp->drops.bad_memory;
	return NULL;
}

static void send_frame(struct net_slot *slot, const struct place *place)
{
	struct net_vsp *vsp = slot->vsp;
	struct net_wire *wire = vsp->config->wire;
	struct net_frame *frame = vsp->free_frames; // net_look_full() has seen to it
	uint64_t *dropped;

	vsp->free_frames = frame->next;
	vsp->free_frame_count--;
	dropped = prepare(vsp, frame, place);
	if (dropped) {
		++*dropped;
		net_free_frame(vsp, frame);
		return;
	}
	frame->slot = slot;
	slot->frames++;
	vsp->in_flight++;
	wire->ops->send(wire, &frame->buffer);
}

// --- a packet ---

// What cannot be read at all is not complete; a frame that is dropped is.
static void refuse(struct net_slot *slot, uint64_t *dropped)
{
	++*dropped;
	slot->answer.rndis_packet_complete.status = NVSP_STATUS_INVALID_RNDIS_PACKET;
}

uint32_t net_send_frames(struct net_slot *slot, const struct nvsp_rndis_packet *packet)
{
	struct net_vsp *vsp = slot->vsp;
	uint8_t head[RNDIS_HEAD_MAX];
	struct place place = { .head = head };
	struct source source;
	uint32_t length;

	if (!find_source(&source, vsp, packet)) {
		refuse(slot, &vsp->drops.bad_memory);
		return 0;
	}
	place.source = &source;
	for (uint32_t i = 0; place.message < source.length; i++, place.message += length) {
		const uint32_t left = source.length - place.message;

		place.head_length = left < sizeof(head) ? left : sizeof(head);
		if (!copy(&source, place.message, head, place.head_length)) {
			refuse(slot, &vsp->drops.bad_memory);
			break;
		}
		if (i == NET_MAX_MESSAGES || rndis_parse_frame(head, place.head_length, left,
						     &place.frame, &length) != RNDIS_RIGHT) {
			refuse(slot, &vsp->drops.bad_message);
			break;
		}
		send_frame(slot, &place);
	}
	return source.length;
}

uint32_t net_read_control(
	struct net_vsp *vsp, const struct nvsp_rndis_packet *packet, uint8_t *to, uint32_t max)
{
	struct source source;

	if (!find_source(&source, vsp, packet) || source.length > max ||
		!copy(&source, 0, to, source.length))
		return 0;
	return source.length;
}
