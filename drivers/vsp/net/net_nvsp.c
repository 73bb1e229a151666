// SPDX-License-Identifier: BSD-2-Clause
// NVSP: the messages of the guest's, by a table, and RNDIS' control messages that come in them.
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/net_internal.h"

enum { CONTROL_MAX = 1024 }; // bytes of a control message: an indirection table with its key

typedef uint32_t handler(struct net_slot *slot, const struct nvsp_message *message);

// --- the card ---

void net_apply(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;
	const struct net_card *card = &state->card;
	struct net_wire *wire = vsp->config->wire;
	uint32_t takes = 0;

	if (card->offloads & NET_OFFLOAD_RECEIVED)
		takes |= NET_TAKES_UNFINISHED;
	if (takes && card->offloads & NET_OFFLOAD_COALESCE && state->large)
		takes |= NET_TAKES_LARGE;
	if (takes != state->takes)
		wire->ops->set_takes(wire, takes);
	state->takes = takes;
	if (!state->key_known || memcmp(state->key, card->key, sizeof(state->key)) != 0) {
		memcpy(state->key, card->key, sizeof(state->key));
		toeplitz_set_key(&state->toeplitz, state->key);
		state->key_known = true;
	}
}

static void control(struct net_vsp *vsp, const struct nvsp_rndis_packet *packet)
{
	struct net_card_state *state = vsp->state;
	_Alignas(8) uint8_t message[CONTROL_MAX], answer[NET_ANSWER_MAX];
	uint32_t length = net_read_control(vsp, packet, message, sizeof(message));

	if (!length) {
		state->card.counters.malformed++;
		return;
	}
	length = net_card_answer(&state->card, message, length, answer);
	net_apply(vsp);
	if (length && !net_send_control(vsp, answer, length))
		state->card.counters.malformed++; // it does not take what it has asked for
}

void net_vsp_set_link(struct vsp *base, bool link)
{
	struct net_vsp *vsp = (struct net_vsp *)base;

	vsp->state->link = link;
}

void net_tell_link(struct net_vsp *vsp)
{
	struct net_card_state *state = vsp->state;
	uint8_t message[NET_ANSWER_MAX];
	uint32_t length;

	if (state->link == state->card.link || !state->control_rooms)
		return;
	length = net_card_set_link(&state->card, state->link, message);
	if (length)
		net_send_control(vsp, message, length);
}

// --- messages: each returns what it costs of a poll ---

bool net_knows_version(uint32_t version)
{
	static const uint32_t versions[] = { NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4,
		NVSP_VERSION_5, NVSP_VERSION_6, NVSP_VERSION_6_1 };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (versions[i] == version)
			return true;
	return false;
}

static uint32_t init(struct net_slot *slot, const struct nvsp_message *message)
{
	const bool known = net_knows_version(message->init.version);

	if (known)
		slot->vsp->state->version = message->init.version;
	slot->answer.init_complete.status =
		known ? NVSP_STATUS_SUCCESS : NVSP_STATUS_VERSION_UNSUPPORTED;
	net_answer(slot, NVSP_INIT_COMPLETE);
	return 0;
}

static uint32_t ndis_version(struct net_slot *slot, const struct nvsp_message *message)
{
	net_answer(slot, NVSP_SEND_NDIS_VERSION);
	return 0;
}

static uint32_t ndis_config(struct net_slot *slot, const struct nvsp_message *message)
{
	struct net_vsp *vsp = slot->vsp;
	struct net_card_state *state = vsp->state;
	const uint32_t most = vsp->config->card.mtu + NET_FRAME_HEADER;
	const uint32_t asked = message->ndis_config.mtu;

	if (asked > NET_MTU_MIN)
		state->frame_max = asked < most ? asked : most;
	state->large_possible = state->version >= NVSP_VERSION_6_1 &&
				message->ndis_config.capabilities & NVSP_CAPABILITY_RSC;
	net_answer(slot, NVSP_SEND_NDIS_CONFIG);
	return 0;
}

static uint32_t receive_buffer(struct net_slot *slot, const struct nvsp_message *message)
{
	net_begin_loan(slot, NET_RECEIVE_BUFFER, message->buffer.gpadl);
	return 0;
}

static uint32_t send_buffer(struct net_slot *slot, const struct nvsp_message *message)
{
	net_begin_loan(slot, NET_SEND_BUFFER, message->buffer.gpadl);
	return 0;
}

static uint32_t revoke(struct net_slot *slot, const struct nvsp_message *message)
{
	net_end_loan(slot->vsp,
		message->type == NVSP_REVOKE_SEND_BUFFER ? NET_SEND_BUFFER : NET_RECEIVE_BUFFER);
	net_answer(slot, message->type);
	return 0;
}

