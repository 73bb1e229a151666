// SPDX-License-Identifier: BSD-2-Clause
// The host's side of VMBus's control plane for one guest: one machine without I/O. Messages and
// host events go in; actions for the embedder and messages for the guest come out of two bounded
// queues.
//
// No lock, no allocation, no callback but for GPADL storage and guest memory: all state is in the
// structs that the embedder gives, and the embedder serialises all calls on one server. After each
// call it carries out all actions, in order, and only then posts messages: that a message to the
// guest tells the truth depends on it. A guest can cause no more than a named violation.
#ifndef VMBUS_SERVER_H
#define VMBUS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "vmbus/gpadl.h"
#include "vmbus/memory.h"
#include "vmbus/messages.h"

// What a guest can do wrong. VMBUS_VIOLATION_<name>, and the words for the log. Unless the text of
// the message says otherwise, the message has no effect and no answer.
#define VMBUS_VIOLATIONS(X)                                                                        \
	X(SHORT_MESSAGE, "message shorter than its type")                                          \
	X(LONG_MESSAGE, "message longer than 240 bytes")                                           \
	X(UNKNOWN_MESSAGE, "unknown message type")                                                 \
	X(WRONG_DIRECTION, "message type that only the host may send")                             \
	X(NOT_CONNECTED, "message before a version was agreed on")                                 \
	X(TOO_NEW, "message type newer than the agreed version")                                   \
	X(UNSUPPORTED, "message type that was not offered")                                        \
	X(DISCONNECTING, "message while the guest waits to be disconnected")                       \
	X(BAD_CONNECTION, "message on a connection id that is not VMBus's")                        \
	X(BAD_MESSAGE_VP, "contact asks for messages to a processor that does not exist")          \
	X(BAD_MESSAGE_SINT, "contact asks for messages to a SINT that is not VMBus's")             \
	X(BAD_MONITOR_PAGES, "contact gives one monitor page")                                     \
	X(OFFERS_REQUESTED_TWICE, "offers requested twice")                                        \
	X(UNKNOWN_CHANNEL, "no such channel")                                                      \
	X(CHANNEL_ALREADY_OPEN, "open of an open channel")                                         \
	X(CHANNEL_NOT_OPEN, "close or modify of a channel that is not open")                       \
	X(CHANNEL_IN_USE, "release of an open channel")                                            \
	X(BAD_TARGET_VP, "channel asks for interrupts on a processor that does not exist")         \
	X(BAD_RING, "open with a GPADL that is no pair of rings")                                  \
	X(UNKNOWN_GPADL, "no such GPADL")                                                          \
	X(DUPLICATE_GPADL, "GPADL id that is in use")                                              \
	X(TOO_MANY_GPADLS, "too many GPADLs")                                                      \
	X(GPADL_WRONG_CHANNEL, "GPADL of another channel")                                         \
	X(GPADL_WRONG_STATE, "GPADL body or teardown at the wrong time")                           \
	X(GPADL_BAD_LENGTH, "GPADL with no ranges or a broken length")                             \
	X(GPADL_NO_STORAGE, "GPADL for which no storage is left")                                  \
	X(GPADL_EMPTY_BODY, "GPADL message that brings nothing")                                   \
	X(GPADL_BAD_RANGE, "GPADL range with a bad offset or too few pages")                       \
	X(GPADL_NOT_RAM, "GPADL page that is not the guest's memory")                              \
	X(QUEUE_FULL, "guest does not take its messages")

enum vmbus_violation {
#define X(name, text) VMBUS_VIOLATION_##name,
	VMBUS_VIOLATIONS(X)
#undef X
		VMBUS_VIOLATION_COUNT
};

// The guest as a whole: what it has been told about its connection.
enum vmbus_server_state {
	VMBUS_SERVER_DISCONNECTED,  // nothing, or that its version was refused, or UNLOAD_COMPLETE
	VMBUS_SERVER_CONNECTED,	    // VERSION_RESPONSE with success
	VMBUS_SERVER_OFFERING,	    // and ALL_OFFERS_DELIVERED: new offers go out at once
	VMBUS_SERVER_DISCONNECTING, // no answer yet to its UNLOAD or new contact: channels are
				    // closing
};

// A channel, as the embedder sees it: what the embedder has been told.
enum vmbus_channel_state {
	VMBUS_CHANNEL_FREE,	 // nothing: the slot is unused
	VMBUS_CHANNEL_CLOSED,	 // nothing, or it has completed all that it was told
	VMBUS_CHANNEL_OPENING,	 // OPEN, not completed; the guest waits for the result
	VMBUS_CHANNEL_ABANDONED, // OPEN, not completed; nobody waits any more, it will be told
				 // CLOSE
	VMBUS_CHANNEL_OPEN,	 // OPEN, completed; the guest was told OPEN_CHANNEL_RESULT
	VMBUS_CHANNEL_CLOSING,	 // CLOSE, not completed; it may still touch the rings
};

