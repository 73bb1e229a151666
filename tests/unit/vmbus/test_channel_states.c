// SPDX-License-Identifier: BSD-2-Clause
// The server joined to a simulated guest: contact, offers, GPADLs, open, close, rescind, release,
// unload and reset, in the order of real guests and in every wrong one.
#include <criterion/criterion.h>
#include <string.h>

#include "rig.h"

#include "base/macros.h"

static const struct vmbus_offer scsi = {
	.interface_type = { 0xba6163d9, 0x04a1, 0x4d29,
		{ 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f } },
	.interface_instance = { 1, 2, 3, { 4 } },
	.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE,
	.sub_channel_index = 0,
	.user_defined = { 0xAB, [119] = 0xCD },
};

// Takes the next message for the guest, which must be of this type.
static union vmbus_message hear(struct rig *rig, enum vmbus_message_type type)
{
	const struct vmbus_post *post = vmbus_server_next_post(&rig->server);
	union vmbus_message message = { 0 };

	cr_assert_not_null(post, "no message, wanted %s", vmbus_message_info(type)->name);
	cr_assert_eq(post->sint, VMBUS_SINT);
	cr_assert_eq(post->vp, rig->server.message_vp);
	cr_assert_eq(vmbus_message_parse(&message, post->bytes, post->length, VMBUS_TO_GUEST, ~0u),
		VMBUS_CHECK_GOOD);
	cr_assert_eq(message.header.type, type, "%s instead of %s",
		vmbus_message_info(message.header.type)->name, vmbus_message_info(type)->name);
	vmbus_server_posted(&rig->server);
	return message;
}

// Takes the next action, which must be of this type.
static struct vmbus_action act(struct rig *rig, enum vmbus_action_type type)
{
	struct vmbus_action action;

	cr_assert(vmbus_server_next_action(&rig->server, &action), "no action, wanted %d", type);
	cr_assert_eq(action.type, type, "action %d (%s) instead of %d", action.type,
		action.type == VMBUS_ACTION_VIOLATION
			? vmbus_violation_name(action.violation.reason)
			: "",
		type);
	return action;
}

// Nothing else is to be done or said.
static void quiet(struct rig *rig)
{
	const struct vmbus_post *post = vmbus_server_next_post(&rig->server);
	struct vmbus_action action = { 0 };

	cr_assert_null(post, "message %u", post->bytes[0]);
	cr_assert_not(vmbus_server_next_action(&rig->server, &action), "action %d, %s", action.type,
		vmbus_violation_name(action.violation.reason));
}

static void violated(struct rig *rig, enum vmbus_violation reason)
{
	struct vmbus_action action = act(rig, VMBUS_ACTION_VIOLATION);

	cr_assert_eq(action.violation.reason, reason, "%s instead of %s",
		vmbus_violation_name(action.violation.reason), vmbus_violation_name(reason));
}

static void say_bare(struct rig *rig, enum vmbus_message_type type)
{
	union vmbus_message message = { .header.type = type };

	cr_assert(rig_say_whole(rig, &message));
}

// Messages whose first field is a relid, and a second number.
static void say2(struct rig *rig, enum vmbus_message_type type, uint32_t relid, uint32_t second)
{
	union vmbus_message message = {
		.modify_channel = { .header.type = type, .relid = relid, .target_vp = second }
	};

	cr_assert(rig_say_whole(rig, &message));
}

static void say_contact(struct rig *rig, uint32_t version, uint32_t vp)
{
	union vmbus_message message = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = version,
						.target_vp = vp,
						.target_info.sint = VMBUS_SINT,
					} };

	cr_assert(rig_say_whole(rig, &message));
}

static void connect_guest(struct rig *rig, uint32_t version)
{
	say_contact(rig, version, 1);
	cr_assert_eq(act(rig, VMBUS_ACTION_CONNECTED).version, version);
	cr_assert_eq(
		hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE).version_response.version_supported, 1);
	cr_assert_eq(rig->server.state, VMBUS_SERVER_CONNECTED);
}

// A guest at `version` with one offered channel, relid 1.
static struct rig *offered(uint32_t version)
{
	struct rig *rig = rig_new();

	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 1);
	quiet(rig);
	connect_guest(rig, version);
	quiet(rig);
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
	hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	hear(rig, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
	quiet(rig);
	return rig;
}

static void create_gpadl(struct rig *rig, uint32_t relid, uint32_t id, uint32_t pages)
{
	union vmbus_message message, answer;
	uint32_t length = rig_gpadl_header(&message, relid, id, pages, 8);

	cr_assert(rig_say(rig, &message, length));
	answer = hear(rig, VMBUS_MESSAGE_GPADL_CREATED);
	cr_assert_eq(answer.gpadl_created.relid, relid);
	cr_assert_eq(answer.gpadl_created.gpadl, id);
	cr_assert_eq(answer.gpadl_created.status, 0);
	quiet(rig);
}

static void say_open(struct rig *rig, uint32_t relid, uint32_t gpadl, uint32_t down, uint32_t vp)
{
	union vmbus_message message = { .open_channel = {
						.header.type = VMBUS_MESSAGE_OPEN_CHANNEL,
						.relid = relid,
						.open_id = 77,
						.ring_gpadl = gpadl,
						.target_vp = vp,
						.downstream_page_offset = down,
						.user_data = { 0x5A },
					} };

	cr_assert(rig_say_whole(rig, &message));
}

static void hear_open_result(struct rig *rig, uint32_t relid, bool success)
{
	union vmbus_message result = hear(rig, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT);

	cr_assert_eq(result.open_channel_result.relid, relid);
	cr_assert_eq(result.open_channel_result.open_id, 77);
	cr_assert_eq(result.open_channel_result.status == 0, success);
}

// The same with the channel opened over GPADL 100, 8 pages.
static struct rig *opened(uint32_t version)
{
	struct rig *rig = offered(version);

	create_gpadl(rig, 1, 100, 8);
	say_open(rig, 1, 100, 4, 2);
	act(rig, VMBUS_ACTION_OPEN);
	vmbus_server_open_complete(&rig->server, 1, true);
	hear_open_result(rig, 1, true);
	quiet(rig);
	return rig;
}

