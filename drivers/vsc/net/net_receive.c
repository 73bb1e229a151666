// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: what the host sends. Lists of frames in the receive buffer, whose every offset
// and length is checked in a private copy; answers to frames, against the slots.
#include "base/macros.h"
#include "drivers/vsc/net/net_internal.h"

// --- frames ---

static const struct {
	uint32_t ndis, flag;
} net_checksums[] = {
	{ RNDIS_CHECKSUM_IP_GOOD, LUMEN_NET_GOOD_IPV4 },
	{ RNDIS_CHECKSUM_TCP_GOOD, LUMEN_NET_GOOD_TCP },
	{ RNDIS_CHECKSUM_UDP_GOOD, LUMEN_NET_GOOD_UDP },
	{ RNDIS_CHECKSUM_IP_BAD, LUMEN_NET_BAD_IPV4 },
	{ RNDIS_CHECKSUM_TCP_BAD, LUMEN_NET_BAD_TCP },
	{ RNDIS_CHECKSUM_UDP_BAD, LUMEN_NET_BAD_UDP },
};

static void net_describe(const struct lumen_net *net, const struct rndis_frame *frame,
	struct lumen_net_received *received)
{
	if (frame->has & RNDIS_HAS_CHECKSUM && net->info.offloads & LUMEN_NET_RECEIVED) {
		for (uint32_t i = 0; i < ARRAY_SIZE(net_checksums); i++)
			if (frame->checksum & net_checksums[i].ndis)
				received->flags |= net_checksums[i].flag;
	}
	if (frame->has & RNDIS_HAS_VLAN) {
		received->flags |= LUMEN_NET_HAS_VLAN;
		received->vlan = rndis_tag_of_vlan(frame->vlan);
	}
	if (frame->has & RNDIS_HAS_HASH) {
		received->flags |= LUMEN_NET_HAS_HASH;
		received->hash = frame->hash_value;
		received->hash_kind = frame->hash_kind;
	}
}

static uint32_t net_longest(const struct lumen_net *net)
{
	return net->info.offloads & LUMEN_NET_COALESCED
		       ? LUMEN_NET_MAX_RECEIVED
		       : net->info.mtu + LUMEN_NET_HEADER + NET_TAG_SIZE;
}

// A frame that `frame` describes, and that is where `received` says.
static void net_give(struct net_queue *queue, const struct rndis_frame *frame,
	struct lumen_net_received *received)
{
	struct lumen_net *net = net_of(queue);

	if (received->length < LUMEN_NET_HEADER || received->size > net_longest(net)) {
		net_count(&queue->statistics.dropped, 1);
		return;
	}
	net_count(&queue->statistics.received, 1);
	net_count(&queue->statistics.received_bytes, received->size);
	if (!net->receive || __atomic_load_n(&net->vsc.closing, __ATOMIC_RELAXED))
		return;
	net_describe(net, frame, received);
	net->receive(net->context, net, received);
}

// --- frames that come in pieces, all of them in one batch ---

// What there is makes no frame.
static void net_give_up(struct net_queue *queue)
{
	queue->gathered->count = 0;
	net_count(&queue->statistics.dropped, 1);
}

static void net_give_gathered(struct net_queue *queue)
{
	struct net_gathered *gathered = queue->gathered;
	struct lumen_net_received received = {
		.data = gathered->pieces[0].data,
		.length = gathered->pieces[0].length,
		.size = gathered->size,
		.more = &gathered->pieces[1],
		.more_count = gathered->count - 1,
	};

	gathered->count = 0;
	net_give(queue, &gathered->first, &received);
}

static bool net_fits(const struct net_gathered *gathered, uint32_t length)
{
	return gathered->count < LUMEN_NET_MAX_PIECES &&
	       length <= LUMEN_NET_MAX_RECEIVED - gathered->size;
}

static void net_gather(
	struct net_queue *queue, const struct rndis_frame *frame, const uint8_t *message)
{
	struct net_gathered *gathered = queue->gathered;
	const bool first = frame->id.flags & RNDIS_ID_FIRST;

