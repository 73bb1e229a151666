// SPDX-License-Identifier: BSD-2-Clause
// Sockets that the guest asks for. Whether somebody of the host's listens is the embedder's to say;
// the connection is a channel like others.
#include "vmbus/server.h"

#include <string.h>

#include "vmbus/server_internal.h"

static bool same(const struct vmbus_guid *one, const struct vmbus_guid *other)
{
	return !memcmp(one, other, sizeof(*one));
}

static void refuse(struct vmbus_server *server, const struct vmbus_guid *guest,
	const struct vmbus_guid *service)
{
	union vmbus_message result = { .tl_connect_result = {
					       .header.type = VMBUS_MESSAGE_TL_CONNECT_RESULT,
					       .endpoint_id = *guest,
					       .service_id = *service,
					       .status = VMBUS_STATUS_CONNECTION_REFUSED,
				       } };

	if (server->version >= VMBUS_VERSION_4_1)
		vmbus_push_post(server, &result);
}

// The request with this id; 0: a free place. NULL: there is none.
static struct vmbus_socket_request *find(struct vmbus_server *server, uint32_t id)
{
	for (uint32_t i = 0; i < VMBUS_SERVER_SOCKETS; i++)
		if (server->sockets[i].id == id)
			return &server->sockets[i];
	return NULL;
}

// Whether the two are connected, or about to be: a guest tells its connections apart by that.
static bool is_known(const struct vmbus_server *server, const struct vmbus_guid *guest,
	const struct vmbus_guid *service)
{
	for (uint32_t i = 0; i < VMBUS_SERVER_SOCKETS; i++)
		if (server->sockets[i].id && same(&server->sockets[i].guest, guest) &&
			same(&server->sockets[i].service, service))
			return true;
	for (uint32_t i = 0; i < server->config.channel_count; i++)
		if (server->config.channels[i].state != VMBUS_CHANNEL_FREE &&
			same(&server->config.channels[i].offer.interface_instance, guest) &&
			same(&server->config.channels[i].offer.interface_type, service))
			return true;
	return false;
}

void vmbus_handle_tl_connect_request(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_guid *guest = &in->message.tl_connect_request.endpoint_id;
	const struct vmbus_guid *service = &in->message.tl_connect_request.service_id;
	struct vmbus_socket_request *request = find(server, 0);

	if (!request || is_known(server, guest, service)) {
		refuse(server, guest, service);
		return;
	}
	if (!++server->socket_id)
		server->socket_id++;
	*request = (struct vmbus_socket_request){ server->socket_id, *service, *guest };
	vmbus_push_action(server, VMBUS_ACTION_SOCKET, 0)->socket = *request;
}

bool vmbus_server_answer_socket(struct vmbus_server *server, uint32_t id, bool refused)
{
	struct vmbus_socket_request *request = id ? find(server, id) : NULL;

	if (!request)
		return false;
	request->id = 0;
	if (refused)
		refuse(server, &request->guest, &request->service);
	return true;
}

void vmbus_forget_sockets(struct vmbus_server *server)
{
	memset(server->sockets, 0, sizeof(server->sockets));
}
