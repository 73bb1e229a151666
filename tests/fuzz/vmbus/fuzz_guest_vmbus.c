// SPDX-License-Identifier: BSD-2-Clause
// The guest SDK's VMBus and a hostile host: the input says what the driver calls, how the host
// answers each of its messages, which events it sets, and what it writes into the rings. Every call
// ends, with a status that its header names, and memory and interrupts are in order (guest_rig.h).
#include <stdlib.h>
#include <string.h>

#include "guest_rig.h"
#include "guest-sdk/vmbus_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

#define HELD 3u

static const uint8_t *input_at, *input_end;
static struct lumen_vmbus *bus;
static struct lumen_channel *held[HELD];
static uint32_t gpadls[HELD];
static void *gpadl_pages[HELD];

static void require(int condition)
{
	if (!condition)
		abort();
}

// The next byte of the input; zeroes at its end.
static uint8_t take(void)
{
	return input_at < input_end ? *input_at++ : 0;
}

// --- the host ---

// The answer that the last post asks for.
static void honest_answer(struct guest_rig *rig, union vmbus_message *answer)
{
	const union vmbus_message *post = &rig->last_post;

	switch (post->header.type) {
	case VMBUS_MESSAGE_INITIATE_CONTACT:
		answer->header.type = VMBUS_MESSAGE_VERSION_RESPONSE;
		answer->version_response.version_supported = 1;
		answer->version_response.message_connection_id = 1;
		break;
	case VMBUS_MESSAGE_REQUEST_OFFERS:
		answer->header.type = VMBUS_MESSAGE_OFFER_CHANNEL;
		answer->offer_channel.relid = 1 + take() % 4;
		answer->offer_channel.sub_channel_index = take() % 2;
		answer->offer_channel.is_dedicated_interrupt = 1;
		answer->offer_channel.connection_id = take();
		break;
	case VMBUS_MESSAGE_GPADL_HEADER:
	case VMBUS_MESSAGE_GPADL_BODY:
		answer->header.type = VMBUS_MESSAGE_GPADL_CREATED;
		answer->gpadl_created.relid = 1 + take() % 4;
		answer->gpadl_created.gpadl = post->header.type == VMBUS_MESSAGE_GPADL_HEADER
						      ? post->gpadl_header.gpadl
						      : post->gpadl_body.gpadl;
		break;
	case VMBUS_MESSAGE_OPEN_CHANNEL:
		answer->header.type = VMBUS_MESSAGE_OPEN_CHANNEL_RESULT;
		answer->open_channel_result.relid = post->open_channel.relid;
		answer->open_channel_result.open_id = post->open_channel.open_id;
		break;
	case VMBUS_MESSAGE_GPADL_TEARDOWN:
		answer->header.type = VMBUS_MESSAGE_GPADL_TORNDOWN;
		answer->gpadl_torndown.gpadl = post->gpadl_teardown.gpadl;
		break;
	case VMBUS_MESSAGE_MODIFY_CHANNEL:
		answer->header.type = VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE;
		answer->modify_channel_response.relid = post->modify_channel.relid;
		break;
	case VMBUS_MESSAGE_TL_CONNECT_REQUEST:
		answer->header.type =
			take() & 1 ? VMBUS_MESSAGE_TL_CONNECT_RESULT : VMBUS_MESSAGE_OFFER_CHANNEL;
		if (answer->header.type == VMBUS_MESSAGE_TL_CONNECT_RESULT) {
			answer->tl_connect_result.endpoint_id =
				post->tl_connect_request.endpoint_id;
			answer->tl_connect_result.service_id = post->tl_connect_request.service_id;
			answer->tl_connect_result.status = VMBUS_STATUS_CONNECTION_REFUSED;
			break;
		}
		answer->offer_channel.interface_instance = post->tl_connect_request.endpoint_id;
		answer->offer_channel.interface_type = post->tl_connect_request.service_id;
		answer->offer_channel.flags = VMBUS_OFFER_TLNPI_PROVIDER;
		answer->offer_channel.relid = 1 + take() % 4;
		answer->offer_channel.is_dedicated_interrupt = 1;
		answer->offer_channel.user_defined[4] = take() & 1;
		break;
	case VMBUS_MESSAGE_UNLOAD:
		answer->header.type = VMBUS_MESSAGE_UNLOAD_COMPLETE;
		break;
	}
}

