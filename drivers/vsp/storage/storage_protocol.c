// SPDX-License-Identifier: BSD-2-Clause
// The storage VSP: negotiation and dispatch of VSTOR operations. The order is the one that storvsc
// follows: begin, version, properties, (fibre channel names, sub-channels), end.
#include "drivers/vsp/storage/storage_internal.h"

#include <string.h>

#include "base/macros.h"

struct storage_version {
	uint16_t version;
	uint32_t srb_size; // payload of an EXECUTE_SRB packet, at least
};

static const struct storage_version storage_versions[] = {
	{ VSTOR_VERSION_2_0, VSTOR_PACKET_SIZE_V1 },
	{ VSTOR_VERSION_4_2, VSTOR_PACKET_SIZE_V1 },
	{ VSTOR_VERSION_5_1, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_6_0, VSTOR_PACKET_SIZE_V2 },
	{ VSTOR_VERSION_6_2, VSTOR_PACKET_SIZE_V2 },
};

typedef void storage_handler(struct storage_slot *slot, const struct vstor_packet *packet);

static void storage_begin(struct storage_slot *slot, const struct vstor_packet *packet)
{
	slot->vsp->state = STORAGE_QUERY_VERSION;
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

bool storage_set_version(struct storage_vsp *vsp, uint16_t version)
{
	for (size_t i = 0; i < ARRAY_SIZE(storage_versions); i++) {
		if (storage_versions[i].version != version)
			continue;
		vsp->version = version;
		vsp->srb_size = storage_versions[i].srb_size;
		if (version < VSTOR_VERSION_5_1)
			vsp->base.sub_channels_max = 0;
		return true;
	}
	return false;
}

// A version that we do not speak leaves the state as it is: the guest tries its next.
static void storage_query_version(struct storage_slot *slot, const struct vstor_packet *packet)
{
	slot->answer.version.major_minor = packet->version.major_minor;
	if (!storage_set_version(slot->vsp, packet->version.major_minor)) {
		storage_answer_status(slot, VSTOR_STATUS_REVISION_MISMATCH);
		return;
	}
	slot->vsp->state = STORAGE_QUERY_PROPERTIES;
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

static void storage_query_properties(struct storage_slot *slot, const struct vstor_packet *packet)
{
	struct vstor_channel_properties *properties = &slot->answer.properties;

	properties->max_transfer_bytes = slot->vsp->max_transfer_bytes;
	properties->max_channel_count = (uint16_t)slot->vsp->base.sub_channels_max;
	properties->flags =
		properties->max_channel_count ? VSTOR_CHANNEL_SUPPORTS_MULTI_CHANNEL : 0;
	slot->vsp->state = STORAGE_END;
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

static void storage_fchba_data(struct storage_slot *slot, const struct vstor_packet *packet)
{
	if (!slot->vsp->wwn) {
		storage_answer_status(slot, VSTOR_STATUS_INVALID_DEVICE_REQUEST);
		return;
	}
	slot->answer.wwn = *slot->vsp->wwn;
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

// Asked for again, they are those that are there, and more if it is more now.
static void storage_create_sub_channels(
	struct storage_slot *slot, const struct vstor_packet *packet)
{
	storage_answer_status(
		slot, vsp_ask_sub_channels(&slot->vsp->base, packet->sub_channel_count)
			      ? VSTOR_STATUS_SUCCESS
			      : VSTOR_STATUS_INVALID_PARAMETER);
}

static void storage_end(struct storage_slot *slot, const struct vstor_packet *packet)
{
	slot->vsp->state = STORAGE_READY;
	slot->vsp->rescan_due = false; // the guest is about to look anyway
	storage_answer_status(slot, VSTOR_STATUS_SUCCESS);
}

static void storage_reset(struct storage_slot *slot, const struct vstor_packet *packet)
{
	storage_begin_reset(slot);
}

#define IN(state) (1u << (state))

struct storage_operation {
	storage_handler *handler;
	uint32_t states;   // in which it may come
	uint32_t min_size; // of the payload, in bytes
	bool on_subs;	   // it may come on sub-channels, too
};

static const struct storage_operation storage_operations[] = {
	[VSTOR_OPERATION_EXECUTE_SRB] = { storage_execute, IN(STORAGE_READY), VSTOR_PACKET_SIZE_V1,
		true },
	[VSTOR_OPERATION_RESET_LUN] = { storage_reset, IN(STORAGE_READY), VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_RESET_ADAPTER] = { storage_reset, IN(STORAGE_READY), VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_RESET_BUS] = { storage_reset, IN(STORAGE_READY), VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_BEGIN_INITIALIZATION] = { storage_begin, IN(STORAGE_BEGIN),
		VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_END_INITIALIZATION] = { storage_end, IN(STORAGE_END), VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_QUERY_PROTOCOL_VERSION] = { storage_query_version,
		IN(STORAGE_QUERY_VERSION),
		VSTOR_HEADER_SIZE + sizeof(struct vstor_protocol_version) },
	[VSTOR_OPERATION_QUERY_PROPERTIES] = { storage_query_properties,
		IN(STORAGE_QUERY_PROPERTIES), VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_FCHBA_DATA] = { storage_fchba_data, IN(STORAGE_END), VSTOR_HEADER_SIZE },
	[VSTOR_OPERATION_CREATE_SUB_CHANNELS] = { storage_create_sub_channels,
		IN(STORAGE_END) | IN(STORAGE_READY), VSTOR_HEADER_SIZE + sizeof(uint16_t) },
};

static const struct storage_operation *storage_operation_of(const struct vstor_packet *packet)
{
	if (packet->operation >= ARRAY_SIZE(storage_operations) ||
		!storage_operations[packet->operation].handler)
		return NULL;
	return &storage_operations[packet->operation];
}

// What is not for sub-channels is out of turn there, always.
static bool storage_may_come(struct storage_vsp *vsp, const struct storage_operation *operation)
{
	return (!vsp->base.primary || operation->on_subs) &&
	       operation->states & IN(storage_controller(vsp)->state);
}

static void storage_refuse(struct storage_slot *slot, enum vstor_status status)
{
	slot->vsp->base.counters.malformed++;
	storage_answer_status(slot, status);
}

// A packet that cannot be answered for what it is ends the channel; one that is wrong in itself is
// answered with why.
void storage_handle(struct storage_slot *slot)
{
	struct storage_vsp *vsp = slot->vsp;
	const struct vmbus_packet *in = &vsp->base.packet;
	const struct storage_operation *operation;
	struct vstor_packet packet = { 0 };

	if (in->type != VMBUS_PACKET_IN_BAND && in->type != VMBUS_PACKET_GPA_DIRECT) {
		vsp->base.counters.malformed++;
		vsp_fail(&vsp->base, "storage: a packet that is neither in-band nor GPA-direct");
	} else if (in->payload_length < VSTOR_HEADER_SIZE) {
		vsp->base.counters.malformed++;
		vsp_fail(&vsp->base, "storage: a packet too short for its header");
	}
	if (vsp->base.failure) {
		storage_answer(slot);
		return;
	}
	memcpy(&packet, in->payload,
		in->payload_length < sizeof(packet) ? in->payload_length : sizeof(packet));
	operation = storage_operation_of(&packet);
	if (!operation)
		storage_refuse(slot, VSTOR_STATUS_INVALID_DEVICE_REQUEST);
	else if (!storage_may_come(vsp, operation))
		storage_refuse(slot, VSTOR_STATUS_INVALID_DEVICE_STATE);
	else if (in->payload_length < operation->min_size)
		storage_refuse(slot, VSTOR_STATUS_INVALID_PARAMETER);
	else
		operation->handler(slot, &packet);
}