// The same channel, as the guest sees it: what the guest has been told.
enum vmbus_channel_view {
	VMBUS_VIEW_UNTOLD,    // nothing on this connection
	VMBUS_VIEW_OFFERED,   // OFFER_CHANNEL
	VMBUS_VIEW_RESCINDED, // RESCIND_CHANNEL_OFFER, and has not released the relid yet
	VMBUS_VIEW_RELEASED,  // it gave the relid back, and the offer stands; it is told again on
			      // its next connection
};

// What a channel's offer says. Zero is right for what a device does not use.
struct vmbus_offer {
	struct vmbus_guid interface_type;
	struct vmbus_guid interface_instance;
	uint16_t flags; // VMBUS_OFFER_*; a socket's is rescinded when the guest's connection ends
	uint16_t mmio_megabytes;
	uint16_t mmio_megabytes_optional;
	uint16_t sub_channel_index;
	uint8_t user_defined[VMBUS_USER_DEFINED_SIZE];
};

struct vmbus_server_channel {
	enum vmbus_channel_state state;
	enum vmbus_channel_view view;
	bool withdrawn; // the embedder has rescinded it: it is freed, not offered again
	bool reopen;	// `request` came while CLOSING, and is carried out after that
	uint32_t relid;
	uint32_t target_vp; // of the open channel; may be VMBUS_VP_NO_INTERRUPT
	struct vmbus_gpadl *ring;
	struct vmbus_offer offer;
	struct vmbus_open_channel request; // the guest's last one
};

enum vmbus_action_type {
	VMBUS_ACTION_CONNECTED,	   // .version is agreed on
	VMBUS_ACTION_DISCONNECTED, // the guest has left; nothing of its memory is in use any more
	VMBUS_ACTION_OPEN,	   // start serving; then vmbus_server_open_complete
	VMBUS_ACTION_CLOSE,  // stop, let go of all guest memory; then vmbus_server_close_complete
	VMBUS_ACTION_MODIFY, // signal .target_vp from now on, never the old one again
	VMBUS_ACTION_GPADL_TEARDOWN, // the guest wants .gpadl_id back: release your holds on it
				     // soon
	VMBUS_ACTION_FREED,	// a rescinded channel is gone; its relid may be given out again
	VMBUS_ACTION_SOCKET,	// the guest asks for .socket; then vmbus_server_answer_socket
	VMBUS_ACTION_VIOLATION, // for the log, rate-limited, and for counting
};

// A guest's request to be connected to a service of the host's.
struct vmbus_socket_request {
	uint32_t id;		   // for the answer; never 0
	struct vmbus_guid service; // a channel that is offered has it as its interface,
	struct vmbus_guid guest;   // and this as its instance
};

// So many requests wait for the embedder at most; others are refused.
#define VMBUS_SERVER_SOCKETS 64u

struct vmbus_action {
	enum vmbus_action_type type;
	uint32_t relid; // of the channel; 0 where there is none
	union {
		uint32_t version;
		uint32_t target_vp;
		uint32_t gpadl_id;
		struct {
			const struct vmbus_gpadl *ring; // good until close_complete
			uint32_t ring_pages;		// of the GPADL, both rings
			uint32_t downstream_page;	// where the ring to the guest begins, >= 2
			uint32_t target_vp;	// whose flag you set, or VMBUS_VP_NO_INTERRUPT
			uint32_t event_flag;	// which one, at VMBUS_SINT
			uint32_t connection_id; // at which the guest signals you
			uint8_t user_data[VMBUS_USER_DEFINED_SIZE];
		} open;
		struct {
			enum vmbus_violation reason;
			uint32_t message_type;
		} violation;
		struct vmbus_socket_request socket;
	};
};

// A message for the guest: SynIC message type VMBUS_SYNIC_MESSAGE_TYPE.
struct vmbus_post {
	uint32_t vp;
	uint8_t sint;
	uint8_t length; // in bytes, at most VMBUS_MESSAGE_MAX
	uint8_t bytes[VMBUS_MESSAGE_MAX];
};

// How long the queues must be for a number of channels and GPADLs. vmbus_server_ready keeps so much
// free before each message that nothing which follows from it can overflow them (server.c).
#define VMBUS_SERVER_ACTIONS(channels, gpadls) (8 * (channels) + 2 * (gpadls) + 16)
#define VMBUS_SERVER_POSTS(channels, gpadls)   (6 * (channels) + (gpadls) + 16 + VMBUS_SERVER_SOCKETS)

// Given by the embedder. The arrays live as long as the server; their contents are the server's.
struct vmbus_server_config {
	struct vmbus_server_channel *channels;
	uint32_t channel_count; // at most VMBUS_RELID_MAX
	struct vmbus_gpadl *gpadls;
	uint32_t gpadl_count;
	struct vmbus_action *actions;
	uint32_t action_count; // at least VMBUS_SERVER_ACTIONS
	struct vmbus_post *posts;
	uint32_t post_count; // at least VMBUS_SERVER_POSTS
	struct vmbus_memory memory;
	struct vmbus_gpadl_storage storage;
	uint32_t vp_count;    // of the guest
	uint32_t max_version; // VMBUS_VERSION_2_4 to VMBUS_VERSION_5_3
};

