// SPDX-License-Identifier: BSD-2-Clause
// Both ends of VMBus sockets with the SDK, for programs of the root's (tests/guests/sockets.c): one
// thread, several connections at once; with `polled` without interrupts. What a connection to a
// port does:
//
//   77  says back what it says
//   76  first, 8 connections at once to the root's port 88, 100,000 bytes each way; then as above
//   75  first, one to the root's port 89, where nobody listens; then as above
//   74  ends the kernel, which has lost no memory
#include "examples/kernel/kernel.h"
#include "lumen/apic.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"
#include "lumen/socket.h"
#include "lumen/synic.h"

enum { VECTOR_VMBUS = 0x50, VECTOR_SPURIOUS = 0xff };
enum { PORT_END = 74, PORT_NOBODY, PORT_DRIVE, PORT_ECHO, PORT_OF_ECHO = 88, PORT_OF_NOBODY };
enum { CONNECTIONS = 24, AT_ONCE = 8, BYTES = 100000, CHUNK = 8192 };

#define SECOND 1000000000ull

struct connection {
	struct lumen_socket *socket; // NULL: a free place
	uint32_t sent, received;     // in all
	uint32_t waiting, at;	     // bytes that are to be said back
	bool ended;		     // the host's stream
	uint8_t bytes[CHUNK];
};

static struct lumen_synic synic;
static struct lumen_vmbus *bus;
static struct lumen_sockets sockets;
static struct connection connections[CONNECTIONS], driven[AT_ONCE];
static bool is_over; // somebody has asked for that

static void on_vmbus(struct kernel_frame *frame)
{
	(void)frame;
	lumen_sint_handle(&synic, VMBUS_SINT);
	lumen_eoi();
}

static lumen_status connect(void)
{
	const struct lumen_vmbus_config config = { .synic = &synic,
		.vector = kernel_option("polled", NULL, 0) ? 0 : VECTOR_VMBUS };
	lumen_status status = lumen_clock_start();

	kernel_set_handler(VECTOR_VMBUS, on_vmbus);
	status = status ? status : lumen_hypercall_enable(0);
	status = status ? status : lumen_apic_start(LUMEN_APIC_PAGE, VECTOR_SPURIOUS);
	status = status ? status : lumen_synic_start(&synic);
	return status ? status : lumen_vmbus_connect(&config, &bus);
}

static uint64_t in_a_while(void)
{
	return lumen_deadline_ns(30 * SECOND);
}

static void leave(struct connection *connection, uint64_t deadline_ns)
{
	lumen_socket_close(connection->socket, deadline_ns);
	connection->socket = NULL;
}

// --- saying back ---

static bool hear(struct connection *connection)
{
	const lumen_status status = lumen_socket_receive(
		connection->socket, connection->bytes, CHUNK, 0, &connection->waiting);

	connection->at = 0;
	if (!status && !connection->waiting && !connection->ended) {
		connection->ended = true;
		lumen_socket_end(connection->socket);
	}
	return connection->waiting > 0;
}

static bool say_back(struct connection *connection)
{
	uint32_t sent;

	lumen_socket_send(connection->socket, connection->bytes + connection->at,
		connection->waiting, 0, &sent);
	connection->at += sent;
	connection->waiting -= sent;
	return sent > 0;
}

// All that is possible now. Returns whether the connection has ended.
static bool echo(struct connection *connection)
{
	while (connection->waiting ? say_back(connection) : hear(connection))
		;
	return lumen_socket_status(connection->socket) != LUMEN_OK;
}

static void echo_all(void)
{
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		if (connections[i].socket && echo(&connections[i]))
			leave(&connections[i], 0);
}

// --- driving the root's ---

static uint8_t pattern(uint32_t number, uint32_t at)
{
	return (uint8_t)(at * 31 + (at >> 8) + number);
}

static void say_more(struct connection *connection, uint32_t number)
{
	const uint32_t left = BYTES - connection->sent, length = left < CHUNK ? left : CHUNK;
	uint32_t sent;

	for (uint32_t i = 0; i < length; i++)
		connection->bytes[i] = pattern(number, connection->sent + i);
	lumen_socket_send(connection->socket, connection->bytes, length, 0, &sent);
	connection->sent += sent;
	if (connection->sent == BYTES)
		lumen_socket_end(connection->socket);
}

