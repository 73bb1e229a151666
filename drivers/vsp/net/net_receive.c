// SPDX-License-Identifier: BSD-2-Clause
// Frames to the guest. The wire writes them into pieces of the receive buffer ("rooms"); what RNDIS
// says of a frame is written in front of it, and several go in one packet.
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/ethernet.h"
#include "drivers/vsp/net/net_internal.h"

enum {
	LARGE_FRAME = 65535 + ETHERNET_HEADER + ETHERNET_TAG,
	ROOM_ALIGN = 64,
	LOOK = 96, // bytes of a frame that are looked at: headers up to TCP's over IPv6
};

static uint32_t number_of(const struct net_room *room)
{
	return (uint32_t)(room - room->owner->rooms);
}

static uint32_t place_of(const struct net_room *room)
{
	return number_of(room) * room->owner->room_size;
}

static const struct vmbus_gpa_range *buffer_of(const struct net_card_state *state)
{
	return &state->loans[NET_RECEIVE_BUFFER].range;
}

// Where a room's state is counted; NULL: nowhere.
static uint32_t *counter_of(struct net_card_state *state, enum net_room_state of)
{
	if (of == NET_ROOM_ON_WIRE || of == NET_ROOM_FILLED)
		return &state->rooms_on_wire;
	return of == NET_ROOM_WAITS ? &state->rooms_waiting : NULL;
}

static void set_state(struct net_room *room, enum net_room_state to)
{
	uint32_t *before = counter_of(room->owner, room->state);
	uint32_t *after = counter_of(room->owner, to);

	if (before)
		--*before;
	if (after)
		++*after;
	room->state = to;
}

static void set_free(struct net_room *room)
{
	struct net_card_state *state = room->owner;
	const bool control = number_of(room) >= state->room_count - NET_CONTROL_ROOMS;
	struct net_room **list = control ? &state->control_rooms : &state->free_rooms;

	set_state(room, NET_ROOM_FREE);
	room->next = *list;
	*list = room;
}

static void set_free_all(struct net_room *first)
{
	struct net_room *next;

	for (struct net_room *room = first; room; room = next) {
		next = room->next;
		set_free(room);
	}
}

static void set_state_all(struct net_room *first, enum net_room_state to)
{
	for (struct net_room *room = first; room; room = room->next)
		set_state(room, to);
}

// --- to the guest ---

// The packet of a batch that begins with this room.
static void send_rooms(struct net_vsp *vsp, struct net_room *first, uint32_t channel)
{
	first->is_first = true;
	first->message = (struct nvsp_message){
		.type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { channel, NVSP_NO_SECTION, 0 },
	};
	first->transfer.header.transfer_set_id = NVSP_RECEIVE_BUFFER_ID;
	first->out = (struct vsp_out){
		.transaction_id = number_of(first) + 1u,
		.type = VMBUS_PACKET_TRANSFER_PAGES,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.header = &first->transfer,
		.header_length = (uint32_t)(sizeof(first->transfer.header) +
					    first->transfer.header.range_count *
						    sizeof(first->transfer.ranges[0])),
		.payload = &first->message,
		.length = NVSP_MESSAGE_SIZE,
	};
	set_state_all(first, NET_ROOM_WAITS);
	if (vsp_send(&vsp->base, &first->out))
		set_state_all(first, NET_ROOM_SENT);
}

void net_rooms_sent(struct net_room *first)
{
	struct net_card_state *state = first->owner;

	if (state->loans[NET_RECEIVE_BUFFER].state == NET_LOAN_LENT) {
		set_state_all(first, NET_ROOM_SENT);
		return;
	}
	set_free_all(first);
	net_check_loans(state->primary);
}

void net_send_batch(struct net_vsp *vsp)
{
	struct net_room *first = vsp->batch;

	vsp->batch = vsp->batch_last = NULL;
	if (first)
		send_rooms(vsp, first, NVSP_CHANNEL_DATA);
}

static void add_range(
	struct net_room *first, const struct net_room *room, uint32_t offset, uint32_t length)
{
	first->transfer.ranges[first->transfer.header.range_count++] =
		(struct vmbus_transfer_range){ length, place_of(room) + offset };
}

// `length` bytes from `offset` bytes into the room on are for the guest.
static void add_to_batch(
	struct net_vsp *vsp, struct net_room *room, uint32_t offset, uint32_t length)
{
	room->channel = vsp->base.index;
	room->next = NULL;
	set_state(room, NET_ROOM_FILLED);
	if (vsp->batch)
		vsp->batch_last->next = room;
	else
		vsp->batch = room;
	vsp->batch_last = room;
	room->is_first = false;
	room->transfer.header.range_count = 0;
	add_range(vsp->batch, room, offset, length);
	if (vsp->batch->transfer.header.range_count == NET_BATCH)
		net_send_batch(vsp);
}

