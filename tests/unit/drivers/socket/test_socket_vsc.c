// SPDX-License-Identifier: BSD-2-Clause
// The socket VSC against the VSP: both streams, their ends, who does not read, small rings, and how
// a connection begins and ends; polled and with interrupts.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "base/macros.h"
#include "lumen/socket.h"
#include "socket_host.h"

enum { PORT = 1, BYTES = 100 << 10 };

#define SECOND 1000000000ull

static struct lumen_sockets sockets;
static struct lumen_socket *sock;
static uint8_t bytes[BYTES], back[BYTES];

static bool interrupts[] = { false, true };

// Each test of this kind runs polled and with interrupts.
#define BOTH_WAYS(name)                                                                            \
	ParameterizedTestParameters(socket_vsc, name)                                              \
	{                                                                                          \
		return cr_make_param_array(bool, interrupts, 2);                                   \
	}                                                                                          \
	ParameterizedTest(bool *with_interrupts, socket_vsc, name)

static void create(bool with_interrupts, const struct lumen_sockets_config *config)
{
	socket_host_create();
	socket_host.takes_back = true;
	rig.polled = !with_interrupts;
	for (uint32_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i * 7 + (i >> 8));
	lumen_sockets_start(&sockets, NULL, config);
	cr_assert_eq(rig.watch, &sockets.events);
}

static void begin(bool with_interrupts, const struct lumen_sockets_config *config)
{
	create(with_interrupts, config);
	cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), LUMEN_OK);
}

// Nothing is left.
static void finish(void)
{
	cr_assert_eq(rig.pages, 0);
	cr_assert_eq(rig.given_back, 1);
	rig_destroy();
}

static void close_finish(lumen_status status)
{
	cr_assert_eq(lumen_socket_close(sock, lumen_deadline_ns(SECOND)), status);
	finish();
}

static uint64_t soon(void)
{
	return lumen_deadline_ns(SECOND);
}

static void send_all(const void *data, uint32_t length)
{
	uint32_t sent;

	cr_assert_eq(lumen_socket_send(sock, data, length, soon(), &sent), LUMEN_OK);
	cr_assert_eq(sent, length);
}

static void receive_all(uint32_t length)
{
	uint32_t received, all = 0;

	while (all < length) {
		cr_assert_eq(
			lumen_socket_receive(sock, back + all, length - all, soon(), &received),
			LUMEN_OK);
		cr_assert_gt(received, 0);
		all += received;
	}
	for (uint32_t i = 0; i < length; i++)
		cr_assert_eq(back[i], socket_host_byte(i), "byte %u", i);
}

static void expect_end(void)
{
	uint32_t received = 1;

	cr_assert_eq(lumen_socket_receive(sock, back, 100, soon(), &received), LUMEN_OK);
	cr_assert_eq(received, 0);
}

// --- both streams ---

BOTH_WAYS(bytes_go_both_ways)
{
	begin(*with_interrupts, NULL);
	socket_host.to_write = BYTES;
	send_all(bytes, BYTES);
	receive_all(BYTES);
	rig_run();
	cr_assert_eq(socket_host.taken, BYTES);
	cr_assert_arr_eq(socket_host.bytes, bytes, BYTES);
	socket_host.ended = true;
	expect_end();
	expect_end();
	close_finish(LUMEN_OK);
	cr_assert_eq(socket_host.ends, 1);
}

// The ring pads packets to 8 bytes, which are no bytes of the stream.
BOTH_WAYS(pieces_of_all_lengths)
{
	uint32_t at = 0;

	begin(*with_interrupts, NULL);
	for (uint32_t length = 0; length < 100; length++) {
		send_all(bytes + at, length);
		at += length;
		socket_host.to_write = at;
		rig_run();
		cr_assert_eq(socket_host.taken, at);
	}
	cr_assert_arr_eq(socket_host.bytes, bytes, at);
	receive_all(at);
	cr_assert_eq(socket_host.ends, 0, "a piece of nothing is no end");
	socket_host.ended = true;
	close_finish(LUMEN_OK);
}

