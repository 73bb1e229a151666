// SPDX-License-Identifier: BSD-2-Clause
// The socket VSP against a raw guest: both streams, their ends, who does not read, and lies.
#include "socket_host.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/pipe.h"

enum { PAGES = 7 }; // of a ring, as Linux has them

static struct {
	struct pipe_header header;
	uint8_t bytes[SOCKET_MESSAGE_MAX + 64];
} message;

static uint32_t came; // bytes of the program's
static bool end_came;

static struct lumen_channel *channel(void)
{
	return &rig.channels[0];
}

static struct socket_vsp *vsp(void)
{
	return (struct socket_vsp *)channel()->vsp;
}

static void begin(uint32_t pages)
{
	came = 0;
	end_came = false;
	socket_host_create();
	rig_open(channel(), pages, pages);
}

static void finish(void)
{
	rig_close(channel());
	rig_destroy();
}

// Returns false if there is no room in the ring.
static bool say(uint32_t type, uint32_t size, uint32_t length)
{
	message.header = (struct pipe_header){ type, size };
	return rig_say(&channel()->guest, VMBUS_PACKET_IN_BAND, 0, &message, length);
}

static bool send(uint32_t length)
{
	for (uint32_t i = 0; i < length; i++)
		message.bytes[i] = (uint8_t)i;
	return say(PIPE_TYPE_DATA, length, sizeof(message.header) + length);
}

// Takes what has come, and checks each byte. Returns how many messages.
static uint32_t take(void)
{
	uint32_t count = 0;

	while (rig_read(&channel()->guest)) {
		const struct vmbus_packet *packet = &channel()->guest.packet;
		struct pipe_message part;

		cr_assert_eq(packet->type, VMBUS_PACKET_IN_BAND);
		cr_assert(pipe_parse(packet->payload, packet->payload_length, &part));
		cr_assert_leq(part.length, SOCKET_MESSAGE_MAX);
		cr_assert_not(end_came, "behind the end");
		end_came = !part.length;
		for (uint32_t i = 0; i < part.length; i++)
			cr_assert_eq(part.bytes[i], socket_host_byte(came++));
		count++;
	}
	return count;
}

static uint32_t poll(void)
{
	return rig_poll(channel());
}

static bool fails(void)
{
	rig.hostile = true;
	return poll() & VSP_FAILED;
}

Test(socket_vsp, needs_a_program)
{
	const struct socket_vsp_config none = { NULL };

	socket_host_create();
	cr_assert_eq(vsp_size(&socket_vsp_class, &none, false), 0);
	cr_assert_eq(vsp_size(&socket_vsp_class, &socket_host.config, true), 0);
	rig_destroy();
}

Test(socket_vsp, bytes_go_both_ways)
{
	begin(PAGES);
	socket_host.to_write = 10000;
	cr_assert(send(1) && send(4088) && send(13));
	cr_assert_not(poll() & SOCKET_OVER);
	cr_assert_eq(socket_host.taken, 1 + 4088 + 13);
	cr_assert_eq(socket_host.bytes[1 + 4087], (uint8_t)4087);
	cr_assert_eq(take(), 3);
	cr_assert_eq(came, 10000);
	cr_assert_eq(vsp()->bytes_in, 1 + 4088 + 13);
	cr_assert_eq(vsp()->bytes_out, 10000);
	finish();
}

Test(socket_vsp, the_largest_message)
{
	begin(PAGES);
	cr_assert(send(SOCKET_MESSAGE_MAX));
	poll();
	cr_assert_eq(socket_host.taken, SOCKET_MESSAGE_MAX);
	cr_assert(send(SOCKET_MESSAGE_MAX + 8));
	cr_assert(fails());
	finish();
}

// A ring of one page of data has room for no message of the usual size.
Test(socket_vsp, the_smallest_ring)
{
	begin(2);
	socket_host.to_write = 100000;
	for (int i = 0; i < 1000 && came < 100000; i++) {
		poll();
		cr_assert(take());
	}
	cr_assert_eq(came, 100000);
	finish();
}

// --- who does not read ---

