// SPDX-License-Identifier: BSD-2-Clause
// The integration components' VSCs: one message at a time is taken, answered in place, and told.
#include "drivers/vsc/ic/ic_vsc.h"

#include "drivers/common/pipe.h"
#include "drivers/vsc/vsc_turn.h"

#define IC_RING_PAGES  3u // as Linux's
#define IC_PACKET_SIZE 8192u
#define IC_TIMEOUT_NS  10000000000ull

// The component's channel. The response to the last message lies in the inbox, or in `choice`,
// until it is in the ring: nothing is received before.
struct ic_queue {
	struct vsc_queue vsc;
	bool unsent;
	uint64_t transaction_id; // of the packet
	struct ic_frame frame;
	const void *body; // frame.header.size bytes
	struct ic_choice choice;
	struct ic_event event;
};

static struct lumen_ic *ic_of(const struct ic_queue *queue)
{
	return (struct lumen_ic *)queue->vsc.vsc; // its first member
}

// --- locked ---

static void ic_count_bad(struct lumen_ic *ic)
{
	__atomic_store_n(&ic->bad, ic->bad + 1, __ATOMIC_RELAXED);
}

static void ic_respond(struct ic_queue *queue, const struct ic_header *request, uint32_t status,
	const void *body, uint32_t size)
{
	queue->frame = ic_response(request, status, (uint16_t)size);
	queue->body = body;
	queue->unsent = true;
}

// The host names its versions, at first or anew.
static void ic_take_versions(struct ic_queue *queue, const struct ic_message *message)
{
	struct lumen_ic *ic = ic_of(queue);
	const enum ic_agreement agreement =
		ic_choose(message, &ic->component->versions, &ic->dialect, &queue->choice);

	if (agreement != IC_AGREED)
		ic_count_bad(ic);
	ic_respond(queue, &message->header, IC_STATUS_OK, &queue->choice, sizeof(queue->choice));
}

static bool ic_is_request(const struct lumen_ic *ic, const struct ic_header *header)
{
	return header->type == ic->component->message && ic->dialect.framework.major != 0 &&
	       header->size >= ic->component->size;
}

static void ic_take_request(struct ic_queue *queue, const struct ic_message *message)
{
	struct lumen_ic *ic = ic_of(queue);
	uint8_t *body = (uint8_t *)(uintptr_t)message->body; // in the inbox, which is ours
	uint32_t status = IC_STATUS_FAIL;

	if (ic_is_request(ic, &message->header))
		status = ic->component->take(ic, body, message->header.size, &queue->event);
	else
		ic_count_bad(ic);
	ic_respond(queue, &message->header, status, body, message->header.size);
}

static void ic_take(struct ic_queue *queue, const struct vmbus_packet *packet)
{
	struct pipe_message pipe;
	struct ic_message message;

	if (packet->type != VMBUS_PACKET_IN_BAND ||
		!pipe_parse(packet->payload, packet->payload_length, &pipe) ||
		!ic_parse(pipe.bytes, pipe.length, &message) ||
		(message.header.flags & IC_FLAG_RESPONSE)) {
		ic_count_bad(ic_of(queue)); // there is nothing to answer
		return;
	}
	queue->transaction_id = packet->transaction_id;
	if (message.header.type == IC_MESSAGE_NEGOTIATE)
		ic_take_versions(queue, &message);
	else
		ic_take_request(queue, &message);
}

// Puts the response into the ring. Returns whether it is there.
static bool ic_send(struct ic_queue *queue)
{
	const struct vmbus_piece pieces[] = {
		{ &queue->frame, sizeof(queue->frame) },
		{ queue->body, queue->frame.header.size },
	};
	lumen_status status;

	status = lumen_channel_send(
		queue->vsc.channel, &(struct vmbus_packet_out){
					    .type = VMBUS_PACKET_IN_BAND,
					    .transaction_id = queue->transaction_id,
					    .payload = pieces,
					    .payload_count = 2,
				    });
	if (status != LUMEN_OK && status != LUMEN_BUSY)
		vsc_channel_failed(&queue->vsc, status);
	queue->unsent = status == LUMEN_BUSY; // the handler is called when there is room
	return status == LUMEN_OK;
}

