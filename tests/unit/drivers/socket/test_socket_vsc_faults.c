// SPDX-License-Identifier: BSD-2-Clause
// The socket VSC against hosts that break the rules: each costs the connection, with a reason, and
// what was right before is received.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/pipe.h"
#include "drivers/proto/socket.h"
#include "lumen/socket.h"
#include "tests/unit/drivers/rig.h"
#include "tests/unit/start_clock.h"

static struct lumen_sockets sockets;
static struct lumen_socket *sock;
static uint8_t buffer[SOCKET_MESSAGE_MAX];
static struct {
	struct pipe_header header;
	uint8_t bytes[SOCKET_MESSAGE_MAX + 64];
} message;

static struct lumen_channel *channel(void)
{
	return &rig.channels[0];
}

static void begin(void)
{
	static const struct vmbus_guid guid = SOCKET_SERVICE(1);

	rig_create(0);
	rig.hostile = true;
	rig_offer(0, &guid, NULL, NULL);
	lumen_sockets_start(&sockets, NULL, &(struct lumen_sockets_config){ 8, 8 });
	cr_assert_eq(lumen_socket_connect(&sockets, 1, &sock), LUMEN_OK);
}

static void end(void)
{
	lumen_socket_close(sock, 0);
	rig_free_pages();
	cr_assert_eq(rig.given_back, 1);
	rig_destroy();
}

TestSuite(socket_vsc_faults, .init = begin, .fini = end);

static void say(uint16_t packet, uint32_t type, uint32_t size, uint32_t length)
{
	message.header = (struct pipe_header){ type, size };
	cr_assert(rig_say(
		&channel()->host, packet, 0, &message, (uint32_t)sizeof(message.header) + length));
}

static void say_bytes(uint32_t length)
{
	say(VMBUS_PACKET_IN_BAND, PIPE_TYPE_DATA, length, length);
}

static void expect_bytes(uint32_t length)
{
	uint32_t received;

	cr_assert_eq(lumen_socket_receive(sock, buffer, length, 0, &received), LUMEN_OK);
	cr_assert_eq(received, length);
}

// The kernel hears of it on both streams, and close() does not wait.
static void expect_bad_host(void)
{
	uint32_t count = 1, seen = lumen_sockets_events(&sockets);

	cr_assert_eq(lumen_socket_receive(sock, buffer, 100, 0, &count), LUMEN_BAD_HOST);
	cr_assert_eq(count, 0);
	cr_assert_neq(lumen_sockets_events(&sockets), seen, "who sends hears of it");
	cr_assert_eq(lumen_socket_status(sock), LUMEN_BAD_HOST);
	cr_assert_not_null(lumen_socket_failure(sock));
	cr_assert_eq(lumen_socket_send(sock, buffer, 1, 0, &count), LUMEN_BAD_HOST);
	cr_assert_eq(count, 0);
	cr_assert_eq(lumen_socket_receive(sock, buffer, 100, 0, &count), LUMEN_BAD_HOST);
}

Test(socket_vsc_faults, the_largest_message_is_none)
{
	say_bytes(SOCKET_MESSAGE_MAX);
	expect_bytes(SOCKET_MESSAGE_MAX);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_OK);
}

Test(socket_vsc_faults, a_message_larger_than_any)
{
	say_bytes(SOCKET_MESSAGE_MAX + 8);
	expect_bad_host();
}

Test(socket_vsc_faults, a_message_that_counts_more_than_there_is)
{
	say_bytes(10);
	say(VMBUS_PACKET_IN_BAND, PIPE_TYPE_DATA, 17, 16);
	expect_bytes(10);
	expect_bad_host();
}

Test(socket_vsc_faults, a_message_that_counts_4_gib)
{
	say(VMBUS_PACKET_IN_BAND, PIPE_TYPE_DATA, UINT32_MAX, 16);
	expect_bad_host();
}

Test(socket_vsc_faults, a_message_of_another_type)
{
	say(VMBUS_PACKET_IN_BAND, 2, 8, 8);
	expect_bad_host();
}

Test(socket_vsc_faults, a_packet_without_a_header)
{
	cr_assert(rig_say(&channel()->host, VMBUS_PACKET_IN_BAND, 0, NULL, 0));
	expect_bad_host();
}

Test(socket_vsc_faults, a_packet_of_another_kind)
{
	say(VMBUS_PACKET_COMPLETION, PIPE_TYPE_DATA, 8, 8);
	expect_bad_host();
}

