// SPDX-License-Identifier: BSD-2-Clause
// The socket VSC: both streams of a connection, each message locked for itself, so that none of
// them keeps interrupts off for longer than the largest takes to copy.
#include "drivers/vsc/socket/socket_internal.h"

// At an empty ring, in a row. With an honest host the second finds what the first has missed.
#define SOCKET_LOOKS 4u

// --- locked ---

// LUMEN_BUSY: the handler is called when there is room.
static lumen_status socket_queue(struct lumen_socket *socket, const void *data, uint32_t length)
{
	const struct pipe_header header = pipe_header_for(length);
	const struct vmbus_piece pieces[] = { { &header, sizeof(header) }, { data, length } };
	struct vsc_queue *queue = socket->vsc.queues[0];
	const lumen_status status =
		lumen_channel_queue(queue->channel, &(struct vmbus_packet_out){
							    .type = VMBUS_PACKET_IN_BAND,
							    .payload = pieces,
							    .payload_count = length ? 2 : 1,
						    });

	// Of one that is gone the last bytes are there to be received.
	if (status != LUMEN_OK && status != LUMEN_BUSY && status != LUMEN_RESCINDED)
		vsc_channel_failed(queue, status);
	return status;
}

static void socket_send_end(struct lumen_socket *socket)
{
	socket->end_due = socket_queue(socket, NULL, 0) == LUMEN_BUSY;
	lumen_channel_flush(socket->vsc.queues[0]->channel);
}

static void socket_open_message(struct lumen_socket *socket, const struct vmbus_packet *packet)
{
	struct vsc_queue *queue = socket->vsc.queues[0];
	struct pipe_message message;

	if (packet->type != VMBUS_PACKET_IN_BAND ||
		!pipe_parse(packet->payload, packet->payload_length, &message)) {
		vsc_bad_host(queue, "a packet that is no message of a socket");
	} else if (socket->host_ended) {
		vsc_bad_host(queue, "a message behind the end of the stream");
	} else {
		socket->host_ended = !message.length;
		socket->unread = message.bytes;
		socket->left = message.length;
	}
}

// Receives the next message. False: there is none now, or never.
static bool socket_next(struct lumen_socket *socket)
{
	struct vsc_queue *queue = socket->vsc.queues[0];
	// What the host has sent before it took the channel away is in the ring by now.
	const bool gone = lumen_channel_rescinded(queue->channel);
	struct vsc_inbox *inbox = queue->inbox;
	const lumen_status status = lumen_channel_receive(
		queue->channel, inbox->bytes, socket->vsc.class->packet_size, &inbox->packet);

	if (status == LUMEN_OK)
		socket_open_message(socket, &inbox->packet);
	else if (status != LUMEN_BUSY || gone)
		vsc_channel_failed(queue, status == LUMEN_BUSY ? LUMEN_RESCINDED : status);
	return status == LUMEN_OK && vsc_status(&socket->vsc) == LUMEN_OK;
}

// Has the next message in the inbox, if there is one, and gives the host the ring's room back.
// Returns whether something may have come meanwhile; if not, signals are on.
static bool socket_fetch(struct lumen_socket *socket)
{
	bool again = true;

	for (uint32_t i = 0; i < SOCKET_LOOKS && again; i++) {
		const bool came = socket_next(socket);

		again = vsc_status(&socket->vsc) == LUMEN_OK &&
			lumen_channel_unmask(socket->vsc.queues[0]->channel) && !came;
	}
	return again;
}

static void socket_copy(struct lumen_socket *socket, uint8_t *buffer, uint32_t count)
{
	if (buffer)
		memcpy(buffer, socket->unread, count);
	socket->unread += count;
	socket->left -= count;
}

// What there is to be said of bytes that are not there.
static lumen_status socket_empty(const struct lumen_socket *socket)
{
	const lumen_status status = vsc_status(&socket->vsc);

	if (status == LUMEN_OK && !socket->host_ended)
		return LUMEN_BUSY;
	return status == LUMEN_RESCINDED ? LUMEN_OK : status;
}

// --- what the channel's handler and a failure have in common ---

void socket_tell(struct lumen_socket *socket)
{
	uint32_t *const counters[] = { &socket->events, &socket->sockets->events };

	for (uint32_t i = 0; i < 2; i++) {
		__atomic_add_fetch(counters[i], 1, __ATOMIC_RELEASE);
		lumen_wake(counters[i]);
	}
}

