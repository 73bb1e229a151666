// SPDX-License-Identifier: BSD-2-Clause
// The message table against the numbers of the wire (written down here a second time, from Linux's
// include/linux/hyperv.h), and the check at the door for every row.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "vmbus/messages.h"
#include "rig.h"

static const struct {
	uint32_t type;
	enum vmbus_direction direction;
	uint32_t oldest;
	uint32_t size;
	const char *name;
} rows[] = {
	{ 1, VMBUS_TO_GUEST, 0x0000000D, 196, "OFFER_CHANNEL" },
	{ 2, VMBUS_TO_GUEST, 0x0000000D, 12, "RESCIND_CHANNEL_OFFER" },
	{ 3, VMBUS_TO_HOST, 0x0000000D, 8, "REQUEST_OFFERS" },
	{ 4, VMBUS_TO_GUEST, 0x0000000D, 8, "ALL_OFFERS_DELIVERED" },
	{ 5, VMBUS_TO_HOST, 0x0000000D, 148, "OPEN_CHANNEL" },
	{ 6, VMBUS_TO_GUEST, 0x0000000D, 20, "OPEN_CHANNEL_RESULT" },
	{ 7, VMBUS_TO_HOST, 0x0000000D, 12, "CLOSE_CHANNEL" },
	{ 8, VMBUS_TO_HOST, 0x0000000D, 20, "GPADL_HEADER" },
	{ 9, VMBUS_TO_HOST, 0x0000000D, 16, "GPADL_BODY" },
	{ 10, VMBUS_TO_GUEST, 0x0000000D, 20, "GPADL_CREATED" },
	{ 11, VMBUS_TO_HOST, 0x0000000D, 16, "GPADL_TEARDOWN" },
	{ 12, VMBUS_TO_GUEST, 0x0000000D, 12, "GPADL_TORNDOWN" },
	{ 13, VMBUS_TO_HOST, 0x0000000D, 12, "RELID_RELEASED" },
	{ 14, VMBUS_TO_HOST, 0, 40, "INITIATE_CONTACT" },
	{ 15, VMBUS_TO_GUEST, 0, 16, "VERSION_RESPONSE" },
	{ 16, VMBUS_TO_HOST, 0x0000000D, 8, "UNLOAD" },
	{ 17, VMBUS_TO_GUEST, 0x00010001, 8, "UNLOAD_COMPLETE" },
	{ 18, VMBUS_TO_HOST, 0x00040000, 28, "OPEN_RESERVED_CHANNEL" },
	{ 19, VMBUS_TO_HOST, 0, 20, "CLOSE_RESERVED_CHANNEL" },
	{ 20, VMBUS_TO_GUEST, 0x00040000, 12, "CLOSE_RESERVED_RESPONSE" },
	{ 21, VMBUS_TO_HOST, 0x00040000, 40, "TL_CONNECT_REQUEST" },
	{ 22, VMBUS_TO_HOST, 0x00040001, 16, "MODIFY_CHANNEL" },
	{ 23, VMBUS_TO_GUEST, 0x00040001, 44, "TL_CONNECT_RESULT" },
	{ 24, VMBUS_TO_GUEST, 0x00050003, 16, "MODIFY_CHANNEL_RESPONSE" },
	{ 25, VMBUS_TO_HOST, 0x00060000, 24, "MODIFY_CONNECTION" },
	{ 26, VMBUS_TO_GUEST, 0x00060000, 9, "MODIFY_CONNECTION_RESPONSE" },
};
#define ROWS (ARRAY_SIZE(rows))

static const uint32_t versions[] = { 0, 0x0000000D, 0x00010001, 0x00020004, 0x00030000, 0x00040000,
	0x00040001, 0x00050000, 0x00050001, 0x00050002, 0x00050003, 0x00060000 };
#define VERSIONS (ARRAY_SIZE(versions))

static enum vmbus_message_check check(
	uint32_t type, uint32_t length, enum vmbus_direction direction, uint32_t version)
{
	union vmbus_message in = { .header.type = type }, out;

	return vmbus_message_parse(&out, &in, length, direction, version);
}

Test(messages, table_has_every_row_and_no_other)
{
	size_t i;

	for (i = 0; i < ROWS; i++) {
		const struct vmbus_message_info *info = vmbus_message_info(rows[i].type);

		cr_assert_not_null(info, "type %u", rows[i].type);
		cr_assert_str_eq(info->name, rows[i].name);
		cr_assert_eq(info->direction, rows[i].direction, "%s", info->name);
		cr_assert_eq(info->oldest_version, rows[i].oldest, "%s", info->name);
		cr_assert_eq(info->size, rows[i].size, "%s", info->name);
	}
	cr_assert_eq(ROWS, VMBUS_MESSAGE_TYPE_COUNT - 1);
	cr_assert_null(vmbus_message_info(0));
	cr_assert_null(vmbus_message_info(VMBUS_MESSAGE_TYPE_COUNT));
	cr_assert_null(vmbus_message_info(UINT32_MAX));
}

