// SPDX-License-Identifier: BSD-2-Clause
// The socket VSC: connections from their begin to their end.
#include "drivers/vsc/socket/socket_internal.h"

#define SOCKET_RING_PAGES                                                                          \
	5u // and a control page: what old hosts insist on (Linux: hyperv_transport.c)

// Half of a ring, so that one message is read while the next is written.
static uint32_t socket_message_max(uint32_t ring_pages)
{
	const uint64_t half = (uint64_t)ring_pages * LUMEN_PAGE_SIZE / 2;
	const uint32_t frame =
		(uint32_t)(sizeof(struct vmbus_packet_descriptor) + sizeof(struct pipe_header) +
			   sizeof(struct vmbus_packet_footer));

	return half < SOCKET_MESSAGE_MAX + frame ? (uint32_t)half - frame : SOCKET_MESSAGE_MAX;
}

// --- all sockets ---

void lumen_sockets_start(struct lumen_sockets *sockets, struct lumen_vmbus *bus,
	const struct lumen_sockets_config *config)
{
	*sockets = (struct lumen_sockets){ .bus = bus, .last_port = LUMEN_SOCKET_MAX_PORT };
	if (config)
		sockets->config = *config;
	if (!sockets->config.send_pages)
		sockets->config.send_pages = SOCKET_RING_PAGES;
	if (!sockets->config.receive_pages)
		sockets->config.receive_pages = SOCKET_RING_PAGES;
	lumen_vmbus_watch(bus, &sockets->events);
}

void lumen_sockets_wait(struct lumen_sockets *sockets, uint32_t seen, uint64_t deadline_ns)
{
	lumen_vmbus_sleep(sockets->bus, &sockets->events, seen, deadline_ns);
}

// --- a connection begins ---

static bool socket_service(struct vsc_queue *queue, bool signalled)
{
	(void)signalled;
	socket_signalled((struct lumen_socket *)queue->vsc); // its first member
	return true;
}

static void socket_handler(void *context, struct lumen_channel *channel)
{
	(void)channel;
	socket_service(context, true);
}

static void socket_drop(struct vsc_queue *queue)
{
	socket_tell((struct lumen_socket *)queue->vsc);
}

static lumen_status socket_start(struct lumen_socket *socket, struct lumen_channel *channel)
{
	const struct lumen_sockets_config *config = &socket->sockets->config;
	struct vsc_queue *queue =
		vsc_queue_create(&socket->vsc, channel, sizeof(struct vsc_queue), 0);

	if (!queue)
		return LUMEN_NO_MEMORY;
	return vsc_queue_open(queue, &(struct lumen_channel_config){
					     .send_pages = config->send_pages,
					     .receive_pages = config->receive_pages,
					     .target_vp = lumen_this_vp(),
					     .handler = socket_handler,
				     });
}

static lumen_status socket_open(struct lumen_sockets *sockets, struct lumen_channel *channel,
	struct lumen_socket **socket_out)
{
	static const struct vsc_class class = {
		.packet_size = SOCKET_PACKET_SIZE,
		.service = socket_service,
		.drop = socket_drop,
	};
	const uint32_t pages = vsc_page_count(sizeof(struct lumen_socket));
	struct lumen_socket *socket = lumen_alloc_pages(pages);
	lumen_status status;

	if (!socket)
		return LUMEN_NO_MEMORY;
	socket->vsc.class = &class;
	socket->sockets = sockets;
	socket->page_count = pages;
	socket->message_max = socket_message_max(sockets->config.send_pages);
	status = socket_start(socket, channel);
	if (status == LUMEN_OK)
		*socket_out = socket;
	else
		lumen_free_pages(socket, pages);
	return status;
}

// Takes the channel over, or gives it back.
static lumen_status socket_begin(struct lumen_sockets *sockets, struct lumen_channel *channel,
	struct lumen_socket **socket_out)
{
	const lumen_status status = socket_open(sockets, channel, socket_out);

