// SPDX-License-Identifier: BSD-2-Clause
// The client's connection, its queue, and the door that each message of the host comes through.
#include "vmbus/client.h"

#include <string.h>

#include "base/macros.h"
#include "vmbus/client_internal.h"

// Newest first: as guests ask.
static const uint32_t versions[] = {
	VMBUS_VERSION_5_3,
	VMBUS_VERSION_5_2,
	VMBUS_VERSION_5_1,
	VMBUS_VERSION_5_0,
	VMBUS_VERSION_4_1,
	VMBUS_VERSION_4_0,
	VMBUS_VERSION_3_0,
	VMBUS_VERSION_2_4,
};

void vmbus_client_init(struct vmbus_client *client, const struct vmbus_client_config *config)
{
	memset(client, 0, sizeof(*client));
	client->config = *config;
	memset(config->channels, 0, config->channel_count * sizeof(config->channels[0]));
	memset(config->gpadls, 0, config->gpadl_count * sizeof(config->gpadls[0]));
}

union vmbus_message *vmbus_client_push_long(
	struct vmbus_client *client, enum vmbus_message_type type, uint32_t length)
{
	uint32_t index = (client->post_first + client->posts_queued++) % VMBUS_CLIENT_POSTS;
	struct vmbus_client_post *post = &client->posts[index];

	memset(post, 0, sizeof(*post));
	post->connection_id = client->connection_id;
	post->length = length;
	post->message.header.type = type;
	return &post->message;
}

union vmbus_message *vmbus_client_push(struct vmbus_client *client, enum vmbus_message_type type)
{
	return vmbus_client_push_long(client, type, vmbus_message_info(type)->size);
}

struct vmbus_client_event vmbus_client_violate(struct vmbus_client *client,
	enum vmbus_client_violation reason, const union vmbus_message *message)
{
	client->violations[reason]++;
	return (struct vmbus_client_event){
		.type = VMBUS_CLIENT_EVENT_VIOLATION,
		.reason = reason,
		.message_type = message->header.type,
	};
}

const struct vmbus_client_post *vmbus_client_next_post(struct vmbus_client *client)
{
	if (!client->posts_queued && client->due && vmbus_client_connected(client))
		client->due = vmbus_client_close_unwanted(client) ||
			      vmbus_client_teardown_unwanted(client);
	return client->posts_queued ? &client->posts[client->post_first] : NULL;
}

void vmbus_client_posted(struct vmbus_client *client)
{
	if (!client->posts_queued)
		return;
	client->post_first = (client->post_first + 1) % VMBUS_CLIENT_POSTS;
	client->posts_queued--;
}

// Version 5.0 brought another connection id for contacts, on which the host is told the SINT that
// its messages should come to. Monitor pages are not used here: none is given.
static void push_contact(struct vmbus_client *client, uint32_t version)
{
	struct vmbus_initiate_contact *contact;

	client->version = version;
	client->connection_id = version >= VMBUS_VERSION_5_0 ? VMBUS_CONNECTION_MESSAGE_MULTICLIENT
							     : VMBUS_CONNECTION_MESSAGE;
	contact = &vmbus_client_push(client, VMBUS_MESSAGE_INITIATE_CONTACT)->initiate_contact;
	contact->version = version;
	contact->target_vp = client->message_vp;
	if (version >= VMBUS_VERSION_5_0)
		contact->target_info.sint = VMBUS_SINT;
}

// Asks for the newest version that is not above `limit`; false if there is none.
static bool contact_at_most(struct vmbus_client *client, uint32_t limit)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		if (versions[i] <= limit) {
			push_contact(client, versions[i]);
			return true;
		}
	}
	client->state = VMBUS_CLIENT_DISCONNECTED;
	client->version = 0;
	return false;
}

enum vmbus_client_status vmbus_client_connect(
	struct vmbus_client *client, uint32_t max_version, uint32_t message_vp)
{
	if (client->state != VMBUS_CLIENT_DISCONNECTED)
		return VMBUS_CLIENT_BAD_STATE;
	client->message_vp = message_vp;
	if (!contact_at_most(client, max_version ? max_version : UINT32_MAX))
		return VMBUS_CLIENT_BAD_ARGUMENT;
	client->state = VMBUS_CLIENT_CONTACTING;
	return VMBUS_CLIENT_OK;
}

bool vmbus_client_contact_undeliverable(struct vmbus_client *client)
{
	if (client->state != VMBUS_CLIENT_CONTACTING || !client->posts_queued)
		return false;
	vmbus_client_posted(client);
	return contact_at_most(client, client->version - 1);
}

enum vmbus_client_status vmbus_client_request_offers(struct vmbus_client *client)
{
	if (client->state != VMBUS_CLIENT_CONNECTED)
		return VMBUS_CLIENT_BAD_STATE;
	if (!vmbus_client_room(client))
		return VMBUS_CLIENT_BUSY;
	vmbus_client_push(client, VMBUS_MESSAGE_REQUEST_OFFERS);
	client->state = VMBUS_CLIENT_REQUESTING;
	return VMBUS_CLIENT_OK;
}

enum vmbus_client_status vmbus_client_unload(struct vmbus_client *client)
{
	if (!vmbus_client_connected(client))
		return VMBUS_CLIENT_BAD_STATE;
	if (!vmbus_client_room(client))
		return VMBUS_CLIENT_BUSY;
	vmbus_client_push(client, VMBUS_MESSAGE_UNLOAD);
	client->state = VMBUS_CLIENT_UNLOADING;
	return VMBUS_CLIENT_OK;
}

