// SPDX-License-Identifier: BSD-2-Clause
// The guest SDK's VMBus against the real server and real rings: connecting, channels, packets,
// buffers, sub-channels, several VPs; polled and with interrupts.
#include "guest_case.h"

#include "base/macros.h"

BOTH_WAYS(guest_vmbus, a_channel_is_opened_used_and_closed)
{
	struct guest_case c;
	uint8_t user_data[VMBUS_USER_DEFINED_SIZE] = { 1, 2, [119] = 3 };
	uint32_t i, turn;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	cr_assert_eq(lumen_vmbus_version(c.bus), VMBUS_VERSION_5_3);
	cr_assert_eq(lumen_channel_offer(c.channel)->interface_instance.data1, GUEST_CASE_INSTANCE);
	cr_assert_eq(lumen_channel_offer(c.channel)->user_defined[0], 0xE0);
	cr_assert_eq(send_text(c.channel, 1, "x"), LUMEN_BAD_STATE);
	c.config.user_data = user_data;
	for (turn = 0; turn < 3; turn++) {
		cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_OK);
		cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_STATE);
		cr_assert_eq(lumen_vmbus_disconnect(c.bus), LUMEN_BAD_STATE);
		cr_assert_arr_eq(c.echo.user_data, user_data, sizeof(user_data));
		cr_assert_eq(c.echo.device->rings.in_page_count, 3);
		cr_assert_eq(c.echo.device->rings.out_page_count, 4);
		for (i = 0; i < 1000; i++)
			exchange(c.rig, c.channel, i);
		lumen_channel_close(c.channel);
		lumen_channel_close(c.channel);
		guest_rig_run(c.rig);
		cr_assert_not(c.echo.device->open);
		c.config.user_data = NULL;
		memset(user_data, 0, sizeof(user_data));
	}
	cr_assert_eq(c.echo.opens, 3);
	cr_assert_eq(c.echo.closes, 3);
	cr_assert_eq(c.echo.echoed, 3000);
	cr_assert_gt(c.listener.calls, 0);
	cr_assert_eq(c.listener.rescinds, 0);
	finish(c.rig, c.bus);
}

// --- connecting ---

static const uint32_t versions[] = {
	VMBUS_VERSION_2_4,
	VMBUS_VERSION_3_0,
	VMBUS_VERSION_4_0,
	VMBUS_VERSION_4_1,
	VMBUS_VERSION_5_0,
	VMBUS_VERSION_5_1,
	VMBUS_VERSION_5_2,
	VMBUS_VERSION_5_3,
};
#define VERSION_COUNT 8

BOTH_WAYS(guest_vmbus, each_version_is_agreed_on)
{
	uint32_t i;

	for (i = 0; i < VERSION_COUNT; i++) {
		struct guest_case c;
		bool is_new = versions[i] >= VMBUS_VERSION_5_0;

		guest_case_offer(&c, versions[i]);
		// Hosts that speak nothing newer than 4.1 have no such connection.
		c.rig->old_host = !is_new;
		guest_case_connect(&c, *vector);
		cr_assert_eq(lumen_vmbus_version(c.bus), versions[i]);
		cr_assert_eq(c.rig->last_type, VMBUS_MESSAGE_REQUEST_OFFERS);
		cr_assert_eq(c.rig->last_connection_id, is_new ? 4 : 1);
		// One for each version that is newer, one for this, and the request for offers.
		cr_assert_eq(c.rig->posts, VERSION_COUNT - i + 1);
		cr_assert_eq(lumen_vmbus_find(c.bus, NULL, 0), c.channel);
		guest_case_open(&c);
		exchange(c.rig, c.channel, i);
		guest_case_end(&c);
	}
}

Test(guest_vmbus, the_newest_version_can_be_limited)
{
	uint32_t i;

	for (i = 0; i < VERSION_COUNT; i++) {
		struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
		struct lumen_vmbus_config config = { .synic = &rig->synics[0],
			.max_version = versions[i] };
		struct lumen_vmbus *bus;

		cr_assert_eq(lumen_vmbus_connect(&config, &bus), LUMEN_OK);
		cr_assert_eq(lumen_vmbus_version(bus), versions[i]);
		cr_assert_eq(rig->posts, 2);
		finish(rig, bus);
	}
}