// Those that the host has for one connection between them.
BOTH_WAYS(rings_of_one_page)
{
	begin(*with_interrupts, &(struct lumen_sockets_config){ 1, 1 });
	socket_host.to_write = BYTES;
	send_all(bytes, BYTES);
	receive_all(BYTES);
	rig_run();
	cr_assert_eq(socket_host.taken, BYTES);
	cr_assert_arr_eq(socket_host.bytes, bytes, BYTES);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
}

// No message is longer than hosts take.
BOTH_WAYS(large_rings)
{
	begin(*with_interrupts, &(struct lumen_sockets_config){ 64, 64 });
	send_all(bytes, BYTES);
	rig_run();
	cr_assert_eq(socket_host.taken, BYTES);
	cr_assert_eq(rig.channels[0].vsp->counters.packets, BYTES / SOCKET_MESSAGE_MAX + 1);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
}

// --- ends ---

BOTH_WAYS(the_host_writes_on_after_the_kernel_has_ended)
{
	uint32_t sent = 1;

	begin(*with_interrupts, NULL);
	send_all(bytes, 1000);
	lumen_socket_end(sock);
	lumen_socket_end(sock);
	rig_run();
	cr_assert_eq(socket_host.taken, 1000);
	cr_assert_eq(socket_host.ends, 1);
	cr_assert_eq(lumen_socket_send(sock, bytes, 1, 0, &sent), LUMEN_BAD_STATE);
	cr_assert_eq(sent, 0);
	socket_host.to_write = 50000;
	receive_all(50000);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_OK);
	socket_host.ended = true;
	expect_end();
	close_finish(LUMEN_OK);
}

BOTH_WAYS(the_kernel_writes_on_after_the_host_has_ended)
{
	begin(*with_interrupts, NULL);
	socket_host.to_write = 1000;
	socket_host.ended = true;
	receive_all(1000);
	expect_end();
	send_all(bytes, BYTES);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_OK);
	close_finish(LUMEN_OK);
	cr_assert_eq(socket_host.taken, BYTES, "what was sent before close() is read");
	cr_assert_eq(socket_host.ends, 1);
}

// As with one thread for all: when both have ended the host takes the channel back, and close()
// has nothing to wait for.
BOTH_WAYS(an_end_that_is_awaited_without_close)
{
	uint32_t received = 1;

	begin(*with_interrupts, NULL);
	socket_host.ended = true;
	lumen_socket_end(sock);
	while (rig_run())
		;
	for (uint32_t i = 0; i < 3 && lumen_socket_status(sock) == LUMEN_OK; i++) {
		cr_assert_eq(lumen_socket_receive(sock, back, 1, 0, &received), LUMEN_OK);
		cr_assert_eq(received, 0);
	}
	cr_assert_eq(lumen_socket_status(sock), LUMEN_RESCINDED);
	cr_assert_eq(lumen_socket_close(sock, 0), LUMEN_OK);
	finish();
}

BOTH_WAYS(a_host_that_does_not_end_is_left)
{
	const uint64_t before = lumen_now_ns();

	begin(*with_interrupts, NULL);
	socket_host.to_write = 1000; // nobody wants it
	close_finish(LUMEN_TIMED_OUT);
	cr_assert_eq(rig.now - before, SECOND);
	begin(*with_interrupts, NULL);
	cr_assert_eq(lumen_socket_close(sock, 0), LUMEN_TIMED_OUT, "at once");
	finish();
}

// A program that closes its end, all at once: what it has written is received before its end, and
// an end of its stream does not come.
BOTH_WAYS(the_last_bytes_of_a_program_that_is_gone)
{
	uint32_t sent, received;

	begin(*with_interrupts, NULL);
	socket_host.to_write = 10000;
	socket_host.ended = socket_host.refuses = true;
	socket_vsp_hang_up(rig.channels[0].vsp);
	while (rig_run())
		;
	cr_assert(rig.channels[0].rescinded);
	cr_assert_eq(lumen_socket_send(sock, bytes, 10, soon(), &sent), LUMEN_RESCINDED);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_OK, "there is something to be received");
	receive_all(10000);
	cr_assert_eq(lumen_socket_receive(sock, back, 1, soon(), &received), LUMEN_OK);
	cr_assert_eq(received, 0);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_RESCINDED);
	cr_assert_eq(lumen_socket_send(sock, bytes, 10, soon(), &sent), LUMEN_RESCINDED);
	close_finish(LUMEN_OK);
}

