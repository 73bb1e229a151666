// SPDX-License-Identifier: BSD-2-Clause
// The guest's side of VMBus's control plane: one machine without I/O, the mirror of server.h.
// Messages of the host and requests of the embedder go in; messages for the host come out of a
// bounded queue, and each message of the host leads to one event for the embedder.
//
// No lock, no allocation, no callback, no clock: all state is in the structs that the embedder
// gives, and the embedder serialises all calls on one client. Time runs out at the embedder's: it
// then gives up what it waited for (close, teardown), and the machine deals with a late answer. The
// host is not trusted: it can cause no more than a named violation, and the refusal of what was
// asked.
#ifndef VMBUS_CLIENT_H
#define VMBUS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmbus/messages.h"

// What a host can do wrong. VMBUS_CLIENT_VIOLATION_<name>, and the words for the log. The message
// has no effect.
#define VMBUS_CLIENT_VIOLATIONS(X)                                                                 \
	X(SHORT_MESSAGE, "message shorter than its type")                                          \
	X(LONG_MESSAGE, "message longer than 240 bytes")                                           \
	X(UNKNOWN_MESSAGE, "unknown message type")                                                 \
	X(WRONG_DIRECTION, "message type that only the guest may send")                            \
	X(NOT_CONNECTED, "message before a version was agreed on")                                 \
	X(TOO_NEW, "message type newer than the agreed version")                                   \
	X(UNSUPPORTED, "answer to a message that is never sent")                                   \
	X(UNEXPECTED_RESPONSE, "version response that was not asked for")                          \
	X(UNEXPECTED_UNLOADED, "unload complete that was not asked for")                           \
	X(UNEXPECTED_OFFER, "offer before offers were requested")                                  \
	X(UNEXPECTED_DELIVERED, "end of offers that was not asked for")                            \
	X(BAD_OFFER, "offer with a bad relid or without an interrupt of its own")                  \
	X(DUPLICATE_OFFER, "offer of a relid that is in use")                                      \
	X(TOO_MANY_OFFERS, "too many offers")                                                      \
	X(UNKNOWN_CHANNEL, "no such channel")                                                      \
	X(RESCINDED_TWICE, "channel rescinded twice")                                              \
	X(UNEXPECTED_OPENED, "open result that was not asked for")                                 \
	X(UNEXPECTED_MODIFIED, "modify response that was not asked for")                           \
	X(UNKNOWN_GPADL, "no such GPADL")                                                          \
	X(GPADL_WRONG_CHANNEL, "GPADL of another channel")                                         \
	X(UNEXPECTED_CREATED, "GPADL created that was not asked for")                              \
	X(UNEXPECTED_TORNDOWN, "GPADL torn down that was not asked for")

enum vmbus_client_violation {
#define X(name, text) VMBUS_CLIENT_VIOLATION_##name,
	VMBUS_CLIENT_VIOLATIONS(X)
#undef X
		VMBUS_CLIENT_VIOLATION_COUNT
};

// The connection: what has been said last. "Told" is what the host was told by us, "heard" what we
// were told by it.
enum vmbus_client_state {
	VMBUS_CLIENT_DISCONNECTED, // told nothing, or heard that no version suits, or that UNLOAD
				   // is complete
	VMBUS_CLIENT_CONTACTING,   // told INITIATE_CONTACT, heard nothing
	VMBUS_CLIENT_CONNECTED,	   // heard VERSION_RESPONSE with success
	VMBUS_CLIENT_REQUESTING,   // told REQUEST_OFFERS: offers come
	VMBUS_CLIENT_OFFERED,	   // heard ALL_OFFERS_DELIVERED: offers come when devices are added
	VMBUS_CLIENT_UNLOADING,	   // told UNLOAD, heard nothing: whatever else comes is ignored
};