static bool other_connection(void *context, struct guest_rig *rig, union vmbus_message *message)
{
	if (message->header.type == VMBUS_MESSAGE_VERSION_RESPONSE)
		message->version_response.message_connection_id = 1;
	return true;
}

Test(guest_vmbus, messages_go_to_the_connection_that_the_host_names)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_2);
	struct lumen_vmbus *bus;

	rig->hook = other_connection;
	bus = connected(rig, 0);
	cr_assert_eq(rig->last_connection_id, 1);
	finish(rig, bus);
}

// Messages go to the VP that connected, from 3.0 on.
Test(guest_vmbus, the_host_speaks_to_the_vp_that_connected)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_3_0);
	struct lumen_vmbus *bus;

	rig->this_vp = 2;
	bus = connected(rig, GUEST_RIG_VECTOR);
	cr_assert_eq(rig->server.message_vp, 2);
	finish(rig, bus);
}

static lumen_status try_connect(struct guest_rig *rig)
{
	struct lumen_vmbus *bus = NULL;
	lumen_status status = guest_rig_connect(rig, 0, &bus);

	cr_assert_null(bus);
	cr_assert_null(rig->synics[0].sints[VMBUS_SINT]);
	cr_assert_eq(rig->pages_out, 0);
	return status;
}

Test(guest_vmbus, there_is_no_vmbus)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);

	rig->no_host = true;
	cr_assert_eq(try_connect(rig), LUMEN_NOT_SUPPORTED);
	cr_assert_eq(rig->posts, VERSION_COUNT);
	rig->no_host = false;
	rig->no_privilege = true;
	cr_assert_eq(try_connect(rig), LUMEN_NO_PRIVILEGE);
	rig->no_privilege = false;
	rig->pages_left = 0;
	cr_assert_eq(try_connect(rig), LUMEN_NO_MEMORY);
	rig->pages_left = 1000;
	rig->post_status = HV_STATUS_ACCESS_DENIED;
	rig->post_failures = 1;
	cr_assert_eq(try_connect(rig), HV_STATUS_ACCESS_DENIED);
	finish(rig, connected(rig, 0)); // and now there is
}

Test(guest_vmbus, a_host_that_does_not_answer_costs_the_timeout)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	uint64_t start = rig->now_ns;

	rig->deaf = true;
	cr_assert_eq(try_connect(rig), LUMEN_TIMED_OUT);
	cr_assert_eq(rig->now_ns - start, 1000000000);
	rig->deaf = false;
	rig->mute = true;
	start = rig->now_ns;
	cr_assert_eq(try_connect(rig), LUMEN_TIMED_OUT);
	cr_assert_eq(rig->now_ns - start, 1000000000);
	rig->mute = false;
	guest_rig_run(rig); // an answer to nobody
	finish(rig, connected(rig, 0));
}

// A kernel without interrupts whose lumen_wait() sleeps, and knows nothing of the SynIC.
Test(guest_vmbus, a_polled_kernel_may_have_a_wait_of_its_own)
{
	struct guest_case c;

	guest_case_offer(&c, VMBUS_VERSION_5_3);
	c.rig->sleeps = true;
	guest_case_connect(&c, 0);
	guest_case_open(&c);
	exchange(c.rig, c.channel, 1);
	guest_case_end(&c);
}

Test(guest_vmbus, a_time_out_says_what_may_be_wrong)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);

	rig->mute = true;
	cr_assert_eq(try_connect(rig), LUMEN_TIMED_OUT);
	cr_assert(guest_rig_said(rig, "vmbus: the host does not answer"));
	rig->messages_wait = true;
	cr_assert_eq(try_connect(rig), LUMEN_TIMED_OUT);
	cr_assert(guest_rig_said(rig,
		"vmbus: an answer waits in the SIM page: does the vector's handler call "
		"lumen_sint_handle(), and are interrupts on?"));
	rig->mute = false;
	guest_rig_run(rig);
	finish(rig, connected(rig, 0));
}

static bool refuse(void *context, struct guest_rig *rig, union vmbus_message *message)
{
	const union vmbus_message *answer = context;

	if (message->header.type == VMBUS_MESSAGE_VERSION_RESPONSE)
		message->version_response = answer->version_response;
	return true;
}