bool net_take_batch(struct net_vsp *vsp, uint64_t transaction_id)
{
	struct net_card_state *state = vsp->state;
	struct net_room *room;

	if (state->loans[NET_RECEIVE_BUFFER].state != NET_LOAN_LENT)
		return true; // of a buffer that has been taken back
	if (!transaction_id || transaction_id > state->room_count)
		return false;
	room = &state->rooms[transaction_id - 1];
	if (room->state != NET_ROOM_SENT || !room->is_first || room->channel != vsp->base.index)
		return false;
	set_free_all(room);
	return true;
}

// --- from the wire ---

static bool wants(const struct net_card *card, const uint8_t *destination)
{
	static const uint8_t all[6] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

	if (card->filter & NDIS_FILTER_PROMISCUOUS)
		return true;
	if (!(destination[0] & 1))
		return card->filter & NDIS_FILTER_DIRECTED &&
		       !memcmp(destination, card->mac, sizeof(card->mac));
	if (!memcmp(destination, all, sizeof(all)))
		return card->filter & NDIS_FILTER_BROADCAST;
	return card->filter & (NDIS_FILTER_MULTICAST | NDIS_FILTER_ALL_MULTICAST);
}

static bool takes(const struct net_card_state *state, const struct net_header *header)
{
	return (!(header->flags & NET_NEEDS_CHECKSUM) || state->takes & NET_TAKES_UNFINISHED) &&
	       (!header->segments || state->takes & NET_TAKES_LARGE);
}

// The channel for a flow, by the guest's table.
static struct net_vsp *choose(
	struct net_vsp *vsp, const uint8_t *bytes, uint32_t length, struct rndis_frame *frame)
{
	const struct net_card *card = &vsp->state->card;
	struct net_vsp *queue;

	if (!card->hash || !vsp->base.next)
		return vsp;
	frame->hash_value =
		toeplitz_flow(&vsp->state->toeplitz, card->hash, bytes, length, &frame->hash_kind);
	if (!frame->hash_kind)
		return vsp;
	frame->has |= RNDIS_HAS_HASH;
	queue = vsp->state->queues[card->table[frame->hash_value % card->table_entries]];
	return queue && !queue->base.failure && !queue->base.stopped ? queue : vsp;
}

// A tag is told, and not in the frame: the addresses in front of it move up.
static uint32_t strip_tag(
	struct net_vsp *vsp, const struct net_room *room, uint8_t *bytes, struct rndis_frame *frame)
{
	if (frame->length < ETHERNET_HEADER + ETHERNET_TAG ||
		net_get16(bytes + ETHERNET_TYPE_AT) != ETHERNET_VLAN)
		return 0;
	frame->vlan = rndis_vlan_of_tag(net_get16(bytes + ETHERNET_TYPE_AT + 2));
	frame->has |= RNDIS_HAS_VLAN;
	frame->length -= ETHERNET_TAG;
	vmbus_memory_write(&vsp->config->memory, buffer_of(vsp->state),
		place_of(room) + NET_HEAD_ROOM + ETHERNET_TAG, bytes, ETHERNET_TYPE_AT);
	return ETHERNET_TAG;
}

// Returns whether the guest gets it.
static bool deliver(struct net_vsp *vsp, struct net_room *room, uint32_t length)
{
	struct net_card_state *state = vsp->state;
	struct rndis_frame frame = { .length = length };
	const uint32_t look = length < LOOK ? length : LOOK;
	uint8_t bytes[LOOK], head[RNDIS_PUT_MAX];
	struct net_vsp *to;
	uint32_t at, size;

	if (length < ETHERNET_HEADER ||
		!vmbus_memory_read(&vsp->config->memory, buffer_of(state),
			place_of(room) + NET_HEAD_ROOM, bytes, look) ||
		!wants(&state->card, bytes)) {
		vsp->drops.unwanted++;
		return false;
	}
	if (!takes(state, &room->header)) {
		vsp->drops.unfinished++;
		return false;
	}
	if (state->card.offloads & NET_OFFLOAD_RECEIVED)
		frame.checksum = net_offload_received(&room->header, bytes, look);
	frame.has = frame.checksum ? RNDIS_HAS_CHECKSUM : 0;
	to = choose(vsp, bytes, look, &frame);
	at = NET_HEAD_ROOM + strip_tag(vsp, room, bytes, &frame);
	size = rndis_put_frame(head, &frame);
	at -= size;
	vmbus_memory_write(&vsp->config->memory, buffer_of(state), place_of(room) + at, head, size);
	to->received++;
	state->card.received++;
	to->received_bytes += length;
	add_to_batch(to, room, at, size + frame.length);
	return true;
}

