// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the network VSC.
#ifndef LUMEN_DRIVERS_VSC_NET_INTERNAL_H
#define LUMEN_DRIVERS_VSC_NET_INTERNAL_H

#include "drivers/common/rndis.h"
#include "drivers/proto/ndis.h"
#include "drivers/proto/nvsp.h"
#include "drivers/vsc/vsc_turn.h"
#include "lumen/net.h"

#define NET_HEAD_STRIDE	  128u // a power of two, so that no head crosses a page
#define NET_ACKS	  256u
#define NET_ANSWER_MAX	  (RNDIS_HEAD_MAX - sizeof(struct rndis_header)) // of a body
#define NET_VALUE_MAX	  600u			// bytes of an object's value that is set
#define NET_CONTROL_MAX	  (NET_VALUE_MAX + 32u) // bytes of a control message of ours
#define NET_SECTION_SIZE  6144u			// of the send buffer, as hosts have it
#define NET_TAG_SIZE	  4u
#define NET_MESSAGE_SHORT 8u // of an answer to frames

// The words of the largest packet: the list's header; the head's range; each segment's range, with
// two pages more than its bytes fill.
#define NET_WORDS                                                                                  \
	(1 + 2 + LUMEN_NET_MAX_SEGMENTS * 3 +                                                      \
		(LUMEN_NET_MAX_LSO + LUMEN_PAGE_SIZE - 1) / LUMEN_PAGE_SIZE)

_Static_assert(RNDIS_PUT_MAX <= NET_HEAD_STRIDE, "heads");
_Static_assert(LUMEN_NET_MAX_CHANNELS <= VSC_MAX_QUEUES, "channels");
_Static_assert(LUMEN_NET_MAX_PIECES == NVSP_RSC_MAX, "pieces");
_Static_assert(sizeof(struct nvsp_message) <= VSC_MAX_ANSWER, "answers");
_Static_assert(LUMEN_NET_MAX_SEGMENTS + 1 <= VMBUS_PACKET_MAX_RANGES, "ranges");

// A frame that comes in pieces.
struct net_gathered {
	uint32_t count; // pieces so far; 0: there is none
	uint32_t size;	// bytes
	struct rndis_frame first;
	struct lumen_net_piece pieces[LUMEN_NET_MAX_PIECES];
};

// A channel of a card. The owners of its slots are frames; NULL: a copy. vsc.lock keeps all of it,
// but what is said to be the receiver's.
struct net_queue {
	struct vsc_queue vsc;
	struct lumen_net_frame *waiting, **waiting_end; // for a slot, or for room in the ring
	struct lumen_net_frame *done, **done_end;	// to be called when the lock is free
	uint8_t *heads;					// NET_HEAD_STRIDE for each slot
	uint32_t first_section; // of the send buffer: that of the first slot

	// Batches of frames that are the host's again as soon as there is room to say so: a ring of
	// their ids. While it is full nothing is received.
	uint32_t ack_first, ack_count;
	uint64_t acks[NET_ACKS];

	// Who has set this takes the frames of the batch in the inbox, without the lock. Until it
	// is false again nobody else receives, and what follows is the receiver's.
	bool receiving;
	uint8_t head[RNDIS_HEAD_MAX];
	struct net_gathered *gathered; // NULL: none are wanted

	struct lumen_net_counters statistics;
	uint64_t words[NET_WORDS]; // where lists of ranges are put together
};

// A buffer that the host has.
struct net_buffer {
	uint8_t *bytes;
	uint32_t page_count;
	uint32_t gpadl; // 0: it is the kernel's alone
};

// A question by RNDIS. One at a time.
struct net_question {
	uint32_t pending;
	uint32_t id, type; // of the answer that is waited for
	uint32_t length;   // of its body
	uint8_t body[NET_ANSWER_MAX];
};

struct lumen_net {
	struct vsc vsc;
	struct lumen_net_properties info;
	lumen_net_receive *receive;
	void *context;
	uint32_t message_size; // of NVSP's messages at this version
	uint32_t link;	       // NDIS_MEDIA_*
	uint32_t changes;
	uint32_t page_count; // of this allocation

	struct net_buffer received, sending;
	// The send buffer is in sections: one for each slot of each queue, and one for control
	// messages.
	uint32_t section_size, control_section;
	bool initialized; // RNDIS
	struct net_question question;
};