BOTH_WAYS(who_waits_hears_of_a_channel_that_is_taken_away)
{
	uint32_t received = 1;

	begin(*with_interrupts, NULL);
	rig.rescind_after = rig.runs + 1;
	expect_end();
	cr_assert_eq(lumen_socket_receive(sock, back, 1, 0, &received), LUMEN_OK);
	cr_assert_eq(received, 0);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_RESCINDED);
	close_finish(LUMEN_OK);
}

// --- who does not read ---

BOTH_WAYS(a_program_that_does_not_read_stops_the_kernel)
{
	uint32_t sent = 0, more = 0, seen;

	begin(*with_interrupts, NULL);
	socket_host.room = 3000;
	cr_assert_eq(lumen_socket_send(sock, bytes, BYTES, soon(), &sent), LUMEN_TIMED_OUT);
	cr_assert_gt(sent, 20000, "a ring full of it is under way");
	cr_assert_lt(sent, 60000);
	cr_assert_eq(lumen_socket_send(sock, bytes + sent, BYTES - sent, 0, &more), LUMEN_BUSY);
	cr_assert_eq(more, 0);
	// Until there is room for nothing, not even for an end.
	cr_assert_eq(lumen_socket_send(sock, bytes + sent, 9, 0, &more), LUMEN_OK);
	sent += 9;
	for (; lumen_socket_send(sock, bytes + sent, 1, 0, &more) == LUMEN_OK; sent++)
		cr_assert_lt(sent, BYTES);
	seen = lumen_sockets_events(&sockets);
	lumen_socket_end(sock); // has to wait, too
	rig_run();
	cr_assert_eq(socket_host.ends, 0);
	socket_host.room = SOCKET_HOST_BYTES;
	while (rig_run())
		;
	cr_assert_eq(socket_host.taken, sent);
	cr_assert_arr_eq(socket_host.bytes, bytes, sent);
	cr_assert_eq(lumen_sockets_events(&sockets) != seen, *with_interrupts);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
	cr_assert_eq(socket_host.ends, 1);
}

BOTH_WAYS(a_kernel_that_does_not_read_stops_the_program)
{
	begin(*with_interrupts, NULL);
	socket_host.to_write = BYTES;
	while (rig_run())
		;
	cr_assert_lt(socket_host.written, 5 * 4096u);
	receive_all(BYTES);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
}

BOTH_WAYS(nothing_comes)
{
	const uint64_t before = lumen_now_ns();
	uint32_t received = 1;

	begin(*with_interrupts, NULL);
	cr_assert_eq(lumen_socket_receive(sock, back, 10, 0, &received), LUMEN_BUSY);
	cr_assert_eq(received, 0);
	cr_assert_eq(rig.now, before);
	cr_assert_eq(lumen_socket_receive(sock, back, 10, soon(), &received), LUMEN_TIMED_OUT);
	cr_assert_eq(rig.now, before + SECOND);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
}

// From interrupt handlers, too.
BOTH_WAYS(without_a_deadline_nothing_is_waited_for)
{
	uint32_t sent, received;

	begin(*with_interrupts, NULL);
	socket_host.to_write = 100;
	rig_run();
	rig_irq_off = true;
	cr_assert_eq(lumen_socket_send(sock, bytes, BYTES, 0, &sent), LUMEN_BUSY);
	cr_assert_gt(sent, 8000);
	cr_assert_eq(lumen_socket_receive(sock, back, 200, 0, &received), LUMEN_OK);
	cr_assert_eq(received, 100);
	cr_assert_eq(lumen_socket_receive(sock, back, 200, 0, &received), LUMEN_BUSY);
	lumen_socket_end(sock);
	rig_irq_off = false;
	cr_assert_eq(rig.waits, 0);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
	cr_assert_eq(socket_host.taken, sent);
	cr_assert_eq(socket_host.ends, 1);
}