static void room_done(struct net_buffer *buffer, uint32_t length)
{
	struct net_room *room = container_of(buffer, struct net_room, buffer);
	struct net_vsp *vsp = room->owner->primary;

	if (length && vsp->state->loans[NET_RECEIVE_BUFFER].state == NET_LOAN_LENT &&
		deliver(vsp, room, length))
		return;
	set_free(room);
	net_check_loans(vsp);
}

// --- rooms ---

// Returns how many rooms there are in the buffer.
static uint32_t measure(struct net_card_state *state, uint32_t frame_max)
{
	const uint32_t bytes = buffer_of(state)->byte_count;
	const uint32_t max = state->primary->config->room_count;
	uint32_t count;

	state->room_size = (NET_HEAD_ROOM + frame_max + ROOM_ALIGN - 1) & ~(ROOM_ALIGN - 1u);
	count = bytes / state->room_size;
	state->room_count = count < max ? count : max;
	return state->room_count;
}

static bool make_room(struct net_vsp *vsp, struct net_room *room)
{
	room->owner = vsp->state;
	room->buffer.iov = room->iov;
	room->buffer.iov_count = 1;
	room->buffer.done = room_done;
	room->iov[0] = (struct vsp_iovec){ &room->header, sizeof(room->header) };
	return vsp_iovec_add(room->iov, &room->buffer.iov_count, NET_RECEIVE_PIECES,
		&vsp->config->memory, buffer_of(vsp->state), place_of(room) + NET_HEAD_ROOM,
		vsp->state->room_size - NET_HEAD_ROOM);
}

static bool measure_buffer(struct net_card_state *state)
{
	const uint32_t expected = state->rooms_expected;

	state->rooms_expected = 0;
	state->large = state->large_possible && measure(state, LARGE_FRAME) >= NET_VSP_ROOMS_MIN;
	if (!state->large && measure(state, state->frame_max + ETHERNET_TAG) < NET_VSP_ROOMS_MIN)
		return false;
	return !expected || state->room_count == expected;
}

// Those that the guest has already are from before a restore.
bool net_make_rooms(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;

	if (!measure_buffer(state))
		return false;
	state->free_rooms = state->control_rooms = NULL;
	for (uint32_t i = state->room_count; i-- > 0;) {
		struct net_room *room = &state->rooms[i];

		if (!make_room(vsp, room))
			return false;
		if (room->state == NET_ROOM_FREE)
			set_free(room);
	}
	return true;
}

void net_give_rooms(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;
	struct net_wire *wire = vsp->config->wire;

	if (state->loans[NET_RECEIVE_BUFFER].state != NET_LOAN_LENT)
		return;
	while (state->free_rooms) {
		struct net_room *room = state->free_rooms;

		state->free_rooms = room->next;
		set_state(room, NET_ROOM_ON_WIRE);
		wire->ops->receive(wire, &room->buffer);
	}
}

void net_take_rooms(struct net_vsp *vsp)
{
	struct net_wire *wire = vsp->config->wire;

	wire->ops->take_back(wire);
}

void net_drop_batch(struct net_vsp *vsp)
{
	struct net_room *first = vsp->batch;

	vsp->batch = vsp->batch_last = NULL;
	set_free_all(first);
}

// What the guest has is its own again; the rest ends where it is.
void net_end_rooms(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;

	net_take_rooms(vsp);
	for (uint32_t i = 0; i < NET_QUEUES_MAX; i++)
		if (state->queues[i])
			net_drop_batch(state->queues[i]);
	for (uint32_t i = 0; i < state->room_count; i++)
		if (state->rooms[i].state == NET_ROOM_SENT)
			set_free(&state->rooms[i]);
}

void net_forget_rooms(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;

	net_drop_batch(vsp);
	for (uint32_t i = 0; i < state->room_count; i++) {
		struct net_room *room = &state->rooms[i];

		if (room->channel == vsp->base.index &&
			(room->state == NET_ROOM_WAITS || room->state == NET_ROOM_SENT))
			set_free(room);
	}
}

bool net_send_control(struct net_vsp *vsp, const uint8_t *message, uint32_t length)
{
	struct net_card_state *state = vsp->state;
	struct net_room *room = state->control_rooms;

	if (state->loans[NET_RECEIVE_BUFFER].state != NET_LOAN_LENT || !room)
		return false;
	state->control_rooms = room->next;
	room->channel = vsp->base.index;
	room->next = NULL;
	vmbus_memory_write(&vsp->config->memory, buffer_of(state), place_of(room), message, length);
	room->transfer.header.range_count = 0;
	add_range(room, room, 0, length);
	send_rooms(vsp, room, NVSP_CHANNEL_CONTROL);
	return true;
}
