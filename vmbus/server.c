// SPDX-License-Identifier: BSD-2-Clause
// The server's door, queues and dispatch. What the messages do is in server_contact.c,
// server_channel.c, server_gpadl.c and server_socket.c.
#include "vmbus/server.h"

#include <stddef.h>
#include <string.h>

#include "vmbus/server_internal.h"

bool vmbus_server_init(struct vmbus_server *server, const struct vmbus_server_config *config)
{
	if (config->channel_count > VMBUS_RELID_MAX || !config->vp_count)
		return false;
	if (config->action_count < VMBUS_SERVER_ACTIONS(config->channel_count, config->gpadl_count))
		return false;
	if (config->post_count < VMBUS_SERVER_POSTS(config->channel_count, config->gpadl_count))
		return false;
	memset(server, 0, sizeof(*server));
	server->config = *config;
	memset(config->channels, 0, config->channel_count * sizeof(*config->channels));
	memset(config->gpadls, 0, config->gpadl_count * sizeof(*config->gpadls));
	return true;
}

struct vmbus_action *vmbus_push_action(
	struct vmbus_server *server, enum vmbus_action_type type, uint32_t relid)
{
	uint32_t count = server->config.action_count;
	struct vmbus_action *action;

	if (server->actions_queued == count) {
		// Cannot be while the embedder keeps to the rules: see vmbus_server_ready. If it
		// does not, the last action is lost and the guest is at an end.
		server->dead = true;
		server->actions_queued--;
	}
	action = &server->config.actions[(server->action_first + server->actions_queued) % count];
	server->actions_queued++;
	memset(action, 0, sizeof(*action));
	action->type = type;
	action->relid = relid;
	return action;
}

void vmbus_push_post_to(
	struct vmbus_server *server, union vmbus_message *message, uint32_t vp, uint8_t sint)
{
	uint32_t count = server->config.post_count;
	struct vmbus_post *post;

	if (server->dead)
		return;
	if (server->posts_queued == count) {
		server->dead = true;
		vmbus_violate(server, VMBUS_VIOLATION_QUEUE_FULL, message->header.type, 0);
		return;
	}
	post = &server->config.posts[(server->post_first + server->posts_queued) % count];
	server->posts_queued++;
	memset(post, 0, sizeof(*post));
	post->vp = vp;
	post->sint = sint;
	post->length = (uint8_t)vmbus_message_info(message->header.type)->size;
	memcpy(post->bytes, message->bytes, post->length);
}

void vmbus_push_post(struct vmbus_server *server, union vmbus_message *message)
{
	vmbus_push_post_to(server, message, server->message_vp, VMBUS_SINT);
}

void vmbus_drop_posts(struct vmbus_server *server)
{
	server->posts_queued = 0;
}

void vmbus_violate(struct vmbus_server *server, enum vmbus_violation reason, uint32_t message_type,
	uint32_t relid)
{
	struct vmbus_action *action = vmbus_push_action(server, VMBUS_ACTION_VIOLATION, relid);

	action->violation.reason = reason;
	action->violation.message_type = message_type;
	server->violations[reason]++;
}

bool vmbus_server_next_action(struct vmbus_server *server, struct vmbus_action *action)
{
	if (!server->actions_queued)
		return false;
	*action = server->config.actions[server->action_first];
	server->action_first = (server->action_first + 1) % server->config.action_count;
	server->actions_queued--;
	return true;
}

const struct vmbus_post *vmbus_server_next_post(const struct vmbus_server *server)
{
	return server->posts_queued ? &server->config.posts[server->post_first] : NULL;
}

void vmbus_server_posted(struct vmbus_server *server)
{
	if (!server->posts_queued)
		return;
	server->post_first = (server->post_first + 1) % server->config.post_count;
	server->posts_queued--;
}

// A message of the guest causes at most one post for each channel and two more (REQUEST_OFFERS), or
// a CLOSE and a FREED for each channel, a teardown for each GPADL and three more
// (INITIATE_CONTACT). What may come without a message of the guest while the queue is not drained
// is bounded too: for each channel the offer, the rescind, the results of an open and of one that
// waited for a close, with their actions; for each GPADL its end; for each request for a socket its
// refusal; one answer to the disconnection.
// Neither can be repeated without a message of the guest in between, so this much free is enough.
bool vmbus_server_ready(const struct vmbus_server *server)
{
	const struct vmbus_server_config *config = &server->config;
	uint32_t posts = config->post_count - server->posts_queued;
	uint32_t actions = config->action_count - server->actions_queued;

	return posts >=
		       5 * config->channel_count + config->gpadl_count + 4 + VMBUS_SERVER_SOCKETS &&
	       actions >= 7 * config->channel_count + 2 * config->gpadl_count + 4;
}