// Takes one message; or, if the response to the last one has waited for room, sends that, so that
// the kernel is told before the next. Returns whether to look again.
static bool ic_step(struct ic_queue *queue, struct vsc_turn *turn)
{
	const struct vmbus_packet *packet;

	if (queue->unsent)
		return ic_send(queue);
	packet = vsc_next(turn);
	if (!packet || !vsc_count_news(turn))
		return false;
	ic_take(queue, packet);
	return !queue->unsent || ic_send(queue);
}

// --- not locked ---

// The kernel is told after the host has its answer, so that it may power off at once.
static void ic_tell(struct lumen_ic *ic, struct ic_event *event)
{
	if (event->due)
		ic->component->tell(ic, event->words);
}

static bool ic_service(struct vsc_queue *base, bool signalled)
{
	struct ic_queue *queue = (struct ic_queue *)base; // its first member
	struct lumen_ic *ic = ic_of(queue);
	struct ic_event event;
	struct vsc_turn turn;
	bool again;

	vsc_turn_init(&turn, base, signalled);
	do {
		vsc_turn_begin(&turn);
		again = vsc_status(base->vsc) == LUMEN_OK && ic_step(queue, &turn);
		turn.more = again;
		vsc_turn_end(&turn);
		again = turn.more && !queue->unsent;
		event = queue->event;
		event.due = event.due && !queue->unsent;
		queue->event.due = queue->event.due && queue->unsent;
		if (vsc_unlock(base, turn.state))
			vsc_drop(base->vsc);
		ic_tell(ic, &event);
	} while (again);
	return turn.taken > 0;
}

static void ic_handler(void *context, struct lumen_channel *channel)
{
	(void)channel;
	ic_service(context, true);
}

static void ic_drop(struct vsc_queue *queue)
{
	(void)queue; // nothing of ours is with the host
}

// --- open and close ---

static lumen_status ic_start(struct lumen_ic *ic, struct lumen_channel *channel)
{
	struct vsc_queue *queue = vsc_queue_create(&ic->vsc, channel, sizeof(struct ic_queue), 0);

	if (!queue)
		return LUMEN_NO_MEMORY;
	return vsc_queue_open(queue, &(struct lumen_channel_config){
					     .send_pages = IC_RING_PAGES,
					     .receive_pages = IC_RING_PAGES,
					     .target_vp = lumen_this_vp(),
					     .handler = ic_handler,
				     });
}

lumen_status ic_open(struct lumen_vmbus *bus, const struct ic_component *component,
	const void *handlers, struct lumen_ic **ic_out)
{
	static const struct vsc_class class = {
		.packet_size = IC_PACKET_SIZE,
		.service = ic_service,
		.drop = ic_drop,
	};
	struct lumen_channel *channel = lumen_vmbus_find(bus, &component->type, 0);
	const uint32_t pages = vsc_page_count(sizeof(struct lumen_ic));
	struct lumen_ic *ic;
	lumen_status status;

	if (!channel)
		return LUMEN_NOT_SUPPORTED;
	ic = lumen_alloc_pages(pages);
	if (!ic)
		return LUMEN_NO_MEMORY;
	ic->vsc.class = &class;
	ic->vsc.timeout_ns = IC_TIMEOUT_NS;
	ic->component = component;
	ic->handlers = handlers;
	ic->page_count = pages;
	status = ic_start(ic, channel);
	if (status == LUMEN_OK)
		*ic_out = ic;
	else
		lumen_free_pages(ic, pages);
	return status;
}

void lumen_ic_close(struct lumen_ic *ic)
{
	vsc_shut_down(&ic->vsc);
	lumen_free_pages(ic, ic->page_count);
}

bool lumen_ic_poll(struct lumen_ic *ic)
{
	return vsc_poll(&ic->vsc);
}

lumen_status lumen_ic_status(const struct lumen_ic *ic)
{
	return vsc_status(&ic->vsc);
}

uint32_t lumen_ic_bad_messages(const struct lumen_ic *ic)
{
	return __atomic_load_n(&ic->bad, __ATOMIC_RELAXED);
}