Test(guest_vmbus, a_host_can_refuse_the_connection)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	union vmbus_message answer = { .header.type = VMBUS_MESSAGE_VERSION_RESPONSE };

	rig->hook = refuse;
	rig->hook_context = &answer;
	cr_assert_eq(try_connect(rig), LUMEN_REFUSED);
	cr_assert_eq(rig->posts, VERSION_COUNT);
	answer.version_response.version_supported = 1;
	answer.version_response.connection_state = VMBUS_CONNECTION_FAILED_LOW_RESOURCES;
	rig->posts = 0;
	cr_assert_eq(try_connect(rig), LUMEN_REFUSED);
	cr_assert_eq(rig->posts, 1);
	rig->hook = NULL;
	finish(rig, connected(rig, 0));
}

BOTH_WAYS(guest_vmbus, posts_are_tried_again_when_the_hypervisor_has_no_buffer)
{
	struct guest_case c;

	guest_case_offer(&c, VMBUS_VERSION_5_3);
	c.rig->post_status = HV_STATUS_INSUFFICIENT_BUFFERS;
	c.rig->post_failures = 3;
	guest_case_connect(&c, *vector);
	c.rig->post_failures = 20;
	guest_case_open(&c);
	c.rig->post_status = HV_STATUS_INVALID_CONNECTION_ID; // what Hyper-V may say instead
	c.rig->post_failures = 20;
	guest_case_end(&c);
}

// --- devices ---

Test(guest_vmbus, devices_are_found_in_the_order_of_their_offers)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct vmbus_offer other = { .interface_type = { 7 }, .interface_instance = { 70 } };
	struct echo_device echo[4] = { 0 };
	struct lumen_channel *channel;
	struct lumen_vmbus *bus;
	uint32_t i;

	echo_add(rig, &echo[0], 10, 0);
	cr_assert_not_null(guest_rig_offer(rig, &other, NULL, NULL));
	echo_add(rig, &echo[1], 11, 0);
	echo_add(rig, &echo[2], 11, 1);
	echo_add(rig, &echo[3], 12, 0);
	bus = connected(rig, 0);
	for (i = 0; i < 3; i++) {
		channel = lumen_vmbus_find(bus, &echo_type, i);
		cr_assert_eq(lumen_channel_offer(channel)->interface_instance.data1, 10 + i);
	}
	cr_assert_null(lumen_vmbus_find(bus, &echo_type, 3));
	cr_assert_null(lumen_vmbus_find(bus, &echo_type, UINT32_MAX));
	channel = lumen_vmbus_find(bus, NULL, 1);
	cr_assert_eq(lumen_channel_offer(channel)->interface_instance.data1, 70);
	cr_assert_not_null(lumen_vmbus_find(bus, NULL, 3));
	cr_assert_null(lumen_vmbus_find(bus, NULL, 4));
	cr_assert_null(lumen_vmbus_find(bus, &(struct vmbus_guid){ .data1 = 8 }, 0));
	finish(rig, bus);
}

Test(guest_vmbus, devices_come_and_go)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct echo_device echo[3] = { 0 };
	struct lumen_channel *first, *second;
	const uint32_t *changes;
	struct lumen_vmbus *bus;
	uint32_t relid;

	bus = connected(rig, GUEST_RIG_VECTOR);
	changes = lumen_vmbus_changes(bus);
	cr_assert_eq(*changes, 0);
	echo_add(rig, &echo[0], 10, 0);
	guest_rig_run(rig);
	cr_assert_eq(*changes, 1);
	first = lumen_vmbus_find(bus, &echo_type, 0);
	cr_assert_not_null(first);
	echo_add(rig, &echo[1], 11, 0);
	guest_rig_rescind(rig, echo[0].device);
	guest_rig_run(rig);
	cr_assert_eq(*changes, 3);
	cr_assert(lumen_channel_rescinded(first));
	second = lumen_vmbus_find(bus, &echo_type, 0);
	cr_assert_eq(lumen_channel_offer(second)->interface_instance.data1, 11);
	cr_assert_eq(lumen_channel_release(second), LUMEN_BAD_STATE);

	// Its number comes back when it is released, and is another device then.
	relid = echo[0].device->relid;
	cr_assert_eq(lumen_channel_open(
			     first, &(struct lumen_channel_config){ 1, 1, 0, NULL, NULL, NULL }),
		LUMEN_RESCINDED);
	cr_assert_eq(lumen_channel_release(first), LUMEN_OK);
	guest_rig_run(rig);
	cr_assert_eq(echo[0].device->relid, 0);
	echo_add(rig, &echo[2], 12, 0);
	cr_assert_eq(echo[2].device->relid, relid);
	guest_rig_run(rig);
	// Found behind the older one, though its slot is in front of it.
	first = lumen_vmbus_find(bus, &echo_type, 1);
	cr_assert_eq(lumen_channel_offer(first)->interface_instance.data1, 12);
	finish(rig, bus);
}