// A contact that is still in the queue cannot have been answered.
static struct vmbus_client_event handle_version_response(
	struct vmbus_client *client, const union vmbus_message *message)
{
	const struct vmbus_version_response *response = &message->version_response;

	if (client->state != VMBUS_CLIENT_CONTACTING || client->posts_queued)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNEXPECTED_RESPONSE, message);
	if (!response->version_supported) {
		if (contact_at_most(client, client->version - 1))
			return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_REFUSED };
	}
	// The host knows the version and cannot serve: an older one would not help.
	if (response->connection_state != VMBUS_CONNECTION_SUCCESSFUL) {
		client->state = VMBUS_CLIENT_DISCONNECTED;
		client->version = 0;
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_REFUSED };
	}
	// From 5.0 on the answer says where to post from now on; before, the field repeats the
	// version or is nothing.
	if (client->version >= VMBUS_VERSION_5_0)
		client->connection_id = response->message_connection_id;
	client->state = VMBUS_CLIENT_CONNECTED;
	return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_CONNECTED };
}

static struct vmbus_client_event handle_delivered(
	struct vmbus_client *client, const union vmbus_message *message)
{
	if (client->state != VMBUS_CLIENT_REQUESTING)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNEXPECTED_DELIVERED, message);
	client->state = VMBUS_CLIENT_OFFERED;
	return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_DELIVERED };
}

static struct vmbus_client_event handle_unload_complete(
	struct vmbus_client *client, const union vmbus_message *message)
{
	const struct vmbus_client_config config = client->config;

	if (client->state != VMBUS_CLIENT_UNLOADING || client->posts_queued)
		return vmbus_client_violate(
			client, VMBUS_CLIENT_VIOLATION_UNEXPECTED_UNLOADED, message);
	memset(config.channels, 0, config.channel_count * sizeof(config.channels[0]));
	memset(config.gpadls, 0, config.gpadl_count * sizeof(config.gpadls[0]));
	client->state = VMBUS_CLIENT_DISCONNECTED;
	client->version = 0;
	client->due = false;
	return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_DISCONNECTED };
}

typedef struct vmbus_client_event handler(
	struct vmbus_client *client, const union vmbus_message *message);

// What is missing answers messages that this end never sends.
static handler *const handlers[VMBUS_MESSAGE_TYPE_COUNT] = {
	[VMBUS_MESSAGE_OFFER_CHANNEL] = vmbus_client_handle_offer,
	[VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER] = vmbus_client_handle_rescind,
	[VMBUS_MESSAGE_ALL_OFFERS_DELIVERED] = handle_delivered,
	[VMBUS_MESSAGE_OPEN_CHANNEL_RESULT] = vmbus_client_handle_opened,
	[VMBUS_MESSAGE_GPADL_CREATED] = vmbus_client_handle_created,
	[VMBUS_MESSAGE_GPADL_TORNDOWN] = vmbus_client_handle_torndown,
	[VMBUS_MESSAGE_VERSION_RESPONSE] = handle_version_response,
	[VMBUS_MESSAGE_UNLOAD_COMPLETE] = handle_unload_complete,
	[VMBUS_MESSAGE_TL_CONNECT_RESULT] = vmbus_client_handle_connect_result,
	[VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE] = vmbus_client_handle_modified,
};

static const enum vmbus_client_violation check_violations[] = {
	[VMBUS_CHECK_SHORT] = VMBUS_CLIENT_VIOLATION_SHORT_MESSAGE,
	[VMBUS_CHECK_LONG] = VMBUS_CLIENT_VIOLATION_LONG_MESSAGE,
	[VMBUS_CHECK_UNKNOWN] = VMBUS_CLIENT_VIOLATION_UNKNOWN_MESSAGE,
	[VMBUS_CHECK_WRONG_DIRECTION] = VMBUS_CLIENT_VIOLATION_WRONG_DIRECTION,
	[VMBUS_CHECK_NOT_CONNECTED] = VMBUS_CLIENT_VIOLATION_NOT_CONNECTED,
	[VMBUS_CHECK_TOO_NEW] = VMBUS_CLIENT_VIOLATION_TOO_NEW,
};

struct vmbus_client_event vmbus_client_message(
	struct vmbus_client *client, const void *bytes, uint32_t length)
{
	// What is only asked for is not agreed on.
	uint32_t version = client->state >= VMBUS_CLIENT_CONNECTED ? client->version : 0;
	union vmbus_message message;
	enum vmbus_message_check check;
	uint32_t type;

	check = vmbus_message_parse(&message, bytes, length, VMBUS_TO_GUEST, version);
	type = message.header.type;
	if (check != VMBUS_CHECK_GOOD)
		return vmbus_client_violate(client, check_violations[check], &message);
	if (client->state == VMBUS_CLIENT_UNLOADING && type != VMBUS_MESSAGE_UNLOAD_COMPLETE)
		return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
	if (!handlers[type])
		return vmbus_client_violate(client, VMBUS_CLIENT_VIOLATION_UNSUPPORTED, &message);
	return handlers[type](client, &message);
}

const char *vmbus_client_violation_name(enum vmbus_client_violation violation)
{
	static const char *const names[VMBUS_CLIENT_VIOLATION_COUNT] = {
#define X(name, text) [VMBUS_CLIENT_VIOLATION_##name] = text,
		VMBUS_CLIENT_VIOLATIONS(X)
#undef X
	};

	if ((unsigned int)violation >= VMBUS_CLIENT_VIOLATION_COUNT)
		return "unknown";
	return names[violation];
}