// The guest has left: nothing is held, and the next kernel gets the same offers again.
static void gone_and_back(struct rig *rig, uint32_t offers)
{
	cr_assert(vmbus_server_idle(&rig->server));
	cr_assert_eq(rig->words_out, 0);
	quiet(rig);
	connect_guest(rig, VMBUS_VERSION_5_3);
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
	while (offers--)
		hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	hear(rig, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
	quiet(rig);
}

Test(contact, each_version_is_answered_in_its_form)
{
	static const uint32_t versions[] = { VMBUS_VERSION_2_4, VMBUS_VERSION_3_0,
		VMBUS_VERSION_4_0, VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1,
		VMBUS_VERSION_5_2, VMBUS_VERSION_5_3 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(versions); i++) {
		struct rig *rig = rig_new();
		union vmbus_message response;

		say_contact(rig, versions[i], 3);
		act(rig, VMBUS_ACTION_CONNECTED);
		cr_assert_eq(rig->server.message_vp, versions[i] >= VMBUS_VERSION_3_0 ? 3 : 0);
		response = hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE);
		cr_assert_eq(response.version_response.version_supported, 1);
		cr_assert_eq(response.version_response.connection_state, 0);
		cr_assert_eq(response.version_response.message_connection_id,
			versions[i] >= VMBUS_VERSION_5_0 ? 4 : versions[i]);
	}
}

Test(contact, refused_versions_can_be_retried_lower)
{
	static const uint32_t wrong[] = { 0, 0x0000000D, VMBUS_VERSION_1_1, 0x00020003, 0x00050004,
		VMBUS_VERSION_6_0, 0xFFFFFFFF };
	struct rig *rig = rig_new();
	union vmbus_message response;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		say_contact(rig, wrong[i], 0);
		response = hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE);
		cr_assert_eq(response.version_response.version_supported, 0);
		cr_assert_eq(rig->server.state, VMBUS_SERVER_DISCONNECTED);
		quiet(rig);
	}
	rig->server.config.max_version = VMBUS_VERSION_5_0;
	say_contact(rig, VMBUS_VERSION_5_3, 0);
	cr_assert_eq(
		hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE).version_response.version_supported, 0);
	connect_guest(rig, VMBUS_VERSION_5_0);
}

Test(contact, old_connection_id_is_given_back_and_its_sint_ignored)
{
	struct rig *rig = rig_new();
	union vmbus_message
		message = { .initiate_contact = {
				    .header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
				    .version = VMBUS_VERSION_5_2,
				    .interrupt_page = 0x12345000, // what an old guest leaves there
			    } };

	vmbus_server_message(&rig->server, VMBUS_CONNECTION_MESSAGE, &message, 40);
	act(rig, VMBUS_ACTION_CONNECTED);
	cr_assert_eq(
		hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE).version_response.message_connection_id,
		1);
}

Test(contact, another_sint_or_vtl_is_refused)
{
	struct rig *rig = rig_new();
	union vmbus_message message = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = VMBUS_VERSION_5_3,
						.target_vp = 2,
						.target_info.sint = 5,
					} };

	rig_say_whole(rig, &message);
	violated(rig, VMBUS_VIOLATION_BAD_MESSAGE_SINT);
	cr_assert_eq(vmbus_server_next_post(&rig->server)->sint, 5);
	cr_assert_eq(vmbus_server_next_post(&rig->server)->vp, 2);
	cr_assert_eq(vmbus_server_next_post(&rig->server)->bytes[8], 0);
	vmbus_server_posted(&rig->server);
	message.initiate_contact.target_info.sint = 16; // there is none: no answer possible
	rig_say_whole(rig, &message);
	violated(rig, VMBUS_VIOLATION_BAD_MESSAGE_SINT);
	quiet(rig);
	message.initiate_contact.target_info.sint = VMBUS_SINT;
	message.initiate_contact.target_info.vtl = 2;
	message.initiate_contact.target_vp = 0;
	rig_say_whole(rig, &message);
	cr_assert_eq(
		hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE).version_response.version_supported, 0);
	message.initiate_contact.version = VMBUS_VERSION_5_0; // knows no VTLs
	rig_say_whole(rig, &message);
	cr_assert_eq(
		hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE).version_response.version_supported, 1);
}

Test(contact, monitor_pages_come_in_pairs)
{
	struct rig *rig = rig_new();
	union vmbus_message message = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = VMBUS_VERSION_4_0,
						.host_to_guest_monitor_page = 0x1000,
					} };
	union vmbus_message response;

	rig_say_whole(rig, &message);
	violated(rig, VMBUS_VIOLATION_BAD_MONITOR_PAGES);
	response = hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE);
	cr_assert_eq(response.version_response.version_supported, 1);
	cr_assert_eq(response.version_response.connection_state, VMBUS_CONNECTION_FAILED_UNKNOWN);
	cr_assert_eq(rig->server.state, VMBUS_SERVER_DISCONNECTED);
	message.initiate_contact.guest_to_host_monitor_page = 0x2000;
	rig_say_whole(rig, &message);
	act(rig, VMBUS_ACTION_CONNECTED);
}

Test(offers, say_all_of_it_and_later_ones_go_out_at_once)
{
	struct rig *rig = rig_new();
	struct vmbus_offer second = scsi;
	union vmbus_message message;

	second.sub_channel_index = 3;
	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 1);
	connect_guest(rig, VMBUS_VERSION_5_3);
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
	message = hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	cr_assert_eq(memcmp(&message.offer_channel.interface_type, &scsi.interface_type, 16), 0);
	cr_assert_eq(message.offer_channel.interface_instance.data1, 1);
	cr_assert_eq(message.offer_channel.flags, 1);
	cr_assert_eq(message.offer_channel.relid, 1);
	cr_assert_eq(message.offer_channel.is_dedicated_interrupt, 1);
	cr_assert_eq(message.offer_channel.connection_id, 0x2001);
	cr_assert_eq(message.offer_channel.monitor_allocated, 0);
	cr_assert_eq(memcmp(message.offer_channel.user_defined, scsi.user_defined, 120), 0);
	hear(rig, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
	cr_assert_eq(vmbus_server_offer(&rig->server, &second), 2);
	message = hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	cr_assert_eq(message.offer_channel.sub_channel_index, 3);
	cr_assert_eq(message.offer_channel.relid, 2);
	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 3);
	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 4);
	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 0, "no slot left");
}

Test(channel, open_says_what_the_embedder_needs)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	struct vmbus_action action;
	void *pages[8];

	create_gpadl(rig, 1, 100, 8);
	say_open(rig, 1, 100, 5, 3);
	action = act(rig, VMBUS_ACTION_OPEN);
	cr_assert_eq(action.relid, 1);
	cr_assert_eq(action.open.ring_pages, 8);
	cr_assert_eq(action.open.downstream_page, 5);
	cr_assert_eq(action.open.target_vp, 3);
	cr_assert_eq(action.open.event_flag, 1);
	cr_assert_eq(action.open.connection_id, 0x2001);
	cr_assert_eq(action.open.user_data[0], 0x5A);
	cr_assert(vmbus_gpadl_map(action.open.ring, &rig->server.config.memory, pages, 8));
	cr_assert_eq(pages[7], rig->memory[15]);
	quiet(rig);
	vmbus_server_open_complete(&rig->server, 1, true);
	hear_open_result(rig, 1, true);
	quiet(rig);
}