	if (status != LUMEN_OK)
		lumen_channel_give_back(channel);
	return status;
}

// Ports above those that one can listen at, one after the other.
static uint32_t socket_next_port(struct lumen_sockets *sockets)
{
	return __atomic_add_fetch(&sockets->last_port, 1, __ATOMIC_RELAXED) |
	       (LUMEN_SOCKET_MAX_PORT + 1);
}

lumen_status lumen_socket_connect(
	struct lumen_sockets *sockets, uint32_t port, struct lumen_socket **socket_out)
{
	const struct vmbus_guid service = SOCKET_SERVICE(port);
	const struct vmbus_guid guest = SOCKET_SERVICE(socket_next_port(sockets));
	struct lumen_channel *channel;
	lumen_status status;

	if (port > LUMEN_SOCKET_MAX_PORT)
		return LUMEN_BAD_ARGUMENT;
	status = lumen_vmbus_connect_socket(sockets->bus, &service, &guest, &channel);
	return status == LUMEN_OK ? socket_begin(sockets, channel, socket_out) : status;
}

lumen_status lumen_socket_accept(
	struct lumen_sockets *sockets, uint32_t port, struct lumen_socket **socket_out)
{
	const struct vmbus_guid service = SOCKET_SERVICE(port);
	struct lumen_channel *channel;

	if (port > LUMEN_SOCKET_MAX_PORT)
		return LUMEN_BAD_ARGUMENT;
	channel = lumen_vmbus_accept_socket(sockets->bus, &service);
	return channel ? socket_begin(sockets, channel, socket_out) : LUMEN_BUSY;
}

// --- what it says ---

lumen_status lumen_socket_status(const struct lumen_socket *socket)
{
	return vsc_status(&socket->vsc);
}

const char *lumen_socket_failure(const struct lumen_socket *socket)
{
	return __atomic_load_n(&socket->vsc.failure, __ATOMIC_ACQUIRE);
}

// --- and ends ---

// So many messages a ring holds at most: a byte takes as much as eight.
static uint32_t socket_ring_messages(const struct lumen_socket *socket)
{
	return socket->sockets->config.receive_pages *
	       (uint32_t)(LUMEN_PAGE_SIZE /
			  (sizeof(struct vmbus_packet_descriptor) + sizeof(struct pipe_header) +
				  sizeof(struct vmbus_packet_footer)));
}

// Until the host has ended the connection. It may write as fast as this reads: then that is until
// the deadline, too, or without one until a whole ring has been read.
static lumen_status socket_linger(struct lumen_socket *socket, uint64_t deadline_ns)
{
	uint32_t left = socket_ring_messages(socket), seen, thrown_away;
	lumen_status status = LUMEN_OK;

	while (status == LUMEN_OK) {
		seen = __atomic_load_n(&socket->events, __ATOMIC_ACQUIRE);
		socket_take(socket, NULL, UINT32_MAX, &thrown_away);
		if (thrown_away && (deadline_ns ? !lumen_is_due(deadline_ns) : left-- > 0))
			continue;
		if (vsc_status(&socket->vsc) != LUMEN_OK)
			return vsc_status(&socket->vsc);
		status = socket_sleep(socket, seen, deadline_ns);
	}
	return status;
}

lumen_status lumen_socket_close(struct lumen_socket *socket, uint64_t deadline_ns)
{
	struct lumen_channel *channel = socket->vsc.queues[0]->channel;
	lumen_status status;

	lumen_socket_end(socket);
	status = socket_linger(socket, deadline_ns);
	vsc_shut_down(&socket->vsc);
	lumen_channel_give_back(channel);
	lumen_free_pages(socket, socket->page_count);
	if (status == LUMEN_BAD_HOST)
		return status;
	return status == LUMEN_RESCINDED ? LUMEN_OK : LUMEN_TIMED_OUT;
}