Test(socket_vsc_faults, bytes_behind_the_end)
{
	uint32_t received = 1;

	say_bytes(0);
	cr_assert_eq(lumen_socket_receive(sock, buffer, 100, 0, &received), LUMEN_OK);
	cr_assert_eq(received, 0);
	say_bytes(8);
	expect_bad_host();
}

Test(socket_vsc_faults, an_end_behind_the_end)
{
	uint32_t received = 1;

	say_bytes(8);
	say_bytes(0);
	say_bytes(0);
	expect_bytes(8);
	cr_assert_eq(lumen_socket_receive(sock, buffer, 100, 0, &received), LUMEN_OK);
	expect_bad_host();
}

// What is under way is lost with the ring, and nothing else.
Test(socket_vsc_faults, broken_rings)
{
	say_bytes(8);
	rig_control(channel(), true)->in = 12345;
	expect_bad_host();
}

Test(socket_vsc_faults, a_broken_ring_to_the_host)
{
	uint32_t sent;

	rig_control(channel(), false)->out = 12345;
	cr_assert_eq(lumen_socket_send(sock, message.bytes, sizeof(message.bytes), 0, &sent),
		LUMEN_OK); // half of the ring is known to be free
	cr_assert_eq(lumen_socket_send(sock, message.bytes, sizeof(message.bytes), 0, &sent),
		LUMEN_BAD_HOST);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_BAD_HOST);
}

// The host changes what it has said while it is read: the copy counts.
static void change(struct lumen_channel *of, struct vmbus_packet *packet)
{
	memset(of->rings.out_pages[1], 0xFF, VMBUS_PAGE_SIZE);
	(void)packet;
}

Test(socket_vsc_faults, bytes_are_read_once)
{
	rig.on_receive = change;
	memset(message.bytes, 0x11, 64);
	say_bytes(64);
	expect_bytes(64);
	for (uint32_t i = 0; i < 64; i++)
		cr_assert_eq(buffer[i], 0x11);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_OK);
}

// At any moment: before and after each look at the ring.
Test(socket_vsc_faults, a_channel_that_is_taken_away_with_bytes_in_it)
{
	uint32_t received;

	say_bytes(100);
	say_bytes(100);
	expect_bytes(50);
	rig_rescind();
	expect_bytes(150);
	cr_assert_eq(lumen_socket_receive(sock, buffer, 1, 0, &received), LUMEN_OK);
	cr_assert_eq(received, 0);
	cr_assert_eq(lumen_socket_status(sock), LUMEN_RESCINDED);
	lumen_socket_end(sock);
}

// Signals for nothing cost no deadline.
static uint32_t signal_for_nothing(uint32_t count)
{
	(void)count;
	channel()->signalled = true;
	rig.now += 1000000;
	return 1;
}

Test(socket_vsc_faults, signals_without_end)
{
	uint32_t received;

	rig.backend = signal_for_nothing;
	cr_assert_eq(lumen_socket_receive(sock, buffer, 1, lumen_deadline_ns(100000000), &received),
		LUMEN_TIMED_OUT);
	cr_assert_leq(rig.slept, 101);
	rig.backend = NULL;
}

// One that sends without end, to who closes.
static uint32_t send_without_end(uint32_t count)
{
	(void)count;
	message.header = (struct pipe_header){ PIPE_TYPE_DATA, 4096 };
	while (rig_say(&channel()->host, VMBUS_PACKET_IN_BAND, 0, &message, 8 + 4096))
		;
	rig.now += 1000000;
	return 1;
}

Test(socket_vsc_faults, bytes_without_end)
{
	rig.backend = send_without_end;
	cr_assert_eq(lumen_socket_close(sock, lumen_deadline_ns(100000000)), LUMEN_TIMED_OUT);
	rig.backend = NULL;
	rig.given_back = 0;
	cr_assert_eq(lumen_socket_connect(&sockets, 1, &sock), LUMEN_OK);
}

// One on a processor of its own: there is more as soon as something has been read. It gives up
// before the test does.
static void send_more(void)
{
	if (rig.now - start_clock() < 10000000000)
		send_without_end(0);
}

static void close_under_fire(uint64_t ns)
{
	const uint64_t before = rig.now;

	rig.on_commit = send_more;
	send_more();
	cr_expect_eq(lumen_socket_close(sock, ns ? lumen_deadline_ns(ns) : 0), LUMEN_TIMED_OUT);
	rig.on_commit = NULL;
	rig.given_back = 0;
	cr_assert_eq(lumen_socket_connect(&sockets, 1, &sock), LUMEN_OK);
	cr_assert_leq(rig.now - before, 2000000000);
}

Test(socket_vsc_faults, bytes_without_end_and_without_a_pause)
{
	close_under_fire(100000000);
	close_under_fire(0);
}