Test(channel, linux_closes_then_tears_down_then_unloads)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
	act(rig, VMBUS_ACTION_CLOSE);
	say2(rig, VMBUS_MESSAGE_GPADL_TEARDOWN, 1, 100);
	cr_assert_eq(act(rig, VMBUS_ACTION_GPADL_TEARDOWN).gpadl_id, 100);
	quiet(rig); // no TORNDOWN while the embedder may still touch the rings
	vmbus_server_close_complete(&rig->server, 1);
	cr_assert_eq(hear(rig, VMBUS_MESSAGE_GPADL_TORNDOWN).gpadl_torndown.gpadl, 100);
	quiet(rig);
	cr_assert_eq(rig->words_out, 0);
	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	hear(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
	gone_and_back(rig, 1);
}

Test(channel, teardown_of_an_open_ring_waits_for_close)
{
	struct rig *rig = opened(VMBUS_VERSION_4_0);

	say2(rig, VMBUS_MESSAGE_GPADL_TEARDOWN, 1, 100);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	quiet(rig);
	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
	act(rig, VMBUS_ACTION_CLOSE);
	quiet(rig);
	vmbus_server_close_complete(&rig->server, 1);
	hear(rig, VMBUS_MESSAGE_GPADL_TORNDOWN);
	quiet(rig);
}

Test(channel, a_failed_open_can_be_tried_again)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);

	create_gpadl(rig, 1, 100, 8);
	say_open(rig, 1, 100, 4, 0);
	act(rig, VMBUS_ACTION_OPEN);
	vmbus_server_open_complete(&rig->server, 1, false);
	hear_open_result(rig, 1, false);
	cr_assert_eq(rig->gpadls[0].users, 0);
	say_open(rig, 1, 100, 4, 0);
	act(rig, VMBUS_ACTION_OPEN);
	vmbus_server_open_complete(&rig->server, 1, true);
	hear_open_result(rig, 1, true);
	quiet(rig);
}

Test(channel, an_open_during_close_waits_for_it)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	create_gpadl(rig, 1, 101, 6);
	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
	act(rig, VMBUS_ACTION_CLOSE);
	say_open(rig, 1, 101, 3, 1);
	quiet(rig);
	vmbus_server_close_complete(&rig->server, 1);
	cr_assert_eq(act(rig, VMBUS_ACTION_OPEN).open.ring_pages, 6);
	vmbus_server_open_complete(&rig->server, 1, true);
	hear_open_result(rig, 1, true);
	cr_assert_eq(rig->gpadls[0].users, 0);
	cr_assert_eq(rig->gpadls[1].users, 1);
	quiet(rig);
}

Test(channel, an_open_that_waited_is_checked_when_its_time_comes)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	create_gpadl(rig, 1, 101, 6);
	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
	act(rig, VMBUS_ACTION_CLOSE);
	say_open(rig, 1, 101, 3, 1);
	say2(rig, VMBUS_MESSAGE_GPADL_TEARDOWN, 1, 101);
	hear(rig, VMBUS_MESSAGE_GPADL_TORNDOWN);
	vmbus_server_close_complete(&rig->server, 1);
	violated(rig, VMBUS_VIOLATION_UNKNOWN_GPADL);
	hear_open_result(rig, 1, false);
	quiet(rig);
	cr_assert_eq(rig->channels[0].state, VMBUS_CHANNEL_CLOSED);
}

Test(channel, modify_moves_interrupts)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);
	union vmbus_message response;

	say2(rig, VMBUS_MESSAGE_MODIFY_CHANNEL, 1, 3);
	cr_assert_eq(act(rig, VMBUS_ACTION_MODIFY).target_vp, 3);
	response = hear(rig, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE);
	cr_assert_eq(response.modify_channel_response.status, 0);
	cr_assert_eq(response.modify_channel_response.relid, 1);
	say2(rig, VMBUS_MESSAGE_MODIFY_CHANNEL, 1, RIG_VPS);
	violated(rig, VMBUS_VIOLATION_BAD_TARGET_VP);
	response = hear(rig, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE);
	cr_assert_neq(response.modify_channel_response.status, 0);
	cr_assert_eq(rig->channels[0].target_vp, 3);
	quiet(rig);
	rig = opened(VMBUS_VERSION_4_1);
	say2(rig, VMBUS_MESSAGE_MODIFY_CHANNEL, 1, 3);
	act(rig, VMBUS_ACTION_MODIFY);
	quiet(rig); // no response below 5.3
}

Test(channel, no_interrupts_can_be_asked_for)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);

	create_gpadl(rig, 1, 100, 8);
	say_open(rig, 1, 100, 4, VMBUS_VP_NO_INTERRUPT);
	cr_assert_eq(act(rig, VMBUS_ACTION_OPEN).open.target_vp, VMBUS_VP_NO_INTERRUPT);
	vmbus_server_open_complete(&rig->server, 1, true);
	hear_open_result(rig, 1, true);
	say2(rig, VMBUS_MESSAGE_MODIFY_CHANNEL, 1, 0);
	violated(rig, VMBUS_VIOLATION_BAD_TARGET_VP);
}

// Sockets.

static void ask_for_socket(struct rig *rig, uint32_t guest, uint32_t service)
{
	union vmbus_message request = { .tl_connect_request = {
						.header.type = VMBUS_MESSAGE_TL_CONNECT_REQUEST,
						.endpoint_id.data1 = guest,
						.service_id.data1 = service,
					} };

	rig_say_whole(rig, &request);
}

static void hear_refusal(struct rig *rig, uint32_t guest, uint32_t service)
{
	union vmbus_message result = hear(rig, VMBUS_MESSAGE_TL_CONNECT_RESULT);

	cr_assert_eq(result.tl_connect_result.endpoint_id.data1, guest);
	cr_assert_eq(result.tl_connect_result.service_id.data1, service);
	cr_assert_eq(result.tl_connect_result.status, VMBUS_STATUS_CONNECTION_REFUSED);
}

static uint32_t offer_socket(struct rig *rig, uint32_t guest, uint32_t service)
{
	const struct vmbus_offer offer = { .interface_type.data1 = service,
		.interface_instance.data1 = guest,
		.flags = VMBUS_OFFER_TLNPI_PROVIDER };

	return vmbus_server_offer(&rig->server, &offer);
}