// A channel that was not rescinded. A rescind makes CLOSED of all but FREE and OPEN: the host
// closes what it rescinds, and answers no open any more.
enum vmbus_client_channel_state {
	VMBUS_CLIENT_CHANNEL_FREE,	// heard no OFFER_CHANNEL, or told RELID_RELEASED
	VMBUS_CLIENT_CHANNEL_CLOSED,	// heard OFFER_CHANNEL, or a refusal, or told CLOSE_CHANNEL
	VMBUS_CLIENT_CHANNEL_OPENING,	// told OPEN_CHANNEL, heard nothing; the embedder waits
	VMBUS_CLIENT_CHANNEL_ABANDONED, // the same, but the embedder has closed it: nobody waits
	VMBUS_CLIENT_CHANNEL_UNWANTED,	// heard OPEN_CHANNEL_RESULT with success when nobody
					// waited: will be told CLOSE_CHANNEL by the next post
	VMBUS_CLIENT_CHANNEL_OPEN,	// heard OPEN_CHANNEL_RESULT with success
};

// Read by the embedder, written by the machine.
struct vmbus_client_channel {
	enum vmbus_client_channel_state state;
	bool rescinded; // heard RESCIND_CHANNEL_OFFER; to be closed and released
	bool moving;	// told MODIFY_CHANNEL, heard nothing (from version 5.3 on)
	bool taken;	// vmbus_client_take_socket()
	uint32_t open_id;
	uint32_t status; // the last OPEN_CHANNEL_RESULT's or MODIFY_CHANNEL_RESPONSE's
	uint32_t order;	 // counts up with each offer
	struct vmbus_offer_channel offer;
};

enum vmbus_client_gpadl_state {
	VMBUS_CLIENT_GPADL_FREE,      // told nothing, or heard a refusal or GPADL_TORNDOWN
	VMBUS_CLIENT_GPADL_GIVING,    // told a part of its pages
	VMBUS_CLIENT_GPADL_CREATING,  // told all of its pages, heard nothing; the embedder waits
	VMBUS_CLIENT_GPADL_ABANDONED, // told all or a part, heard nothing; nobody waits
	VMBUS_CLIENT_GPADL_UNWANTED,  // heard GPADL_CREATED with success when nobody waited: will
				      // be told GPADL_TEARDOWN by the next post
	VMBUS_CLIENT_GPADL_CREATED,   // heard GPADL_CREATED with success
	VMBUS_CLIENT_GPADL_TEARING_DOWN, // told GPADL_TEARDOWN, heard nothing
};

struct vmbus_client_gpadl {
	enum vmbus_client_gpadl_state state;
	uint32_t id; // not 0
	uint32_t relid;
	uint32_t page_count;
	uint32_t pages_given;
	uint32_t bodies; // messages so far
};

// The most pages that a GPADL of one range can have: its length is 16 bits wide.
#define VMBUS_CLIENT_GPADL_PAGES_MAX 8190u

// How a request ends. All but OK: nothing has changed, the host is told nothing.
enum vmbus_client_status {
	VMBUS_CLIENT_OK,
	VMBUS_CLIENT_BUSY,	   // post first, then ask again
	VMBUS_CLIENT_BAD_STATE,	   // not now
	VMBUS_CLIENT_BAD_ARGUMENT, // never
	VMBUS_CLIENT_RESCINDED,	   // not with this channel any more
	VMBUS_CLIENT_NO_SLOT,	   // too many GPADLs
	VMBUS_CLIENT_TOO_OLD,	   // the version agreed on does not have this
};

