// SPDX-License-Identifier: BSD-2-Clause
// The network VSP: its memory, its slots, a poll, its end, and its saved form.
#include <string.h>

#include "drivers/vsp/net/net_internal.h"

static struct net_vsp *net_of(struct vsp *vsp)
{
	return (struct net_vsp *)vsp;
}

static size_t align(size_t size)
{
	return (size + VSP_ALIGNMENT - 1) & ~(size_t)(VSP_ALIGNMENT - 1);
}

// The instance, its slots and frames, the buffer; what only a primary channel has, and its rooms.
struct net_layout {
	size_t slots, frames, buffer, state, rooms, total;
};

// Configuration is bounded, so nothing here can overflow.
static bool net_layout(const struct net_vsp_config *config, bool sub, struct net_layout *layout)
{
	struct net_card card;

	if (!net_card_init(&card, &config->card) || config->slot_count < NET_VSP_SLOTS_MIN ||
		config->slot_count > NET_VSP_SLOTS_MAX || config->room_count < NET_VSP_ROOMS_MIN ||
		config->room_count > NET_VSP_ROOMS_MAX)
		return false;
	layout->slots = align(sizeof(struct net_vsp));
	layout->frames = layout->slots + align(sizeof(struct net_slot) * config->slot_count);
	layout->buffer = layout->frames + align(sizeof(struct net_frame) * config->slot_count);
	layout->state = layout->buffer + NET_PACKET_MAX;
	layout->rooms = layout->state + align(sizeof(struct net_card_state));
	layout->total =
		sub ? layout->state : layout->rooms + sizeof(struct net_room) * config->room_count;
	return true;
}

static size_t net_size(const void *config, bool sub)
{
	struct net_layout layout;

	return net_layout(config, sub, &layout) ? layout.total : 0;
}

static void init_slots(struct net_vsp *vsp)
{
	for (uint32_t i = vsp->config->slot_count; i-- > 0;) {
		struct net_slot *slot = &vsp->slots[i];

		slot->vsp = vsp;
		slot->out.payload = &slot->answer;
		slot->out.type = VMBUS_PACKET_COMPLETION;
		slot->next = vsp->free_slots;
		vsp->free_slots = slot;
	}
}

static void init_card(struct net_vsp *vsp, uint8_t *memory, const struct net_layout *layout)
{
	struct net_card_state *state = (struct net_card_state *)(memory + layout->state);

	vsp->state = state;
	state->primary = vsp;
	state->rooms = (struct net_room *)(memory + layout->rooms);
	net_card_init(&state->card, &vsp->config->card);
	state->link = state->card.link;
	state->frame_max = vsp->config->card.mtu + NET_FRAME_HEADER;
	vsp->base.sub_channels_max = vsp->config->card.queues - 1;
}

static void net_open(struct vsp *base, const void *config)
{
	struct net_vsp *vsp = net_of(base);
	uint8_t *memory = (uint8_t *)vsp;
	struct net_layout layout;

	if (!net_layout(config, base->primary, &layout))
		return; // net_size() has said so, and there is no instance
	vsp->config = config;
	vsp->slots = (struct net_slot *)(memory + layout.slots);
	vsp->frames = (struct net_frame *)(memory + layout.frames);
	base->buffer = memory + layout.buffer;
	base->buffer_size = NET_PACKET_MAX;
	if (base->primary)
		vsp->state = net_of(base->primary)->state;
	else
		init_card(vsp, memory, &layout);
	init_slots(vsp);
	net_init_frames(vsp);
}

// --- slots ---

// After a restore: what the guest says next may be in a buffer that the host has not found yet.
static bool waits_for_loan(const struct net_card_state *state)
{
	for (uint32_t i = 0; i < NET_LENT; i++)
		if (state->loans[i].state == NET_LOAN_ASKED && !state->loans[i].slot)
			return true;
	return false;
}

void net_look_full(struct net_vsp *vsp)
{
	vsp->base.full = !vsp->free_slots || vsp->free_frame_count < NET_MAX_MESSAGES ||
			 waits_for_loan(vsp->state);
}

static void free_slot(struct net_slot *slot)
{
	slot->next = slot->vsp->free_slots;
	slot->vsp->free_slots = slot;
	net_look_full(slot->vsp);
}

struct net_slot *net_take_slot(struct net_vsp *vsp)
{
	struct net_slot *slot = vsp->free_slots;

	vsp->free_slots = slot->next;
	net_look_full(vsp);
	return slot;
}

void net_answer(struct net_slot *slot, uint32_t type)
{
	slot->answer.type = type;
	slot->out.length = slot->vsp->state->version >= NVSP_VERSION_6_1 ? NVSP_MESSAGE_SIZE_6_1
									 : NVSP_MESSAGE_SIZE;
	if (!slot->wants_completion || vsp_send(&slot->vsp->base, &slot->out))
		free_slot(slot);
}

