// SPDX-License-Identifier: BSD-2-Clause
// See socket.h: who wants to be connected, from both sides, and what has become late.
#include "parent/worker/devices/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/connector.h"
#include "parent/worker/listener.h"
#include "parent/worker/worker.h"

enum {
	BACKLOG = 128,
	TICK_MS = 1000,
	ANSWER_MS = 5000, // that the supervisor has
};

static struct socket_device *sockets_of(struct device *device)
{
	return (struct socket_device *)device;
}

static struct loop *loop_of(struct socket_device *sockets)
{
	return &sockets->device.worker->loop;
}

// --- places and deadlines ---

static void start_ticking(struct socket_device *sockets)
{
	if (!sockets->ticking)
		loop_timer_start(&sockets->ticks, TICK_MS);
	sockets->ticking = true;
}

struct socket_connection *socket_take_place(struct socket_device *sockets)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket_connection *connection = &sockets->connections[i];

		if (connection->state != SOCKET_FREE)
			continue;
		memset(connection, 0, sizeof(*connection));
		connection->sockets = sockets;
		connection->fd = -1;
		connection->number = ++sockets->number;
		sockets->used++;
		return connection;
	}
	return NULL;
}

void socket_free_place(struct socket_connection *connection)
{
	connection->state = SOCKET_FREE;
	connection->deadline = 0;
	connection->sockets->used--;
}

void socket_set_deadline(struct socket_connection *connection, uint32_t ms)
{
	connection->deadline = deadline_in_ms(ms);
	start_ticking(connection->sockets);
}

static const char *why_late(const struct socket_connection *connection)
{
	return connection->state == SOCKET_LINE ? "Nothing was asked for in time."
						: "Nobody in the child listens there.";
}

static void answer_child(struct socket_connection *connection, bool refused)
{
	connection->sockets->refused += refused;
	vmbus_host_answer_socket(
		&connection->sockets->device.worker->vmbus, connection->request, refused);
}

static void end_late(struct socket_connection *connection)
{
	if (socket_offer_again(connection))
		return;
	connection->deadline = 0;
	connection->sockets->late++;
	if (connection->state == SOCKET_ANSWER)
		answer_child(connection, true);
	socket_end(connection, why_late(connection));
}

static void ticked(struct loop_source *source)
{
	struct socket_device *sockets = container_of(source, struct socket_device, ticks);
	bool any = false;

	sockets->ticking = false;
	for (uint32_t i = 0; i < SOCKETS_MAX; i++) {
		struct socket_connection *connection = &sockets->connections[i];

		if (connection->deadline && !deadline_left_ms(connection->deadline))
			end_late(connection);
		any |= connection->deadline != 0;
	}
	if (sockets->deaf)
		loop_change(loop_of(sockets), &sockets->listener, EPOLLIN);
	sockets->deaf = false;
	if (any)
		start_ticking(sockets);
}

// --- programs of the root's that want to go to the child ---

