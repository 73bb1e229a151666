// SPDX-License-Identifier: BSD-2-Clause
// The integration components' VSCs: one message at a time is received, taken with nothing locked,
// answered in place, and told.
#include "drivers/vsc/ic/ic_vsc.h"

#include "drivers/common/pipe.h"
#include "drivers/vsc/vsc_turn.h"

#define IC_RING_PAGES  3u // as Linux's
#define IC_PACKET_SIZE 8192u

// Where the inbox's message is. Changed with the lock held; nothing is received but in IC_IDLE.
enum ic_stage {
	IC_IDLE,
	IC_HELD,   // who has received it takes it, without the lock: the fields below are theirs
	IC_UNSENT, // taken; the response waits for room
	IC_ENDED,  // the device has failed
};

struct ic_queue {
	struct vsc_queue vsc;
	enum ic_stage stage;
	uint64_t transaction_id; // of the packet
	struct ic_message message;
	struct ic_frame frame; // of the response
	const void *body;      // frame.header.size bytes: in the inbox, or `choice`
	struct ic_choice choice;
	struct ic_event event;
};

static struct lumen_ic *ic_of(const struct ic_queue *queue)
{
	return (struct lumen_ic *)queue->vsc.vsc; // its first member
}

// Messages are counted by who holds one, or the lock while nobody does.
uint32_t ic_refuse(struct lumen_ic *ic)
{
	__atomic_store_n(&ic->bad, ic->bad + 1, __ATOMIC_RELAXED);
	return IC_STATUS_FAIL;
}

static void ic_abandon(struct lumen_ic *ic)
{
	if (ic->component->abandon)
		ic->component->abandon(ic);
}

// --- locked ---

// Returns whether the response is in the ring.
static bool ic_send(struct ic_queue *queue)
{
	const struct vmbus_piece pieces[] = {
		{ &queue->frame, sizeof(queue->frame) },
		{ queue->body, queue->frame.header.size },
	};
	const lumen_status status = lumen_channel_send(
		queue->vsc.channel, &(struct vmbus_packet_out){
					    .type = VMBUS_PACKET_IN_BAND,
					    .transaction_id = queue->transaction_id,
					    .payload = pieces,
					    .payload_count = 2,
				    });

	if (status == LUMEN_OK)
		queue->stage = IC_IDLE;
	else if (status != LUMEN_BUSY) // the handler is called when there is room
		vsc_channel_failed(&queue->vsc, status);
	return status == LUMEN_OK;
}

static void ic_receive(struct ic_queue *queue, const struct vmbus_packet *packet)
{
	struct pipe_message pipe;

	queue->transaction_id = packet->transaction_id;
	if (packet->type == VMBUS_PACKET_IN_BAND &&
		pipe_parse(packet->payload, packet->payload_length, &pipe) &&
		ic_parse(pipe.bytes, pipe.length, &queue->message) &&
		!(queue->message.header.flags & IC_FLAG_RESPONSE))
		queue->stage = IC_HELD;
	else
		ic_refuse(ic_of(queue)); // there is nothing to answer
}

// What a look at the queue leaves to be done without the lock, in this order.
struct ic_chores {
	struct ic_event event; // to be told
	bool take, end, again;
};

static void ic_look(struct ic_queue *queue, struct vsc_turn *turn, struct ic_chores *chores)
{
	const struct vmbus_packet *packet = NULL;

	if (chores->take)
		queue->stage = IC_UNSENT;
	*chores = (struct ic_chores){ 0 };
	if (vsc_status(queue->vsc.vsc) == LUMEN_OK && queue->stage == IC_UNSENT && ic_send(queue)) {
		chores->event = queue->event;
		queue->event.due = false;
	}
	if (queue->stage == IC_IDLE)
		packet = vsc_next(turn);
	if (packet && vsc_count_news(turn)) {
		ic_receive(queue, packet);
		chores->take = queue->stage == IC_HELD;
		turn->more = true;
	}
}