Test(socket_vsp, a_program_that_does_not_read_stops_the_guest)
{
	uint32_t sent = 0;

	begin(PAGES);
	socket_host.room = 100;
	for (int i = 0; i < 100 && send(4088); i++, sent += 4088)
		poll();
	cr_assert_lt(sent, 8 * 4096);
	cr_assert_eq(socket_host.taken, 100);
	cr_assert(socket_vsp_writes(channel()->vsp));
	socket_host.room = SOCKET_HOST_BYTES;
	socket_host.gulp = 7;
	poll();
	cr_assert_eq(socket_host.taken, sent);
	cr_assert_not(socket_vsp_writes(channel()->vsp));
	cr_assert(send(1), "there is room again");
	finish();
}

Test(socket_vsp, a_guest_that_does_not_read_stops_the_program)
{
	begin(PAGES);
	socket_host.to_write = 100000;
	poll();
	cr_assert_lt(socket_host.written, 8 * 4096);
	cr_assert_not(socket_vsp_reads(channel()->vsp));
	cr_assert(send(5), "its own stream goes on");
	poll();
	cr_assert_eq(socket_host.taken, 5);
	for (int i = 0; i < 1000 && came < 100000; i++) {
		take();
		poll();
	}
	cr_assert_eq(came, 100000);
	cr_assert(socket_vsp_reads(channel()->vsp));
	finish();
}

// A poll is bounded, whatever the other ends do.
Test(socket_vsp, a_poll_is_bounded)
{
	begin(64);
	socket_host.to_write = 1 << 20;
	cr_assert(vsp_poll(channel()->vsp) & VSP_AGAIN);
	cr_assert_eq(vsp()->bytes_out, SOCKET_POLL_PACKETS * SOCKET_OUT_MAX);
	finish();
}

// --- ends ---

Test(socket_vsp, the_guest_ends_its_stream_and_reads_on)
{
	begin(PAGES);
	cr_assert(send(10) && send(0));
	cr_assert_not(poll() & SOCKET_OVER);
	cr_assert_eq(socket_host.ends, 1);
	socket_host.to_write = 50;
	cr_assert_not(poll() & SOCKET_OVER);
	cr_assert_eq(take(), 1);
	socket_host.ended = true;
	cr_assert(poll() & SOCKET_OVER);
	cr_assert_eq(take(), 1);
	cr_assert(end_came);
	cr_assert(poll() & SOCKET_OVER, "it stays so");
	finish();
}

Test(socket_vsp, the_program_ends_its_stream_and_reads_on)
{
	begin(PAGES);
	socket_host.to_write = 10;
	socket_host.ended = true;
	cr_assert_not(poll() & SOCKET_OVER);
	cr_assert_eq(take(), 2);
	cr_assert(end_came);
	cr_assert_not(socket_vsp_reads(channel()->vsp));
	cr_assert(send(10));
	cr_assert_not(poll() & SOCKET_OVER);
	cr_assert_eq(socket_host.taken, 10);
	cr_assert(send(0));
	cr_assert(poll() & SOCKET_OVER);
	cr_assert_eq(socket_host.ends, 1);
	finish();
}

// The end is told when the program has all that came before.
Test(socket_vsp, the_end_does_not_overtake)
{
	begin(PAGES);
	socket_host.room = 3;
	cr_assert(send(10) && send(0));
	poll();
	cr_assert_eq(socket_host.ends, 0);
	socket_host.room = 100;
	poll();
	cr_assert_eq(socket_host.taken, 10);
	cr_assert_eq(socket_host.ends, 1);
	finish();
}

// The same to the guest: the end waits for room behind what waits.
Test(socket_vsp, the_end_waits_for_room)
{
	begin(PAGES);
	socket_host.to_write = 60000;
	socket_host.ended = true;
	cr_assert(send(0));
	cr_assert_not(poll() & SOCKET_OVER);
	cr_assert(socket_vsp_lingers(channel()->vsp));
	for (int i = 0; i < 1000 && !end_came; i++) {
		take();
		poll();
	}
	cr_assert_eq(came, 60000);
	cr_assert(poll() & SOCKET_OVER);
	cr_assert_not(socket_vsp_lingers(channel()->vsp));
	finish();
}

