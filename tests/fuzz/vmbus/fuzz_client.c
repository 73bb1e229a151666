// SPDX-License-Identifier: BSD-2-Clause
// The client and a hostile host: the input says what the host sends and what the embedder asks for
// in between. Whatever it says, the client says only what the protocol allows it, takes back only
// what it has asked for, and its queue holds.
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "vmbus/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHANNELS 3u
#define GPADLS	 4u
#define IDS	 64u // GPADL ids that are watched
#define SOCKETS	 2u

static struct vmbus_client client;
static struct vmbus_client_channel channels[CHANNELS];
static struct vmbus_client_gpadl gpadls[GPADLS];
static struct vmbus_client_socket sockets[SOCKETS];
static bool asked[SOCKETS]; // a socket is the machine's

// What the host was told, and what the embedder may believe.
static bool opened[VMBUS_RELID_MAX + 1];    // OPEN_CHANNEL, without CLOSE_CHANNEL
static bool rescinded[VMBUS_RELID_MAX + 1]; // heard, and not released
static uint32_t told_pages[IDS];	    // of a GPADL
static bool told_teardown[IDS];
static bool unloaded;
// A host that answers what it has not been told yet makes the first two of these mean nothing.
static bool confused;

static void require(int condition)
{
	if (!condition)
		abort();
}

static void forget_all(void)
{
	memset(opened, 0, sizeof(opened));
	memset(rescinded, 0, sizeof(rescinded));
	memset(told_pages, 0, sizeof(told_pages));
	memset(told_teardown, 0, sizeof(told_teardown));
	unloaded = confused = false;
}

static void check_gpadl_pages(uint32_t id, uint32_t length, uint32_t header)
{
	require(length > header && (length - header) % 8 == 0);
	if (id < IDS)
		told_pages[id] += (length - header) / 8;
}

// Looks at a message for the host as the host should see it.
static void check_post(const struct vmbus_client_post *post)
{
	const union vmbus_message *message = &post->message;
	union vmbus_message copy;

	require(!unloaded);
	require(post->length <= VMBUS_MESSAGE_MAX);
	require(vmbus_message_parse(&copy, message, post->length, VMBUS_TO_HOST, client.version) ==
		VMBUS_CHECK_GOOD);
	switch (message->header.type) {
	case VMBUS_MESSAGE_INITIATE_CONTACT:
		require(client.state == VMBUS_CLIENT_CONTACTING);
		require(post->connection_id ==
			(message->initiate_contact.version >= VMBUS_VERSION_5_0 ? 4u : 1u));
		break;
	case VMBUS_MESSAGE_OPEN_CHANNEL:
		require(confused || !opened[message->open_channel.relid]);
		opened[message->open_channel.relid] = true;
		break;
	case VMBUS_MESSAGE_CLOSE_CHANNEL:
		require(confused || opened[message->close_channel.relid]);
		opened[message->close_channel.relid] = false;
		break;
	case VMBUS_MESSAGE_RELID_RELEASED:
		require(confused || rescinded[message->relid_released.relid]);
		rescinded[message->relid_released.relid] = false;
		opened[message->relid_released.relid] = false;
		break;
	case VMBUS_MESSAGE_GPADL_HEADER:
		check_gpadl_pages(message->gpadl_header.gpadl, post->length, 28);
		break;
	case VMBUS_MESSAGE_GPADL_BODY:
		check_gpadl_pages(message->gpadl_body.gpadl, post->length, 16);
		break;
	case VMBUS_MESSAGE_GPADL_TEARDOWN:
		if (message->gpadl_teardown.gpadl >= IDS)
			break;
		require(!told_teardown[message->gpadl_teardown.gpadl]);
		told_teardown[message->gpadl_teardown.gpadl] = true;
		break;
	case VMBUS_MESSAGE_UNLOAD:
		unloaded = true;
		break;
	}
}

static void post_one(void)
{
	const struct vmbus_client_post *post = vmbus_client_next_post(&client);

	if (!post)
		return;
	check_post(post);
	vmbus_client_posted(&client);
}