static void net_sent(struct vsp *base, struct vsp_out *out)
{
	if (out->type == VMBUS_PACKET_TRANSFER_PAGES)
		net_rooms_sent((struct net_room *)out);
	else
		free_slot((struct net_slot *)out);
}

// --- a poll ---

static void net_work(struct vsp *base)
{
	struct net_vsp *vsp = net_of(base);

	if (base->failure)
		return;
	vsp->state->queues[base->index] = vsp; // it has joined
	net_look_full(vsp);
	if (!base->primary)
		net_tell_link(vsp);
	net_send_batch(vsp);
}

static void net_kick(struct vsp *base)
{
	struct net_vsp *vsp = net_of(base);
	struct net_wire *wire = vsp->config->wire;

	if (!base->primary && (base->failure || base->paused))
		net_take_rooms(vsp);
	else if (!base->primary)
		net_give_rooms(vsp);
	wire->ops->kick(wire);
	if (!base->failure)
		net_send_batch(vsp); // the wire may have had some at once
}

// --- the end ---

static void net_stop(struct vsp *base)
{
	struct net_vsp *vsp = net_of(base);
	struct net_wire *wire = vsp->config->wire;

	if (!base->primary) {
		for (uint32_t i = 0; i < NET_LENT; i++)
			net_end_loan(vsp, i);
		wire->ops->set_takes(wire, 0);
	}
	net_forget_rooms(vsp);
	vsp->state->queues[base->index] = NULL;
	wire->ops->kick(wire);
	net_check_loans(vsp);
}

static bool net_idle(const struct vsp *base)
{
	const struct net_vsp *vsp = (const struct net_vsp *)base;
	const struct net_card_state *state = vsp->state;

	if (vsp->in_flight || (!base->primary && state->rooms_on_wire))
		return false;
	for (uint32_t i = 0; !base->primary && i < NET_LENT; i++)
		if (state->loans[i].state != NET_LOAN_NONE &&
			(base->stopped || state->loans[i].state != NET_LOAN_LENT))
			return false;
	return true;
}

// --- saving: of an idle instance. The wire has nothing; the guest may have rooms, and others may
// wait for room in the ring. ---

enum { NET_NO_ROOM = UINT16_MAX };

struct net_form {
	uint32_t version, frame_max;
	uint32_t gpadls[NET_LENT];
	uint8_t lent[NET_LENT];
	uint8_t large_possible, link;
	uint32_t room_count; // struct net_room_form follow
	struct net_card_form card;
};
_Static_assert(sizeof(struct net_form) == 24 + sizeof(struct net_card_form), "no padding");

struct net_room_form {
	uint16_t next; // of the batch; NET_NO_ROOM: none
	uint8_t state; // enum net_room_state
	uint8_t is_first;
	uint32_t channel;
};

static void save_rooms(const struct net_card_state *state, struct vsp_writer *to)
{
	for (uint32_t i = 0; i < state->room_count; i++) {
		const struct net_room *room = &state->rooms[i];
		const bool in_batch = room->state != NET_ROOM_FREE && room->next;
		const struct net_room_form form = {
			.next = in_batch ? (uint16_t)(room->next - state->rooms) : NET_NO_ROOM,
			.state = (uint8_t)room->state,
			.is_first = room->is_first,
			.channel = room->channel,
		};

		vsp_write(to, &form, sizeof(form));
	}
}

static void net_save(const struct vsp *base, struct vsp_writer *to)
{
	const struct net_card_state *state = ((const struct net_vsp *)base)->state;
	struct net_form form = {
		.version = state->version,
		.frame_max = state->frame_max,
		.large_possible = state->large_possible,
		.link = state->link,
	};

	if (base->primary)
		return;
	for (uint32_t i = 0; i < NET_LENT; i++) {
		form.lent[i] = state->loans[i].state == NET_LOAN_LENT;
		form.gpadls[i] = state->loans[i].gpadl;
	}
	form.room_count = form.lent[NET_RECEIVE_BUFFER] ? state->room_count : 0;
	net_card_save(&state->card, &form.card);
	vsp_write(to, &form, sizeof(form));
	if (form.room_count)
		save_rooms(state, to);
}

static bool restore_room(struct net_card_state *state, uint32_t index, struct vsp_reader *from)
{
	struct net_room *room = &state->rooms[index];
	struct net_room_form form;

	if (!vsp_read(from, &form, sizeof(form)) ||
		(form.state != NET_ROOM_FREE && form.state != NET_ROOM_WAITS &&
			form.state != NET_ROOM_SENT) ||
		form.channel >= NET_QUEUES_MAX || form.is_first > 1 ||
		(form.next != NET_NO_ROOM && form.next >= state->room_count))
		return false;
	room->owner = state;
	room->channel = form.channel;
	room->is_first = form.is_first;
	room->next = form.next == NET_NO_ROOM ? NULL : &state->rooms[form.next];
	room->state = form.state;
	state->rooms_waiting += form.state == NET_ROOM_WAITS;
	return true;
}