// What a message of the host meant.
enum vmbus_client_event_type {
	VMBUS_CLIENT_EVENT_NOTHING,	   // nothing that the embedder waits for
	VMBUS_CLIENT_EVENT_CONNECTED,	   // client->version is agreed on
	VMBUS_CLIENT_EVENT_REFUSED,	   // no version suits, or the host has no room
	VMBUS_CLIENT_EVENT_DISCONNECTED,   // UNLOAD is complete: all channels and GPADLs are gone
	VMBUS_CLIENT_EVENT_OFFER,	   // .channel is new
	VMBUS_CLIENT_EVENT_DELIVERED,	   // these were all
	VMBUS_CLIENT_EVENT_RESCINDED,	   // .channel; whoever waits for an answer stops waiting
	VMBUS_CLIENT_EVENT_OPENED,	   // .channel, .status
	VMBUS_CLIENT_EVENT_MODIFIED,	   // .channel, .status
	VMBUS_CLIENT_EVENT_GPADL_CREATED,  // .gpadl, .status; refused: its slot is free
	VMBUS_CLIENT_EVENT_GPADL_TORNDOWN, // .gpadl; its slot is free
	VMBUS_CLIENT_EVENT_VIOLATION,	   // .reason, .message_type: for the log, rate-limited
};

struct vmbus_client_event {
	enum vmbus_client_event_type type;
	struct vmbus_client_channel *channel;
	uint32_t gpadl;
	uint32_t status; // VMBUS_STATUS_*
	enum vmbus_client_violation reason;
	uint32_t message_type;
};

// A message for the host, SynIC message type VMBUS_SYNIC_MESSAGE_TYPE.
struct vmbus_client_post {
	uint32_t connection_id; // at which it is posted
	uint32_t length;	// in bytes, at most VMBUS_MESSAGE_MAX
	union vmbus_message message;
};

// A socket of the guest's that is to be connected with a service of the host's: the embedder's
// memory, and the machine's from vmbus_client_connect_socket() to vmbus_client_forget_socket().
struct vmbus_client_socket {
	struct vmbus_guid service;
	struct vmbus_guid guest; // whatever no other connection to the service has
	bool refused;		 // heard TL_CONNECT_RESULT
	struct vmbus_client_socket *next;
};

#define VMBUS_CLIENT_POSTS 8u

// Given by the embedder. The arrays live as long as the client; their contents are the client's.
struct vmbus_client_config {
	struct vmbus_client_channel *channels;
	uint32_t channel_count;
	struct vmbus_client_gpadl *gpadls;
	uint32_t gpadl_count;
};

struct vmbus_client {
	struct vmbus_client_config config;
	enum vmbus_client_state state;
	uint32_t version;	// agreed on, or asked for while CONTACTING; 0 if disconnected
	uint32_t connection_id; // to post at
	uint32_t message_vp;	// whose SIM page the host's messages come to
	uint32_t last_open_id, last_gpadl, last_order;
	uint32_t post_first, posts_queued;
	bool due; // there may be something UNWANTED
	struct vmbus_client_socket *sockets;
	struct vmbus_client_post posts[VMBUS_CLIENT_POSTS];
	uint64_t violations[VMBUS_CLIENT_VIOLATION_COUNT];
};

// What OPEN_CHANNEL says.
struct vmbus_client_open {
	uint32_t gpadl;		  // CREATED for this channel: both rings
	uint32_t downstream_page; // the first page of the ring to the guest in it
	uint32_t target_vp;
	const uint8_t *user_data; // VMBUS_USER_DEFINED_SIZE bytes, or NULL: zeroes
};

// Begins: not connected, the arrays empty.
void vmbus_client_init(struct vmbus_client *client, const struct vmbus_client_config *config);

// Takes a message of the host (any bytes, any length; private memory).
struct vmbus_client_event vmbus_client_message(
	struct vmbus_client *client, const void *bytes, uint32_t length);

// Returns the next message to post, or NULL. It stays there until vmbus_client_posted(): if the
// hypervisor has no buffer, try the same again later, so that the order is kept. The pointer is
// dead after any other call. To be asked after each call, or before the next request.
const struct vmbus_client_post *vmbus_client_next_post(struct vmbus_client *client);

// Drops that message: it was posted.
void vmbus_client_posted(struct vmbus_client *client);

// Contacts the host with the newest version up to max_version (0: the newest known), and goes on
// with older ones as long as it refuses, down to 2.4. Ends in CONNECTED or REFUSED. `message_vp`:
// the VP for the host's messages, from 3.0 on (0 with older hosts).
enum vmbus_client_status vmbus_client_connect(
	struct vmbus_client *client, uint32_t max_version, uint32_t message_vp);

