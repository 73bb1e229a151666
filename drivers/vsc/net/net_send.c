// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: frames of the kernel's, checked, described to the host by RNDIS, and sent: short
// ones in the slot's section of the send buffer, others as a list of pages behind a head.
#include "base/macros.h"
#include "drivers/vsc/net/net_internal.h"

#define NET_TRANSPORT_MAX 0x3FFu // offsets that RNDIS has bits for
#define NET_SUMS	  (LUMEN_NET_SUM_IPV4 | LUMEN_NET_SUM_TCP | LUMEN_NET_SUM_UDP)
#define NET_FLAGS	  (NET_SUMS | LUMEN_NET_IPV6 | LUMEN_NET_TAG)

// --- checks ---

// The offloads that a frame needs. The flags of sums are those of the offloads for them.
static uint32_t net_needs(const struct lumen_net_frame *frame)
{
	_Static_assert(LUMEN_NET_SUM_IPV4 == LUMEN_NET_SEND_IPV4 &&
			       LUMEN_NET_SUM_TCP == LUMEN_NET_SEND_TCP &&
			       LUMEN_NET_SUM_UDP == LUMEN_NET_SEND_UDP,
		"flags");
	return (frame->flags & NET_SUMS) | (frame->segment_size ? LUMEN_NET_SEND_LSO : 0);
}

// 0: segments that cannot be.
static uint64_t net_length(const struct lumen_net_frame *frame)
{
	uint64_t length = 0;

	if (frame->segment_count > LUMEN_NET_MAX_SEGMENTS)
		return 0;
	for (uint32_t i = 0; i < frame->segment_count; i++) {
		if (!frame->segments[i].length)
			return 0;
		length += frame->segments[i].length;
	}
	return length;
}

static bool net_transport_valid(const struct lumen_net_frame *frame, uint64_t length)
{
	if (!frame->segment_size && !(frame->flags & (LUMEN_NET_SUM_TCP | LUMEN_NET_SUM_UDP)))
		return true;
	return frame->transport > LUMEN_NET_HEADER && frame->transport <= NET_TRANSPORT_MAX &&
	       frame->transport < length;
}

static lumen_status net_check(const struct lumen_net *net, const struct lumen_net_frame *frame)
{
	const uint64_t length = net_length(frame);
	const uint32_t needs = net_needs(frame);

	if (needs & ~net->info.offloads)
		return LUMEN_NOT_SUPPORTED;
	if (length < LUMEN_NET_HEADER || frame->flags & ~NET_FLAGS ||
		length > (frame->segment_size ? net->info.max_lso
					      : net->info.mtu + LUMEN_NET_HEADER) ||
		!net_transport_valid(frame, length))
		return LUMEN_BAD_ARGUMENT;
	return LUMEN_OK;
}

// --- a packet ---

static const struct {
	uint32_t flag, of_sum;
} net_sums[] = {
	{ LUMEN_NET_SUM_IPV4, RNDIS_CHECKSUM_IP_HEADER },
	{ LUMEN_NET_SUM_TCP, RNDIS_CHECKSUM_TCP },
	{ LUMEN_NET_SUM_UDP, RNDIS_CHECKSUM_UDP },
};

static struct rndis_frame net_describe(const struct lumen_net_frame *frame)
{
	const bool is_6 = frame->flags & LUMEN_NET_IPV6;
	struct rndis_frame head = { .length = (uint32_t)net_length(frame) };

	if (frame->segment_size) {
		head.has = RNDIS_HAS_LSO;
		head.lso = frame->segment_size | (uint32_t)frame->transport << 20 | RNDIS_LSO_V2 |
			   (is_6 ? RNDIS_LSO_IPV6 : 0);
	} else if (frame->flags & NET_SUMS) {
		head.has = RNDIS_HAS_CHECKSUM;
		head.checksum = (is_6 ? RNDIS_CHECKSUM_IPV6 : RNDIS_CHECKSUM_IPV4) |
				(uint32_t)frame->transport << 16;
		for (uint32_t i = 0; i < ARRAY_SIZE(net_sums); i++)
			if (frame->flags & net_sums[i].flag)
				head.checksum |= net_sums[i].of_sum;
	}
	if (frame->flags & LUMEN_NET_TAG) {
		head.has |= RNDIS_HAS_VLAN;
		head.vlan = rndis_vlan_of_tag(frame->vlan);
	}
	return head;
}

static bool net_is_copied(const struct lumen_net *net, const struct lumen_net_frame *frame,
	const struct rndis_frame *head)
{
	if (head->length + RNDIS_PUT_MAX > net->section_size)
		return false;
	for (uint32_t i = 0; i < frame->segment_count; i++)
		if (!frame->segments[i].source)
			return false;
	return true;
}

// Returns the message's length.
static uint32_t net_copy(const struct lumen_net *net, uint32_t section,
	const struct lumen_net_frame *frame, struct rndis_frame *head)
{
	uint8_t *to = net->sending.bytes + (size_t)section * net->section_size;
	uint32_t at = rndis_put_frame(to, head);

	for (uint32_t i = 0; i < frame->segment_count; i++) {
		memcpy(to + at, frame->segments[i].source, frame->segments[i].length);
		at += frame->segments[i].length;
	}
	return at;
}

// struct vmbus_gpa_range_header and its pages.
static uint64_t *net_put_range(uint64_t *word, const struct lumen_segment *segment)
{
	const uint64_t offset = vsc_address(segment) % LUMEN_PAGE_SIZE;

	*word++ = segment->length | offset << 32;
	return vsc_put_pages(word, segment, 0, segment->length);
}