Test(guest_vmbus, rescinded_devices_that_nobody_knows_are_given_back)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct lumen_vmbus *bus = connected(rig, 0);
	struct echo_device echo = { 0 };
	uint32_t i;

	for (i = 0; i < 3 * GUEST_RIG_CHANNELS; i++) {
		echo_add(rig, &echo, i, i % 2);
		guest_rig_run(rig);
		guest_rig_rescind(rig, echo.device);
		guest_rig_run(rig);
		cr_assert_neq(echo.device->relid, 0);
		cr_assert_null(lumen_vmbus_find(bus, NULL, 0));
		guest_rig_run(rig);
		cr_assert_eq(echo.device->relid, 0);
	}
	finish(rig, bus);
}

BOTH_WAYS(guest_vmbus, sub_channels_carry_packets_too)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct lumen_channel *primary, *other, *sub[3] = { 0 };
	struct listener listener = { 0 };
	struct lumen_channel_config config = channel_config(&listener);
	struct echo_device echo[5] = { 0 };
	struct lumen_vmbus *bus;
	uint32_t i;

	echo_add(rig, &echo[0], 10, 0);
	echo_add(rig, &echo[1], 20, 0);
	echo_add(rig, &echo[2], 20, 1);
	bus = connected(rig, *vector);
	other = lumen_vmbus_find(bus, &echo_type, 0);
	primary = lumen_vmbus_find(bus, &echo_type, 1);
	cr_assert_null(lumen_channel_sub(primary, 0));
	cr_assert_null(lumen_channel_sub(primary, 2));
	cr_assert_null(lumen_channel_sub(other, 1));
	echo_add(rig, &echo[3], 10, 1);
	echo_add(rig, &echo[4], 10, 2);
	guest_rig_run(rig);
	sub[0] = lumen_channel_sub(primary, 1);
	sub[1] = lumen_channel_sub(other, 1);
	sub[2] = lumen_channel_sub(other, 2);
	for (i = 0; i < 3; i++) {
		cr_assert_eq(lumen_channel_offer(sub[i])->sub_channel_index, i == 2 ? 2 : 1);
		cr_assert_eq(lumen_channel_open(sub[i], &config), LUMEN_OK);
	}
	for (i = 0; i < 300; i++)
		exchange(rig, sub[i % 3], i);
	guest_rig_rescind(rig, echo[4].device);
	guest_rig_run(rig);
	cr_assert_null(lumen_channel_sub(other, 2));
	cr_assert_eq(listener.rescinds, 1);
	for (i = 0; i < 3; i++)
		lumen_channel_close(sub[i]);
	cr_assert_eq(lumen_channel_release(sub[2]), LUMEN_OK);
	finish(rig, bus);
}

// --- packets ---

// Takes answers up to number `end`, and gives their room back.
static void receive_all(
	struct guest_rig *rig, struct lumen_channel *channel, uint32_t *next, uint32_t end)
{
	for (; *next < end; ++*next)
		cr_assert_eq(receive(rig, channel).transaction_id, *next);
	cr_assert_not(lumen_channel_unmask(channel));
}

