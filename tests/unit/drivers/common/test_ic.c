// SPDX-License-Identifier: BSD-2-Clause
// What both ends of a pipe and of an integration component share: framing and the choice of
// versions, each end against the other and against what the other must not send.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/ic.h"
#include "drivers/common/pipe.h"

static const struct ic_version versions_list[] = { { 1, 0 }, { 3, 0 }, { 3, 1 }, { 3, 2 } };
static const struct ic_versions versions = { versions_list, 4 };
static const struct ic_versions old_versions = { versions_list, 1 };

// The host's offer, as the guest has it.
static struct ic_offer body;
static struct ic_message offer;

static void make_offer(const struct ic_versions *messages)
{
	memset(&body, 0xee, sizeof(body));
	offer = (struct ic_message){
		.header = { .type = IC_MESSAGE_NEGOTIATE, .size = ic_offer(&body, messages) },
		.body = (const uint8_t *)&body,
	};
}

static struct ic_message response_with(const struct ic_choice *choice)
{
	return (struct ic_message){ { .size = sizeof(*choice) }, (const uint8_t *)choice };
}

static void expect_version(struct ic_version version, uint16_t major, uint16_t minor)
{
	cr_assert_eq(version.major, major);
	cr_assert_eq(version.minor, minor);
}

Test(pipe, a_message_is_as_long_as_its_header_says)
{
	const struct {
		struct pipe_header header;
		uint8_t bytes[8]; // five, and the ring's padding
	} packet = { pipe_header_for(5), { 1, 2, 3, 4, 5 } };
	struct pipe_message message;

	cr_assert(pipe_parse(&packet, sizeof(packet), &message));
	cr_assert_eq(message.bytes, packet.bytes);
	cr_assert_eq(message.length, 5);
}

Test(pipe, what_counts_more_than_there_is_is_no_message)
{
	static const struct {
		struct pipe_header header;
		uint32_t length;
		bool good;
	} rows[] = {
		{ { PIPE_TYPE_DATA, 0 }, 0, false },
		{ { PIPE_TYPE_DATA, 0 }, 7, false },
		{ { PIPE_TYPE_DATA, 0 }, 8, true },
		{ { PIPE_TYPE_DATA, 1 }, 8, false },
		{ { PIPE_TYPE_DATA, UINT32_MAX }, 8, false },
		{ { PIPE_TYPE_DATA, UINT32_MAX - 7 }, 8, false },
		{ { 0, 0 }, 8, false },
		{ { 2, 0 }, 8, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pipe_message message = { NULL, 77 };

		cr_assert_eq(pipe_parse(&rows[i].header, rows[i].length, &message), rows[i].good);
		cr_assert_eq(message.length, rows[i].good ? 0 : 77);
	}
}

Test(ic, a_request_and_its_response_belong_together)
{
	const struct ic_dialect dialect = { { 3, 0 }, { 3, 2 } };
	struct ic_frame request = ic_request(&dialect, IC_MESSAGE_SHUTDOWN, 7, 100);
	struct ic_frame response = ic_response(&request.header, IC_STATUS_FAIL, 4);

	cr_assert_eq(request.pipe.type, PIPE_TYPE_DATA);
	cr_assert_eq(request.pipe.size, sizeof(struct ic_header) + 100);
	cr_assert_eq(request.header.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
	expect_version(request.header.framework, 3, 0);
	expect_version(request.header.message, 3, 2);
	cr_assert_eq(response.pipe.size, sizeof(struct ic_header) + 4);
	cr_assert_eq(response.header.status, IC_STATUS_FAIL);
	cr_assert(ic_is_response(&response.header, IC_MESSAGE_SHUTDOWN, 7));
	cr_assert_not(ic_is_response(&response.header, IC_MESSAGE_SHUTDOWN, 8));
	cr_assert_not(ic_is_response(&response.header, IC_MESSAGE_HEARTBEAT, 7));
	cr_assert_not(ic_is_response(&request.header, IC_MESSAGE_SHUTDOWN, 7));
}

Test(ic, a_message_that_counts_more_than_there_is_is_none)
{
	uint8_t bytes[sizeof(struct ic_header) + 6] = { 0 };
	const struct ic_header header = { .type = IC_MESSAGE_KVP, .size = 6 };
	struct ic_message message;

	memcpy(bytes, &header, sizeof(header));
	for (uint32_t length = 0; length < sizeof(bytes); length++)
		cr_assert_not(ic_parse(bytes, length, &message), "length %u", length);
	cr_assert(ic_parse(bytes, sizeof(bytes), &message));
	cr_assert_eq(message.header.type, IC_MESSAGE_KVP);
	cr_assert_eq(message.body, bytes + sizeof(header));
}

Test(ic, both_ends_agree_on_the_newest)
{
	struct ic_dialect guest = { 0 }, host = { 0 };
	struct ic_choice choice;
	struct ic_message response;

	make_offer(&versions);
	cr_assert_eq(offer.header.size, sizeof(struct ic_negotiate) + 6 * 4);
	cr_assert_eq(ic_choose(&offer, &versions, &guest, &choice), IC_AGREED);
	response = response_with(&choice);
	cr_assert_eq(ic_take_choice(&response, &versions, &host), IC_AGREED);
	cr_assert_eq(memcmp(&guest, &host, sizeof(guest)), 0);
	expect_version(host.framework, 3, 0);
	expect_version(host.message, 3, 2);
}

Test(ic, an_older_end_is_answered_in_its_version)
{
	struct ic_dialect dialect = { 0 };
	struct ic_choice choice;

	make_offer(&old_versions);
	cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_AGREED);
	expect_version(dialect.message, 1, 0);
	make_offer(&versions);
	cr_assert_eq(ic_choose(&offer, &old_versions, &dialect, &choice), IC_AGREED);
	expect_version(dialect.message, 1, 0);
	expect_version(dialect.framework, 3, 0);
}

Test(ic, the_order_of_an_offer_does_not_matter)
{
	struct ic_dialect dialect;
	struct ic_choice choice;

	make_offer(&versions);
	body.versions[0] = (struct ic_version){ 3, 0 };
	body.versions[1] = (struct ic_version){ 9, 9 };
	body.versions[2] = (struct ic_version){ 3, 2 };
	body.versions[5] = (struct ic_version){ 1, 0 };
	cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_AGREED);
	expect_version(dialect.framework, 3, 0);
	expect_version(dialect.message, 3, 2);
}

