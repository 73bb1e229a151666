// SPDX-License-Identifier: BSD-2-Clause
// Posting messages and signalling events where there is no connection, and with parameters that can
// never be right. The suite makes no connections: it has no other partition to talk to, and leaves
// those of the machine (VMBus) alone. Ids with many bits set are used by nobody.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

#define NEEDS_POST   HV_PRIVILEGE_POST_MESSAGES
#define NEEDS_SIGNAL HV_PRIVILEGE_SIGNAL_EVENTS

#define NOBODYS_ID 0x00c0ffeeu

static hv_status post(uint32_t connection, uint32_t type, uint32_t payload_size)
{
	struct hv_input_post_message in = {
		.connection_id = connection, .message_type = type, .payload_size = payload_size
	};

	return call_memory(HvCallPostMessage, &in, sizeof(in), NULL, 0);
}

static hv_status signal_memory(uint32_t connection, uint16_t flag, uint16_t rsvd)
{
	const struct hv_input_signal_event in = { connection, flag, rsvd };

	return call_memory(HvCallSignalEvent, &in, sizeof(in), NULL, 0);
}

static hv_status signal_fast(uint32_t connection, uint16_t flag, uint16_t rsvd)
{
	return call_fast(
		HvCallSignalEvent, connection | (uint64_t)flag << 32 | (uint64_t)rsvd << 48, 0);
}

static const uint32_t unknown_ids[] = { 0, NOBODYS_ID, 0x00ffffff, 0x0000ffff, 0x00800000 };

static bool post_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "HvCallPostMessage: connection 0x%06x", unknown_ids[row]);
	return true;
}

TEST(post_unknown, "is INVALID_CONNECTION_ID", "HvCallPostMessage", .privileges = NEEDS_POST,
	.rows = ARRAY_SIZE(unknown_ids), .row_name = post_row_name)
{
	expect_status(post(unknown_ids[row], 1, 8), HV_STATUS_INVALID_CONNECTION_ID, "the call");
}

static bool signal_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "HvCallSignalEvent: connection 0x%06x", unknown_ids[row]);
	return true;
}

TEST(signal_unknown, "is INVALID_CONNECTION_ID", "HvCallSignalEvent", .privileges = NEEDS_SIGNAL,
	.rows = ARRAY_SIZE(unknown_ids), .row_name = signal_row_name)
{
	expect_status(signal_fast(unknown_ids[row], 0, 0), HV_STATUS_INVALID_CONNECTION_ID,
		"the fast call");
	expect_status(signal_memory(unknown_ids[row], 0, 0), HV_STATUS_INVALID_CONNECTION_ID,
		"the call with input in memory");
}

// The caller's own fault either way; which of two errors is reported is not defined.
static void expect_refused(hv_status status, const char *what)
{
	EXPECT(status == HV_STATUS_INVALID_CONNECTION_ID || status == HV_STATUS_INVALID_PARAMETER,
		"%s: %s", what, status_name(status));
}

TEST(post_sizes, "HvCallPostMessage: every payload size up to 240 is looked at alike",
	"HvCallPostMessage", .privileges = NEEDS_POST)
{
	for (unsigned int size = 0; size <= HV_MESSAGE_PAYLOAD_BYTE_COUNT; size += 16)
		expect_status(
			post(NOBODYS_ID, 1, size), HV_STATUS_INVALID_CONNECTION_ID, "the call");
}

static const uint32_t long_sizes[] = { 241, 256, 4096, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
	0x100000f0u & 0xffffffff };

static bool long_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "HvCallPostMessage: payload of 0x%x bytes", long_sizes[row]);
	return true;
}

TEST(post_long, "is refused", "HvCallPostMessage", .privileges = NEEDS_POST,
	.rows = ARRAY_SIZE(long_sizes), .row_name = long_row_name)
{
	expect_refused(post(NOBODYS_ID, 1, long_sizes[row]), "the call");
}

TEST(post_type_zero, "HvCallPostMessage: message type 0 is refused", "HvCallPostMessage",
	.privileges = NEEDS_POST)
{
	expect_refused(post(NOBODYS_ID, HvMessageTypeNone, 8), "the call");
}

TEST(post_type_hypervisor, "HvCallPostMessage: the hypervisor's message types are refused",
	"HvCallPostMessage", .privileges = NEEDS_POST)
{
	expect_refused(post(NOBODYS_ID, HvMessageTypeTimerExpired, 8), "a timer's");
	expect_refused(post(NOBODYS_ID, 0xffffffff, 8), "all bits set");
}

TEST(post_wide_id, "HvCallPostMessage: an id of more than 24 bits is refused", "HV_CONNECTION_ID",
	.privileges = NEEDS_POST)
{
	EXPECT(post(0x01000000 | NOBODYS_ID, 1, 8) != HV_STATUS_SUCCESS, "bit 24 is accepted");
	EXPECT(post(0xffffffff, 1, 8) != HV_STATUS_SUCCESS, "all bits are accepted");
}

TEST(signal_wide_id, "HvCallSignalEvent: an id of more than 24 bits is refused", "HV_CONNECTION_ID",
	.privileges = NEEDS_SIGNAL)
{
	EXPECT(signal_fast(0x01000000 | NOBODYS_ID, 0, 0) != HV_STATUS_SUCCESS,
		"bit 24 is accepted");
	EXPECT(signal_fast(0xffffffff, 0, 0) != HV_STATUS_SUCCESS, "all bits are accepted");
}

TEST(signal_flag, "HvCallSignalEvent: a flag number does not make up for the connection",
	"HvCallSignalEvent", .privileges = NEEDS_SIGNAL)
{
	expect_refused(signal_fast(NOBODYS_ID, 1, 0), "flag 1");
	expect_refused(signal_fast(NOBODYS_ID, 2048, 0), "flag 2048");
	expect_refused(signal_fast(NOBODYS_ID, 0xffff, 0), "flag 0xffff");
}

TEST(signal_reserved, "HvCallSignalEvent: its reserved field must be zero", "HvCallSignalEvent",
	.privileges = NEEDS_SIGNAL)
{
	EXPECT(signal_fast(NOBODYS_ID, 0, 1) != HV_STATUS_SUCCESS, "1 is accepted");
	EXPECT(signal_memory(NOBODYS_ID, 0, 0x8000) != HV_STATUS_SUCCESS, "0x8000 is accepted");
}

static void signal_often(void *argument)
{
	(void)argument;
	for (unsigned int i = 0; i < 100; i++)
		expect_status(signal_fast(NOBODYS_ID + this_vp(), 0, 0),
			HV_STATUS_INVALID_CONNECTION_ID, "the call");
}

TEST(signal_vps, "HvCallSignalEvent: all VPs at once", "HvCallSignalEvent",
	.privileges = NEEDS_SIGNAL, .vps = 2)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, signal_often, NULL);
	signal_often(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}
