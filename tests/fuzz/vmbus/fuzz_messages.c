// SPDX-License-Identifier: BSD-2-Clause
// The whole control plane: the input says what the guest sends and in which order the embedder does
// its part. Whatever it says, the queues hold, and after a reset nothing is left of the guest.
#include <stdlib.h>
#include <string.h>

#include "tests/unit/vmbus/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

// What the embedder has been told and has not completed, and the GPADL that it holds.
static uint32_t to_open, to_close; // bits by relid
static struct vmbus_gpadl *held;

// One of two is refused.
static void answer_socket(struct rig *rig, const struct vmbus_socket_request *request)
{
	const struct vmbus_offer offer = { .interface_type = request->service,
		.interface_instance = request->guest,
		.flags = VMBUS_OFFER_TLNPI_PROVIDER };
	const bool refused = request->id & 1;

	require(vmbus_server_answer_socket(&rig->server, request->id, refused));
	if (!refused)
		vmbus_server_offer(&rig->server, &offer);
}

static void take_actions(struct rig *rig)
{
	struct vmbus_action action;
	void *pages[RIG_PAGES];

	while (vmbus_server_next_action(&rig->server, &action)) {
		require(action.relid <= RIG_CHANNELS || action.type == VMBUS_ACTION_VIOLATION);
		switch (action.type) {
		case VMBUS_ACTION_OPEN:
			require(!((to_open | to_close) >> action.relid & 1));
			require(action.open.downstream_page >= 2);
			require(action.open.ring_pages >= action.open.downstream_page + 2);
			if (action.open.ring_pages <= RIG_PAGES)
				require(vmbus_gpadl_map(action.open.ring,
					&rig->server.config.memory, pages, action.open.ring_pages));
			to_open |= 1u << action.relid;
			break;
		case VMBUS_ACTION_CLOSE:
			require(!((to_open | to_close) >> action.relid & 1));
			to_close |= 1u << action.relid;
			break;
		case VMBUS_ACTION_FREED:
			require(!((to_open | to_close) >> action.relid & 1));
			break;
		case VMBUS_ACTION_SOCKET:
			answer_socket(rig, &action.socket);
			break;
		case VMBUS_ACTION_DISCONNECTED:
			require(!to_open && !to_close && !held);
			break;
		default:
			break;
		}
	}
}

static void complete(struct rig *rig, uint32_t relid, bool success)
{
	if (to_open >> relid & 1) {
		to_open &= ~(1u << relid);
		vmbus_server_open_complete(&rig->server, relid, success);
	} else if (to_close >> relid & 1) {
		to_close &= ~(1u << relid);
		vmbus_server_close_complete(&rig->server, relid);
	}
}

static void take_posts(struct rig *rig)
{
	const struct vmbus_post *post;
	union vmbus_message message;

	while ((post = vmbus_server_next_post(&rig->server))) {
		require(vmbus_message_parse(&message, post->bytes, post->length, VMBUS_TO_GUEST,
				~0u) == VMBUS_CHECK_GOOD);
		require(post->vp < RIG_VPS && post->sint < 16);
		vmbus_server_posted(&rig->server);
	}
}

static void release(struct rig *rig)
{
	struct vmbus_gpadl *gpadl = held;

	held = NULL;
	if (gpadl)
		vmbus_server_gpadl_release(&rig->server, gpadl);
}

// Well-formed messages of a guest that means it, which bytes by chance would hardly make.
static void say_contact(struct rig *rig, uint32_t relid)
{
	union vmbus_message message = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = relid & 1 ? VMBUS_VERSION_4_1
								     : VMBUS_VERSION_5_3,
						.target_info.sint = VMBUS_SINT,
					} };

	rig_say_whole(rig, &message);
	message.header.type = VMBUS_MESSAGE_REQUEST_OFFERS;
	if (relid & 2)
		rig_say(rig, &message, 8);
}

static void say_gpadl(struct rig *rig, uint32_t relid)
{
	union vmbus_message message;
	uint32_t length = rig_gpadl_header(&message, relid, relid, relid & 1 ? 8 : 30, 0);

	rig_say(rig, &message, length);
}