BOTH_WAYS(guest_vmbus, a_full_ring_calls_the_handler_when_there_is_room)
{
	struct guest_case c;
	static char text[1000];
	uint32_t sent = 0, received = 0;
	lumen_status status;

	memset(text, 'a', sizeof(text) - 1);
	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	c.echo.stopped = true;
	guest_case_open(&c);
	while (!(status = send_text(c.channel, sent, text)))
		sent++;
	cr_assert_eq(status, LUMEN_BUSY);
	cr_assert_eq(sent, 7); // of 1024 bytes in two pages, of which 8 stay free
	guest_rig_run(c.rig);
	cr_assert_eq(c.listener.calls, 0);
	echo_run(&c.echo); // makes room, sends some, and signals for both: once
	guest_rig_run(c.rig);
	cr_assert_geq(c.listener.calls, 1);
	for (; sent < 100; sent++) {
		while (send_text(c.channel, sent, text) == LUMEN_BUSY) {
			receive_all(c.rig, c.channel, &received, c.echo.echoed);
			echo_run(&c.echo);
		}
	}
	receive_all(c.rig, c.channel, &received, c.echo.echoed);
	echo_run(&c.echo);
	receive_all(c.rig, c.channel, &received, 100);
	guest_case_end(&c);
}

Test(guest_vmbus, a_batch_is_signalled_once)
{
	struct guest_case c;
	const struct vmbus_packet_out empty = { .type = VMBUS_PACKET_IN_BAND };
	uint32_t i;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	guest_case_open(&c);
	for (i = 0; i < 10; i++)
		cr_assert_eq(lumen_channel_queue(c.channel, &empty), LUMEN_OK);
	cr_assert_eq(c.rig->signals, 0);
	lumen_channel_flush(c.channel);
	lumen_channel_flush(c.channel);
	cr_assert_eq(c.rig->signals, 1);
	cr_assert_eq(lumen_channel_queue(c.channel, &empty), LUMEN_OK);
	lumen_channel_flush(c.channel); // the host has not read yet: it needs no second signal
	cr_assert_eq(c.rig->signals, 1);
	guest_rig_run(c.rig);
	cr_assert_eq(c.echo.echoed, 11);
	cr_assert_eq(c.listener.calls, 1); // its signals are masked from the first on
	lumen_channel_close(c.channel);
	lumen_channel_flush(c.channel);
	cr_assert_eq(c.rig->lost_signals, 0);
	finish(c.rig, c.bus);
}

Test(guest_vmbus, signals_are_masked_from_the_handler_on)
{
	struct guest_case c;
	const struct vmbus_ring_control *control;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	guest_case_open(&c);
	control = c.echo.device->rings.out_pages[0];
	cr_assert_eq(control->interrupt_mask, 0);
	cr_assert_eq(send_text(c.channel, 1, "a"), LUMEN_OK);
	guest_rig_run(c.rig);
	cr_assert_eq(c.listener.calls, 1);
	cr_assert_eq(control->interrupt_mask, 1);
	cr_assert_eq(receive(c.rig, c.channel).transaction_id, 1);
	cr_assert_not(lumen_channel_unmask(c.channel));
	cr_assert_eq(control->interrupt_mask, 0);
	// Something has come just before: nobody signals it, and it is for who asks.
	cr_assert_eq(send_text(c.channel, 2, "b"), LUMEN_OK);
	echo_run(&c.echo);
	cr_assert(lumen_channel_unmask(c.channel));
	cr_assert_eq(control->interrupt_mask, 1);
	cr_assert_eq(receive(c.rig, c.channel).transaction_id, 2);
	guest_case_end(&c);
}

// Packets that are queued and not flushed are shown to the host before the guest waits for room;
// and if the host makes room meanwhile, no signal will come, and the packet goes out at once.
Test(guest_vmbus, a_full_ring_is_flushed)
{
	struct guest_case c;
	const struct vmbus_packet_out empty = { .type = VMBUS_PACKET_IN_BAND };
	uint32_t queued = 0;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	c.config.receive_pages = 100;
	c.echo.stopped = true;
	guest_case_open(&c);
	while (lumen_channel_queue(c.channel, &empty) == LUMEN_OK)
		queued++;
	cr_assert_eq(queued, 341); // of 24 bytes, in 8192 less 8
	cr_assert_eq(c.rig->signals, 1);
	echo_run(&c.echo);
	cr_assert_eq(c.echo.echoed, queued);
	c.echo.stopped = false;
	c.rig->signal_at_once = true;
	for (; queued < 2000; queued++)
		cr_assert_eq(lumen_channel_queue(c.channel, &empty), LUMEN_OK);
	lumen_channel_flush(c.channel);
	cr_assert_eq(c.echo.echoed, 2000);
	guest_case_end(&c);
}