void socket_signalled(struct lumen_socket *socket)
{
	struct vsc_queue *queue = socket->vsc.queues[0];
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);

	if (socket->end_due)
		socket_send_end(socket);
	lumen_spin_unlock_irq(&queue->lock, state);
	socket_tell(socket);
}

// Lets go of the lock. If the connection has failed meanwhile, the other stream hears of it.
static void socket_unlock(struct lumen_socket *socket, uint64_t state, lumen_status before)
{
	if (vsc_unlock(socket->vsc.queues[0], state) && before == LUMEN_OK)
		socket_tell(socket);
}

lumen_status socket_sleep(struct lumen_socket *socket, uint32_t seen, uint64_t deadline_ns)
{
	if (!deadline_ns)
		return LUMEN_BUSY;
	if (lumen_is_due(deadline_ns))
		return LUMEN_TIMED_OUT;
	lumen_channel_wait(socket->vsc.queues[0]->channel, &socket->events, seen, deadline_ns);
	return LUMEN_OK;
}

// --- from the host ---

lumen_status socket_take(
	struct lumen_socket *socket, uint8_t *buffer, uint32_t size, uint32_t *received)
{
	const uint64_t state = lumen_spin_lock_irq(&socket->vsc.queues[0]->lock);
	const lumen_status before = vsc_status(&socket->vsc);
	const bool again = !socket->left && before == LUMEN_OK && socket_fetch(socket);
	lumen_status status = LUMEN_OK;
	uint32_t count;

	count = socket->left < size ? socket->left : size;
	if (count)
		socket_copy(socket, buffer, count);
	else
		status = socket_empty(socket);
	*received = count;
	socket_unlock(socket, state, before);
	if (again)
		socket_tell(socket); // there may be no signal
	return status;
}

lumen_status lumen_socket_receive(struct lumen_socket *socket, void *buffer, uint32_t size,
	uint64_t deadline_ns, uint32_t *received)
{
	lumen_status status;
	uint32_t seen, count;

	*received = 0;
	do {
		seen = __atomic_load_n(&socket->events, __ATOMIC_ACQUIRE);
		status = socket_take(
			socket, (uint8_t *)buffer + *received, size - *received, &count);
		*received += count;
		if (*received && !count)
			return LUMEN_OK;
		if (status == LUMEN_BUSY)
			status = socket_sleep(socket, seen, deadline_ns);
		else if (!count)
			return status;
	} while (status == LUMEN_OK && *received < size);
	return status;
}

// --- to the host ---

static lumen_status socket_put(struct lumen_socket *socket, const void *data, uint32_t length)
{
	const uint64_t state = lumen_spin_lock_irq(&socket->vsc.queues[0]->lock);
	const lumen_status before = vsc_status(&socket->vsc);
	lumen_status status = before;

	if (status == LUMEN_OK)
		status = socket->ended ? LUMEN_BAD_STATE : socket_queue(socket, data, length);
	socket_unlock(socket, state, before);
	return status;
}

static void socket_flush(struct lumen_socket *socket)
{
	struct vsc_queue *queue = socket->vsc.queues[0];
	const uint64_t state = lumen_spin_lock_irq(&queue->lock);

	lumen_channel_flush(queue->channel);
	lumen_spin_unlock_irq(&queue->lock, state);
}

lumen_status lumen_socket_send(struct lumen_socket *socket, const void *data, uint32_t length,
	uint64_t deadline_ns, uint32_t *sent)
{
	lumen_status status = LUMEN_OK;
	uint32_t seen, count;

	for (*sent = 0; status == LUMEN_OK && *sent < length;) {
		count = length - *sent;
		if (count > socket->message_max)
			count = socket->message_max;
		seen = __atomic_load_n(&socket->events, __ATOMIC_ACQUIRE);
		status = socket_put(socket, (const uint8_t *)data + *sent, count);
		if (status == LUMEN_OK)
			*sent += count;
		else if (status == LUMEN_BUSY)
			status = socket_sleep(socket, seen, deadline_ns);
	}
	if (*sent)
		socket_flush(socket);
	return status;
}

void lumen_socket_end(struct lumen_socket *socket)
{
	const uint64_t state = lumen_spin_lock_irq(&socket->vsc.queues[0]->lock);
	const lumen_status before = vsc_status(&socket->vsc);

	if (!socket->ended && before == LUMEN_OK)
		socket_send_end(socket);
	socket->ended = true;
	socket_unlock(socket, state, before);
}
