// SPDX-License-Identifier: BSD-2-Clause
// The base of VSCs: a device from its first channel to its last.
#include "drivers/vsc/vsc_turn.h"

static size_t vsc_round(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

static void vsc_init_slots(struct vsc_queue *queue)
{
	queue->free = VSC_NO_SLOT;
	for (uint32_t i = queue->depth; i-- > 0;) {
		queue->slots[i].next = queue->free;
		queue->free = i;
	}
}

struct vsc_queue *vsc_queue_create(
	struct vsc *vsc, struct lumen_channel *channel, size_t size, uint32_t depth)
{
	const size_t inbox = vsc_round(size);
	const size_t answer = inbox + sizeof(struct vsc_inbox) + vsc->class->packet_size;
	const size_t slots = answer + VSC_MAX_ANSWER;
	const uint32_t pages = vsc_page_count(slots + depth * sizeof(struct vsc_slot));
	uint8_t *memory = lumen_alloc_pages(pages);
	struct vsc_queue *queue = (struct vsc_queue *)(void *)memory;

	if (!queue)
		return NULL;
	queue->vsc = vsc;
	queue->channel = channel;
	queue->page_count = pages;
	queue->depth = depth;
	queue->inbox = (struct vsc_inbox *)(void *)(memory + inbox);
	queue->answer = memory + answer;
	queue->slots = (struct vsc_slot *)(void *)(memory + slots);
	vsc_init_slots(queue);
	return queue;
}

lumen_status vsc_queue_open(struct vsc_queue *queue, struct lumen_channel_config *config)
{
	struct vsc *vsc = queue->vsc;
	lumen_status status;

	config->context = queue;
	status = lumen_channel_open(queue->channel, config);
	if (status != LUMEN_OK) {
		lumen_free_pages(queue, queue->page_count);
		return status;
	}
	vsc->queues[vsc->queue_count] = queue;
	__atomic_store_n(&vsc->queue_count, vsc->queue_count + 1, __ATOMIC_RELEASE);
	return LUMEN_OK;
}

// --- failure ---

void vsc_fail(struct vsc *vsc, lumen_status status, const char *failure)
{
	lumen_status none = LUMEN_OK;

	if (__atomic_compare_exchange_n(
		    &vsc->status, &none, status, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		__atomic_store_n(&vsc->failure, failure, __ATOMIC_RELEASE);
}

void vsc_bad_host(struct vsc_queue *queue, const char *failure)
{
	vsc_fail(queue->vsc, LUMEN_BAD_HOST, failure);
}

void vsc_channel_failed(struct vsc_queue *queue, lumen_status status)
{
	vsc_fail(queue->vsc, status,
		status == LUMEN_RESCINDED ? "the host has taken the device away"
					  : "the channel's ring is broken");
}

void vsc_drop(struct vsc *vsc)
{
	for (uint32_t i = 0; i < vsc->queue_count; i++) {
		struct vsc_queue *queue = vsc->queues[i];

		vsc->class->drop(queue);
		vsc_end_wait(vsc, &queue->pending);
		lumen_wake(&queue->in_flight);
	}
}

uint64_t *vsc_put_pages(
	uint64_t *word, const struct lumen_segment *segment, uint32_t offset, uint32_t length)
{
	const uint32_t in_page = (uint32_t)(vsc_address(segment) + offset) % LUMEN_PAGE_SIZE;
	const uint32_t pages = vsc_page_count((size_t)in_page + length);
	uint64_t gpa_page = (segment->gpa + offset) / LUMEN_PAGE_SIZE;
	const uint8_t *data = segment->data;

	if (!data) {
		for (uint32_t i = 0; i < pages; i++)
			*word++ = gpa_page++;
		return word;
	}
	data += offset; // any byte of the page will do
	for (uint32_t i = 0; i < pages; i++, data += LUMEN_PAGE_SIZE)
		*word++ = lumen_gpa(data) / LUMEN_PAGE_SIZE;
	return word;
}

// --- a queue, locked ---

void vsc_flush(struct vsc_queue *queue)
{
	if (!queue->flush_due || queue->batching > 0)
		return;
	__atomic_store_n(&queue->flush_due, false, __ATOMIC_RELAXED);
	lumen_channel_flush(queue->channel);
}

void vsc_take_answer(struct vsc_queue *queue, const struct vmbus_packet *packet)
{
	const uint32_t length = packet->payload_length;

	if (!queue->pending || packet->transaction_id >> 32 != queue->question) {
		vsc_bad_host(queue, "an answer to no question");
		return;
	}
	memset(queue->answer, 0, VSC_MAX_ANSWER);
	memcpy(queue->answer, packet->payload, length < VSC_MAX_ANSWER ? length : VSC_MAX_ANSWER);
	vsc_end_wait(queue->vsc, &queue->pending);
}

bool vsc_count_news(struct vsc_turn *turn)
{
	if (++turn->news <= VSC_MAX_NEWS)
		return true;
	vsc_bad_host(turn->queue, "packets without end");
	return false;
}

// --- waiting ---

void vsc_set_due(struct vsc *vsc)
{
	__atomic_store_n(&vsc->due, 1, __ATOMIC_RELEASE);
	lumen_wake(&vsc->due);
}

bool vsc_defer(struct vsc *vsc)
{
	if (vsc->polled)
		vsc_set_due(vsc);
	return vsc->polled;
}

bool vsc_poll(struct vsc *vsc)
{
	// Signals are masked on those queues whose handlers have said so; the others lose nothing.
	const bool due = __atomic_exchange_n(&vsc->due, 0, __ATOMIC_ACQUIRE);
	bool any = false;

	for (uint32_t i = 0; i < vsc->queue_count; i++)
		any |= vsc->class->service(vsc->queues[i], due);
	return any;
}

// Until *word is not `value` any more. Polled: until there is something to look at.
static void vsc_sleep(
	const struct vsc_queue *queue, const uint32_t *word, uint32_t value, uint64_t deadline)
{
	if (queue->vsc->polled)
		lumen_channel_wait(queue->channel, &queue->vsc->due, 0, deadline);
	else
		lumen_channel_wait(queue->channel, word, value, deadline);
}

struct lumen_channel *vsc_find_sub(
	struct vsc *vsc, struct lumen_vmbus *bus, uint32_t index, uint64_t deadline_ns)
{
	const uint32_t *changes = lumen_vmbus_changes(bus);
	struct lumen_channel *primary = vsc->queues[0]->channel, *channel;
	uint32_t seen;

	for (;;) {
		seen = __atomic_load_n(changes, __ATOMIC_ACQUIRE);
		channel = lumen_channel_sub(primary, index);
		if (channel || vsc_status(vsc) != LUMEN_OK || lumen_is_due(deadline_ns))
			return channel;
		lumen_channel_wait(primary, changes, seen, deadline_ns);
	}
}

void vsc_end_wait(struct vsc *vsc, uint32_t *pending)
{
	__atomic_store_n(pending, 0, __ATOMIC_RELEASE);
	lumen_wake(pending);
	vsc_defer(vsc); // somebody else has polled
}

bool vsc_wait(struct vsc *vsc, const uint32_t *pending)
{
	uint64_t deadline = 0; // not yet: what is there already costs no look at the clock

	for (;;) {
		vsc_poll(vsc);
		if (!__atomic_load_n(pending, __ATOMIC_ACQUIRE))
			return true;
		if (!deadline)
			deadline = lumen_deadline_ns(vsc->timeout_ns);
		else if (lumen_is_due(deadline))
			return false;
		vsc_sleep(vsc->queues[0], pending, 1, deadline);
	}
}

static lumen_status vsc_send_question(struct vsc_queue *queue, const struct vmbus_piece *piece)
{
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);
	lumen_status status = vsc_status(queue->vsc);

	if (status == LUMEN_OK) {
		queue->pending = 1;
		queue->question++;
		status = lumen_channel_send(queue->channel,
			&(struct vmbus_packet_out){
				.type = VMBUS_PACKET_IN_BAND,
				.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
				.transaction_id = (uint64_t)queue->question << 32 | queue->depth,
				.payload = piece,
				.payload_count = 1,
			});
	}
	lumen_spin_unlock_irq(&queue->lock, state);
	return status;
}

lumen_status vsc_ask(struct vsc *vsc, const void *question, uint32_t length)
{
	const struct vmbus_piece piece = { question, length };
	struct vsc_queue *queue = vsc->queues[0];
	const lumen_status status = vsc_send_question(queue, &piece);

	if (status != LUMEN_OK)
		return status;
	// The host no longer counts on a late answer being heard.
	if (!vsc_wait(vsc, &queue->pending))
		vsc_fail(vsc, LUMEN_TIMED_OUT, "a question without an answer");
	return vsc_status(vsc);
}

// --- the end ---

static void vsc_drain_queue(struct vsc_queue *queue, uint64_t deadline)
{
	uint32_t in_flight;

	for (;;) {
		vsc_poll(queue->vsc);
		in_flight = __atomic_load_n(&queue->in_flight, __ATOMIC_ACQUIRE);
		if (in_flight == 0 || vsc_status(queue->vsc) != LUMEN_OK || lumen_is_due(deadline))
			return;
		vsc_sleep(queue, &queue->in_flight, in_flight, deadline);
	}
}

void vsc_drain(struct vsc *vsc)
{
	const uint64_t deadline = lumen_deadline_ns(vsc->timeout_ns);

	for (uint32_t i = 0; i < vsc->queue_count; i++)
		vsc_drain_queue(vsc->queues[i], deadline);
}

void vsc_shut_down(struct vsc *vsc)
{
	for (uint32_t i = vsc->queue_count; i-- > 0;)
		lumen_channel_close(vsc->queues[i]->channel);
	vsc_fail(vsc, LUMEN_CANCELLED, "closed");
	vsc_drop(vsc);
	for (uint32_t i = 0; i < vsc->queue_count; i++)
		lumen_free_pages(vsc->queues[i], vsc->queues[i]->page_count);
}
