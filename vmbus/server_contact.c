// SPDX-License-Identifier: BSD-2-Clause
// The connection: version negotiation, the request for offers, unload and reset.
#include "vmbus/server.h"

#include <string.h>

#include "base/macros.h"
#include "vmbus/server_internal.h"

static const uint32_t versions[] = {
	VMBUS_VERSION_2_4,
	VMBUS_VERSION_3_0,
	VMBUS_VERSION_4_0,
	VMBUS_VERSION_4_1,
	VMBUS_VERSION_5_0,
	VMBUS_VERSION_5_1,
	VMBUS_VERSION_5_2,
	VMBUS_VERSION_5_3,
};

static bool version_supported(const struct vmbus_server *server, uint32_t version)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		if (versions[i] == version)
			return version <= server->config.max_version;
	}
	return false;
}

// The guest that is refused tries a lower version, or gives up.
static void refuse(struct vmbus_server *server, uint32_t vp, uint8_t sint)
{
	union vmbus_message message = { .version_response = {
						.header.type = VMBUS_MESSAGE_VERSION_RESPONSE,
						.version_supported = 0,
					} };

	vmbus_push_post_to(server, &message, vp, sint);
}

// The old connection is gone: answers the contact that ended it.
static void answer_contact(struct vmbus_server *server)
{
	const struct vmbus_contact *contact = &server->contact;
	union vmbus_message message = { .version_response = {
						.header.type = VMBUS_MESSAGE_VERSION_RESPONSE,
						.version_supported = 1,
						.connection_state = VMBUS_CONNECTION_SUCCESSFUL,
					} };

	if (contact->refused || !version_supported(server, contact->version)) {
		refuse(server, contact->vp, VMBUS_SINT);
		return;
	}
	// The last field is the version below 5.0; from there on the guest knows that, and is told
	// where to post instead: where its contact came from (Linux: vmbus_negotiate_version).
	if (contact->version >= VMBUS_VERSION_5_0)
		message.version_response.message_connection_id = contact->connection_id;
	else
		message.version_response.selected_version = contact->version;
	if (!contact->monitor_pages) {
		message.version_response.connection_state = VMBUS_CONNECTION_FAILED_UNKNOWN;
	} else {
		server->state = VMBUS_SERVER_CONNECTED;
		server->version = contact->version;
		server->message_vp = contact->vp;
		vmbus_push_action(server, VMBUS_ACTION_CONNECTED, 0)->version = contact->version;
	}
	vmbus_push_post_to(server, &message, contact->vp, VMBUS_SINT);
}

static bool channels_closed(const struct vmbus_server *server)
{
	uint32_t i;

	for (i = 0; i < server->config.channel_count; i++) {
		if (server->config.channels[i].state > VMBUS_CHANNEL_CLOSED)
			return false;
	}
	return true;
}

bool vmbus_server_idle(const struct vmbus_server *server)
{
	return server->state == VMBUS_SERVER_DISCONNECTED && channels_closed(server) &&
	       !vmbus_gpadl_any(server, 0);
}

void vmbus_check_disconnected(struct vmbus_server *server)
{
	union vmbus_message unloaded = { .header.type = VMBUS_MESSAGE_UNLOAD_COMPLETE };

	if (server->state != VMBUS_SERVER_DISCONNECTING || !channels_closed(server) ||
		vmbus_gpadl_any(server, 0))
		return;
	server->state = VMBUS_SERVER_DISCONNECTED;
	if (server->version)
		vmbus_push_action(server, VMBUS_ACTION_DISCONNECTED, 0);
	server->version = 0;
	if (server->after == VMBUS_AFTER_UNLOAD)
		vmbus_push_post(server, &unloaded);
	else if (server->after == VMBUS_AFTER_CONTACT)
		answer_contact(server);
}

// Begins to end the connection, or changes what an end that was begun leads to. A guest that is not
// connected has nothing to close, and takes the last step at once.
static void disconnect(struct vmbus_server *server, enum vmbus_after_disconnect after)
{
	bool begun = server->state == VMBUS_SERVER_DISCONNECTING;
	uint32_t i;

	server->after = after;
	server->state = VMBUS_SERVER_DISCONNECTING;
	if (!begun) {
		// What was queued is for a kernel that does not listen any more.
		vmbus_drop_posts(server);
		for (i = 0; i < server->config.channel_count; i++)
			vmbus_channel_disconnect(server, &server->config.channels[i]);
		vmbus_gpadl_drop(server, 0);
		vmbus_forget_sockets(server);
	}
	vmbus_check_disconnected(server);
}

void vmbus_server_reset(struct vmbus_server *server)
{
	vmbus_drop_posts(server);
	disconnect(server, VMBUS_AFTER_RESET);
}

void vmbus_handle_unload(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	disconnect(server, VMBUS_AFTER_UNLOAD);
}

void vmbus_handle_initiate_contact(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	const struct vmbus_initiate_contact *request = &in->message.initiate_contact;
	struct vmbus_contact contact = {
		.version = request->version,
		.connection_id = in->connection_id,
		// Before 3.0 all messages go to processor 0.
		.vp = request->version >= VMBUS_VERSION_3_0 ? request->target_vp : 0,
		.monitor_pages = !request->host_to_guest_monitor_page ==
				 !request->guest_to_host_monitor_page,
	};
	// Below 5.0, and on the old connection, these bytes are an interrupt page's address, which
	// guests from 2.4 on give and do not use.
	bool targeted = contact.connection_id == VMBUS_CONNECTION_MESSAGE_MULTICLIENT &&
			contact.version >= VMBUS_VERSION_5_0;
	uint8_t sint = targeted ? request->target_info.sint : VMBUS_SINT;

	if (contact.vp >= server->config.vp_count) {
		vmbus_violate(server, VMBUS_VIOLATION_BAD_MESSAGE_VP, request->header.type, 0);
		return;
	}
	// Hosts that serve one SINT answer to the one that was asked for, and go on as before.
	if (sint != VMBUS_SINT) {
		vmbus_violate(server, VMBUS_VIOLATION_BAD_MESSAGE_SINT, request->header.type, 0);
		if (sint < 16)
			refuse(server, contact.vp, sint);
		return;
	}
	// There is only VTL 0 here.
	contact.refused =
		targeted && contact.version >= VMBUS_VERSION_5_1 && request->target_info.vtl != 0;
	if (!contact.monitor_pages)
		vmbus_violate(server, VMBUS_VIOLATION_BAD_MONITOR_PAGES, request->header.type, 0);
	server->contact = contact;
	disconnect(server, VMBUS_AFTER_CONTACT);
}

void vmbus_handle_request_offers(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	union vmbus_message delivered = { .header.type = VMBUS_MESSAGE_ALL_OFFERS_DELIVERED };
	uint32_t i;

	if (server->state == VMBUS_SERVER_OFFERING) {
		vmbus_violate(
			server, VMBUS_VIOLATION_OFFERS_REQUESTED_TWICE, in->message.header.type, 0);
		return;
	}
	server->state = VMBUS_SERVER_OFFERING;
	for (i = 0; i < server->config.channel_count; i++) {
		struct vmbus_server_channel *channel = &server->config.channels[i];

		if (channel->state == VMBUS_CHANNEL_CLOSED && !channel->withdrawn)
			vmbus_send_offer(server, channel);
	}
	vmbus_push_post(server, &delivered);
}