// The host waits for room: it is signalled when the guest has read.
Test(guest_vmbus, a_host_that_waits_for_room_is_signalled)
{
	struct guest_case c;
	const struct vmbus_packet_out empty = { .type = VMBUS_PACKET_IN_BAND };
	_Alignas(8) uint8_t buffer[64];
	struct vmbus_packet packet;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	guest_case_open(&c);
	while (vmbus_ring_write(&c.echo.writer, &empty) == VMBUS_RING_OK) {
	}
	vmbus_ring_writer_commit(&c.echo.writer);
	cr_assert_not(vmbus_ring_writer_wait(&c.echo.writer, 24));
	cr_assert_eq(c.rig->signals, 0);
	while (lumen_channel_receive(c.channel, buffer, sizeof(buffer), &packet) == LUMEN_OK) {
	}
	cr_assert_eq(c.rig->signals, 0);
	cr_assert_not(lumen_channel_unmask(c.channel));
	cr_assert_eq(c.rig->signals, 1);
	cr_assert_not(lumen_channel_unmask(c.channel));
	cr_assert_eq(c.rig->signals, 1);
	guest_case_end(&c);
}

Test(guest_vmbus, what_cannot_be_sent_or_read_is_said)
{
	struct guest_case c;
	static uint8_t bytes[8192];
	const struct vmbus_piece piece = { bytes, 8192 };
	const struct vmbus_packet_out large = {
		.type = VMBUS_PACKET_IN_BAND, .payload = &piece, .payload_count = 1
	};
	_Alignas(8) uint8_t buffer[16];
	struct vmbus_packet packet;
	struct vmbus_ring_control *control;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	c.echo.speaks_first = true;
	cr_assert_eq(lumen_channel_receive(c.channel, buffer, 16, &packet), LUMEN_BAD_STATE);
	cr_assert_not(lumen_channel_unmask(c.channel));
	guest_case_open(&c);
	cr_assert_eq(lumen_channel_send(c.channel, &large), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_channel_receive(c.channel, buffer, 16, &packet), LUMEN_BAD_HOST);
	cr_assert_eq(lumen_channel_receive(c.channel, bytes, 16, &packet), LUMEN_BAD_HOST);
	cr_assert_not(lumen_channel_unmask(c.channel));
	control = c.echo.device->rings.in_pages[0];
	control->out = 3;
	while (!send_text(c.channel, 0, "until the ring is full")) {
	}
	cr_assert_eq(send_text(c.channel, 0, "and broken"), LUMEN_BAD_HOST);
	guest_case_end(&c);
}

BOTH_WAYS(guest_vmbus, a_host_that_speaks_before_its_answer_is_heard)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	c.echo.speaks_first = true;
	guest_case_open(&c);
	guest_rig_run(c.rig);
	cr_assert_eq(c.listener.calls, 1);
	cr_assert_eq(receive(c.rig, c.channel).transaction_id, 1);
	guest_case_end(&c);
}

Test(guest_vmbus, events_that_mean_nothing_do_nothing)
{
	struct guest_case c;
	uint32_t flag;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	for (flag = 0; flag <= 3000; flag++)
		guest_rig_event(c.rig, 0, flag);
	guest_case_open(&c);
	for (flag = 0; flag <= 3000; flag++)
		guest_rig_event(c.rig, 0, flag);
	cr_assert_eq(c.listener.calls, 1);
	exchange(c.rig, c.channel, 1);
	lumen_channel_close(c.channel);
	c.listener.calls = 0;
	guest_rig_event(c.rig, 0, c.echo.device->relid);
	cr_assert_eq(c.listener.calls, 0);
	finish(c.rig, c.bus);
}

// --- processors ---

