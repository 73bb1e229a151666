// SPDX-License-Identifier: BSD-2-Clause
// The network VSC: RNDIS' control messages, one question at a time, and what the host says by
// itself. They go out by a section of the send buffer, and come as frames do.
#include "drivers/vsc/net/net_internal.h"

#define NET_HEADER	 ((uint32_t)sizeof(struct rndis_header))
#define NET_TRANSFER_MAX 0x4000u // told to the host, which does as it likes

// --- out ---

// Puts a message into the section for them, and makes what NVSP says of it.
static struct nvsp_message net_put_control(struct lumen_net *net, uint32_t type, const void *body,
	uint32_t body_length, const void *more, uint32_t more_length)
{
	const uint32_t section = net->control_section;
	uint8_t *to = net->sending.bytes + (size_t)section * net->section_size;
	const struct rndis_header header = { type, NET_HEADER + body_length + more_length };

	memcpy(to, &header, NET_HEADER);
	memcpy(to + NET_HEADER, body, body_length);
	if (more_length)
		memcpy(to + NET_HEADER + body_length, more, more_length);
	return (struct nvsp_message){ .type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { NVSP_CHANNEL_CONTROL, section, header.length } };
}

// From now on its answer counts.
static void net_expect(struct lumen_net *net, uint32_t type)
{
	struct vsc_queue *queue = net->vsc.queues[0];
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);

	net->question.type = type | RNDIS_COMPLETE;
	__atomic_store_n(&net->question.pending, 1, __ATOMIC_RELAXED);
	lumen_spin_unlock_irq(&queue->lock, state);
}

// The answer's body is then in net->question, with zeroes behind it. The host has the packet before
// it answers, but may say so later.
static lumen_status net_ask(struct lumen_net *net, struct nvsp_message *message, uint32_t type)
{
	lumen_status status;

	net_expect(net, type);
	status = net_demand(net, message, NVSP_SEND_RNDIS_PACKET_COMPLETE);
	if (status != LUMEN_OK)
		return status;
	if (net_answer(net)->rndis_packet_complete.status != NVSP_STATUS_SUCCESS)
		return LUMEN_REFUSED;
	if (!vsc_wait(&net->vsc, &net->question.pending))
		vsc_fail(&net->vsc, LUMEN_TIMED_OUT, "an RNDIS question without an answer");
	return vsc_status(&net->vsc);
}

// What an answer says of a value, which is not where it says.
static lumen_status net_bad_answer(struct lumen_net *net)
{
	vsc_bad_host(net->vsc.queues[0], "an RNDIS answer that lies");
	return LUMEN_BAD_HOST;
}

lumen_status net_initialize(struct lumen_net *net)
{
	const struct rndis_initialize initialize = { ++net->question.id, RNDIS_MAJOR, RNDIS_MINOR,
		NET_TRANSFER_MAX };
	struct nvsp_message message =
		net_put_control(net, RNDIS_INITIALIZE, &initialize, sizeof(initialize), NULL, 0);
	struct rndis_initialize_complete answer;
	const lumen_status status = net_ask(net, &message, RNDIS_INITIALIZE);

	if (status != LUMEN_OK)
		return status;
	memcpy(&answer, net->question.body, sizeof(answer));
	if (net->question.length < offsetof(struct rndis_initialize_complete, rsvd))
		return net_bad_answer(net);
	if (answer.status != RNDIS_STATUS_SUCCESS || answer.medium != RNDIS_MEDIUM_802_3)
		return LUMEN_REFUSED;
	net->initialized = true;
	return LUMEN_OK;
}

void net_halt(struct lumen_net *net)
{
	const uint32_t id = ++net->question.id;
	struct nvsp_message message = net_put_control(net, RNDIS_HALT, &id, sizeof(id), NULL, 0);

	net_tell(net, &message);
}

static lumen_status net_request(
	struct lumen_net *net, uint32_t type, uint32_t oid, const void *value, uint32_t length)
{
	const struct rndis_request request = { ++net->question.id, oid, length,
		sizeof(struct rndis_request), 0 };
	struct nvsp_message message =
		net_put_control(net, type, &request, sizeof(request), value, length);