// --- one thread for all of them ---

Test(socket_vsc, an_event_for_whatever_is_possible)
{
	uint32_t seen, received;

	begin(true, NULL);
	cr_assert_eq(lumen_socket_receive(sock, back, 10, 0, &received), LUMEN_BUSY);
	seen = lumen_sockets_events(&sockets);
	lumen_sockets_wait(&sockets, seen, lumen_deadline_ns(1000));
	cr_assert_eq(lumen_sockets_events(&sockets), seen);
	socket_host.to_write = 10;
	lumen_sockets_wait(&sockets, seen, soon());
	cr_assert_neq(lumen_sockets_events(&sockets), seen, "something has come");
	cr_assert_eq(lumen_socket_receive(sock, back, 10, 0, &received), LUMEN_OK);
	seen = lumen_sockets_events(&sockets);
	rig_rescind();
	cr_assert_neq(lumen_sockets_events(&sockets), seen, "it has ended");
	close_finish(LUMEN_OK);
}

// --- a connection begins ---

Test(socket_vsc, connections_have_names_of_their_own)
{
	create(true, NULL);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), LUMEN_OK);
		cr_assert_eq(rig.guest.data1, 0x80000000u + i);
		cr_assert_eq(rig.guest.data2, 0xfacb);
		lumen_socket_close(sock, 0);
	}
	sockets.last_port = UINT32_MAX;
	cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), LUMEN_OK);
	cr_assert_eq(rig.guest.data1, 0x80000000u);
	lumen_socket_close(sock, 0);
	cr_assert_eq(rig.given_back, 4);
	rig_destroy();
}

Test(socket_vsc, a_program_of_the_hosts_connects)
{
	create(true, NULL);
	cr_assert_eq(lumen_socket_accept(&sockets, PORT, &sock), LUMEN_BUSY);
	rig.wanted = true;
	cr_assert_eq(lumen_socket_accept(&sockets, PORT + 1, &sock), LUMEN_BUSY);
	cr_assert_eq(lumen_socket_accept(&sockets, PORT, &sock), LUMEN_OK);
	send_all(bytes, 100);
	socket_host.ended = true;
	close_finish(LUMEN_OK);
	cr_assert_eq(socket_host.taken, 100);
}

Test(socket_vsc, ports_and_programs_that_there_are_not)
{
	create(true, NULL);
	cr_assert_eq(lumen_socket_connect(&sockets, 0x80000000u, &sock), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_socket_accept(&sockets, 0x80000000u, &sock), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_socket_connect(&sockets, PORT + 1, &sock), LUMEN_REFUSED);
	rig.connect_status = LUMEN_TIMED_OUT;
	cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), LUMEN_TIMED_OUT);
	cr_assert_eq(rig.given_back, 0);
	rig_destroy();
}

// Whatever fails, the channel goes back, and no memory is lost.
Test(socket_vsc, a_connection_that_does_not_begin)
{
	static const lumen_status statuses[] = { LUMEN_REFUSED, LUMEN_TIMED_OUT, LUMEN_NO_MEMORY };

	create(true, NULL);
	for (uint32_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		rig.open_status = statuses[i];
		cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), statuses[i]);
	}
	for (uint32_t i = 1; i <= 2; i++) {
		rig.allocations = 0;
		rig.fail_alloc = i;
		cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), LUMEN_NO_MEMORY);
	}
	rig.fail_alloc = 0;
	rig_rescind();
	cr_assert_eq(lumen_socket_connect(&sockets, PORT, &sock), LUMEN_RESCINDED);
	cr_assert_eq(rig.given_back, ARRAY_SIZE(statuses) + 3);
	cr_assert_eq(rig.pages, 0);
	rig_destroy();
}
