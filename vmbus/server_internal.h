// SPDX-License-Identifier: BSD-2-Clause
// Between the parts of the server; not for its users.
#ifndef VMBUS_SERVER_INTERNAL_H
#define VMBUS_SERVER_INTERNAL_H

#include "vmbus/server.h"

// A message of the guest that passed vmbus_message_parse.
struct vmbus_incoming {
	uint32_t connection_id;
	uint32_t length; // in bytes
	union vmbus_message message;
};

// server.c: the queues.

// Queues an action and returns it, zeroed but for these, for the caller to fill in.
struct vmbus_action *vmbus_push_action(
	struct vmbus_server *server, enum vmbus_action_type type, uint32_t relid);

// Queues a message for where the guest wants its messages. header.type says which; the table how
// long.
void vmbus_push_post(struct vmbus_server *server, union vmbus_message *message);

// The same for a given place.
void vmbus_push_post_to(
	struct vmbus_server *server, union vmbus_message *message, uint32_t vp, uint8_t sint);

void vmbus_drop_posts(struct vmbus_server *server);

// Counts and reports a violation.
void vmbus_violate(struct vmbus_server *server, enum vmbus_violation reason, uint32_t message_type,
	uint32_t relid);

// server_contact.c

void vmbus_handle_initiate_contact(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_unload(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_request_offers(struct vmbus_server *server, const struct vmbus_incoming *in);

// If the guest is being disconnected and nothing of it is in use any more: takes the last step. To
// be called whenever a channel is closed or a GPADL is freed.
void vmbus_check_disconnected(struct vmbus_server *server);

// server_channel.c

void vmbus_handle_open_channel(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_close_channel(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_relid_released(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_modify_channel(struct vmbus_server *server, const struct vmbus_incoming *in);

// Returns the channel that the guest means by a relid, or NULL if it has no such channel.
struct vmbus_server_channel *vmbus_guest_channel(struct vmbus_server *server, uint32_t relid);

void vmbus_send_offer(struct vmbus_server *server, struct vmbus_server_channel *channel);

// The guest has left: forgets what it was told, and closes the channel if it is open.
void vmbus_channel_disconnect(struct vmbus_server *server, struct vmbus_server_channel *channel);

// Frees a withdrawn channel if neither end nor a GPADL needs it any more.
void vmbus_channel_settle(struct vmbus_server *server, uint32_t relid);

// server_gpadl.c

void vmbus_handle_gpadl_header(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_gpadl_body(struct vmbus_server *server, const struct vmbus_incoming *in);
void vmbus_handle_gpadl_teardown(struct vmbus_server *server, const struct vmbus_incoming *in);

// Returns the live GPADL with this id, or NULL.
struct vmbus_gpadl *vmbus_gpadl_find(struct vmbus_server *server, uint32_t id);

// Takes back all GPADLs of a channel (0: of all channels) without a word to the guest.
void vmbus_gpadl_drop(struct vmbus_server *server, uint32_t relid);

// Returns whether a channel (0: any channel) has live GPADLs.
bool vmbus_gpadl_any(const struct vmbus_server *server, uint32_t relid);

// server_socket.c

void vmbus_handle_tl_connect_request(struct vmbus_server *server, const struct vmbus_incoming *in);

// The guest has left: nobody waits for an answer.
void vmbus_forget_sockets(struct vmbus_server *server);

#endif