Test(ic, ends_without_a_version_in_common_say_so)
{
	static const struct ic_version foreign[] = { { 7, 0 } };
	const struct ic_versions others = { foreign, 1 };
	struct ic_dialect dialect = { 0 };
	struct ic_choice choice;
	struct ic_message response;

	make_offer(&others);
	cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_NO_VERSION);
	cr_assert_eq(choice.counts.framework_count + choice.counts.message_count, 0);
	response = response_with(&choice);
	cr_assert_eq(ic_take_choice(&response, &others, &dialect), IC_NO_VERSION);
	make_offer(&versions);
	body.versions[0] = body.versions[1] = (struct ic_version){ 2, 0 };
	cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_NO_VERSION);
	expect_version(dialect.framework, 0, 0);
	expect_version(dialect.message, 0, 0);
}

Test(ic, an_offer_that_counts_more_than_there_is_is_cut_short)
{
	struct ic_dialect dialect = { 0 };
	struct ic_choice choice;

	make_offer(&versions);
	for (uint16_t size = 0; size < sizeof(struct ic_negotiate) + 6 * 4; size++) {
		offer.header.size = size;
		cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_CUT_SHORT);
	}
	make_offer(&versions);
	body.counts.framework_count = body.counts.message_count = UINT16_MAX;
	cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_CUT_SHORT);
	body.counts = (struct ic_negotiate){ 0, 0, 0 };
	cr_assert_eq(ic_choose(&offer, &versions, &dialect, &choice), IC_NO_VERSION);
}

Test(ic, a_choice_is_one_of_each_kind_that_was_offered)
{
	static const struct ic_choice wrong[] = {
		{ { 0, 0, 0 }, { 3, 0 }, { 3, 2 } },
		{ { 1, 2, 0 }, { 3, 0 }, { 3, 2 } },
		{ { UINT16_MAX, 1, 0 }, { 3, 0 }, { 3, 2 } },
		{ { 1, 1, 0 }, { 2, 0 }, { 3, 2 } },
		{ { 1, 1, 0 }, { 3, 0 }, { 3, 3 } },
	};
	struct ic_dialect dialect = { 0 };
	struct ic_message response;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		response = response_with(&wrong[i]);
		cr_assert_eq(ic_take_choice(&response, &versions, &dialect), IC_NO_VERSION);
	}
	response.header.size--;
	cr_assert_eq(ic_take_choice(&response, &versions, &dialect), IC_CUT_SHORT);
	expect_version(dialect.message, 0, 0);
}
