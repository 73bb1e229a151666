// SPDX-License-Identifier: BSD-2-Clause
// The shutdown component's VSP, through real rings, with guests that do as they should and others.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/shutdown.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

enum { PAGES = IC_GUEST_PAGES };

static const struct ic_choice newest = { { 1, 1, 0 }, { 3, 0 }, { 3, 2 } };

static void open_pages(uint32_t out_pages)
{
	ic_guest_open(&shutdown_component, out_pages);
}

static void open_ready(void)
{
	open_pages(PAGES);
	pick(&newest);
	cr_assert_eq(vsp_poll(vsp()), 0);
}

// The guest has the request in its hands.
static void open_asked(void)
{
	open_ready();
	cr_assert(ic_ask(ic(), 0));
	vsp_poll(vsp());
	cr_assert(receive());
}

static void expect_failure(const char *reason)
{
	cr_assert_eq(vsp_poll(vsp()), VSP_FAILED);
	cr_assert_str_eq(vsp_failure(vsp()), reason);
	cr_assert_not(ic_ask(ic(), 0));
	cr_assert_eq(vsp_poll(vsp()), VSP_FAILED);
}

Test(shutdown_vsp, versions_are_offered_first)
{
	struct ic_negotiate counts;
	struct ic_version versions[6];

	open_pages(PAGES);
	cr_assert_not(ic_ask(ic(), 0));
	cr_assert_eq(vsp_poll(vsp()), VSP_SIGNAL);
	cr_assert(receive());
	cr_assert_eq(header.type, IC_MESSAGE_NEGOTIATE);
	cr_assert_eq(header.size, sizeof(counts) + sizeof(versions));
	memcpy(&counts, body, sizeof(counts));
	memcpy(versions, body + sizeof(counts), sizeof(versions));
	cr_assert_eq(counts.framework_count, 2);
	cr_assert_eq(counts.message_count, 4);
	cr_assert_eq(versions[1].major, 3);
	cr_assert_eq(versions[5].major, 3);
	cr_assert_eq(versions[5].minor, 2);
	cr_assert_eq(vsp_poll(vsp()), 0);
	cr_assert_not(receive());
	cr_assert_not(ic_ask(ic(), 0));
}

Test(shutdown_vsp, a_guest_is_asked_and_agrees)
{
	struct shutdown_message request;

	open_ready();
	for (int turn = 0; turn < 3; turn++) {
		cr_assert(ic_ask(ic(), 0));
		cr_assert_not(ic_ask(ic(), 0));
		cr_assert_eq(vsp_poll(vsp()), VSP_SIGNAL);
		cr_assert_not(ic_ask(ic(), 0));
		cr_assert(receive());
		cr_assert_eq(header.type, IC_MESSAGE_SHUTDOWN);
		cr_assert_eq(header.size, sizeof(request));
		cr_assert_eq(header.framework.major, 3);
		cr_assert_eq(header.message.minor, 2);
		memcpy(&request, body, sizeof(request));
		cr_assert_eq(request.reason, SHUTDOWN_REASON_PLANNED);
		cr_assert_eq(request.flags, 0);
		respond(&request, sizeof(request));
		cr_assert_eq(vsp_poll(vsp()), IC_ANSWERED);
		cr_assert_eq(ic_status(ic()), IC_STATUS_OK);
	}
}

Test(shutdown_vsp, a_guest_may_refuse)
{
	open_asked();
	header.status = 0x80004005;
	respond(NULL, 0);
	cr_assert_eq(vsp_poll(vsp()), IC_ANSWERED);
	cr_assert_eq(ic_status(ic()), 0x80004005);
	cr_assert(ic_ask(ic(), 0));
}

Test(shutdown_vsp, the_request_waits_for_room)
{
	open_pages(2); // one page of data: one request fills it
	pick(&newest);
	cr_assert_eq(vsp_poll(vsp()), 0);
	cr_assert(ic_ask(ic(), 0));
	cr_assert_eq(vsp_poll(vsp()), VSP_SIGNAL);
	// The answer comes before the request is given back.
	header = (struct ic_header){ .type = IC_MESSAGE_SHUTDOWN, .transaction_id = 2 };
	respond(NULL, 0);
	cr_assert_eq(vsp_poll(vsp()), IC_ANSWERED);
	cr_assert(ic_ask(ic(), 0));
	cr_assert_eq(vsp_poll(vsp()), 0);
	cr_assert(ic()->out_waits);
	cr_assert(receive());
	cr_assert_eq(vsp_poll(vsp()), VSP_SIGNAL);
	cr_assert(receive());
	cr_assert_eq(header.transaction_id, 3);
}

Test(shutdown_vsp, versions_that_were_not_offered_fail_the_channel)
{
	static const struct ic_choice wrong[] = {
		{ { 0, 0, 0 }, { 3, 0 }, { 3, 2 } },
		{ { 1, 2, 0 }, { 3, 0 }, { 3, 2 } },
		{ { 1, 1, 0 }, { 2, 0 }, { 3, 2 } },
		{ { 1, 1, 0 }, { 3, 0 }, { 3, 3 } },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		open_pages(PAGES);
		pick(&wrong[i]);
		expect_failure("the guest knows none of the versions");
	}
	open_pages(PAGES);
	vsp_poll(vsp());
	cr_assert(receive());
	respond(&newest, sizeof(newest) - 1);
	expect_failure("the guest's versions are cut short");
}