// A contact that is carried out when the old connection is gone.
struct vmbus_contact {
	uint32_t version;
	uint32_t vp;
	uint32_t connection_id;
	bool refused;	    // for a reason other than its version
	bool monitor_pages; // as they must be: none or both
};

enum vmbus_after_disconnect { VMBUS_AFTER_RESET, VMBUS_AFTER_UNLOAD, VMBUS_AFTER_CONTACT };

struct vmbus_server {
	struct vmbus_server_config config;
	enum vmbus_server_state state;
	enum vmbus_after_disconnect after; // what DISCONNECTING leads to
	struct vmbus_contact contact;	   // with VMBUS_AFTER_CONTACT
	uint32_t version;		   // agreed on; 0 if disconnected
	uint32_t message_vp;		   // whose SIM page our messages go to
	uint32_t action_first, actions_queued;
	uint32_t post_first, posts_queued;
	uint32_t socket_id;					   // the last one
	struct vmbus_socket_request sockets[VMBUS_SERVER_SOCKETS]; // id 0: free
	bool dead; // a queue ran over: end this guest, its server says and hears nothing more
	uint64_t violations[VMBUS_VIOLATION_COUNT];
};

// Starts a server: no channels, guest not connected. Returns false if the config breaks its own
// rules.
bool vmbus_server_init(struct vmbus_server *server, const struct vmbus_server_config *config);

// Takes a message of the guest (any bytes, any length; private memory) from the port of
// `connection_id`. Returns false if it was not taken because the queues are too full: post what is
// there first, and pass it in again (while it waits the guest's own queue fills up).
bool vmbus_server_message(
	struct vmbus_server *server, uint32_t connection_id, const void *bytes, uint32_t length);

// Returns whether vmbus_server_message would take a message now.
bool vmbus_server_ready(const struct vmbus_server *server);

// Offers a channel: at once, or when the guest asks. Returns its relid, or 0 if all slots are used.
uint32_t vmbus_server_offer(struct vmbus_server *server, const struct vmbus_offer *offer);

// Takes an offer back. The channel is closed if it is open, and freed (VMBUS_ACTION_FREED) when the
// embedder and the guest have let go of it. Returns false if there is no such offer.
bool vmbus_server_rescind(struct vmbus_server *server, uint32_t relid);

// The guest has broken the channel: as far as it knows, the offer is taken back, and the channel is
// closed. The next connection (another kernel, perhaps) is offered it again. Returns false if the
// guest does not have the offer now.
bool vmbus_server_fail(struct vmbus_server *server, uint32_t relid);

// Completes VMBUS_ACTION_OPEN. With `success` false the channel is closed and the guest is told so.
void vmbus_server_open_complete(struct vmbus_server *server, uint32_t relid, bool success);

// Completes VMBUS_ACTION_CLOSE: nothing of the guest's memory is used for this channel any more.
void vmbus_server_close_complete(struct vmbus_server *server, uint32_t relid);

// Holds a GPADL that the guest named inside a channel (a receive buffer), so that it stays the
// host's until released. Returns NULL if the channel has no such GPADL or it is being torn down.
struct vmbus_gpadl *vmbus_server_gpadl_hold(
	struct vmbus_server *server, uint32_t relid, uint32_t gpadl_id);

// Ends a hold. The pointer is dead afterwards.
void vmbus_server_gpadl_release(struct vmbus_server *server, struct vmbus_gpadl *gpadl);

// Ends a guest's request for a socket. Refused: the guest is told so, from 4.1 on (older ones time
// out). Otherwise offer a channel right after this, with VMBUS_OFFER_TLNPI_PROVIDER: one that goes
// with the guest's connection. Returns false, and nothing is to be done, if the guest that asked
// has left.
bool vmbus_server_answer_socket(struct vmbus_server *server, uint32_t id, bool refused);

// The guest has died or was reset: drops what it was to be told, and closes everything. Ends in
// VMBUS_ACTION_DISCONNECTED if it was connected. Channels stay, to be offered to the next kernel.
void vmbus_server_reset(struct vmbus_server *server);

// Takes the next action from the queue; false if there is none.
bool vmbus_server_next_action(struct vmbus_server *server, struct vmbus_action *action);

// Returns the next message to post, or NULL. It stays there until vmbus_server_posted: if the
// hypervisor is out of buffers, try the same again later, so that the order is kept. The pointer is
// dead after any other call.
const struct vmbus_post *vmbus_server_next_post(const struct vmbus_server *server);

// Drops that message: it was posted.
void vmbus_server_posted(struct vmbus_server *server);

// Returns whether the guest is fully gone: not connected, and nothing of its memory in use.
bool vmbus_server_idle(const struct vmbus_server *server);

// Returns the words for a violation: a constant string.
const char *vmbus_violation_name(enum vmbus_violation violation);

#endif