	if (first && gathered->count)
		net_give_up(queue);
	if (first) {
		gathered->first = *frame;
		gathered->size = 0;
	}
	if (first != !gathered->count || !net_fits(gathered, frame->length)) {
		net_give_up(queue);
		return;
	}
	gathered->pieces[gathered->count++] =
		(struct lumen_net_piece){ message + frame->offset, frame->length };
	gathered->size += frame->length;
	if (frame->id.flags & RNDIS_ID_LAST)
		net_give_gathered(queue);
}

// Of a host that was not asked for pieces one is no frame.
static void net_take_frame(
	struct net_queue *queue, const struct rndis_frame *frame, const uint8_t *message)
{
	struct lumen_net_received received = {
		.data = message + frame->offset, .length = frame->length, .size = frame->length
	};
	const bool piece = frame->has & RNDIS_HAS_ID && frame->id.flags & RNDIS_ID_PIECE;

	if (piece && net_of(queue)->info.offloads & LUMEN_NET_COALESCED)
		net_gather(queue, frame, message);
	else if (piece)
		net_count(&queue->statistics.dropped, 1);
	else
		net_give(queue, frame, &received);
}

// A message in the receive buffer; it is all in it.
static void net_take_message(
	struct net_queue *queue, struct vsc_turn *turn, const uint8_t *message, uint32_t length)
{
	const uint32_t head_length = length < RNDIS_HEAD_MAX ? length : RNDIS_HEAD_MAX;
	struct rndis_header header;
	struct rndis_frame frame;

	if (length < sizeof(header)) {
		vsc_bad_host(&queue->vsc, "an RNDIS message shorter than its header");
		return;
	}
	memcpy(queue->head, message, head_length);
	// From here on the copy counts: the compiler must not look at the shared bytes again.
	__asm__ volatile("" : : "r"(queue->head) : "memory");
	memcpy(&header, queue->head, sizeof(header));
	if (header.type != RNDIS_PACKET) {
		if (vsc_count_news(turn))
			net_take_control(queue, queue->head, head_length);
	} else if (rndis_parse_frame(queue->head, head_length, length, &frame, &header.length) !=
		   RNDIS_RIGHT) {
		vsc_bad_host(&queue->vsc, "an RNDIS message that lies");
	} else {
		net_take_frame(queue, &frame, message);
	}
}

// --- batches ---

static bool net_ranges_valid(const struct lumen_net *net, const struct vmbus_packet *packet)
{
	const uint64_t size = (uint64_t)net->received.page_count * LUMEN_PAGE_SIZE;

	for (uint32_t i = 0; i < packet->range_count; i++) {
		const struct vmbus_transfer_range *range = &packet->transfer_ranges[i];

		if ((uint64_t)range->byte_offset + range->byte_count > size)
			return false;
	}
	return true;
}

// Locked, but not while the frames are taken.
static void net_take_frames(
	struct net_queue *queue, struct vsc_turn *turn, const struct vmbus_packet *packet)
{
	const struct lumen_net *net = net_of(queue);

	queue->receiving = true;
	queue->vsc.batching++;
	lumen_spin_unlock_irq(&queue->vsc.lock, turn->state);
	for (uint32_t i = 0; i < packet->range_count && vsc_status(&net->vsc) == LUMEN_OK; i++) {
		const struct vmbus_transfer_range *range = &packet->transfer_ranges[i];

		net_take_message(
			queue, turn, net->received.bytes + range->byte_offset, range->byte_count);
	}
	if (queue->gathered && queue->gathered->count)
		net_give_up(queue);
	turn->state = lumen_spin_lock_irq(&queue->vsc.lock);
	queue->vsc.batching--;
	queue->receiving = false;
}

static void net_take_batch(
	struct net_queue *queue, struct vsc_turn *turn, const struct vmbus_packet *packet)
{
	const struct lumen_net *net = net_of(queue);
	uint32_t type = 0;