static void say_open(struct rig *rig, uint32_t relid)
{
	union vmbus_message message = { .open_channel = {
						.header.type = VMBUS_MESSAGE_OPEN_CHANNEL,
						.relid = relid,
						.ring_gpadl = relid,
						.downstream_page_offset = 4,
					} };

	rig_say_whole(rig, &message);
}

// CLOSE, RELEASED, TEARDOWN: whatever names a relid, and a GPADL of the same number.
static void say_relid(struct rig *rig, uint32_t relid, uint32_t type)
{
	union vmbus_message message = {
		.gpadl_teardown = { .header.type = type, .relid = relid, .gpadl = relid }
	};

	rig_say(rig, &message, 16);
}

static void say_socket(struct rig *rig, uint32_t relid)
{
	union vmbus_message message = { .tl_connect_request = {
						.header.type = VMBUS_MESSAGE_TL_CONNECT_REQUEST,
						.endpoint_id.data1 = relid,
					} };

	rig_say_whole(rig, &message);
}

// One step of the embedder, or one message: its type and length are one byte each, then its bytes.
static size_t step(struct rig *rig, const uint8_t *data, size_t size)
{
	static const struct vmbus_offer offer;
	union vmbus_message message = { 0 };
	uint32_t relid = data[0] >> 5, length;

	switch (data[0] & 31) {
	case 0:
		vmbus_server_offer(&rig->server, &offer);
		return 1;
	case 1:
		vmbus_server_rescind(&rig->server, relid);
		return 1;
	case 2:
		complete(rig, relid, true);
		return 1;
	case 3:
		complete(rig, relid, false);
		return 1;
	case 4:
		take_posts(rig);
		return 1;
	case 5:
		vmbus_server_reset(&rig->server);
		return 1;
	case 6:
		if (!held)
			held = vmbus_server_gpadl_hold(&rig->server, relid, relid);
		return 1;
	case 7:
		release(rig);
		return 1;
	case 8:
		rig->words_max = rig->words_max ? 0 : 10000;
		return 1;
	case 9:
		say_contact(rig, relid);
		return 1;
	case 10:
		say_gpadl(rig, relid);
		return 1;
	case 11:
		say_open(rig, relid);
		return 1;
	case 12:
		say_relid(rig, relid, VMBUS_MESSAGE_CLOSE_CHANNEL);
		return 1;
	case 13:
		say_relid(rig, relid, VMBUS_MESSAGE_GPADL_TEARDOWN);
		return 1;
	case 14:
		say_relid(rig, relid, VMBUS_MESSAGE_RELID_RELEASED);
		return 1;
	case 15:
		say_socket(rig, relid);
		return 1;
	}
	if (size < 3)
		return size;
	length = data[2];
	message.header.type = data[1];
	if (length > size - 3)
		length = (uint32_t)(size - 3);
	if (length > VMBUS_MESSAGE_MAX - 8)
		length = VMBUS_MESSAGE_MAX - 8;
	memcpy(message.bytes + 8, data + 3, length);
	vmbus_server_message(&rig->server, data[0] & 4 ? 4 : 1, &message, 8 + length);
	return 3 + length;
}

static void check_end(struct rig *rig)
{
	uint32_t relid;

	vmbus_server_reset(&rig->server);
	take_actions(rig);
	release(rig);
	while (to_open | to_close) {
		for (relid = 1; relid <= RIG_CHANNELS; relid++)
			complete(rig, relid, true);
		take_actions(rig);
	}
	take_actions(rig);
	require(vmbus_server_idle(&rig->server));
	require(rig->words_out == 0);
	for (relid = 1; relid <= RIG_CHANNELS; relid++) {
		vmbus_server_rescind(&rig->server, relid);
		require(rig->channels[relid - 1].state == VMBUS_CHANNEL_FREE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig *rig = rig_new();
	size_t used;

	to_open = to_close = 0;
	held = NULL;
	for (; size; data += used, size -= used) {
		used = step(rig, data, size);
		take_actions(rig);
		require(!rig->server.dead);
	}
	check_end(rig);
	return 0;
}