Test(socket, refused)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	struct vmbus_action action;

	ask_for_socket(rig, 1, 2);
	action = act(rig, VMBUS_ACTION_SOCKET);
	cr_assert_eq(action.socket.guest.data1, 1);
	cr_assert_eq(action.socket.service.data1, 2);
	quiet(rig);
	cr_assert(vmbus_server_answer_socket(&rig->server, action.socket.id, true));
	hear_refusal(rig, 1, 2);
	cr_assert_not(vmbus_server_answer_socket(&rig->server, action.socket.id, true), "twice");
	cr_assert_not(vmbus_server_answer_socket(&rig->server, 0, true));
	quiet(rig);
}

Test(socket, accepted_and_not_a_second_time)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	struct vmbus_action action;

	ask_for_socket(rig, 1, 2);
	action = act(rig, VMBUS_ACTION_SOCKET);
	ask_for_socket(rig, 1, 2);
	hear_refusal(rig, 1, 2);
	cr_assert(vmbus_server_answer_socket(&rig->server, action.socket.id, false));
	cr_assert_eq(offer_socket(rig, 1, 2), 2);
	cr_assert_eq(hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL).offer_channel.flags,
		VMBUS_OFFER_TLNPI_PROVIDER);
	ask_for_socket(rig, 1, 2);
	hear_refusal(rig, 1, 2);
	ask_for_socket(rig, 1, 3);
	act(rig, VMBUS_ACTION_SOCKET);
	quiet(rig);
}

Test(socket, below_4_1_nobody_is_told_below_4_0_nobody_may_ask)
{
	struct rig *rig = offered(VMBUS_VERSION_4_0);

	ask_for_socket(rig, 1, 2);
	vmbus_server_answer_socket(&rig->server, act(rig, VMBUS_ACTION_SOCKET).socket.id, true);
	quiet(rig);
	rig = offered(VMBUS_VERSION_3_0);
	ask_for_socket(rig, 1, 2);
	violated(rig, VMBUS_VIOLATION_TOO_NEW);
	quiet(rig);
}

Test(socket, a_request_that_is_cut_short_or_longer)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	const union vmbus_message request = {
		.tl_connect_request = { .header.type = VMBUS_MESSAGE_TL_CONNECT_REQUEST }
	};

	rig_say(rig, &request, sizeof(request.tl_connect_request) - 1);
	violated(rig, VMBUS_VIOLATION_SHORT_MESSAGE);
	rig_say(rig, &request, sizeof(request.tl_connect_request) + 16); // with a silo
	act(rig, VMBUS_ACTION_SOCKET);
	quiet(rig);
}

// Those beyond the bound are refused at once, and room for the others' refusals is kept.
Test(socket, a_flood)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);

	for (uint32_t i = 0; i < 3 * VMBUS_SERVER_SOCKETS; i++) {
		ask_for_socket(rig, i, 2);
		if (i < VMBUS_SERVER_SOCKETS)
			act(rig, VMBUS_ACTION_SOCKET);
		else
			hear_refusal(rig, i, 2);
	}
	while (vmbus_server_ready(&rig->server))
		ask_for_socket(rig, 1000, 2);
	for (uint32_t i = 1; i <= VMBUS_SERVER_SOCKETS; i++)
		cr_assert(vmbus_server_answer_socket(&rig->server, i, true));
	cr_assert_not(rig->server.dead);
}

// The connection ends with the guest's; the next one is not offered what was the last one's.
Test(socket, goes_with_the_guest)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	uint32_t id;

	ask_for_socket(rig, 1, 2);
	id = act(rig, VMBUS_ACTION_SOCKET).socket.id;
	offer_socket(rig, 3, 4);
	hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	vmbus_server_reset(&rig->server);
	cr_assert_eq(act(rig, VMBUS_ACTION_FREED).relid, 2);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	cr_assert_not(vmbus_server_answer_socket(&rig->server, id, true));
	quiet(rig);
}

Test(socket, an_open_one_goes_with_the_guest)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	rig->channels[0].offer.flags = VMBUS_OFFER_TLNPI_PROVIDER;
	vmbus_server_reset(&rig->server);
	act(rig, VMBUS_ACTION_CLOSE);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	vmbus_server_close_complete(&rig->server, 1);
	cr_assert_eq(act(rig, VMBUS_ACTION_FREED).relid, 1);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	quiet(rig);
}

// Rescind, in each state of a channel; all lead to FREED, and no GPADL is left behind.

Test(rescind, before_the_guest_knows)
{
	struct rig *rig = rig_new();

	vmbus_server_offer(&rig->server, &scsi);
	cr_assert(vmbus_server_rescind(&rig->server, 1));
	cr_assert_eq(act(rig, VMBUS_ACTION_FREED).relid, 1);
	quiet(rig);
	cr_assert_not(vmbus_server_rescind(&rig->server, 1));
	gone_and_back(rig, 0);
}

Test(rescind, of_a_closed_channel)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);

	create_gpadl(rig, 1, 100, 8);
	cr_assert(vmbus_server_rescind(&rig->server, 1));
	cr_assert_not(vmbus_server_rescind(&rig->server, 1), "twice");
	cr_assert_eq(hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER).rescind_channel_offer.relid, 1);
	quiet(rig);
	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 2, "relid 1 is not free yet");
	hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	// What the guest sent before it heard of it is no violation.
	say_open(rig, 1, 100, 4, 0);
	hear_open_result(rig, 1, false);
	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
	quiet(rig);
	say2(rig, VMBUS_MESSAGE_MODIFY_CHANNEL, 1, 0);
	cr_assert_neq(
		hear(rig, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE).modify_channel_response.status, 0);
	quiet(rig);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	cr_assert_eq(act(rig, VMBUS_ACTION_FREED).relid, 1);
	cr_assert_eq(rig->words_out, 0, "its GPADLs went with it");
	quiet(rig);
	cr_assert_eq(vmbus_server_offer(&rig->server, &scsi), 1);
}

Test(rescind, of_an_open_channel)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	vmbus_server_rescind(&rig->server, 1);
	hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
	act(rig, VMBUS_ACTION_CLOSE);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	quiet(rig);
	vmbus_server_close_complete(&rig->server, 1);
	act(rig, VMBUS_ACTION_FREED);
	quiet(rig); // no TORNDOWN: the guest has let go of the channel
	cr_assert_eq(rig->words_out, 0);
}