// The next post is a contact, and its connection id does not exist: as if the host had refused this
// version. (Hosts older than 5.0 do not have that id.) Returns false if that was the last version:
// the client is disconnected.
bool vmbus_client_contact_undeliverable(struct vmbus_client *client);

// Asks for the offers, once. Ends in DELIVERED.
enum vmbus_client_status vmbus_client_request_offers(struct vmbus_client *client);

// Tells the host that everything is forgotten. Ends in DISCONNECTED.
enum vmbus_client_status vmbus_client_unload(struct vmbus_client *client);

// Opens a closed channel. Ends in OPENED or RESCINDED.
enum vmbus_client_status vmbus_client_open(struct vmbus_client *client,
	struct vmbus_client_channel *channel, const struct vmbus_client_open *open);

// Closes a channel in any state but FREE, rescinded or not; has no answer. If its open is not
// answered yet, it is when the channel is told CLOSE_CHANNEL: until then it cannot be opened again.
enum vmbus_client_status vmbus_client_close(
	struct vmbus_client *client, struct vmbus_client_channel *channel);

// Moves an open channel's signals to another VP. Ends in MODIFIED or RESCINDED from 5.3 on; has no
// answer below.
enum vmbus_client_status vmbus_client_modify(
	struct vmbus_client *client, struct vmbus_client_channel *channel, uint32_t target_vp);

// Gives back a rescinded channel that is closed. It and its GPADLs, whatever became of them, are
// free.
enum vmbus_client_status vmbus_client_release(
	struct vmbus_client *client, struct vmbus_client_channel *channel);

// Takes a slot for a GPADL of `page_count` whole pages; the host hears of it with the first pages.
enum vmbus_client_status vmbus_client_gpadl_begin(struct vmbus_client *client,
	const struct vmbus_client_channel *channel, uint32_t page_count, uint32_t *gpadl);

// Tells the next pages' numbers, as many as fit into one message: returns how many, 0 if there is
// no room in the queue or the GPADL does not want any (more). With the last it waits for
// GPADL_CREATED or RESCINDED.
uint32_t vmbus_client_gpadl_give(
	struct vmbus_client *client, uint32_t gpadl, const uint64_t *pfns, uint32_t count);

// Wants the pages back. A created GPADL is torn down, which ends in GPADL_TORNDOWN. One that the
// host has not been told of, as its first message was not posted, is free at once. One that is not
// answered yet is abandoned: it ends in GPADL_CREATED (refused) or, after success and a teardown,
// in GPADL_TORNDOWN, if ever the host answers. OK also if that was asked before.
enum vmbus_client_status vmbus_client_gpadl_teardown(struct vmbus_client *client, uint32_t gpadl);

// Asks for a connection. Ends in an OFFER that vmbus_client_take_socket() finds, in socket->refused
// (from version 4.1 on), or never.
enum vmbus_client_status vmbus_client_connect_socket(
	struct vmbus_client *client, struct vmbus_client_socket *socket);

// Does not wait for it any more.
void vmbus_client_forget_socket(struct vmbus_client *client, struct vmbus_client_socket *socket);

// Returns, once, the offer that answers *socket or, without one, the oldest one by which somebody
// of the host's wants to be connected with the service; NULL: there is none.
struct vmbus_client_channel *vmbus_client_take_socket(struct vmbus_client *client,
	const struct vmbus_guid *service, const struct vmbus_client_socket *socket);

// Returns the channel with this relid or the GPADL with this id, or NULL.
struct vmbus_client_channel *vmbus_client_find_channel(struct vmbus_client *client, uint32_t relid);
struct vmbus_client_gpadl *vmbus_client_find_gpadl(struct vmbus_client *client, uint32_t id);

// Returns the words for a violation: a constant string.
const char *vmbus_client_violation_name(enum vmbus_client_violation violation);

#endif
