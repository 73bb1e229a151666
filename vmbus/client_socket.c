// SPDX-License-Identifier: BSD-2-Clause
// Sockets: connections that the guest asks for, and those that the host wants. Each is a channel
// like others, and its offer says which of the two it is.
#include <string.h>

#include "vmbus/client_internal.h"

static bool same(const struct vmbus_guid *one, const struct vmbus_guid *other)
{
	return !memcmp(one, other, sizeof(*one));
}

// The host may be late: what nobody waits for any more says nothing.
struct vmbus_client_event vmbus_client_handle_connect_result(
	struct vmbus_client *client, const union vmbus_message *message)
{
	const struct vmbus_tl_connect_result *result = &message->tl_connect_result;
	struct vmbus_client_socket *socket;

	for (socket = client->sockets; socket; socket = socket->next) {
		if (same(&socket->guest, &result->endpoint_id) &&
			same(&socket->service, &result->service_id))
			socket->refused |= result->status != VMBUS_STATUS_SUCCESS;
	}
	return (struct vmbus_client_event){ .type = VMBUS_CLIENT_EVENT_NOTHING };
}

enum vmbus_client_status vmbus_client_connect_socket(
	struct vmbus_client *client, struct vmbus_client_socket *socket)
{
	struct vmbus_tl_connect_request *request;

	if (!vmbus_client_connected(client))
		return VMBUS_CLIENT_BAD_STATE;
	if (client->version < VMBUS_VERSION_4_0)
		return VMBUS_CLIENT_TOO_OLD;
	if (!vmbus_client_room(client))
		return VMBUS_CLIENT_BUSY;
	request = &vmbus_client_push(client, VMBUS_MESSAGE_TL_CONNECT_REQUEST)->tl_connect_request;
	request->endpoint_id = socket->guest;
	request->service_id = socket->service;
	socket->refused = false;
	socket->next = client->sockets;
	client->sockets = socket;
	return VMBUS_CLIENT_OK;
}

void vmbus_client_forget_socket(struct vmbus_client *client, struct vmbus_client_socket *socket)
{
	struct vmbus_client_socket **at = &client->sockets;

	while (*at && *at != socket)
		at = &(*at)->next;
	if (*at)
		*at = socket->next;
}

static bool is_new_socket(const struct vmbus_client_channel *channel)
{
	return channel->state == VMBUS_CLIENT_CHANNEL_CLOSED && !channel->rescinded &&
	       !channel->taken && channel->offer.flags & VMBUS_OFFER_TLNPI_PROVIDER;
}

static bool is_wanted(const struct vmbus_offer_channel *offer, const struct vmbus_guid *service,
	const struct vmbus_client_socket *socket)
{
	struct vmbus_socket_parameters parameters;

	memcpy(&parameters, offer->user_defined, sizeof(parameters));
	return !parameters.from_host == (socket != NULL) && same(&offer->interface_type, service) &&
	       (!socket || same(&offer->interface_instance, &socket->guest));
}

struct vmbus_client_channel *vmbus_client_take_socket(struct vmbus_client *client,
	const struct vmbus_guid *service, const struct vmbus_client_socket *socket)
{
	struct vmbus_client_channel *found = NULL;
	uint32_t i;

	for (i = 0; i < client->config.channel_count; i++) {
		struct vmbus_client_channel *channel = &client->config.channels[i];

		if (is_new_socket(channel) && is_wanted(&channel->offer, service, socket) &&
			(!found || channel->order < found->order))
			found = channel;
	}
	if (found)
		found->taken = true;
	return found;
}
