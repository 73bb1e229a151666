// SPDX-License-Identifier: BSD-2-Clause
// See socket.h: one connection.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/common/child_config.h"
#include "parent/worker/devices/socket.h"
#include "parent/worker/worker.h"

enum {
	LINE_MS = 10000, // that a program has to say what it wants,
	OPEN_MS = 5000,	 // the child to open what it is offered,
	OFFERS = 2,	 // so often: if nobody listens it does not say so,
	LEAVE_MS = 2000, // to let go of what it has not opened,
	LAST_MS = 30000, // and to read some of what is left when one end has ended
};

static struct loop *loop_of(struct socket_connection *connection)
{
	return &connection->sockets->device.worker->loop;
}

// --- the program's end (drivers/vsp/socket/backend.h) ---

static int32_t result(ssize_t count)
{
	if (count > 0)
		return (int32_t)count;
	return count < 0 && (errno == EAGAIN || errno == EINTR) ? SOCKET_WIRE_NOT_NOW
								: SOCKET_WIRE_ENDED;
}

static int32_t write_program(void *context, const void *bytes, uint32_t length)
{
	const struct socket_connection *connection = context;

	return result(send(connection->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int32_t read_program(void *context, void *bytes, uint32_t size)
{
	const struct socket_connection *connection = context;

	return result(recv(connection->fd, bytes, size, MSG_DONTWAIT));
}

static void end_program(void *context)
{
	shutdown(((struct socket_connection *)context)->fd, SHUT_WR);
}

static void leave_program(struct socket_connection *connection)
{
	if (connection->watched)
		loop_remove(loop_of(connection), &connection->program);
	connection->watched = false;
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
}

static void say(struct socket_connection *connection, const char *word, const char *rest)
{
	char line[100];
	int length = snprintf(line, sizeof(line), "%s %s\n", word, rest);

	send(connection->fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// --- serving an open one ---

// What is not waited for is not looked at, as a program that is gone stays ready.
static void watch_program(struct socket_connection *connection)
{
	const uint32_t events = (socket_vsp_reads(connection->vsp) ? EPOLLIN : 0u) |
				(socket_vsp_writes(connection->vsp) ? EPOLLOUT : 0u);

	if (events != connection->program.events)
		loop_change(loop_of(connection), &connection->program, events);
}

// Each time that the child reads some of it, it has as much time again.
static void watch_last(struct socket_connection *connection)
{
	const uint64_t told = ((const struct socket_vsp *)connection->vsp)->bytes_out;

	if (!socket_vsp_lingers(connection->vsp))
		connection->deadline = 0;
	else if (!connection->deadline || connection->told != told)
		socket_set_deadline(connection, LAST_MS);
	connection->told = told;
}

static void serve(struct socket_connection *connection)
{
	const uint32_t flags = device_serve_other(
		&connection->sockets->device, &connection->vmbus, connection->vsp);

	if (flags & VSP_FAILED) { // and that has been reported
		leave_program(connection);
		loop_remove(loop_of(connection), &connection->signalled);
		connection->state = SOCKET_LEAVING;
		connection->deadline = 0;
	} else if (flags & SOCKET_OVER) {
		socket_end(connection, NULL);
	} else {
		watch_program(connection);
		watch_last(connection);
		if (flags & VSP_AGAIN)
			eventfd_write(connection->vmbus.event_fd, 1);
	}
}

static void signalled(struct loop_source *source)
{
	serve(container_of(source, struct socket_connection, signalled));
}

static uint64_t moved(const struct socket_connection *connection)
{
	const struct socket_vsp *vsp = (const struct socket_vsp *)connection->vsp;

	return vsp->bytes_in + vsp->bytes_out + vsp->dropped;
}

static bool serve_program(struct socket_connection *connection, uint32_t events)
{
	const uint64_t before = moved(connection);
	const uint32_t waited = connection->program.events;

	if (events & (EPOLLHUP | EPOLLERR))
		socket_vsp_hang_up(connection->vsp);
	serve(connection);
	return connection->state != SOCKET_OPEN || moved(connection) != before ||
	       connection->program.events != waited;
}

// --- the line of a program that has connected ---

static void connect_to_child(struct socket_connection *connection)
{
	const struct vmbus_guid instance = { connection->number, 0x6c75, 0x6d65,
		{ 'n', '-', 's', 'o', 'c', 'k', 'e', 't' } };

	loop_change(loop_of(connection), &connection->program, 0);
	if (!socket_offer_channel(connection, &instance, connection->fd))
		socket_end(connection, "There is no channel left.");
}

static void take_line(struct socket_connection *connection)
{
	static const char connect[] = "CONNECT ";
	const char *line = connection->line;
	uint64_t port;

	if (strncmp(line, connect, strlen(connect)) ||
		!child_config_parse_number(line + strlen(connect), SOCKET_PORT_MAX, &port)) {
		socket_end(connection, "CONNECT and a port are expected.");
		return;
	}
	connection->port = (uint32_t)port;
	connect_to_child(connection);
}

// Byte by byte: what follows is for the child. Returns whether there was any.
static bool read_line(struct socket_connection *connection)
{
	char *at = connection->line + connection->line_length;
	ssize_t got = recv(connection->fd, at, 1, MSG_DONTWAIT);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got > 0 && *at == '\n') {
		*at = 0;
		take_line(connection);
	} else if (got <= 0 || ++connection->line_length == SOCKET_LINE_MAX) {
		socket_end(connection, "A line is expected, and a short one.");
	}
	return true;
}

static bool program_ready(struct loop_source *source, uint32_t events)
{
	struct socket_connection *connection =
		container_of(source, struct socket_connection, program);

	return connection->state == SOCKET_LINE ? read_line(connection)
						: serve_program(connection, events);
}

static bool watch_for(struct socket_connection *connection, uint32_t events)
{
	if (connection->watched)
		loop_change(loop_of(connection), &connection->program, events);
	else
		connection->watched = loop_add(loop_of(connection), &connection->program,
			connection->fd, events, program_ready);
	return connection->watched;
}

bool socket_begin(struct socket_connection *connection, int fd)
{
	connection->fd = fd;
	connection->state = SOCKET_LINE;
	socket_set_deadline(connection, LINE_MS);
	return watch_for(connection, EPOLLIN);
}

// --- its channel ---

static bool start_serving(struct socket_connection *connection)
{
	if (!loop_add_event_fd(loop_of(connection), &connection->signalled,
		    connection->vmbus.event_fd, signalled))
		return false;
	if (watch_for(connection, EPOLLIN))
		return true;
	loop_remove(loop_of(connection), &connection->signalled);
	return false;
}

static bool open_channel(struct vmbus_device *vmbus, const struct vmbus_device_open *open)
{
	struct socket_connection *connection = (struct socket_connection *)vmbus;
	char port[16];

	if (connection->state != SOCKET_OFFERED)
		return false;
	connection->vsp =
		device_open_other(&connection->sockets->device, open, &connection->config);
	if (!connection->vsp)
		return false;
	if (!start_serving(connection)) {
		device_close_vsp(&connection->sockets->device, &connection->vsp);
		return false;
	}
	connection->state = SOCKET_OPEN;
	connection->deadline = 0;
	connection->sockets->opened++;
	snprintf(port, sizeof(port), "%u", connection->port);
	if (!connection->from_child)
		say(connection, "OK", port);
	eventfd_write(vmbus->event_fd, 1); // there may be something both ways
	return true;
}

// What the child wrote before counts.
static void close_channel(struct vmbus_device *vmbus)
{
	struct socket_connection *connection = (struct socket_connection *)vmbus;

	if (connection->state == SOCKET_OPEN) {
		vsp_poll(connection->vsp);
		loop_remove(loop_of(connection), &connection->signalled);
	}
	leave_program(connection);
	connection->state = SOCKET_LEAVING;
	connection->deadline = 0;
	vsp_stop(connection->vsp);
	vmbus_device_report(vmbus, VMBUS_DEVICE_CLOSED);
}

// No connection is opened a second time.
static void channel_closed(struct vmbus_device *vmbus)
{
	struct socket_connection *connection = (struct socket_connection *)vmbus;

	device_close_vsp(&connection->sockets->device, &connection->vsp);
	vmbus_host_rescind(vmbus);
}

static void channel_gone(struct vmbus_device *vmbus)
{
	struct socket_connection *connection = (struct socket_connection *)vmbus;

	if (connection->state == SOCKET_AGAIN) {
		connection->state = SOCKET_LINE; // that was taken
		connect_to_child(connection);
		return;
	}
	leave_program(connection);
	socket_free_place(connection);
}

static const struct vmbus_device_ops connection_ops = {
	.open = open_channel,
	.close = close_channel,
	.closed = channel_closed,
	.gone = channel_gone,
};

// --- how it begins and ends ---

bool socket_offer_channel(
	struct socket_connection *connection, const struct vmbus_guid *instance, int fd)
{
	const struct vmbus_socket_parameters parameters = {
		.pipe_mode = VMBUS_PIPE_MODE_BYTE,
		.from_host = !connection->from_child,
		.version = { 1 },
	};
	struct vmbus_device *vmbus = &connection->vmbus;

	vmbus->ops = &connection_ops;
	vmbus->name = connection->sockets->device.row->class->name;
	vmbus->offer = (struct vmbus_offer){
		.interface_type = SOCKET_SERVICE(connection->port),
		.interface_instance = *instance,
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE | VMBUS_OFFER_NAMED_PIPE_MODE |
			 VMBUS_OFFER_TLNPI_PROVIDER,
	};
	memcpy(vmbus->offer.user_defined, &parameters, sizeof(parameters));
	connection->wire =
		(struct socket_wire){ connection, write_program, read_program, end_program };
	connection->config = (struct socket_vsp_config){ &connection->wire };
	if (!vmbus_host_offer(&connection->sockets->device.worker->vmbus, vmbus))
		return false;
	connection->state = SOCKET_OFFERED;
	connection->offers++;
	connection->fd = fd;
	socket_set_deadline(connection, OPEN_MS);
	return true;
}

// Linux needs room for both rings in one piece, 512 KiB, for each connection, and gives up at once,
// and says so to nobody, when its memory is full of files; but it has begun to make room then. It
// ignores an offer, too, when as many connections wait to be accepted as may.
bool socket_offer_again(struct socket_connection *connection)
{
	if (connection->state != SOCKET_OFFERED || connection->from_child ||
		connection->offers == OFFERS)
		return false;
	connection->state = SOCKET_AGAIN;
	connection->sockets->again++;
	socket_set_deadline(connection, LEAVE_MS);
	vmbus_host_rescind(&connection->vmbus);
	return true;
}

void socket_end(struct socket_connection *connection, const char *why)
{
	const enum socket_state state = connection->state;

	connection->deadline = 0;
	if (state == SOCKET_OPEN) { // close_channel() does the rest, behind the last bytes
		vmbus_host_rescind(&connection->vmbus);
		return;
	}
	if (why && connection->fd >= 0 && !connection->from_child)
		say(connection, "ERROR", why);
	leave_program(connection);
	if (state < SOCKET_OFFERED) {
		socket_free_place(connection);
		return;
	}
	connection->state = SOCKET_LEAVING;
	vmbus_host_rescind(&connection->vmbus);
}