	return net_ask(net, &message, type);
}

lumen_status net_query(struct lumen_net *net, uint32_t oid, const void *asked,
	uint32_t asked_length, void *value, uint32_t size)
{
	const struct net_question *question = &net->question;
	const lumen_status status = net_request(net, RNDIS_QUERY, oid, asked, asked_length);
	struct rndis_query_complete answer;

	memset(value, 0, size);
	if (status != LUMEN_OK)
		return status;
	memcpy(&answer, question->body, sizeof(answer));
	if (question->length < sizeof(answer))
		return net_bad_answer(net);
	if (answer.status != RNDIS_STATUS_SUCCESS)
		return LUMEN_NOT_SUPPORTED;
	if (answer.buffer_length &&
		(answer.buffer_offset < sizeof(answer) || answer.buffer_offset > question->length ||
			answer.buffer_length > question->length - answer.buffer_offset))
		return net_bad_answer(net);
	memcpy(value, question->body + (answer.buffer_length ? answer.buffer_offset : 0),
		answer.buffer_length < size ? answer.buffer_length : size);
	return LUMEN_OK;
}

lumen_status net_set(struct lumen_net *net, uint32_t oid, const void *value, uint32_t length)
{
	const lumen_status status = net_request(net, RNDIS_SET, oid, value, length);
	struct rndis_complete answer;

	if (status != LUMEN_OK)
		return status;
	memcpy(&answer, net->question.body, sizeof(answer));
	if (net->question.length < sizeof(answer))
		return net_bad_answer(net);
	return answer.status == RNDIS_STATUS_SUCCESS ? LUMEN_OK : LUMEN_REFUSED;
}

lumen_status lumen_net_set_filter(struct lumen_net *net, uint32_t filter)
{
	return net_set(net, OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof(filter));
}

// --- in ---

static void net_take_link(struct lumen_net *net, uint32_t link)
{
	if (__atomic_exchange_n(&net->link, link, __ATOMIC_RELAXED) == link)
		return;
	net_tell_change(net);
}

static void net_take_status(struct lumen_net *net, const uint8_t *body, uint32_t length)
{
	uint32_t status;

	if (length < sizeof(struct rndis_indicate_status))
		return;
	memcpy(&status, body, sizeof(status));
	if (status == RNDIS_STATUS_MEDIA_CONNECT)
		net_take_link(net, NDIS_MEDIA_CONNECTED);
	else if (status == RNDIS_STATUS_MEDIA_DISCONNECT)
		net_take_link(net, NDIS_MEDIA_DISCONNECTED);
}

// One that nobody waits for any more, or never has, says nothing.
static void net_take_question(
	struct lumen_net *net, uint32_t type, const uint8_t *body, uint32_t length)
{
	struct net_question *question = &net->question;
	struct vsc_queue *queue = net->vsc.queues[0];
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);
	uint32_t id = 0;

	memcpy(&id, body, length < sizeof(id) ? 0 : sizeof(id));
	if (question->pending && type == question->type && id == question->id) {
		memset(question->body, 0, sizeof(question->body));
		memcpy(question->body, body, length);
		question->length = length;
		vsc_end_wait(&net->vsc, &question->pending);
	}
	lumen_spin_unlock_irq(&queue->lock, state);
}

void net_take_control(struct net_queue *queue, const uint8_t *message, uint32_t length)
{
	struct lumen_net *net = net_of(queue);
	const uint8_t *body = message + NET_HEADER;
	struct rndis_header header;

	memcpy(&header, message, NET_HEADER);
	if (header.length < NET_HEADER) {
		vsc_bad_host(&queue->vsc, "an RNDIS message shorter than its header");
		return;
	}
	length = (header.length < length ? header.length : length) - NET_HEADER;
	if (header.type == RNDIS_INDICATE_STATUS)
		net_take_status(net, body, length);
	else if (header.type & RNDIS_COMPLETE)
		net_take_question(net, header.type, body, length);
}