Test(rescind, of_an_open_channel_whose_guest_is_slow)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	vmbus_server_rescind(&rig->server, 1);
	hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
	act(rig, VMBUS_ACTION_CLOSE);
	vmbus_server_close_complete(&rig->server, 1);
	say2(rig, VMBUS_MESSAGE_GPADL_TEARDOWN, 1, 100);
	hear(rig, VMBUS_MESSAGE_GPADL_TORNDOWN);
	quiet(rig);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	act(rig, VMBUS_ACTION_FREED);
	quiet(rig);
}

Test(rescind, of_an_opening_channel)
{
	int success;

	for (success = 0; success <= 1; success++) {
		struct rig *rig = offered(VMBUS_VERSION_5_3);

		create_gpadl(rig, 1, 100, 8);
		say_open(rig, 1, 100, 4, 0);
		act(rig, VMBUS_ACTION_OPEN);
		vmbus_server_rescind(&rig->server, 1);
		hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
		quiet(rig);
		cr_assert_eq(rig->channels[0].state, VMBUS_CHANNEL_ABANDONED);
		vmbus_server_open_complete(&rig->server, 1, success);
		if (success) {
			act(rig, VMBUS_ACTION_CLOSE);
			vmbus_server_close_complete(&rig->server, 1);
		}
		quiet(rig);
		cr_assert_eq(rig->channels[0].state, VMBUS_CHANNEL_CLOSED);
		say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
		act(rig, VMBUS_ACTION_FREED);
		cr_assert_eq(rig->words_out, 0);
	}
}

Test(rescind, of_a_closing_channel_that_is_to_be_opened_again)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
	act(rig, VMBUS_ACTION_CLOSE);
	say_open(rig, 1, 100, 4, 0);
	vmbus_server_rescind(&rig->server, 1);
	hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
	vmbus_server_close_complete(&rig->server, 1);
	quiet(rig); // not opened again
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	act(rig, VMBUS_ACTION_FREED);
}

// A channel that the guest has broken is gone for this connection; the next has it again, whether
// the guest has let go of it, has said goodbye, or is another kernel that knows of nothing.

static void fail_and_close(struct rig *rig)
{
	cr_assert(vmbus_server_fail(&rig->server, 1));
	cr_assert_not(vmbus_server_fail(&rig->server, 1), "twice");
	hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
	act(rig, VMBUS_ACTION_CLOSE);
	vmbus_server_close_complete(&rig->server, 1);
	quiet(rig);
}

Test(fail, is_until_the_next_connection)
{
	for (int released = 0; released < 2; released++) {
		struct rig *rig = opened(VMBUS_VERSION_5_3);

		fail_and_close(rig);
		say_open(rig, 1, 100, 4, 2);
		hear_open_result(rig, 1, false);
		if (released)
			say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
		quiet(rig); // not FREED
		say_bare(rig, VMBUS_MESSAGE_UNLOAD);
		act(rig, VMBUS_ACTION_DISCONNECTED);
		hear(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
		gone_and_back(rig, 1);
		create_gpadl(rig, 1, 100, 8);
		say_open(rig, 1, 100, 4, 2);
		act(rig, VMBUS_ACTION_OPEN);
	}
}

Test(fail, a_new_contact_is_offered_it_again)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	vmbus_server_fail(&rig->server, 1);
	hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
	act(rig, VMBUS_ACTION_CLOSE);
	say_contact(rig, VMBUS_VERSION_5_3, 1); // while it is still closing
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	quiet(rig);
	vmbus_server_close_complete(&rig->server, 1);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	act(rig, VMBUS_ACTION_CONNECTED);
	hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE);
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
	hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
	hear(rig, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
	quiet(rig);
}

Test(fail, of_a_channel_that_is_rescinded_for_good)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	fail_and_close(rig);
	cr_assert(vmbus_server_rescind(&rig->server, 1));
	quiet(rig);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	act(rig, VMBUS_ACTION_FREED);
	cr_assert_not(vmbus_server_fail(&rig->server, 1));
	quiet(rig);
}

Test(release, by_the_guest_alone_lasts_until_its_next_connection)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);

	create_gpadl(rig, 1, 100, 8);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	quiet(rig);
	cr_assert_eq(rig->words_out, 0);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	violated(rig, VMBUS_VIOLATION_UNKNOWN_CHANNEL);
	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	hear(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
	gone_and_back(rig, 1);
}

// The end of a connection, in each state of a channel.

static void put_channel_in_state(struct rig *rig, enum vmbus_channel_state state)
{
	if (state == VMBUS_CHANNEL_CLOSED)
		return;
	create_gpadl(rig, 1, 100, 8);
	say_open(rig, 1, 100, 4, 0);
	act(rig, VMBUS_ACTION_OPEN);
	if (state == VMBUS_CHANNEL_ABANDONED) {
		vmbus_server_rescind(&rig->server, 1);
		hear(rig, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER);
	}
	if (state == VMBUS_CHANNEL_OPEN || state == VMBUS_CHANNEL_CLOSING) {
		vmbus_server_open_complete(&rig->server, 1, true);
		hear_open_result(rig, 1, true);
	}
	if (state == VMBUS_CHANNEL_CLOSING) {
		say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 1, 0);
		act(rig, VMBUS_ACTION_CLOSE);
	}
	quiet(rig);
	cr_assert_eq(rig->channels[0].state, state);
}

// Carries out all actions as an embedder does, until there are none.
static uint32_t serve(struct rig *rig)
{
	struct vmbus_action action;
	uint32_t disconnected = 0;

	while (vmbus_server_next_action(&rig->server, &action)) {
		cr_assert_neq(action.type, VMBUS_ACTION_VIOLATION);
		if (action.type == VMBUS_ACTION_OPEN)
			vmbus_server_open_complete(&rig->server, action.relid, true);
		if (action.type == VMBUS_ACTION_CLOSE)
			vmbus_server_close_complete(&rig->server, action.relid);
		disconnected += action.type == VMBUS_ACTION_DISCONNECTED;
	}
	return disconnected;
}

// As Linux does when hv_vmbus is unloaded: no rule is broken.
Test(end, ids_may_be_given_back_after_unload)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	cr_assert_eq(rig->server.state, VMBUS_SERVER_DISCONNECTING);
	cr_assert_eq(serve(rig), 1);
	hear(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
	gone_and_back(rig, 1);
}