static void check_state(void)
{
	uint32_t i, j;

	require(client.posts_queued <= VMBUS_CLIENT_POSTS);
	for (i = 0; i < CHANNELS; i++) {
		const struct vmbus_client_channel *channel = &channels[i];

		if (channel->state == VMBUS_CLIENT_CHANNEL_FREE)
			continue;
		require(client.state >= VMBUS_CLIENT_REQUESTING);
		require(channel->offer.relid && channel->offer.relid <= VMBUS_RELID_MAX);
		require(channel->offer.is_dedicated_interrupt);
		require(channel->state != VMBUS_CLIENT_CHANNEL_UNWANTED || client.due);
		require(!channel->rescinded || channel->state == VMBUS_CLIENT_CHANNEL_CLOSED ||
			channel->state == VMBUS_CLIENT_CHANNEL_OPEN);
		for (j = 0; j < i; j++)
			require(channels[j].state == VMBUS_CLIENT_CHANNEL_FREE ||
				channels[j].offer.relid != channel->offer.relid);
	}
	for (i = 0; i < GPADLS; i++) {
		const struct vmbus_client_gpadl *gpadl = &gpadls[i];

		if (gpadl->state == VMBUS_CLIENT_GPADL_FREE)
			continue;
		require(gpadl->id && gpadl->pages_given <= gpadl->page_count);
		require(gpadl->state != VMBUS_CLIENT_GPADL_UNWANTED || client.due);
		require((gpadl->state != VMBUS_CLIENT_GPADL_CREATED &&
				gpadl->state != VMBUS_CLIENT_GPADL_CREATING) ||
			gpadl->pages_given == gpadl->page_count);
		for (j = 0; j < i; j++)
			require(gpadls[j].state == VMBUS_CLIENT_GPADL_FREE ||
				gpadls[j].id != gpadl->id);
	}
}

static void check_event(const struct vmbus_client_event *event)
{
	switch (event->type) {
	case VMBUS_CLIENT_EVENT_RESCINDED:
		rescinded[event->channel->offer.relid] = true;
		break;
	case VMBUS_CLIENT_EVENT_OPENED:
		require((event->status == 0) ==
			(event->channel->state == VMBUS_CLIENT_CHANNEL_OPEN));
		if (event->status)
			opened[event->channel->offer.relid] = false;
		break;
	case VMBUS_CLIENT_EVENT_DISCONNECTED:
		require(unloaded);
		forget_all();
		break;
	case VMBUS_CLIENT_EVENT_VIOLATION:
		require(vmbus_client_violation_name(event->reason)[0]);
		break;
	default:
		break;
	}
}

// The host's words, and what follows from refusals that the embedder is not told of.
static void hear(const union vmbus_message *message, uint32_t length)
{
	const struct vmbus_open_channel_result *result = &message->open_channel_result;
	struct vmbus_client_channel *channel;
	struct vmbus_client_event event;
	bool abandoned = false;

	confused |= client.posts_queued || client.due;
	channel = vmbus_client_find_channel(&client, result->relid);
	if (length >= sizeof(*result) && channel)
		abandoned = channel->state == VMBUS_CLIENT_CHANNEL_ABANDONED;
	event = vmbus_client_message(&client, message, length);
	check_event(&event);
	if (abandoned && channel->state == VMBUS_CLIENT_CHANNEL_CLOSED && !channel->rescinded)
		opened[channel->offer.relid] = false;
}

// A message that is likely to mean something: about what is there.
static void hear_apt(uint8_t type, uint8_t choice)
{
	struct vmbus_client_channel *channel = &channels[choice % CHANNELS];
	struct vmbus_client_gpadl *gpadl = &gpadls[choice % GPADLS];
	uint32_t status = choice >> 6, length = 240;
	union vmbus_message message = { .header.type = type % VMBUS_MESSAGE_TYPE_COUNT };

	switch (message.header.type) {
	case VMBUS_MESSAGE_OFFER_CHANNEL:
		message.offer_channel.relid = choice % 8;
		message.offer_channel.is_dedicated_interrupt = choice < 240;
		message.offer_channel.interface_instance = sockets[choice / 8 % SOCKETS].guest;
		message.offer_channel.flags = choice & 16 ? VMBUS_OFFER_TLNPI_PROVIDER : 0;
		message.offer_channel.user_defined[4] = choice >> 5 & 1;
		break;
	case VMBUS_MESSAGE_TL_CONNECT_RESULT:
		message.tl_connect_result.endpoint_id = sockets[choice % SOCKETS].guest;
		message.tl_connect_result.status = status;
		break;
	case VMBUS_MESSAGE_OPEN_CHANNEL_RESULT:
		message.open_channel_result.relid = channel->offer.relid;
		message.open_channel_result.open_id = channel->open_id;
		message.open_channel_result.status = status;
		break;
	case VMBUS_MESSAGE_GPADL_CREATED:
		message.gpadl_created.relid = gpadl->relid;
		message.gpadl_created.gpadl = gpadl->id;
		message.gpadl_created.status = status;
		break;
	case VMBUS_MESSAGE_GPADL_TORNDOWN:
		message.gpadl_torndown.gpadl = gpadl->id;
		break;
	case VMBUS_MESSAGE_VERSION_RESPONSE:
		message.version_response.version_supported = choice & 1;
		message.version_response.connection_state = choice >> 7;
		message.version_response.message_connection_id = choice;
		break;
	default: // RESCIND, MODIFY_CHANNEL_RESPONSE: a relid and a status
		message.modify_channel_response.relid = channel->offer.relid;
		message.modify_channel_response.status = status;
		break;
	}
	hear(&message, length);
}