static void say(struct guest_rig *rig, uint8_t how)
{
	union vmbus_message message = { 0 };
	uint32_t changes = how & 8 ? take() % 4 : 0;

	honest_answer(rig, &message);
	if (how & 16)
		message.header.type = take() % (VMBUS_MESSAGE_TYPE_COUNT + 2);
	while (changes--)
		message.bytes[8 + take() % 200] = take();
	guest_rig_say(rig, &message, how & 32 ? take() : 240);
}

// Writes into the control page of one of the rings of a channel, or into their data.
static void scribble(uint8_t how)
{
	struct lumen_channel *channel = held[how % HELD];
	uint8_t *bytes;
	uint32_t word;

	if (!channel || !channel->live)
		return;
	bytes = (uint8_t *)channel->memory + (take() % channel->pages) * LUMEN_PAGE_SIZE;
	word = (take() & 7) * (how & 64 ? 8u : 1u) % 1024;
	if (how & 128)
		word = take() % 4;
	((uint32_t *)(void *)bytes)[word] = take() | (uint32_t)(take() & 31) << 8;
}

// One thing that the host does while the guest waits.
static bool host_acts(void *context, struct guest_rig *rig)
{
	uint8_t how;

	if (input_at == input_end)
		return false;
	how = take();
	switch (how & 7) {
	case 0:
		return false; // nothing: the time runs out
	case 1:
		guest_rig_event(rig, 0, take());
		return true;
	case 2:
		scribble(how);
		return true;
	case 3:
		rig->last_post.header.type = VMBUS_MESSAGE_REQUEST_OFFERS; // another offer
		say(rig, how);
		return true;
	case 4: {
		union vmbus_message message = { .rescind_channel_offer = {
							.header.type =
								VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER,
							.relid = 1 + take() % 4,
						} };

		guest_rig_say(rig, &message, 12);
		return true;
	}
	case 5: {
		union vmbus_message message = { .header.type = VMBUS_MESSAGE_ALL_OFFERS_DELIVERED };

		guest_rig_say(rig, &message, 8);
		return true;
	}
	default:
		say(rig, how);
		return true;
	}
}

// --- the driver ---

static void drain(struct lumen_channel *channel)
{
	_Alignas(8) uint8_t buffer[512];
	struct vmbus_packet packet;
	uint32_t i, turns = 0;

	do {
		for (i = 0; i < 20; i++) {
			if (lumen_channel_receive(channel, buffer, sizeof(buffer), &packet))
				break;
			require(packet.payload >= buffer &&
				packet.payload + packet.payload_length <= buffer + sizeof(buffer));
			require(packet.range_count <= 512);
		}
	} while (lumen_channel_unmask(channel) && ++turns < 4);
}

static void handler(void *context, struct lumen_channel *channel)
{
	require(channel->live);
	drain(channel);
}

static void open_channel(struct lumen_channel *channel, uint8_t how)
{
	const struct lumen_channel_config config = {
		.send_pages = 1 + how % 2,
		.receive_pages = 1 + how / 2 % 2,
		.handler = handler,
	};
	lumen_status status = lumen_channel_open(channel, &config);

	require(status == LUMEN_OK || (status >= LUMEN_NO_MEMORY && status <= LUMEN_BUSY));
	require(!status == !!channel->live || status == LUMEN_BAD_STATE ||
		status == LUMEN_RESCINDED);
}

