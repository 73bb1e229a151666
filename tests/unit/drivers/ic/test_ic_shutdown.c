// SPDX-License-Identifier: BSD-2-Clause
// The integration components' VSC by the one that shuts down: negotiation, requests, and a host
// that breaks the rules.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/pipe.h"
#include "drivers/proto/shutdown.h"
#include "ic_host.h"

#define REQUEST (IC_FLAG_TRANSACTION | IC_FLAG_REQUEST)

static const struct vmbus_guid guid = SHUTDOWN_GUID;
static const struct ic_version versions[] = SHUTDOWN_VERSIONS;
static struct lumen_ic *ic;
static uint32_t powered_off, restarted, answered_before;

static void power_off(void *context)
{
	cr_assert_eq(context, &powered_off);
	powered_off++;
	answered_before = ic_host.sent;
}

static void restart(void *context)
{
	(void)context;
	restarted++;
}

static const struct lumen_shutdown_handlers handlers = {
	.power_off = power_off,
	.restart = restart,
	.context = &powered_off,
};

static void open_it(void)
{
	powered_off = restarted = 0;
	ic_host_create(&guid);
	cr_assert_eq(lumen_shutdown_open(NULL, &handlers, &ic), LUMEN_OK);
}

static void open_and_agree(void)
{
	open_it();
	ic_host_negotiate(versions, 4);
	cr_assert_eq(ic_host.sent, 1);
}

static void close_it(void)
{
	lumen_ic_close(ic);
	cr_assert_eq(rig.pages, 0);
}

static void ask(uint32_t flags)
{
	const struct shutdown_message message = { .reason = SHUTDOWN_REASON_PLANNED,
		.flags = flags };

	ic_host_message(IC_MESSAGE_SHUTDOWN, REQUEST, &message, sizeof(message));
}

Test(ic, the_newest_versions_are_picked)
{
	const struct ic_choice newest = { { 1, 1, 0 }, { 3, 0 }, { 3, 2 } };

	open_and_agree();
	cr_assert_eq(memcmp(ic_host.body, &newest, sizeof(newest)), 0);
	cr_assert_eq(ic_host.header.size, sizeof(newest));
	cr_assert_eq(ic_host.header.flags, IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE);
	cr_assert_eq(ic_host.header.transaction_id, 77);
	cr_assert_eq(ic_host.transaction_id, 99);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
}

Test(ic, versions_that_nobody_knows_are_refused)
{
	const struct ic_version strange = { 9, 9 };
	const struct ic_choice none = { 0 };

	open_it();
	ic_host_negotiate(&strange, 1);
	cr_assert_eq(memcmp(ic_host.body, &none, sizeof(none)), 0);
	cr_assert_eq(lumen_ic_bad_messages(ic), 1);
	ask(0);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	cr_assert_eq(powered_off, 0);
	ic_host_negotiate(versions, 2); // the host may try again
	ask(0);
	cr_assert_eq(ic_host.header.status, IC_STATUS_OK);
	cr_assert_eq(powered_off, 1);
	close_it();
}

Test(ic, the_kernel_is_told_after_the_host_has_its_answer)
{
	open_and_agree();
	ask(0);
	cr_assert_eq(powered_off, 1);
	cr_assert_eq(answered_before, 2);
	ask(SHUTDOWN_FLAG_FORCE | SHUTDOWN_FLAG_RESTART);
	cr_assert_eq(restarted, 1);
	cr_assert_eq(ic_host.header.status, IC_STATUS_OK);
	close_it();
}

Test(ic, what_the_kernel_has_no_handler_for_is_refused)
{
	open_and_agree();
	ask(SHUTDOWN_FLAG_HIBERNATE);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ask(SHUTDOWN_FLAG_RESTART | SHUTDOWN_FLAG_HIBERNATE);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ask(0x40000000);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	cr_assert_eq(powered_off + restarted, 0);
	close_it();
}