BOTH_WAYS(guest_vmbus, channels_signal_the_vp_that_they_are_opened_for)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	c.config.target_vp = 1;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	c.config.target_vp = 5000;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	c.rig->this_vp = 1;
	cr_assert_eq(lumen_vmbus_remove_vp(c.bus, &c.rig->synics[1]), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_vmbus_add_vp(c.bus, &c.rig->synics[1], GUEST_RIG_VECTOR + 1), LUMEN_OK);
	cr_assert_eq(lumen_vmbus_add_vp(c.bus, &c.rig->synics[1], GUEST_RIG_VECTOR + 1),
		LUMEN_BAD_ARGUMENT);
	c.rig->this_vp = 0;
	c.config.target_vp = 1;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_OK);
	exchange(c.rig, c.channel, 1);
	cr_assert_eq(c.listener.vp, 1);
	c.rig->this_vp = 1;
	cr_assert_eq(lumen_vmbus_remove_vp(c.bus, &c.rig->synics[1]), LUMEN_BAD_STATE);
	c.rig->this_vp = 0;
	cr_assert_eq(lumen_vmbus_remove_vp(c.bus, &c.rig->synics[0]), LUMEN_BAD_ARGUMENT);
	lumen_channel_close(c.channel);
	cr_assert_eq(lumen_vmbus_disconnect(c.bus), LUMEN_BAD_STATE);
	c.rig->this_vp = 1;
	cr_assert_eq(lumen_vmbus_remove_vp(c.bus, &c.rig->synics[1]), LUMEN_OK);
	c.rig->this_vp = 0;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	finish(c.rig, c.bus);
}

Test(guest_vmbus, vps_may_have_a_few_different_vectors)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct lumen_vmbus *bus = connected(rig, 0x30);
	uint32_t vp;

	for (vp = 1; vp < 4; vp++) {
		rig->this_vp = vp;
		cr_assert_eq(
			lumen_vmbus_add_vp(bus, &rig->synics[vp], (uint8_t)(0x30 + vp)), LUMEN_OK);
		cr_assert_eq(rig->synics[vp].sints[VMBUS_SINT]->vector, 0x30 + vp);
	}
	cr_assert_eq(lumen_vmbus_remove_vp(bus, &rig->synics[3]), LUMEN_OK);
	cr_assert_eq(lumen_vmbus_add_vp(bus, &rig->synics[3], 0x34), LUMEN_BAD_ARGUMENT);
	for (vp = 1; vp < 3; vp++) {
		rig->this_vp = vp;
		cr_assert_eq(lumen_vmbus_remove_vp(bus, &rig->synics[vp]), LUMEN_OK);
	}
	rig->this_vp = 0;
	finish(rig, bus);
}

Test(guest_vmbus, an_open_channel_moves_to_another_vp)
{
	uint32_t i;

	for (i = 0; i < VERSION_COUNT; i++) {
		struct guest_case c;
		bool known = versions[i] >= VMBUS_VERSION_4_1;

		guest_case_begin(&c, versions[i], 0);
		c.rig->this_vp = 3;
		cr_assert_eq(lumen_vmbus_add_vp(c.bus, &c.rig->synics[3], 0), LUMEN_OK);
		c.rig->this_vp = 0;
		cr_assert_eq(lumen_channel_set_vp(c.channel, 3),
			known ? LUMEN_BAD_STATE : LUMEN_NOT_SUPPORTED);
		guest_case_open(&c);
		cr_assert_eq(lumen_channel_set_vp(c.channel, 2), LUMEN_BAD_ARGUMENT);
		cr_assert_eq(
			lumen_channel_set_vp(c.channel, 3), known ? LUMEN_OK : LUMEN_NOT_SUPPORTED);
		guest_rig_run(c.rig);
		cr_assert_eq(c.echo.device->target_vp, known ? 3 : 0);
		exchange(c.rig, c.channel, 1);
		cr_assert_eq(c.listener.vp, known ? 3 : 0);
		c.rig->this_vp = 3;
		if (known)
			cr_assert_eq(
				lumen_vmbus_remove_vp(c.bus, &c.rig->synics[3]), LUMEN_BAD_STATE);
		c.rig->this_vp = 0;
		lumen_channel_close(c.channel);
		c.rig->this_vp = 3;
		cr_assert_eq(lumen_vmbus_remove_vp(c.bus, &c.rig->synics[3]), LUMEN_OK);
		c.rig->this_vp = 0;
		finish(c.rig, c.bus);
	}
}

// --- buffers ---

// The host's view of a GPADL.
static const struct vmbus_gpadl *host_gpadl(struct guest_rig *rig, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < rig->server.config.gpadl_count; i++) {
		if (rig->server.config.gpadls[i].state == VMBUS_GPADL_CREATED &&
			rig->server.config.gpadls[i].id == id)
			return &rig->server.config.gpadls[i];
	}
	return NULL;
}

