// SPDX-License-Identifier: BSD-2-Clause
// Between the parts of the client; not for its users.
#ifndef VMBUS_CLIENT_INTERNAL_H
#define VMBUS_CLIENT_INTERNAL_H

#include "vmbus/client.h"

// client.c

// Returns whether a version is agreed on and nothing was unloaded: channels and GPADLs may be used.
static inline bool vmbus_client_connected(const struct vmbus_client *client)
{
	return client->state >= VMBUS_CLIENT_CONNECTED && client->state < VMBUS_CLIENT_UNLOADING;
}

// Returns whether there is room for a post.
static inline bool vmbus_client_room(const struct vmbus_client *client)
{
	return client->posts_queued < VMBUS_CLIENT_POSTS;
}

// Queues a message of this type, zeroed, for the caller to fill in. Only if there is room.
union vmbus_message *vmbus_client_push(struct vmbus_client *client, enum vmbus_message_type type);

// The same, of a length that is not its type's.
union vmbus_message *vmbus_client_push_long(
	struct vmbus_client *client, enum vmbus_message_type type, uint32_t length);

// Counts a violation and makes it an event.
struct vmbus_client_event vmbus_client_violate(struct vmbus_client *client,
	enum vmbus_client_violation reason, const union vmbus_message *message);

// client_channel.c

struct vmbus_client_event vmbus_client_handle_offer(
	struct vmbus_client *client, const union vmbus_message *message);
struct vmbus_client_event vmbus_client_handle_rescind(
	struct vmbus_client *client, const union vmbus_message *message);
struct vmbus_client_event vmbus_client_handle_opened(
	struct vmbus_client *client, const union vmbus_message *message);
struct vmbus_client_event vmbus_client_handle_modified(
	struct vmbus_client *client, const union vmbus_message *message);

// Queues CLOSE_CHANNEL for one unwanted channel, if there is one. Only if there is room.
bool vmbus_client_close_unwanted(struct vmbus_client *client);

// client_socket.c

// A table refers to it, but whoever connects no socket does not link it.
__attribute__((weak)) struct vmbus_client_event vmbus_client_handle_connect_result(
	struct vmbus_client *client, const union vmbus_message *message);

// client_gpadl.c

struct vmbus_client_event vmbus_client_handle_created(
	struct vmbus_client *client, const union vmbus_message *message);
struct vmbus_client_event vmbus_client_handle_torndown(
	struct vmbus_client *client, const union vmbus_message *message);

// Queues GPADL_TEARDOWN for one unwanted GPADL, if there is one. Only if there is room.
bool vmbus_client_teardown_unwanted(struct vmbus_client *client);

// The channel is released, and its GPADLs with it.
void vmbus_client_gpadl_drop(struct vmbus_client *client, uint32_t relid);

#endif