Test(ic, a_request_out_of_turn_or_cut_short_or_of_another_kind_is_refused_and_counted)
{
	const struct shutdown_message message = { 0 };

	open_it();
	ask(0);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ic_host_negotiate(versions, 4);
	ic_host_message(IC_MESSAGE_SHUTDOWN, REQUEST, &message, 11);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ic_host_message(IC_MESSAGE_KVP, REQUEST, &message, 12);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 3);
	cr_assert_eq(powered_off, 0);
	ic_host_message(
		IC_MESSAGE_SHUTDOWN, REQUEST, &message, 12); // without its text: good enough
	cr_assert_eq(powered_off, 1);
	close_it();
}

Test(ic, what_is_no_message_is_counted_and_not_answered)
{
	struct {
		struct pipe_header pipe;
		struct ic_header header;
	} message = { { PIPE_TYPE_DATA, 20 }, { .type = IC_MESSAGE_SHUTDOWN, .size = 1 } };

	open_and_agree();
	for (uint32_t length = 0; length <= sizeof(message); length++)
		ic_host_packet(VMBUS_PACKET_IN_BAND, &message, length); // the body is missing
	message.header.size = 0;
	message.pipe.size = 25; // beyond what the ring pads
	ic_host_packet(VMBUS_PACKET_IN_BAND, &message, sizeof(message));
	message.pipe = (struct pipe_header){ 2, 20 };
	ic_host_packet(VMBUS_PACKET_IN_BAND, &message, sizeof(message));
	message.pipe.type = PIPE_TYPE_DATA;
	ic_host_packet(VMBUS_PACKET_COMPLETION, &message, sizeof(message));
	message.header.flags = IC_FLAG_RESPONSE;
	ic_host_packet(VMBUS_PACKET_IN_BAND, &message, sizeof(message));
	cr_assert_eq(lumen_ic_bad_messages(ic), sizeof(message) + 1 + 4);
	cr_assert_eq(ic_host.sent, 1);
	ask(0);
	cr_assert_eq(powered_off, 1);
	close_it();
}

Test(ic, an_answer_waits_for_room_and_the_kernel_with_it)
{
	open_and_agree();
	rig.full = true;
	ask(0);
	ic_host_signal(); // comes back, and nothing is taken
	cr_assert_eq(ic_host.sent, 1);
	cr_assert_eq(powered_off, 0);
	ask(SHUTDOWN_FLAG_RESTART); // stays where it is until the first is answered
	cr_assert_eq(ic_host.sent, 1);
	rig.full = false;
	ic_host_signal();
	cr_assert_eq(ic_host.sent, 3);
	cr_assert_eq(powered_off, 1);
	cr_assert_eq(restarted, 1);
	close_it();
}

Test(ic, messages_without_end_end_the_component)
{
	open_and_agree();
	ic_host.endless = true;
	ask(SHUTDOWN_FLAG_HIBERNATE);
	cr_assert_eq(lumen_ic_status(ic), LUMEN_BAD_HOST);
	close_it();
}

Test(ic, a_component_that_is_taken_away_says_so)
{
	open_and_agree();
	rig.channels[0].rescinded = true;
	cr_assert_not(lumen_ic_poll(ic));
	cr_assert_eq(lumen_ic_status(ic), LUMEN_RESCINDED);
	ask(0);
	cr_assert_eq(powered_off, 0);
	close_it();
}

Test(ic, an_open_that_fails_keeps_nothing)
{
	const struct vmbus_guid other = { .data1 = 1 };

	ic_host_create(&other);
	cr_assert_eq(lumen_shutdown_open(NULL, &handlers, &ic), LUMEN_NOT_SUPPORTED);
	ic_host_create(&guid);
	rig.open_status = LUMEN_REFUSED;
	cr_assert_eq(lumen_shutdown_open(NULL, &handlers, &ic), LUMEN_REFUSED);
	cr_assert_eq(rig.pages, 0);
}