Test(shutdown_vsp, messages_that_answer_nothing_fail_the_channel)
{
	static const char reason[] = "a message that answers nothing";

	open_pages(PAGES);
	pick(&newest);
	respond(&newest, sizeof(newest)); // twice
	expect_failure(reason);

	open_ready();
	header.transaction_id = 2;
	header.type = IC_MESSAGE_SHUTDOWN;
	respond(NULL, 0);
	expect_failure(reason);

	open_asked();
	header.transaction_id++;
	respond(NULL, 0);
	expect_failure(reason);

	open_asked();
	pipe_header.size = sizeof(header);
	header.size = 0;
	send(VMBUS_PACKET_IN_BAND, NULL, 0); // a request, not a response
	expect_failure(reason);
}

Test(shutdown_vsp, malformed_messages_fail_the_channel)
{
	static const struct {
		uint32_t type, size;
		uint16_t body;
	} wrong[] = {
		{ 2, sizeof(struct ic_header), 0 },
		{ PIPE_TYPE_DATA, sizeof(struct ic_header) - 1, 0 },
		{ PIPE_TYPE_DATA, sizeof(struct ic_header), 1 },
		{ PIPE_TYPE_DATA, sizeof(struct ic_header) + 5, 5 }, // beyond the packet
		{ PIPE_TYPE_DATA, UINT32_MAX, UINT16_MAX },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		open_ready();
		pipe_header = (struct pipe_header){ wrong[i].type, wrong[i].size };
		header.size = wrong[i].body;
		send(VMBUS_PACKET_IN_BAND, NULL, 0);
		expect_failure("a malformed message");
	}
	open_ready();
	respond(NULL, 0);
	open_ready();
	send(VMBUS_PACKET_COMPLETION, NULL, 0);
	expect_failure("a malformed message");
}

Test(shutdown_vsp, unusable_rings_fail_the_channel)
{
	open_pages(PAGES);
	rig.channels[0].rings.in_page_count = 1;
	rig_start(&rig.channels[0]);
	cr_assert_eq(vsp_poll(vsp()), VSP_FAILED);
	rig.channels[0].rings.in_page_count = PAGES;
	open_ready();
	rig_control(&rig.channels[0], false)->in = 0x12345;
	expect_failure(vmbus_ring_status_name(VMBUS_RING_BAD_IN_INDEX));
}

Test(shutdown_vsp, a_guest_is_asked_to_restart)
{
	struct shutdown_message request;

	open_ready();
	cr_assert(ic_ask(ic(), SHUTDOWN_FLAG_RESTART));
	vsp_poll(vsp());
	cr_assert(receive());
	memcpy(&request, body, sizeof(request));
	cr_assert_eq(request.flags, SHUTDOWN_FLAG_RESTART);
}

// --- saved and restored ---

// Moves it before each step of an exchange.
Test(shutdown_vsp, a_saved_one_goes_on_in_the_middle_of_each_exchange)
{
	open_pages(PAGES);
	move(); // the versions are to be sent
	cr_assert(vsp_poll(vsp()) & VSP_SIGNAL);
	move(); // the guest is to pick some
	cr_assert(receive());
	respond(&newest, sizeof(newest));
	move(); // it has, and nobody has read it
	vsp_poll(vsp());
	cr_assert(ic_ask(ic(), SHUTDOWN_FLAG_FORCE));
	move(); // a question is due
	cr_assert_not(ic_ask(ic(), 0));
	vsp_poll(vsp());
	move(); // it has been asked
	cr_assert(ic_asked(ic()));
	cr_assert(receive());
	cr_assert_eq(header.transaction_id, 2);
	cr_assert_eq(header.message.minor, 2);
	respond(NULL, 0);
	move(); // it has been answered
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_eq(ic()->questions, 1);
	cr_assert_eq(ic()->answers, 1);
	cr_assert_eq(vsp()->counters.packets, 2);
	cr_assert_not(receive());
	cr_assert_null(vsp_failure(vsp()));
}

Test(shutdown_vsp, a_saved_one_keeps_what_waits_for_room)
{
	open_pages(2); // one page of data: one request fills it
	pick(&newest);
	vsp_poll(vsp());
	cr_assert(ic_ask(ic(), 0));
	vsp_poll(vsp());
	header = (struct ic_header){ .type = IC_MESSAGE_SHUTDOWN, .transaction_id = 2 };
	respond(NULL, 0);
	vsp_poll(vsp());
	cr_assert(ic_ask(ic(), 0));
	vsp_poll(vsp());
	cr_assert(ic()->out_waits);
	move();
	cr_assert(ic()->out_waits);
	cr_assert(receive());
	cr_assert_eq(header.transaction_id, 2);
	cr_assert(vsp_poll(vsp()) & VSP_SIGNAL);
	cr_assert(receive());
	cr_assert_eq(header.transaction_id, 3);
	cr_assert_eq(pipe_header.size, sizeof(header) + sizeof(struct shutdown_message));
}

Test(shutdown_vsp, a_form_that_makes_no_sense_is_not_restored)
{
	static _Alignas(VSP_ALIGNMENT) uint8_t other[16384];
	const struct vsp_class *class = &shutdown_component.class;
	const struct ic_config config = { .component = &shutdown_component };
	uint8_t form[4096];
	size_t size;

	open_asked();
	vsp_pause(vsp());
	size = vsp_save(vsp(), form, sizeof(form));
	for (size_t length = 0; length < size; length++)
		cr_assert_null(
			vsp_restore(class, other, &rig.channels[0].rings, &config, form, length));
	cr_assert_null(vsp_restore(class, other, &rig.channels[0].rings, &config, form, size + 1));
	form[0]++; // another class's
	cr_assert_null(vsp_restore(class, other, &rig.channels[0].rings, &config, form, size));
	form[0]--;
	form[16]++; // another version
	cr_assert_null(vsp_restore(class, other, &rig.channels[0].rings, &config, form, size));
}