Test(messages, every_row_at_every_length_version_and_direction)
{
	enum vmbus_message_check expected;
	uint32_t length;
	size_t i, v;
	int d;

	for (i = 0; i < ROWS; i++) {
		for (v = 0; v < VERSIONS; v++) {
			for (d = VMBUS_TO_HOST; d <= VMBUS_TO_GUEST; d++) {
				for (length = 0; length <= 240; length++) {
					if (length < 8)
						expected = VMBUS_CHECK_SHORT;
					else if ((int)rows[i].direction != d)
						expected = VMBUS_CHECK_WRONG_DIRECTION;
					else if (rows[i].oldest && !versions[v])
						expected = VMBUS_CHECK_NOT_CONNECTED;
					else if (rows[i].oldest > versions[v])
						expected = VMBUS_CHECK_TOO_NEW;
					else if (length < rows[i].size)
						expected = VMBUS_CHECK_SHORT;
					else
						expected = VMBUS_CHECK_GOOD;
					cr_assert_eq(check(rows[i].type, length, d, versions[v]),
						expected, "%s, %u bytes, version %x", rows[i].name,
						length, versions[v]);
				}
			}
		}
	}
}

Test(messages, unknown_and_long_ones_are_refused)
{
	uint8_t bytes[256] = { VMBUS_MESSAGE_UNLOAD };
	union vmbus_message out;

	cr_assert_eq(check(0, 240, VMBUS_TO_HOST, 0x50003), VMBUS_CHECK_UNKNOWN);
	cr_assert_eq(check(27, 240, VMBUS_TO_HOST, 0x60000), VMBUS_CHECK_UNKNOWN);
	cr_assert_eq(check(0x80000000, 240, VMBUS_TO_HOST, 0x50003), VMBUS_CHECK_UNKNOWN);
	cr_assert_eq(
		vmbus_message_parse(&out, bytes, 240, VMBUS_TO_HOST, 0x50003), VMBUS_CHECK_GOOD);
	cr_assert_eq(
		vmbus_message_parse(&out, bytes, 241, VMBUS_TO_HOST, 0x50003), VMBUS_CHECK_LONG);
	cr_assert_eq(vmbus_message_parse(&out, bytes, UINT32_MAX, VMBUS_TO_HOST, 0x50003),
		VMBUS_CHECK_LONG);
}

Test(messages, what_was_not_sent_reads_as_zero)
{
	union vmbus_message out;
	uint8_t bytes[12] = { VMBUS_MESSAGE_CLOSE_CHANNEL, [8] = 5 };
	uint32_t i;

	memset(&out, 0xFF, sizeof(out));
	cr_assert_eq(
		vmbus_message_parse(&out, bytes, 12, VMBUS_TO_HOST, 0x50003), VMBUS_CHECK_GOOD);
	cr_assert_eq(out.close_channel.relid, 5);
	for (i = 12; i < 240; i++)
		cr_assert_eq(out.bytes[i], 0);
}

// Every type, in every state of the connection, with no sense in it: at most named violations and
// refusals, and the guest can start again afterwards.
Test(messages, the_server_survives_every_type_in_every_state)
{
	struct rig *rig = rig_new();
	union vmbus_message contact = { .initiate_contact = {
						.header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
						.version = VMBUS_VERSION_5_3,
						.target_info.sint = VMBUS_SINT,
					} };
	union vmbus_message request = { .header.type = VMBUS_MESSAGE_REQUEST_OFFERS };
	struct vmbus_offer offer = { 0 };
	struct vmbus_action action;
	uint32_t state, type, length, fill;

	vmbus_server_offer(&rig->server, &offer);
	for (state = 0; state <= VMBUS_SERVER_OFFERING; state++) {
		for (type = 0; type <= VMBUS_MESSAGE_TYPE_COUNT; type++) {
			for (fill = 0; fill <= 255; fill += 85) {
				for (length = 0; length <= 240; length += 4) {
					union vmbus_message message;

					vmbus_server_reset(&rig->server);
					if (state >= VMBUS_SERVER_CONNECTED)
						rig_say_whole(rig, &contact);
					if (state == VMBUS_SERVER_OFFERING)
						rig_say_whole(rig, &request);
					cr_assert_eq(rig->server.state, state);
					memset(&message, (int)fill, sizeof(message));
					message.header.type = type;
					cr_assert(rig_say(rig, &message, length));
					while (vmbus_server_next_action(&rig->server, &action))
						;
					while (vmbus_server_next_post(&rig->server))
						vmbus_server_posted(&rig->server);
				}
			}
		}
	}
	vmbus_server_reset(&rig->server);
	cr_assert(vmbus_server_idle(&rig->server));
	cr_assert_eq(rig->words_out, 0);
	rig_say_whole(rig, &contact);
	cr_assert_eq(rig->server.state, VMBUS_SERVER_CONNECTED);
}