static uint32_t rndis_packet(struct net_slot *slot, const struct nvsp_message *message)
{
	struct net_vsp *vsp = slot->vsp;
	uint32_t bytes = 0;

	slot->answer.rndis_packet_complete.status = NVSP_STATUS_SUCCESS;
	slot->frames = 1;
	if (message->rndis_packet.channel == NVSP_CHANNEL_DATA)
		bytes = net_send_frames(slot, &message->rndis_packet);
	else if (!vsp->base.primary)
		control(vsp, &message->rndis_packet);
	if (!--slot->frames)
		net_answer(slot, NVSP_SEND_RNDIS_PACKET_COMPLETE);
	return bytes;
}

static uint32_t sub_channel(struct net_slot *slot, const struct nvsp_message *message)
{
	struct vsp *base = &slot->vsp->base;
	const struct nvsp_sub_channel *asked = &message->sub_channel;
	const uint32_t count =
		asked->count < base->sub_channels_max ? asked->count : base->sub_channels_max;
	const bool done = asked->operation == NVSP_SUB_CHANNEL_ALLOCATE && count > 0 &&
			  vsp_ask_sub_channels(base, count);

	slot->answer.sub_channel_complete = (struct nvsp_sub_channel_complete){
		done ? NVSP_STATUS_SUCCESS : NVSP_STATUS_FAILURE, done ? count : 0
	};
	net_answer(slot, NVSP_SUB_CHANNEL);
	return 0;
}

#define HEADER offsetof(struct nvsp_message, init)

static const struct operation {
	handler *handle;
	uint32_t min_length; // bytes
	uint32_t min_version;
	bool on_subs;
} operations[] = {
	[NVSP_INIT] = { init, HEADER + sizeof(struct nvsp_init), 0, false },
	[NVSP_SEND_NDIS_VERSION] = { ndis_version, HEADER + sizeof(struct nvsp_ndis_version),
		NVSP_VERSION_1, false },
	[NVSP_SEND_RECEIVE_BUFFER] = { receive_buffer, HEADER + sizeof(struct nvsp_buffer),
		NVSP_VERSION_1, false },
	[NVSP_REVOKE_RECEIVE_BUFFER] = { revoke, HEADER + sizeof(struct nvsp_revoke),
		NVSP_VERSION_1, false },
	[NVSP_SEND_SEND_BUFFER] = { send_buffer, HEADER + sizeof(struct nvsp_buffer),
		NVSP_VERSION_1, false },
	[NVSP_REVOKE_SEND_BUFFER] = { revoke, HEADER + sizeof(struct nvsp_revoke), NVSP_VERSION_1,
		false },
	[NVSP_SEND_RNDIS_PACKET] = { rndis_packet, HEADER + sizeof(struct nvsp_rndis_packet),
		NVSP_VERSION_1, true },
	[NVSP_SEND_NDIS_CONFIG] = { ndis_config, HEADER + sizeof(struct nvsp_ndis_config),
		NVSP_VERSION_2, false },
	[NVSP_SUB_CHANNEL] = { sub_channel, HEADER + sizeof(struct nvsp_sub_channel),
		NVSP_VERSION_5, false },
};

static const struct operation *find(struct net_vsp *vsp, uint32_t type, uint32_t length)
{
	const struct operation *operation = &operations[type < ARRAY_SIZE(operations) ? type : 0];

	if (!operation->handle || length < operation->min_length ||
		(vsp->base.primary && !operation->on_subs))
		return NULL;
	if (!operation->min_version)
		return vsp->state->version ? NULL : operation; // only once
	return vsp->state->version >= operation->min_version ? operation : NULL;
}

static uint32_t refuse(struct net_vsp *vsp, const char *why)
{
	vsp->base.counters.malformed++;
	vsp_fail(&vsp->base, why);
	return 0;
}

// Rooms that come back.
static uint32_t completion(struct net_vsp *vsp)
{
	return net_take_batch(vsp, vsp->base.packet.transaction_id)
		       ? 0
		       : refuse(vsp, "net: a completion of what the guest does not have");
}

uint32_t net_packet(struct vsp *base)
{
	struct net_vsp *vsp = (struct net_vsp *)base;
	const struct vmbus_packet *in = &base->packet;
	const struct operation *operation;
	struct nvsp_message message = { 0 };
	struct net_slot *slot;

	if (in->type == VMBUS_PACKET_COMPLETION)
		return completion(vsp);
	if (in->type != VMBUS_PACKET_IN_BAND && in->type != VMBUS_PACKET_GPA_DIRECT)
		return refuse(vsp, "net: a packet of a type that is not NVSP's");
	memcpy(&message, in->payload,
		in->payload_length < sizeof(message) ? in->payload_length : sizeof(message));
	operation =
		in->payload_length < HEADER ? NULL : find(vsp, message.type, in->payload_length);
	if (!operation)
		return refuse(vsp, "net: a message that is none, too short, or out of turn");
	slot = net_take_slot(vsp);
	slot->out.transaction_id = in->transaction_id;
	slot->wants_completion = in->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED;
	slot->answer = (struct nvsp_message){ 0 };
	return operation->handle(slot, &message);
}