Test(end, unload_reset_and_new_contact_in_every_state)
{
	enum vmbus_channel_state state;
	int how;

	for (state = VMBUS_CHANNEL_CLOSED; state <= VMBUS_CHANNEL_CLOSING; state++) {
		for (how = VMBUS_AFTER_RESET; how <= VMBUS_AFTER_CONTACT; how++) {
			struct rig *rig = offered(VMBUS_VERSION_5_3);
			bool opening =
				state == VMBUS_CHANNEL_OPENING || state == VMBUS_CHANNEL_ABANDONED;

			put_channel_in_state(rig, state);
			if (how == VMBUS_AFTER_RESET)
				vmbus_server_reset(&rig->server);
			else if (how == VMBUS_AFTER_UNLOAD)
				say_bare(rig, VMBUS_MESSAGE_UNLOAD);
			else
				say_contact(rig, VMBUS_VERSION_4_0, 0);
			if (state != VMBUS_CHANNEL_CLOSED) {
				cr_assert_eq(rig->server.state, VMBUS_SERVER_DISCONNECTING);
				cr_assert_null(vmbus_server_next_post(&rig->server), "too early");
			}
			if (opening)
				vmbus_server_open_complete(&rig->server, 1, true);
			if (state == VMBUS_CHANNEL_CLOSING)
				vmbus_server_close_complete(&rig->server, 1);
			cr_assert_eq(serve(rig), 1);
			if (how == VMBUS_AFTER_UNLOAD)
				hear(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
			if (how == VMBUS_AFTER_CONTACT) {
				hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE);
				cr_assert_eq(rig->server.version, VMBUS_VERSION_4_0);
				vmbus_server_reset(&rig->server);
				cr_assert_eq(serve(rig), 1);
			}
			gone_and_back(rig, state == VMBUS_CHANNEL_ABANDONED ? 0 : 1);
		}
	}
}

Test(end, the_last_wish_counts)
{
	struct rig *rig = opened(VMBUS_VERSION_5_3);

	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	say_contact(rig, VMBUS_VERSION_5_0, 2);
	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	say_contact(rig, VMBUS_VERSION_5_1, 3);
	act(rig, VMBUS_ACTION_CLOSE);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	quiet(rig);
	vmbus_server_close_complete(&rig->server, 1);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	cr_assert_eq(act(rig, VMBUS_ACTION_CONNECTED).version, VMBUS_VERSION_5_1);
	hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE);
	quiet(rig);
}

Test(end, a_held_gpadl_holds_up_the_unload)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	struct vmbus_gpadl *held;

	create_gpadl(rig, 1, 100, 8);
	cr_assert_null(vmbus_server_gpadl_hold(&rig->server, 1, 101));
	cr_assert_null(vmbus_server_gpadl_hold(&rig->server, 2, 100), "another channel's");
	held = vmbus_server_gpadl_hold(&rig->server, 1, 100);
	cr_assert_not_null(held);
	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	quiet(rig);
	cr_assert_null(vmbus_server_gpadl_hold(&rig->server, 1, 100), "being torn down");
	vmbus_server_gpadl_release(&rig->server, held);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	hear(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
	gone_and_back(rig, 1);
}

Test(end, what_was_not_posted_is_dropped)
{
	struct rig *rig = rig_new();

	vmbus_server_offer(&rig->server, &scsi);
	connect_guest(rig, VMBUS_VERSION_5_3);
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
	say_contact(rig, VMBUS_VERSION_5_3, 0);
	act(rig, VMBUS_ACTION_DISCONNECTED);
	act(rig, VMBUS_ACTION_CONNECTED);
	hear(rig, VMBUS_MESSAGE_VERSION_RESPONSE); // and no offer to the kernel before
	quiet(rig);
}

// A guest that takes no messages: it is stopped, not served into a full queue, and all goes on in
// order when it does.
Test(queue, a_guest_that_does_not_listen_is_not_heard)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	union vmbus_message message;
	uint32_t length = rig_gpadl_header(&message, 9, 0, 4, 8), taken = 0, heard = 0;
	struct vmbus_action action;

	for (;; taken++) {
		message.gpadl_header.gpadl = taken;
		if (!rig_say(rig, &message, length))
			break;
		while (vmbus_server_next_action(&rig->server, &action))
			;
		cr_assert_lt(taken, 10000);
	}
	cr_assert_not(vmbus_server_ready(&rig->server));
	// Host events still have room.
	vmbus_server_offer(&rig->server, &scsi);
	vmbus_server_offer(&rig->server, &scsi);
	vmbus_server_offer(&rig->server, &scsi);
	for (length = 1; length <= RIG_CHANNELS; length++)
		cr_assert(vmbus_server_rescind(&rig->server, length));
	cr_assert_not(rig->server.dead);
	for (heard = 0; heard < taken; heard++)
		cr_assert_eq(
			hear(rig, VMBUS_MESSAGE_GPADL_CREATED).gpadl_created.gpadl, heard, "order");
	cr_assert(vmbus_server_ready(&rig->server));
}

Test(queue, an_embedder_that_breaks_the_rules_kills_only_its_guest)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	struct vmbus_action action = { 0 };
	int i;

	// Nobody posts, and offers and rescinds never end: here without the guest's release.
	for (i = 0; i < 1000 && !rig->server.dead; i++) {
		memset(&rig->channels[1], 0, sizeof(rig->channels[1]));
		vmbus_server_offer(&rig->server, &scsi);
		while (vmbus_server_next_action(&rig->server, &action))
			;
	}
	cr_assert(rig->server.dead);
	cr_assert_eq(action.violation.reason, VMBUS_VIOLATION_QUEUE_FULL);
	cr_assert_eq(rig->server.violations[VMBUS_VIOLATION_QUEUE_FULL], 1);
	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	cr_assert_neq(rig->server.state, VMBUS_SERVER_DISCONNECTING);
}

Test(config, is_checked)
{
	struct rig *rig = rig_new();
	struct vmbus_server_config config = rig_config(rig);

	config.post_count = VMBUS_SERVER_POSTS(RIG_CHANNELS, RIG_GPADLS) - 1;
	cr_assert_not(vmbus_server_init(&rig->server, &config));
	config = rig_config(rig);
	config.action_count = VMBUS_SERVER_ACTIONS(RIG_CHANNELS, RIG_GPADLS) - 1;
	cr_assert_not(vmbus_server_init(&rig->server, &config));
	config = rig_config(rig);
	config.channel_count = VMBUS_RELID_MAX + 1;
	cr_assert_not(vmbus_server_init(&rig->server, &config));
	config = rig_config(rig);
	config.vp_count = 0;
	cr_assert_not(vmbus_server_init(&rig->server, &config));
}

// Each violation has someone here who commits it. The answer: none, or the message that refuses.