static void refuse(int fd)
{
	static const char sentence[] = "ERROR The child has as many connections as it may have.\n";

	send(fd, sentence, sizeof(sentence) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static bool listener_ready(struct loop_source *source, uint32_t events)
{
	struct socket_device *sockets = container_of(source, struct socket_device, listener);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct socket_connection *connection;

	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return errno != EAGAIN;
	if (fd < 0) { // no descriptors: it would be ready for ever
		sockets->deaf = true;
		loop_change(loop_of(sockets), source, 0);
		start_ticking(sockets);
		return true;
	}
	connection = socket_take_place(sockets);
	if (!connection) {
		refuse(fd);
	} else if (!socket_begin(connection, fd)) {
		close(fd);
		socket_free_place(connection);
	}
	return true;
}

// --- programs of the child's that want to go to the root ---

// Whether a service is a port that somebody can listen at.
static bool is_port(const struct vmbus_guid *service)
{
	const struct vmbus_guid port = SOCKET_SERVICE(service->data1);

	return !memcmp(&port, service, sizeof(port)) && service->data1 <= SOCKET_PORT_MAX;
}

static void child_asks(void *context, const struct vmbus_socket_request *request)
{
	struct socket_device *sockets = context;
	struct socket_connection *connection =
		is_port(&request->service) ? socket_take_place(sockets) : NULL;

	if (!connection) {
		sockets->refused++;
		vmbus_host_answer_socket(&sockets->device.worker->vmbus, request->id, true);
		return;
	}
	connection->state = SOCKET_ANSWER;
	connection->from_child = true;
	connection->request = request->id;
	connection->port = request->service.data1;
	connection->vmbus.offer.interface_type = request->service;
	connection->vmbus.offer.interface_instance = request->guest;
	socket_set_deadline(connection, ANSWER_MS);
	if (connector_ask(sockets->connector.fd, connection->number, connection->port))
		return;
	answer_child(connection, true);
	socket_free_place(connection);
}

static struct socket_connection *who_asked(struct socket_device *sockets, uint32_t number)
{
	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (sockets->connections[i].state == SOCKET_ANSWER &&
			sockets->connections[i].number == number)
			return &sockets->connections[i];
	return NULL;
}

// Takes over `fd`, or closes it.
static void connect_child(struct socket_connection *connection, int fd)
{
	const struct vmbus_guid instance = connection->vmbus.offer.interface_instance;

	if (fd < 0) {
		answer_child(connection, true);
		socket_free_place(connection);
	} else if (!vmbus_host_answer_socket(&connection->sockets->device.worker->vmbus,
			   connection->request, false) ||
		   !socket_offer_channel(connection, &instance, fd)) {
		close(fd);
		socket_free_place(connection);
	}
}

// Without a supervisor there will be no more, and this process is about to end.
static bool connector_ready(struct loop_source *source, uint32_t events)
{
	struct socket_device *sockets = container_of(source, struct socket_device, connector);
	struct socket_connection *connection;
	uint32_t number;
	int fd;

	if (!connector_answer(source->fd, &number, &fd)) {
		if (events & (EPOLLHUP | EPOLLERR))
			loop_change(loop_of(sockets), source, 0);
		return events & (EPOLLHUP | EPOLLERR);
	}
	connection = who_asked(sockets, number);
	if (connection)
		connect_child(connection, fd);
	else if (fd >= 0)
		close(fd);
	return true;
}

// --- the row ---

bool socket_attach(struct device *device, struct failure *failure)
{
	struct socket_device *sockets = sockets_of(device);

	sockets->listener.fd = listener_open(device->worker->directory, RUNDIR_VSOCK, BACKLOG);
	sockets->connector.fd = device->worker->connector_fd;
	device->config = sockets; // each connection has its own
	return sockets->listener.fd >= 0 ||
	       failure_set(failure, LUMEN_EXIT_OUR_FAULT,
		       "The socket for connections to the child cannot be opened: %s.",
		       strerror(errno));
}

bool socket_offer(struct device *device)
{
	struct socket_device *sockets = sockets_of(device);
	struct loop *loop = loop_of(sockets);
	const int connector = device->worker->connector_fd;

	device->worker->vmbus.sockets = (struct vmbus_host_sockets){ sockets, child_asks };
	return loop_add(loop, &sockets->listener, sockets->listener.fd, EPOLLIN, listener_ready) &&
	       loop_add_timer(loop, &sockets->ticks, ticked) &&
	       (!connector ||
		       loop_add(loop, &sockets->connector, connector, EPOLLIN, connector_ready));
}

// The VMBus is at an end, and what had a channel, too.
bool socket_detach(struct device *device, deadline_ns deadline)
{
	struct socket_device *sockets = sockets_of(device);

	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (sockets->connections[i].fd >= 0 && sockets->connections[i].state != SOCKET_FREE)
			close(sockets->connections[i].fd);
	if (device->config)
		close(sockets->listener.fd);
	return true;
}

uint64_t socket_count(const struct device *device, const struct vsp_counter *counter)
{
	const struct socket_device *sockets = (const struct socket_device *)device;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SOCKETS_MAX; i++)
		if (sockets->connections[i].vsp)
			sum += vsp_count(sockets->connections[i].vsp, counter);
	return sum;
}

void socket_stat(struct device *device, struct stat_text *stat)
{
	const struct socket_device *sockets = sockets_of(device);

	stat_line(stat, "socket.connections %u", sockets->used);
	stat_line(stat, "socket.opened %llu", (unsigned long long)sockets->opened);
	stat_line(stat, "socket.refused %llu", (unsigned long long)sockets->refused);
	stat_line(stat, "socket.again %llu", (unsigned long long)sockets->again);
	stat_line(stat, "socket.late %llu", (unsigned long long)sockets->late);
}