static bool hear_more(struct connection *connection, uint32_t number)
{
	uint32_t count;
	const lumen_status status =
		lumen_socket_receive(connection->socket, connection->bytes, CHUNK, 0, &count);

	connection->ended = status != LUMEN_BUSY && !count;
	for (uint32_t i = 0; i < count; i++)
		if (connection->bytes[i] != pattern(number, connection->received++))
			return false;
	return true;
}

// Each is driven until nothing is possible any more. Returns whether any has not ended.
static bool drive_all(bool *right)
{
	bool any = false;

	for (uint32_t i = 0; i < AT_ONCE; i++) {
		struct connection *connection = &driven[i];
		uint32_t before;

		do {
			before = connection->sent + connection->received;
			if (connection->sent < BYTES)
				say_more(connection, i);
			if (!connection->ended)
				*right &= hear_more(connection, i);
		} while (connection->sent + connection->received != before);
		any |= !connection->ended;
	}
	return any;
}

static bool drive(void)
{
	const uint64_t deadline = in_a_while();
	bool right = true;
	uint32_t seen;

	for (uint32_t i = 0; i < AT_ONCE; i++) {
		driven[i] = (struct connection){ 0 };
		if (!kernel_check_status(
			    lumen_socket_connect(&sockets, PORT_OF_ECHO, &driven[i].socket),
			    "connected"))
			return false;
	}
	for (;;) {
		seen = lumen_sockets_events(&sockets);
		if (!drive_all(&right) || lumen_is_due(deadline))
			break;
		lumen_sockets_wait(&sockets, seen, deadline);
	}
	for (uint32_t i = 0; i < AT_ONCE; i++) {
		right &= driven[i].received == BYTES;
		right &= lumen_socket_close(driven[i].socket, in_a_while()) == LUMEN_OK;
	}
	return kernel_check(right, "%u at once, and each has its bytes back", AT_ONCE);
}

static bool is_refused(void)
{
	struct lumen_socket *socket;
	const lumen_status status = lumen_socket_connect(&sockets, PORT_OF_NOBODY, &socket);

	return kernel_check(status == LUMEN_REFUSED, "nobody listens (%x)", status);
}

// --- connections of the root's ---

static bool begin(uint32_t port)
{
	is_over |= port == PORT_END;
	return port == PORT_ECHO || (port == PORT_DRIVE && drive()) ||
	       (port == PORT_NOBODY && is_refused());
}

static void take(struct lumen_socket *socket, uint32_t port)
{
	struct connection new = { .socket = socket };
	uint32_t i = 0;

	while (i < CONNECTIONS && connections[i].socket)
		i++;
	if (i < CONNECTIONS && begin(port))
		connections[i] = new;
	else
		leave(&new, in_a_while());
}

static void take_all(void)
{
	struct lumen_socket *socket;

	for (uint32_t port = PORT_END; port <= PORT_ECHO; port++)
		while (!lumen_socket_accept(&sockets, port, &socket))
			take(socket, port);
}

int kernel_main(void)
{
	size_t left;
	uint32_t seen;

	if (!kernel_check_status(connect(), "VMBus"))
		return kernel_failures();
	left = kernel_free_pages_left();
	lumen_sockets_start(&sockets, bus, NULL);
	kernel_print("streams: ready\n");
	while (!is_over) {
		seen = lumen_sockets_events(&sockets);
		take_all();
		echo_all();
		if (!is_over)
			lumen_sockets_wait(&sockets, seen, lumen_deadline_ns(SECOND));
	}
	for (uint32_t i = 0; i < CONNECTIONS; i++)
		if (connections[i].socket)
			leave(&connections[i], in_a_while());
	kernel_check(kernel_free_pages_left() == left, "%lu pages left of %lu before",
		kernel_free_pages_left(), left);
	kernel_check_status(lumen_vmbus_disconnect(bus), "disconnected");
	return kernel_failures();
}