static void say_gpadl(struct rig *rig, uint32_t relid, uint32_t id, uint32_t pages, uint64_t first)
{
	union vmbus_message message;
	uint32_t length = rig_gpadl_header(&message, relid, id, pages, first);

	cr_assert(rig_say(rig, &message, length));
}

static void short_message(struct rig *rig)
{
	union vmbus_message message = { .header.type = VMBUS_MESSAGE_OPEN_CHANNEL };

	rig_say(rig, &message, 147);
}

static void long_message(struct rig *rig)
{
	uint8_t bytes[241] = { VMBUS_MESSAGE_UNLOAD };

	vmbus_server_message(&rig->server, 4, bytes, 241);
}

static void unknown_message(struct rig *rig)
{
	union vmbus_message message = { .header.type = 99 };

	rig_say(rig, &message, 240);
}

static void wrong_direction(struct rig *rig)
{
	say_bare(rig, VMBUS_MESSAGE_UNLOAD_COMPLETE);
}

static void not_connected(struct rig *rig)
{
	struct vmbus_action action;

	vmbus_server_reset(&rig->server);
	vmbus_server_close_complete(&rig->server, 1);
	while (vmbus_server_next_action(&rig->server, &action))
		;
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
}

static void too_new(struct rig *rig)
{
	say_bare(rig, VMBUS_MESSAGE_MODIFY_CONNECTION);
}

static void unsupported(struct rig *rig)
{
	say_bare(rig, VMBUS_MESSAGE_OPEN_RESERVED_CHANNEL);
}

static void disconnecting(struct rig *rig)
{
	cr_assert_not_null(vmbus_server_gpadl_hold(&rig->server, 1, 50));
	say_bare(rig, VMBUS_MESSAGE_UNLOAD);
	act(rig, VMBUS_ACTION_CLOSE);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	act(rig, VMBUS_ACTION_GPADL_TEARDOWN);
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
}

static void bad_connection(struct rig *rig)
{
	union vmbus_message message = { .header.type = VMBUS_MESSAGE_UNLOAD };

	vmbus_server_message(&rig->server, 2, &message, 8);
}

static void bad_message_vp(struct rig *rig)
{
	say_contact(rig, VMBUS_VERSION_5_3, RIG_VPS);
}

static void bad_message_sint(struct rig *rig)
{
	union vmbus_message message = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = VMBUS_VERSION_5_3,
						.target_info.sint = 255,
					} };

	rig_say_whole(rig, &message);
}

static void bad_monitor_pages(struct rig *rig)
{
	union vmbus_message message = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = VMBUS_VERSION_5_3,
						.target_info.sint = VMBUS_SINT,
						.guest_to_host_monitor_page = 1,
					} };

	rig_say_whole(rig, &message);
}

static void offers_requested_twice(struct rig *rig)
{
	say_bare(rig, VMBUS_MESSAGE_REQUEST_OFFERS);
}

static void unknown_channel(struct rig *rig)
{
	say_open(rig, 3, 100, 4, 0);
}

static void channel_already_open(struct rig *rig)
{
	say_open(rig, 1, 100, 4, 0);
}

static void channel_not_open(struct rig *rig)
{
	say2(rig, VMBUS_MESSAGE_CLOSE_CHANNEL, 2, 0);
}

static void channel_in_use(struct rig *rig)
{
	say2(rig, VMBUS_MESSAGE_RELID_RELEASED, 1, 0);
}

static void bad_target_vp(struct rig *rig)
{
	create_gpadl(rig, 2, 200, 8);
	say_open(rig, 2, 200, 4, RIG_VPS);
}

static void bad_ring(struct rig *rig)
{
	create_gpadl(rig, 2, 200, 8);
	say_open(rig, 2, 200, 7, 0);
}

static void unknown_gpadl(struct rig *rig)
{
	say2(rig, VMBUS_MESSAGE_GPADL_TEARDOWN, 1, 999);
}

static void duplicate_gpadl(struct rig *rig)
{
	say_gpadl(rig, 2, 100, 4, 8);
}

static void too_many_gpadls(struct rig *rig)
{
	uint32_t i;

	for (i = 2; i < RIG_GPADLS; i++)
		create_gpadl(rig, 2, 200 + i, 4);
	say_gpadl(rig, 2, 300, 4, 8);
}

static void gpadl_wrong_channel(struct rig *rig)
{
	say2(rig, VMBUS_MESSAGE_GPADL_TEARDOWN, 2, 100);
}

static void gpadl_wrong_state(struct rig *rig)
{
	union vmbus_message body = { .gpadl_body = { .header.type = VMBUS_MESSAGE_GPADL_BODY,
					     .gpadl = 100 } };

	rig_say(rig, &body, 240);
}

static void gpadl_bad_length(struct rig *rig)
{
	union vmbus_message message;
	uint32_t length = rig_gpadl_header(&message, 1, 200, 4, 8);

	message.gpadl_header.length += 4;
	rig_say(rig, &message, length);
}

static void gpadl_no_storage(struct rig *rig)
{
	rig->words_max = 0;
	say_gpadl(rig, 1, 200, 4, 8);
}

static void gpadl_empty_body(struct rig *rig)
{
	union vmbus_message body = { .gpadl_body = { .header.type = VMBUS_MESSAGE_GPADL_BODY,
					     .gpadl = 200 } };

	say_gpadl(rig, 1, 200, 30, 8);
	quiet(rig);
	rig_say(rig, &body, 16);
}

static void gpadl_bad_range(struct rig *rig)
{
	union vmbus_message message;
	uint32_t length = rig_gpadl_header(&message, 1, 200, 4, 8);

	message.gpadl_header.range_count = 2;
	rig_say(rig, &message, length);
}

static void gpadl_not_ram(struct rig *rig)
{
	say_gpadl(rig, 1, 200, 4, RIG_PAGES - 3);
}

static void queue_full(struct rig *rig)
{
	rig->server.posts_queued = rig->server.config.post_count;
	vmbus_server_offer(&rig->server, &scsi);
	rig->server.posts_queued = 0;
}