BOTH_WAYS(guest_vmbus, gpadls_of_all_sizes_arrive_whole)
{
	static const uint32_t sizes[] = { 1, 2, 25, 26, 27, 53, 54, 55, 82, 83, 1000, 8190 };
	struct guest_case c;
	uint32_t i, page, id;

	guest_case_begin(&c, VMBUS_VERSION_5_3, *vector);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *pages = lumen_alloc_pages(sizes[i]);
		const struct vmbus_gpadl *gpadl;

		cr_assert_eq(lumen_gpadl_create(c.channel, pages, sizes[i], &id), LUMEN_OK);
		gpadl = host_gpadl(c.rig, id);
		cr_assert_not_null(gpadl);
		cr_assert_eq(vmbus_gpadl_whole_pages(gpadl), sizes[i]);
		for (page = 0; page < sizes[i]; page++)
			cr_assert_eq(gpadl->words[1 + page], ((uintptr_t)pages >> 12) + page);
		cr_assert_eq(lumen_gpadl_destroy(c.channel, id), LUMEN_OK);
		cr_assert_null(host_gpadl(c.rig, id));
		lumen_free_pages(pages, sizes[i]);
	}
	finish(c.rig, c.bus);
}

Test(guest_vmbus, gpadls_that_cannot_be_are_refused)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct echo_device echo[2] = { 0 };
	struct lumen_channel *channel, *other;
	uint32_t ids[GUEST_RIG_GPADLS + 1], i;
	struct lumen_vmbus *bus;
	static _Alignas(4096) uint8_t nowhere[4096];
	uint8_t *pages;

	echo_add(rig, &echo[0], 1, 0);
	echo_add(rig, &echo[1], 2, 0);
	bus = connected(rig, 0);
	channel = lumen_vmbus_find(bus, &echo_type, 0);
	other = lumen_vmbus_find(bus, &echo_type, 1);
	pages = lumen_alloc_pages(2);
	cr_assert_eq(lumen_gpadl_create(channel, pages, 0, &ids[0]), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_gpadl_create(channel, pages, 8191, &ids[0]), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_gpadl_create(channel, pages + 8, 1, &ids[0]), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_gpadl_destroy(channel, 77), LUMEN_BAD_ARGUMENT);
	for (i = 0; i < GUEST_RIG_GPADLS; i++)
		cr_assert_eq(lumen_gpadl_create(channel, pages, 2, &ids[i]), LUMEN_OK);
	cr_assert_eq(lumen_gpadl_create(channel, pages, 2, &ids[i]), LUMEN_REFUSED);
	cr_assert_eq(rig->last_violation, VMBUS_VIOLATION_TOO_MANY_GPADLS);
	cr_assert_eq(lumen_gpadl_destroy(other, ids[0]), LUMEN_BAD_ARGUMENT);
	for (i = 0; i < GUEST_RIG_GPADLS; i++)
		cr_assert_eq(lumen_gpadl_destroy(channel, ids[i]), LUMEN_OK);
	// Not this guest's memory, as far as the host knows.
	cr_assert_eq(lumen_gpadl_create(channel, nowhere, 1, &ids[0]), LUMEN_REFUSED);
	cr_assert_eq(rig->last_violation, VMBUS_VIOLATION_GPADL_NOT_RAM);
	lumen_free_pages(pages, 2);
	rig->violations = 0;
	finish(rig, bus);
}

Test(guest_vmbus, ring_sizes_are_checked)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	c.echo.not_permitted = true;
	c.config = (struct lumen_channel_config){ .send_pages = 0, .receive_pages = 1 };
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	c.config.send_pages = 8188;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	c.config.send_pages = UINT32_MAX;
	c.config.receive_pages = 3;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	c.config.send_pages = 1;
	c.config.receive_pages = 0;
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_BAD_ARGUMENT);
	c.config.receive_pages = 1;
	c.rig->pages_left = 4; // and one for the list
	cr_assert_eq(lumen_channel_open(c.channel, &c.config), LUMEN_NO_MEMORY);
	finish(c.rig, c.bus);
}

Test(guest_vmbus, the_largest_rings_work)
{
	struct guest_case c;

	guest_case_begin(&c, VMBUS_VERSION_5_3, 0);
	c.config = (struct lumen_channel_config){ .send_pages = 4094, .receive_pages = 4094 };
	guest_case_open(&c);
	exchange(c.rig, c.channel, 1);
	guest_case_end(&c);
}