static inline struct net_queue *net_queue_of(struct vsc_queue *queue)
{
	return (struct net_queue *)queue; // its first member
}

static inline struct lumen_net *net_of(const struct net_queue *queue)
{
	return (struct lumen_net *)queue->vsc.vsc; // its first member
}

// One writes, anybody may read.
static inline void net_count(uint64_t *counter, uint64_t more)
{
	__atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

// For lumen_net_changes().
static inline void net_tell_change(struct lumen_net *net)
{
	__atomic_fetch_add(&net->changes, 1, __ATOMIC_RELEASE);
	lumen_wake(&net->changes);
}

// Whether the caller wants frames that the host has put together.
static inline bool net_wants_coalesced(const struct lumen_net_config *config)
{
	return !(~config->offloads & (LUMEN_NET_COALESCED | LUMEN_NET_RECEIVED));
}

// How many channels the caller has VPs for.
static inline uint32_t net_wanted_queues(const struct lumen_net_config *config)
{
	return config->vp_count ? config->vp_count : 1;
}

// --- net.c. Thread context ---

lumen_status net_queue_open(struct lumen_net *net, struct lumen_channel *channel,
	const struct lumen_net_config *config, uint32_t vp);

// --- net_queues.c. Thread context ---

// Opens more channels, as many as the caller has VPs for and the host allows, and spreads flows
// over them.
lumen_status net_open_queues(struct lumen_net *net, const struct lumen_net_config *config);

// --- net_nvsp.c. Thread context ---

// Agrees on a version and lends the buffers.
lumen_status net_negotiate(struct lumen_net *net, const struct lumen_net_config *config);

// Says that the buffers are not to be used any more.
void net_revoke(struct lumen_net *net);

// The channel is closed: the buffers are the kernel's again, or nobody's.
void net_take_back(struct lumen_net *net, struct lumen_channel *channel);

// Sends a message of NVSP's that is not answered.
lumen_status net_tell(struct lumen_net *net, struct nvsp_message *message);

// Sends one and waits for the answer: one of that type, or the host has failed.
lumen_status net_demand(struct lumen_net *net, struct nvsp_message *message, uint32_t answer);

static inline const struct nvsp_message *net_answer(const struct lumen_net *net)
{
	return net->vsc.queues[0]->answer;
}

// --- net_control.c: RNDIS. Thread context, one caller at a time ---

lumen_status net_initialize(struct lumen_net *net);

// Says that the card is not used any more; there is no answer.
void net_halt(struct lumen_net *net);

// Asks for an object, with `asked_length` bytes at `asked`. Its value, cut to `size` bytes, is then
// in *value, with zeroes behind it. LUMEN_NOT_SUPPORTED: the host has none.
lumen_status net_query(struct lumen_net *net, uint32_t oid, const void *asked,
	uint32_t asked_length, void *value, uint32_t size);

// Sets one. LUMEN_REFUSED: the host does not want it.
lumen_status net_set(struct lumen_net *net, uint32_t oid, const void *value, uint32_t length);

// A message that is no frame has come: a private copy of its beginning, at least its header and as
// much as there is of it up to RNDIS_HEAD_MAX. By the receiver; the queue is not locked.
void net_take_control(struct net_queue *queue, const uint8_t *message, uint32_t length);

// --- net_offload.c. Thread context ---

// Turns on what is wanted and the host has.
lumen_status net_agree_offloads(struct lumen_net *net, uint32_t wanted);

// --- net_queue.c ---

// struct vsc_class.
bool net_service(struct vsc_queue *queue, bool signalled);
void net_drop(struct vsc_queue *queue);

// Lets go of the lock, then calls done() of all that is done, and, if the card has failed, ends
// everything on it.
void net_unlock(struct net_queue *queue, uint64_t state);

// Ends a frame that neither waits nor is with the host. Locked.
void net_finish(struct net_queue *queue, struct lumen_net_frame *frame, lumen_status status);

// Ends all that wait. Locked.
void net_end_waiting(struct net_queue *queue, lumen_status status);

// --- net_send.c. Locked ---

// Sends as much of what waits as there are slots and room.
void net_issue(struct net_queue *queue);

// --- net_receive.c. Locked ---

// Takes what has come in this turn; not locked while frames are taken.
void net_receive_all(struct net_queue *queue, struct vsc_turn *turn);

// Tells the host which batches are its own again, as far as there is room.
void net_send_acks(struct net_queue *queue);

#endif