static const enum vmbus_violation check_violations[] = {
	[VMBUS_CHECK_SHORT] = VMBUS_VIOLATION_SHORT_MESSAGE,
	[VMBUS_CHECK_LONG] = VMBUS_VIOLATION_LONG_MESSAGE,
	[VMBUS_CHECK_UNKNOWN] = VMBUS_VIOLATION_UNKNOWN_MESSAGE,
	[VMBUS_CHECK_WRONG_DIRECTION] = VMBUS_VIOLATION_WRONG_DIRECTION,
	[VMBUS_CHECK_NOT_CONNECTED] = VMBUS_VIOLATION_NOT_CONNECTED,
	[VMBUS_CHECK_TOO_NEW] = VMBUS_VIOLATION_TOO_NEW,
};

typedef void handler(struct vmbus_server *server, const struct vmbus_incoming *in);

// Whoever the parser lets through and is not here was not offered: VMBUS_VIOLATION_UNSUPPORTED.
static handler *const handlers[VMBUS_MESSAGE_TYPE_COUNT] = {
	[VMBUS_MESSAGE_REQUEST_OFFERS] = vmbus_handle_request_offers,
	[VMBUS_MESSAGE_OPEN_CHANNEL] = vmbus_handle_open_channel,
	[VMBUS_MESSAGE_CLOSE_CHANNEL] = vmbus_handle_close_channel,
	[VMBUS_MESSAGE_GPADL_HEADER] = vmbus_handle_gpadl_header,
	[VMBUS_MESSAGE_GPADL_BODY] = vmbus_handle_gpadl_body,
	[VMBUS_MESSAGE_GPADL_TEARDOWN] = vmbus_handle_gpadl_teardown,
	[VMBUS_MESSAGE_RELID_RELEASED] = vmbus_handle_relid_released,
	[VMBUS_MESSAGE_INITIATE_CONTACT] = vmbus_handle_initiate_contact,
	[VMBUS_MESSAGE_UNLOAD] = vmbus_handle_unload,
	[VMBUS_MESSAGE_TL_CONNECT_REQUEST] = vmbus_handle_tl_connect_request,
	[VMBUS_MESSAGE_MODIFY_CHANNEL] = vmbus_handle_modify_channel,
};

static void dispatch(struct vmbus_server *server, const struct vmbus_incoming *in)
{
	uint32_t type = in->message.header.type;

	if (server->state == VMBUS_SERVER_DISCONNECTING && type != VMBUS_MESSAGE_INITIATE_CONTACT &&
		type != VMBUS_MESSAGE_UNLOAD)
		vmbus_violate(server, VMBUS_VIOLATION_DISCONNECTING, type, 0);
	else if (!handlers[type])
		vmbus_violate(server, VMBUS_VIOLATION_UNSUPPORTED, type, 0);
	else
		handlers[type](server, in);
}

// Linux unloads first and gives the ids of its channels back then, when it has none any more.
static bool is_late_release(const struct vmbus_server *server, const struct vmbus_incoming *in)
{
	return in->message.header.type == VMBUS_MESSAGE_RELID_RELEASED &&
	       (server->state == VMBUS_SERVER_DISCONNECTED ||
		       server->state == VMBUS_SERVER_DISCONNECTING);
}

bool vmbus_server_message(
	struct vmbus_server *server, uint32_t connection_id, const void *bytes, uint32_t length)
{
	struct vmbus_incoming in = { .connection_id = connection_id, .length = length };
	enum vmbus_message_check check;

	if (server->dead)
		return true;
	if (!vmbus_server_ready(server))
		return false;
	check = vmbus_message_parse(&in.message, bytes, length, VMBUS_TO_HOST, server->version);
	if (connection_id != VMBUS_CONNECTION_MESSAGE &&
		connection_id != VMBUS_CONNECTION_MESSAGE_MULTICLIENT)
		vmbus_violate(server, VMBUS_VIOLATION_BAD_CONNECTION, in.message.header.type, 0);
	else if ((check == VMBUS_CHECK_GOOD || check == VMBUS_CHECK_NOT_CONNECTED) &&
		 is_late_release(server, &in))
		return true;
	else if (check != VMBUS_CHECK_GOOD)
		vmbus_violate(server, check_violations[check], in.message.header.type, 0);
	else
		dispatch(server, &in);
	return true;
}

const char *vmbus_violation_name(enum vmbus_violation violation)
{
	static const char *const names[VMBUS_VIOLATION_COUNT] = {
#define X(name, text) [VMBUS_VIOLATION_##name] = text,
		VMBUS_VIOLATIONS(X)
#undef X
	};

	return (unsigned int)violation < VMBUS_VIOLATION_COUNT ? names[violation] : "unknown";
}