// The head in a range, each segment in one. Returns how many words that is.
static uint32_t net_list(
	struct net_queue *queue, const struct lumen_net_frame *frame, struct rndis_frame *head)
{
	uint8_t *to = queue->heads + (size_t)queue->vsc.free * NET_HEAD_STRIDE;
	const struct lumen_segment first = { .data = to, .length = rndis_put_frame(to, head) };
	uint64_t *word = queue->words;

	*word++ = (uint64_t)(1 + frame->segment_count) << 32; // struct vmbus_gpa_direct_header
	word = net_put_range(word, &first);
	for (uint32_t i = 0; i < frame->segment_count; i++)
		word = net_put_range(word, &frame->segments[i]);
	return (uint32_t)(word - queue->words);
}

static lumen_status net_put_packet(
	struct net_queue *queue, const struct nvsp_message *message, uint32_t words)
{
	const struct vmbus_piece header = { queue->words, words * 8 };
	const struct vmbus_piece payload = { message, net_of(queue)->message_size };

	return lumen_channel_queue(queue->vsc.channel,
		&(struct vmbus_packet_out){
			.type = words ? VMBUS_PACKET_GPA_DIRECT : VMBUS_PACKET_IN_BAND,
			.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			.transaction_id = vsc_next_id(&queue->vsc),
			.header = &header,
			.header_count = words ? 1 : 0,
			.payload = &payload,
			.payload_count = 1,
		});
}

// Puts a frame into the ring, with the first free slot. LUMEN_BUSY: no room, and nothing has
// changed.
static lumen_status net_put(
	struct net_queue *queue, const struct lumen_net_frame *frame, struct lumen_net_frame *owner)
{
	const struct lumen_net *net = net_of(queue);
	const uint32_t section = queue->first_section + queue->vsc.free;
	struct rndis_frame head = net_describe(frame);
	struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { NVSP_CHANNEL_DATA, NVSP_NO_SECTION, 0 } };
	uint32_t words = 0;
	lumen_status status;

	if (net_is_copied(net, frame, &head)) {
		message.rndis_packet.section = section;
		message.rndis_packet.section_size = net_copy(net, section, frame, &head);
	} else {
		words = net_list(queue, frame, &head);
	}
	status = net_put_packet(queue, &message, words);
	if (status == LUMEN_OK)
		vsc_take_slot(&queue->vsc, owner, head.length);
	else if (status != LUMEN_BUSY)
		vsc_channel_failed(&queue->vsc, status);
	return status;
}

void net_issue(struct net_queue *queue)
{
	while (queue->waiting && queue->vsc.free != VSC_NO_SLOT) {
		struct lumen_net_frame *frame = queue->waiting;

		if (net_put(queue, frame, frame) != LUMEN_OK)
			return; // the handler is called when there is room
		queue->waiting = frame->next;
		if (!queue->waiting)
			queue->waiting_end = &queue->waiting;
	}
}

// --- for the kernel ---

static struct net_queue *net_choose(const struct lumen_net *net)
{
	if (net->vsc.queue_count == 1)
		return net_queue_of(net->vsc.queues[0]);
	return net_queue_of(net->vsc.queues[lumen_this_vp() % net->vsc.queue_count]);
}

// Locked.
static lumen_status net_ready(const struct lumen_net *net)
{
	const lumen_status status = vsc_status(&net->vsc);

	if (status == LUMEN_OK && net->vsc.closing)
		return LUMEN_BAD_STATE;
	return status;
}

static lumen_status net_start(struct lumen_net *net, struct lumen_net_frame *frame, bool flush)
{
	struct net_queue *queue = net_choose(net);
	lumen_status status = net_check(net, frame);
	uint64_t state;

	if (status != LUMEN_OK)
		return status;
	state = lumen_spin_lock_irq(&queue->vsc.lock);
	status = net_ready(net);
	if (status == LUMEN_OK) {
		frame->status = LUMEN_OK;
		frame->next = NULL;
		*queue->waiting_end = frame;
		queue->waiting_end = &frame->next;
		if (queue->waiting == frame)
			net_issue(queue);
		if (flush)
			vsc_flush(&queue->vsc);
	}
	net_unlock(queue, state);
	return status;
}

lumen_status lumen_net_send(struct lumen_net *net, struct lumen_net_frame *frame)
{
	return net_start(net, frame, true);
}

lumen_status lumen_net_queue(struct lumen_net *net, struct lumen_net_frame *frame)
{
	return net_start(net, frame, false);
}

void lumen_net_kick(struct lumen_net *net)
{
	struct net_queue *queue = net_choose(net);
	uint64_t state;

	if (!__atomic_load_n(&queue->vsc.flush_due, __ATOMIC_RELAXED))
		return;
	state = lumen_spin_lock_irq(&queue->vsc.lock);
	if (vsc_status(&net->vsc) == LUMEN_OK)
		vsc_flush(&queue->vsc);
	net_unlock(queue, state);
}

lumen_status lumen_net_send_copy(struct lumen_net *net, const void *data, uint32_t length)
{
	const struct lumen_segment segment = { .source = data, .length = length };
	const struct lumen_net_frame frame = { .segments = &segment, .segment_count = 1 };
	struct net_queue *queue = net_choose(net);
	lumen_status status;
	uint64_t state;

	if (length < LUMEN_NET_HEADER || length > net->info.max_copy)
		return LUMEN_BAD_ARGUMENT;
	state = lumen_spin_lock_irq(&queue->vsc.lock);
	status = net_ready(net);
	if (status == LUMEN_OK && (queue->waiting || queue->vsc.free == VSC_NO_SLOT))
		status = LUMEN_BUSY;
	if (status == LUMEN_OK)
		status = net_put(queue, &frame, NULL);
	if (status == LUMEN_OK)
		vsc_flush(&queue->vsc);
	net_unlock(queue, state);
	return status;
}