static const struct {
	void (*commit)(struct rig *rig);
	uint32_t answer; // message type, 0 for none
} culprits[VMBUS_VIOLATION_COUNT] = {
	[VMBUS_VIOLATION_SHORT_MESSAGE] = { short_message },
	[VMBUS_VIOLATION_LONG_MESSAGE] = { long_message },
	[VMBUS_VIOLATION_UNKNOWN_MESSAGE] = { unknown_message },
	[VMBUS_VIOLATION_WRONG_DIRECTION] = { wrong_direction },
	[VMBUS_VIOLATION_NOT_CONNECTED] = { not_connected },
	[VMBUS_VIOLATION_TOO_NEW] = { too_new },
	[VMBUS_VIOLATION_UNSUPPORTED] = { unsupported },
	[VMBUS_VIOLATION_DISCONNECTING] = { disconnecting },
	[VMBUS_VIOLATION_BAD_CONNECTION] = { bad_connection },
	[VMBUS_VIOLATION_BAD_MESSAGE_VP] = { bad_message_vp },
	[VMBUS_VIOLATION_BAD_MESSAGE_SINT] = { bad_message_sint },
	[VMBUS_VIOLATION_BAD_MONITOR_PAGES] = { bad_monitor_pages },
	[VMBUS_VIOLATION_OFFERS_REQUESTED_TWICE] = { offers_requested_twice },
	[VMBUS_VIOLATION_UNKNOWN_CHANNEL] = { unknown_channel },
	[VMBUS_VIOLATION_CHANNEL_ALREADY_OPEN] = { channel_already_open },
	[VMBUS_VIOLATION_CHANNEL_NOT_OPEN] = { channel_not_open },
	[VMBUS_VIOLATION_CHANNEL_IN_USE] = { channel_in_use },
	[VMBUS_VIOLATION_BAD_TARGET_VP] = { bad_target_vp, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT },
	[VMBUS_VIOLATION_BAD_RING] = { bad_ring, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT },
	[VMBUS_VIOLATION_UNKNOWN_GPADL] = { unknown_gpadl },
	[VMBUS_VIOLATION_DUPLICATE_GPADL] = { duplicate_gpadl, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_TOO_MANY_GPADLS] = { too_many_gpadls, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_GPADL_WRONG_CHANNEL] = { gpadl_wrong_channel },
	[VMBUS_VIOLATION_GPADL_WRONG_STATE] = { gpadl_wrong_state },
	[VMBUS_VIOLATION_GPADL_BAD_LENGTH] = { gpadl_bad_length, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_GPADL_NO_STORAGE] = { gpadl_no_storage, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_GPADL_EMPTY_BODY] = { gpadl_empty_body, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_GPADL_BAD_RANGE] = { gpadl_bad_range, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_GPADL_NOT_RAM] = { gpadl_not_ram, VMBUS_MESSAGE_GPADL_CREATED },
	[VMBUS_VIOLATION_QUEUE_FULL] = { queue_full },
};

Test(violations, each_is_named_counted_and_without_effect)
{
	int reason;

	for (reason = 0; reason < VMBUS_VIOLATION_COUNT; reason++) {
		// Channel 1 is open over GPADL 100, channel 2 closed; GPADL 50 is channel 1's.
		struct rig *rig = opened(VMBUS_VERSION_5_3);
		uint32_t state, words;
		union vmbus_message answer;

		vmbus_server_offer(&rig->server, &scsi);
		hear(rig, VMBUS_MESSAGE_OFFER_CHANNEL);
		create_gpadl(rig, 1, 50, 4);
		words = rig->words_out;
		cr_assert_not_null(culprits[reason].commit, "%s", vmbus_violation_name(reason));
		culprits[reason].commit(rig);
		violated(rig, reason);
		cr_assert_eq(rig->server.violations[reason], 1);
		if (culprits[reason].answer) {
			answer = hear(rig, culprits[reason].answer);
			cr_assert_neq(answer.open_channel_result.status, 0);
			cr_assert_geq(rig->words_out, words);
		}
		state = rig->server.state;
		if (reason == VMBUS_VIOLATION_QUEUE_FULL || state != VMBUS_SERVER_OFFERING)
			continue;
		quiet(rig);
		cr_assert_eq(rig->channels[0].state, VMBUS_CHANNEL_OPEN);
		cr_assert_eq(rig->channels[1].state, VMBUS_CHANNEL_CLOSED);
		cr_assert_eq(rig->channels[1].view, VMBUS_VIEW_OFFERED);
		cr_assert_eq(rig->gpadls[0].state, VMBUS_GPADL_CREATED);
		cr_assert_eq(rig->gpadls[0].users, 1);
	}
}

Test(violations, each_has_a_name)
{
	int i, j;

	for (i = 0; i < VMBUS_VIOLATION_COUNT; i++) {
		for (j = 0; j < i; j++)
			cr_assert_str_neq(vmbus_violation_name(i), vmbus_violation_name(j));
	}
}

Test(channel, rings_must_be_two_of_two_pages_at_least)
{
	static const struct {
		uint32_t pages, down;
		bool good;
	} rows[] = { { 4, 2, true }, { 8, 2, true }, { 8, 6, true }, { 8, 0, false },
		{ 8, 1, false }, { 8, 7, false }, { 8, 8, false }, { 8, 9, false },
		{ 8, 0x80000000, false }, { 8, 0xFFFFFFFF, false }, { 3, 2, false },
		{ 3, 1, false } };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rig *rig = offered(VMBUS_VERSION_5_3);

		create_gpadl(rig, 1, 100, rows[i].pages);
		say_open(rig, 1, 100, rows[i].down, 0);
		if (rows[i].good) {
			act(rig, VMBUS_ACTION_OPEN);
		} else {
			violated(rig, VMBUS_VIOLATION_BAD_RING);
			hear_open_result(rig, 1, false);
		}
		quiet(rig);
	}
}

Test(gpadls, bodies_make_a_large_one)
{
	struct rig *rig = offered(VMBUS_VERSION_5_3);
	union vmbus_message message;
	uint32_t length = rig_gpadl_header(&message, 1, 7, 50, 2), i;
	struct vmbus_gpadl *gpadl;

	cr_assert_eq(length, 28 + 26 * 8, "26 pages in the first message");
	rig_say(rig, &message, length);
	quiet(rig);
	memset(&message, 0, sizeof(message));
	message.gpadl_body.header.type = VMBUS_MESSAGE_GPADL_BODY;
	message.gpadl_body.gpadl = 7;
	for (i = 0; i < 24; i++) {
		uint64_t page = 2 + 26 + i;

		memcpy(message.bytes + 16 + 8 * i, &page, 8);
	}
	rig_say(rig, &message, 240); // whole, as UEFI does, though 24 of 28 words are meant
	cr_assert_eq(hear(rig, VMBUS_MESSAGE_GPADL_CREATED).gpadl_created.status, 0);
	quiet(rig);
	gpadl = vmbus_server_gpadl_hold(&rig->server, 1, 7);
	cr_assert_eq(vmbus_gpadl_whole_pages(gpadl), 50);
	cr_assert_eq(gpadl->words[50], 51);
}