Test(socket_vsp, a_program_that_is_gone)
{
	begin(PAGES);
	socket_host.room = 5;
	socket_host.to_write = 30000;
	socket_host.ended = true;
	cr_assert(send(4000) && send(1000));
	poll();
	cr_assert_not(socket_vsp_lingers(channel()->vsp));
	socket_vsp_hang_up(channel()->vsp);
	cr_assert_not(poll() & SOCKET_OVER, "what it has written is not in the ring");
	cr_assert(socket_vsp_lingers(channel()->vsp));
	cr_assert_eq(vsp()->dropped, 4995);
	while (take())
		poll();
	cr_assert_eq(came, 30000);
	cr_assert_not(end_came);
	cr_assert(poll() & SOCKET_OVER);
	cr_assert_eq(socket_host.ends, 0);
	finish();
}

Test(socket_vsp, a_program_that_takes_no_more)
{
	begin(PAGES);
	socket_host.refuses = true;
	cr_assert(send(100));
	cr_assert_not(poll() & SOCKET_OVER);
	socket_host.ended = true;
	cr_assert(poll() & SOCKET_OVER);
	cr_assert_eq(vsp()->dropped, 100);
	finish();
}

Test(socket_vsp, closed_in_the_middle)
{
	begin(PAGES);
	socket_host.room = 5;
	socket_host.to_write = 30000;
	cr_assert(send(4000) && send(1000));
	poll();
	cr_assert(vsp_idle(channel()->vsp));
	rig_close(channel());
	rig_open(channel(), PAGES, PAGES);
	poll();
	cr_assert_eq(vsp()->left, 0);
	finish();
}

// --- lies ---

Test(socket_vsp, messages_that_lie)
{
	static const struct {
		uint32_t type, size, length;
	} lies[] = { { 0, 4, 12 }, { 2, 4, 12 }, { 1, 5, 8 }, { 1, 9, 16 }, { 1, 0xffffffff, 16 },
		{ 1, 0xfffffff8, 16 }, { 1, 1, 8 }, { 1, 16385, 4096 } };

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		begin(PAGES);
		cr_assert(say(lies[i].type, lies[i].size, lies[i].length));
		cr_assert(fails(), "lie %zu", i);
		cr_assert_eq(vsp()->vsp.counters.malformed, 1);
		cr_assert_eq(socket_host.taken, 0);
		finish();
	}
}

Test(socket_vsp, packets_of_other_types)
{
	begin(PAGES);
	message.header = (struct pipe_header){ PIPE_TYPE_DATA, 0 };
	cr_assert(rig_say(&channel()->guest, VMBUS_PACKET_COMPLETION, 0, &message, 8));
	cr_assert(fails());
	finish();
}

Test(socket_vsp, a_message_behind_the_end)
{
	for (uint32_t length = 0; length < 2; length++) {
		begin(PAGES);
		cr_assert(send(0) && send(length));
		cr_assert(fails());
		finish();
	}
}

// What the padding of a packet has is not the message's.
Test(socket_vsp, padding_is_no_data)
{
	begin(PAGES);
	cr_assert(say(PIPE_TYPE_DATA, 3, 8 + 64));
	poll();
	cr_assert_eq(socket_host.taken, 3);
	finish();
}

// --- saving ---

Test(socket_vsp, no_connection_outlives_a_save)
{
	begin(PAGES);
	socket_host.to_write = 30000;
	socket_host.room = 5;
	cr_assert(send(100));
	poll();
	rig.hostile = true;
	cr_assert(rig_move());
	cr_assert(poll() & VSP_FAILED);
	cr_assert_eq(vsp()->vsp.counters.packets, 1, "the counters do");
	finish();
}

Test(socket_vsp, a_saved_form_that_lies)
{
	static uint8_t form[8192],
		room[sizeof(struct socket_vsp) + 16] __attribute__((aligned(VSP_ALIGNMENT)));
	size_t size;

	begin(PAGES);
	socket_host.to_write = 30000;
	poll();
	vsp_pause(channel()->vsp);
	size = vsp_save(channel()->vsp, form, sizeof(form));
	cr_assert(size);
	for (size_t i = 0; i < size; i++) {
		form[i] ^= 0x81;
		vsp_restore(&socket_vsp_class, room, &channel()->rings, &socket_host.config, form,
			size);
		form[i] ^= 0x81;
		cr_assert_null(vsp_restore(
			&socket_vsp_class, room, &channel()->rings, &socket_host.config, form, i));
	}
	finish();
}