	if (packet->payload_length >= sizeof(type))
		memcpy(&type, packet->payload, sizeof(type));
	if (type != NVSP_SEND_RNDIS_PACKET || packet->transfer_set_id != NVSP_RECEIVE_BUFFER_ID ||
		!net->info.depth || !net_ranges_valid(net, packet)) {
		vsc_bad_host(&queue->vsc, "frames that are not in the receive buffer");
		return;
	}
	if (!packet->range_count && !vsc_count_news(turn))
		return;
	net_take_frames(queue, turn, packet);
	if (packet->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED)
		queue->acks[(queue->ack_first + queue->ack_count++) % NET_ACKS] =
			packet->transaction_id;
}

void net_send_acks(struct net_queue *queue)
{
	static const struct nvsp_message answer = { .type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
		.rndis_packet_complete = { NVSP_STATUS_SUCCESS } };
	static const struct vmbus_piece piece = { &answer, NET_MESSAGE_SHORT };
	lumen_status status = LUMEN_OK;

	while (queue->ack_count > 0) {
		status = lumen_channel_queue(
			queue->vsc.channel, &(struct vmbus_packet_out){
						    .type = VMBUS_PACKET_COMPLETION,
						    .transaction_id = queue->acks[queue->ack_first],
						    .payload = &piece,
						    .payload_count = 1,
					    });
		if (status != LUMEN_OK)
			break;
		queue->ack_first = (queue->ack_first + 1) % NET_ACKS;
		queue->ack_count--;
		__atomic_store_n(&queue->vsc.flush_due, true, __ATOMIC_RELAXED);
	}
	if (status != LUMEN_OK && status != LUMEN_BUSY)
		vsc_channel_failed(&queue->vsc, status);
}

// --- answers ---

static void net_complete(struct net_queue *queue, struct vsc_slot *slot, uint32_t nvsp_status)
{
	const bool good = nvsp_status == NVSP_STATUS_SUCCESS;
	const uint32_t bytes = slot->bytes;
	struct lumen_net_frame *frame = vsc_free_slot(&queue->vsc, slot);

	net_count(&queue->statistics.sent, good);
	net_count(&queue->statistics.sent_bytes, good ? bytes : 0);
	net_count(&queue->statistics.refused, !good);
	if (frame)
		net_finish(queue, frame, good ? LUMEN_OK : LUMEN_IO_ERROR);
}

static void net_take_completion(struct net_queue *queue, const struct vmbus_packet *packet)
{
	struct vsc_slot *slot = vsc_slot_of(&queue->vsc, packet->transaction_id);
	struct nvsp_message message;

	if (packet->payload_length < NET_MESSAGE_SHORT) {
		vsc_bad_host(&queue->vsc, "an answer too short");
		return;
	}
	memcpy(&message, packet->payload, NET_MESSAGE_SHORT);
	if (vsc_is_answer(&queue->vsc, packet->transaction_id))
		vsc_take_answer(&queue->vsc, packet);
	else if (!slot)
		vsc_bad_host(&queue->vsc, "an answer to a frame that is not under way");
	else if (message.type != NVSP_SEND_RNDIS_PACKET_COMPLETE)
		vsc_bad_host(&queue->vsc, "an answer that completes nothing");
	else
		net_complete(queue, slot, message.rndis_packet_complete.status);
}

// --- all ---

// What hosts say in-band (a virtual function, a table for queues) is not for us.
void net_receive_all(struct net_queue *queue, struct vsc_turn *turn)
{
	const struct vmbus_packet *packet;

	if (vsc_status(queue->vsc.vsc) == LUMEN_OK)
		net_send_acks(queue);
	while (queue->ack_count < NET_ACKS && (packet = vsc_next(turn))) {
		if (packet->type == VMBUS_PACKET_COMPLETION)
			net_take_completion(queue, packet);
		else if (packet->type == VMBUS_PACKET_TRANSFER_PAGES)
			net_take_batch(queue, turn, packet);
		else if (packet->type != VMBUS_PACKET_IN_BAND)
			vsc_bad_host(&queue->vsc, "a packet of no known kind");
		else
			vsc_count_news(turn);
	}
	if (vsc_status(queue->vsc.vsc) == LUMEN_OK)
		net_send_acks(queue);
}