// After a look: who is the one to come again, or to end it all.
static void ic_decide(struct ic_queue *queue, const struct vsc_turn *turn, struct ic_chores *chores)
{
	if (vsc_status(queue->vsc.vsc) != LUMEN_OK &&
		(queue->stage == IC_IDLE || queue->stage == IC_UNSENT)) {
		queue->stage = IC_ENDED;
		chores->end = true;
	}
	chores->again = chores->take || (turn->more && queue->stage == IC_IDLE);
}

// --- not locked ---

// The host names its versions, at first or anew.
static uint32_t ic_take_versions(struct ic_queue *queue)
{
	struct lumen_ic *ic = ic_of(queue);
	const struct ic_versions *versions = &ic->component->versions;

	ic_abandon(ic);
	if (ic_choose(&queue->message, versions, &ic->dialect, &queue->choice) != IC_AGREED)
		ic_refuse(ic); // a choice of nothing tells the host
	return IC_STATUS_OK;
}

static uint32_t ic_take_request(struct ic_queue *queue)
{
	struct lumen_ic *ic = ic_of(queue);
	const struct ic_header *header = &queue->message.header;
	uint8_t *body = (uint8_t *)(uintptr_t)queue->message.body; // in the inbox, which is ours

	if (header->type != ic->component->message || ic->dialect.framework.major == 0 ||
		header->size < ic->component->size)
		return ic_refuse(ic);
	return ic->component->take(ic, body, header->size, &queue->event);
}

static void ic_take(struct ic_queue *queue)
{
	const struct ic_header *header = &queue->message.header;
	uint16_t size = header->size;
	uint32_t status;

	if (header->type == IC_MESSAGE_NEGOTIATE) {
		status = ic_take_versions(queue);
		queue->body = &queue->choice;
		size = sizeof(queue->choice);
	} else {
		status = ic_take_request(queue);
		queue->body = queue->message.body;
	}
	queue->frame = ic_response(header, status, size);
}

// The kernel is told after the host has its answer, so that it may power off at once.
static void ic_do(struct ic_queue *queue, const struct ic_chores *chores)
{
	struct lumen_ic *ic = ic_of(queue);

	if (chores->event.due)
		ic->component->tell(ic, chores->event.words);
	if (chores->take)
		ic_take(queue);
	if (chores->end)
		ic_abandon(ic);
}

static bool ic_service(struct vsc_queue *base, bool signalled)
{
	struct ic_queue *queue = (struct ic_queue *)base; // its first member
	struct ic_chores chores = { 0 };
	struct vsc_turn turn;

	vsc_turn_init(&turn, base, signalled);
	do {
		vsc_turn_begin(&turn);
		ic_look(queue, &turn, &chores);
		vsc_turn_end(&turn);
		ic_decide(queue, &turn, &chores);
		if (vsc_unlock(base, turn.state))
			vsc_drop(base->vsc);
		ic_do(queue, &chores);
	} while (chores.again);
	return turn.taken > 0;
}

static void ic_handler(void *context, struct lumen_channel *channel)
{
	struct vsc_queue *queue = context;

	(void)channel;
	if (!vsc_defer(queue->vsc))
		ic_service(queue, true);
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
	const uint32_t pages = vsc_page_count(sizeof(struct lumen_ic) + component->state_size);
	struct lumen_ic *ic;
	lumen_status status;

	if (!channel)
		return LUMEN_NOT_SUPPORTED;
	ic = lumen_alloc_pages(pages);
	if (!ic)
		return LUMEN_NO_MEMORY;
	ic->vsc.class = &class;
	ic->vsc.polled = component->polled;
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
	ic_abandon(ic);
	lumen_free_pages(ic, ic->page_count);
}

bool lumen_ic_poll(struct lumen_ic *ic)
{
	return vsc_poll(&ic->vsc);
}

void lumen_ic_wait(struct lumen_ic *ic, uint64_t deadline_ns)
{
	lumen_channel_wait(ic->vsc.queues[0]->channel, &ic->vsc.due, 0, deadline_ns);
}

lumen_status lumen_ic_status(const struct lumen_ic *ic)
{
	return vsc_status(&ic->vsc);
}

uint32_t lumen_ic_bad_messages(const struct lumen_ic *ic)
{
	return __atomic_load_n(&ic->bad, __ATOMIC_RELAXED);
}