// A batch is a list of rooms that are in no other, all in one state.
static bool are_batches(const struct net_card_state *state)
{
	bool in_one[NET_VSP_ROOMS_MAX] = { false };

	for (uint32_t i = 0; i < state->room_count; i++) {
		const struct net_room *room = &state->rooms[i];

		if (room->state == NET_ROOM_FREE || !room->is_first)
			continue;
		for (uint32_t n = 0; room; n++, room = room->next) {
			if (n == NET_BATCH || in_one[room - state->rooms] ||
				room->state != state->rooms[i].state || (n && room->is_first) ||
				room->channel != state->rooms[i].channel)
				return false;
			in_one[room - state->rooms] = true;
		}
	}
	for (uint32_t i = 0; i < state->room_count; i++)
		if ((state->rooms[i].state != NET_ROOM_FREE) != in_one[i])
			return false;
	return true;
}

static bool restore_rooms(struct net_card_state *state, uint32_t count, struct vsp_reader *from)
{
	state->room_count = state->rooms_expected = count;
	for (uint32_t i = 0; i < count; i++)
		if (!restore_room(state, i, from))
			return false;
	return are_batches(state);
}

static void borrow_again(struct net_vsp *vsp, const struct net_form *form)
{
	const struct net_host *host = vsp->config->host;

	for (uint32_t i = 0; i < NET_LENT; i++) {
		if (!form->lent[i])
			continue;
		vsp->state->loans[i] =
			(struct net_loan){ .state = NET_LOAN_ASKED, .gpadl = form->gpadls[i] };
		host->borrow(host->context, i, form->gpadls[i]);
	}
}

static bool net_restore(struct vsp *base, struct vsp_reader *from)
{
	struct net_vsp *vsp = net_of(base);
	struct net_card_state *state = vsp->state;
	struct net_form form;

	if (base->primary)
		return true;
	if (!vsp_read(from, &form, sizeof(form)) ||
		(form.version && !net_knows_version(form.version)) ||
		form.frame_max > vsp->config->card.mtu + NET_FRAME_HEADER || form.lent[0] > 1 ||
		form.lent[1] > 1 || form.large_possible > 1 || form.link > 1 ||
		form.room_count > (form.lent[NET_RECEIVE_BUFFER] ? vsp->config->room_count : 0) ||
		!net_card_restore(&state->card, &form.card) ||
		!restore_rooms(state, form.room_count, from))
		return false;
	state->version = form.version;
	state->frame_max = form.frame_max;
	state->large_possible = form.large_possible;
	state->link = form.link;
	borrow_again(vsp, &form);
	return true;
}

static struct vsp_out *net_restore_out(struct vsp *base, const struct vsp_out *saved)
{
	struct net_vsp *vsp = net_of(base);
	struct net_card_state *state = vsp->state;
	struct net_room *room;

	if (saved->type == VMBUS_PACKET_COMPLETION)
		return saved->length <= sizeof(struct nvsp_message) && !saved->header_length &&
				       vsp->free_slots
			       ? &net_take_slot(vsp)->out
			       : NULL;
	if (saved->type != VMBUS_PACKET_TRANSFER_PAGES || !saved->transaction_id ||
		saved->transaction_id > state->room_count ||
		saved->length > sizeof(room->message) ||
		saved->header_length > sizeof(room->transfer))
		return NULL;
	room = &state->rooms[saved->transaction_id - 1];
	if (room->state != NET_ROOM_WAITS || !room->is_first || room->channel != base->index ||
		room->out.header)
		return NULL;
	room->out.payload = &room->message;
	room->out.header = &room->transfer;
	return &room->out;
}

static const struct vsp_counter net_counters[] = {
	{ "sent", offsetof(struct net_vsp, sent) },
	{ "sent_bytes", offsetof(struct net_vsp, sent_bytes) },
	{ "received", offsetof(struct net_vsp, received) },
	{ "received_bytes", offsetof(struct net_vsp, received_bytes) },
#define X(cause) { #cause, offsetof(struct net_vsp, drops.cause) },
	NET_DROPS(X)
#undef X
		{ NULL, 0 },
};

const struct vsp_class net_vsp_class = {
	.name = "net",
	.guid = NVSP_GUID,
	.poll_packets = NET_VSP_POLL_PACKETS,
	.poll_cost = NET_VSP_POLL_BYTES,
	.saved_version = 1,
	.counters = net_counters,
	.size = net_size,
	.open = net_open,
	.packet = net_packet,
	.work = net_work,
	.kick = net_kick,
	.sent = net_sent,
	.stop = net_stop,
	.idle = net_idle,
	.save = net_save,
	.restore = net_restore,
	.restore_out = net_restore_out,
};