static void send(struct lumen_channel *channel, uint8_t how)
{
	static const uint8_t bytes[5000];
	const struct vmbus_piece piece = { bytes, how * 16u };
	const struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_IN_BAND,
		.payload = &piece,
		.payload_count = 1,
	};

	lumen_channel_send(channel, &out);
}

static void share(struct lumen_channel *channel, uint32_t slot)
{
	lumen_status status;

	if (gpadls[slot])
		return;
	gpadl_pages[slot] = lumen_alloc_pages(30);
	status = lumen_gpadl_create(channel, gpadl_pages[slot], 30, &gpadls[slot]);
	if (status && !gpadls[slot])
		lumen_free_pages(gpadl_pages[slot], 30);
}

static void unshare(struct lumen_channel *channel, uint32_t slot)
{
	if (gpadls[slot] && !lumen_gpadl_destroy(channel, gpadls[slot]))
		lumen_free_pages(gpadl_pages[slot], 30);
	gpadls[slot] = 0;
}

static void release(uint32_t slot)
{
	struct lumen_channel *channel = held[slot];
	uint32_t i;

	if (!lumen_channel_release(channel)) {
		for (i = 0; i < HELD; i++) // two may hold the same
			held[i] = held[i] == channel ? NULL : held[i];
	}
}

// A socket's channel, by either end's wish, in a place that is free; or it is given back.
static void socket_acts(uint32_t slot, uint8_t how)
{
	static const struct vmbus_guid service = { .data1 = 7 };
	struct vmbus_guid guest = { .data1 = how };
	struct lumen_channel *channel = held[slot];

	if (channel && how & 128 && !channel->live) {
		for (uint32_t i = 0; i < HELD; i++)
			held[i] = held[i] == channel ? NULL : held[i];
		lumen_channel_give_back(channel);
	} else if (!channel && how & 64) {
		held[slot] = lumen_vmbus_accept_socket(bus, &service);
	} else if (!channel) {
		require(lumen_vmbus_connect_socket(bus, &service, &guest, &held[slot]) !=
				LUMEN_OK ||
			held[slot]->held);
	}
}

static void driver_acts(struct guest_rig *rig)
{
	uint8_t what = take(), how = take();
	uint32_t slot = how % HELD;
	struct lumen_channel *channel;

	if (what & 128)
		host_acts(NULL, rig);
	channel = held[slot];
	if (what % 11 == 0)
		held[slot] = lumen_vmbus_find(bus, NULL, how / HELD % 3);
	if (what % 11 == 10)
		socket_acts(slot, how);
	if (!channel)
		return;
	switch (what % 11) {
	case 1:
		open_channel(channel, how);
		break;
	case 2:
		lumen_channel_close(channel);
		break;
	case 3:
		release(slot);
		break;
	case 4:
		send(channel, how);
		break;
	case 5:
		drain(channel);
		break;
	case 6:
		share(channel, slot);
		break;
	case 7:
		unshare(channel, slot);
		break;
	case 8:
		lumen_channel_set_vp(channel, 0);
		break;
	case 9:
		held[(slot + 1) % HELD] = lumen_channel_sub(channel, 1);
		break;
	}
}

static void work(struct guest_rig *rig)
{
	uint32_t i;

	held[0] = lumen_vmbus_find(bus, NULL, 0);
	while (input_at < input_end)
		driver_acts(rig);
	for (i = 0; i < bus->channel_count; i++) {
		if (bus->channels[i].live)
			lumen_channel_close(&bus->channels[i]);
	}
	lumen_vmbus_disconnect(bus);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);

	rig->swallow = true;
	rig->on_wait = host_acts;
	memset(held, 0, sizeof(held));
	memset(gpadls, 0, sizeof(gpadls));
	input_at = input;
	input_end = input + size;
	bus = NULL;
	if (!guest_rig_connect(rig, take() & 1 ? GUEST_RIG_VECTOR : 0, &bus))
		work(rig);
	require(!rig->irq_depth);
	require(!rig->synics[0].sints[VMBUS_SINT]);
	guest_rig_destroy(rig);
	return 0;
}