static void ask_open(struct vmbus_client_channel *channel, uint8_t choice)
{
	const struct vmbus_client_open open = {
		.gpadl = gpadls[choice % GPADLS].id,
		.target_vp = choice,
	};

	vmbus_client_open(&client, channel, &open);
}

static void give(uint32_t id, uint8_t choice)
{
	static const uint64_t pfns[40];

	require(vmbus_client_gpadl_give(&client, id, pfns, choice % 40) <= 28);
}

// A contact that cannot be posted; if no version is left, nothing is told.
static void undeliverable(void)
{
	const struct vmbus_client_post *post = vmbus_client_next_post(&client);

	if (post && post->message.header.type == VMBUS_MESSAGE_INITIATE_CONTACT)
		vmbus_client_contact_undeliverable(&client);
}

// A refusal, or an offer that nobody else has, answers what was asked for.
static void ask_socket(uint32_t number, bool ask)
{
	struct vmbus_client_socket *socket = &sockets[number % SOCKETS];
	bool *is_asked = &asked[number % SOCKETS];
	struct vmbus_client_channel *channel;

	if (ask && !*is_asked) {
		*is_asked = vmbus_client_connect_socket(&client, socket) == VMBUS_CLIENT_OK;
		return;
	}
	channel = vmbus_client_take_socket(&client, &socket->service, ask ? socket : NULL);
	require(!channel || (channel->taken && !channel->rescinded &&
				    channel->state == VMBUS_CLIENT_CHANNEL_CLOSED));
	if (*is_asked && (number & 8 || socket->refused || (channel && ask))) {
		vmbus_client_forget_socket(&client, socket);
		*is_asked = false;
	}
}

static void ask(uint8_t what, uint8_t choice)
{
	struct vmbus_client_channel *channel = &channels[choice % CHANNELS];
	uint32_t id = gpadls[choice % GPADLS].id;

	switch (what % 13) {
	case 0:
		vmbus_client_connect(&client, choice & 1 ? VMBUS_VERSION_5_2 : 0, choice);
		break;
	case 1:
		vmbus_client_request_offers(&client);
		break;
	case 2:
		vmbus_client_unload(&client);
		break;
	case 3:
		ask_open(channel, choice);
		break;
	case 4:
		vmbus_client_close(&client, channel);
		break;
	case 5:
		vmbus_client_modify(&client, channel, choice);
		break;
	case 6:
		vmbus_client_release(&client, channel);
		break;
	case 7:
		vmbus_client_gpadl_begin(&client, channel, choice % 64, &id);
		break;
	case 8:
		give(id, choice);
		break;
	case 9:
		vmbus_client_gpadl_teardown(&client, id);
		break;
	case 10:
		undeliverable();
		break;
	case 12:
		ask_socket(choice, choice & 4);
		break;
	default:
		post_one();
		break;
	}
}

// Two bytes and a request or an apt message, or a message: its type and length, then its bytes.
static size_t step(const uint8_t *data, size_t size)
{
	union vmbus_message message = { 0 };
	uint32_t length;

	if (size < 3)
		return size;
	if (data[0] < 100) {
		ask(data[0], data[1]);
		return 2;
	}
	if (data[0] < 200) {
		hear_apt(data[0], data[1]);
		return 2;
	}
	if (data[0] < 230) {
		while (vmbus_client_next_post(&client))
			post_one();
		return 1;
	}
	length = data[2] < size - 3 ? data[2] : (uint32_t)(size - 3);
	if (length > VMBUS_MESSAGE_MAX - 8)
		length = VMBUS_MESSAGE_MAX - 8;
	message.header.type = data[1];
	memcpy(message.bytes + 8, data + 3, length);
	hear(&message, data[0] == 255 ? length : 8 + length);
	return 3 + length;
}

// What bytes by chance would hardly do: an honest beginning, up to a stage that the input chooses.
static void begin(uint8_t stage)
{
	static const uint8_t asked[] = { 0, 1, 7, 8, 3 };
	static const uint8_t heard[] = { VMBUS_MESSAGE_VERSION_RESPONSE,
		VMBUS_MESSAGE_OFFER_CHANNEL, 0, VMBUS_MESSAGE_GPADL_CREATED,
		VMBUS_MESSAGE_OPEN_CHANNEL_RESULT };
	static const uint8_t choices[] = { 0, 0, 3, 36, 0 };
	uint32_t i;

	for (i = 0; i < stage % 6u; i++) {
		// The first channel, and the first GPADL, of three pages.
		ask(asked[i], choices[i]);
		while (vmbus_client_next_post(&client))
			post_one();
		if (heard[i])
			hear_apt(heard[i], i < 2);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vmbus_client_config config = { channels, CHANNELS, gpadls, GPADLS };
	size_t used;

	forget_all();
	vmbus_client_init(&client, &config);
	if (size)
		begin(*data);
	for (; size; data += used, size -= used) {
		used = step(data, size);
		check_state();
	}
	return 0;
}
