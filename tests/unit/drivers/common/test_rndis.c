// SPDX-License-Identifier: BSD-2-Clause
// Frames in RNDIS messages. What is read lies in memory of just its length, so that ASan sees a
// byte too many.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/rndis.h"

enum { PREFIX = 44, DATA = 100 };

// A message: its first bytes, and how many there are of it and what follows.
struct message {
	struct rndis_header header;
	struct rndis_packet packet;
	uint8_t rest[RNDIS_HEAD_MAX - PREFIX];
};

static struct message plain(void)
{
	return (struct message){ { RNDIS_PACKET, PREFIX + DATA },
		{ .data_offset = 36, .data_length = DATA }, { 0 } };
}

static enum rndis_flaw parse(
	const struct message *message, uint32_t left, struct rndis_frame *frame)
{
	uint32_t length = left < RNDIS_HEAD_MAX ? left : RNDIS_HEAD_MAX, taken = 0;
	uint8_t *head = malloc(length);
	enum rndis_flaw flaw;

	memcpy(head, message, length);
	memset(frame, 0xEE, sizeof(*frame));
	flaw = rndis_parse_frame(head, length, left, frame, &taken);
	if (flaw == RNDIS_RIGHT) {
		cr_assert(taken >= PREFIX && taken <= left);
		cr_assert(frame->length && frame->offset + frame->length <= taken);
	}
	free(head);
	return flaw;
}

Test(rndis, a_plain_frame)
{
	struct message message = plain();
	struct rndis_frame frame;

	cr_assert_eq(parse(&message, PREFIX + DATA, &frame), RNDIS_RIGHT);
	cr_assert_eq(frame.offset, PREFIX);
	cr_assert_eq(frame.length, DATA);
	cr_assert_eq(frame.has, 0);
	cr_assert_eq(parse(&message, PREFIX + DATA + 400, &frame), RNDIS_RIGHT, "others behind it");
	message.header.length += 60;
	message.packet.data_offset += 60;
	cr_assert_eq(parse(&message, PREFIX + DATA + 60, &frame), RNDIS_RIGHT, "a gap");
	cr_assert_eq(frame.offset, PREFIX + 60);
}

Test(rndis, what_is_written_is_read)
{
	const struct rndis_frame wanted = { .length = 9000,
		.checksum = 0x11220005,
		.lso = 0xC23405B4,
		.vlan = 0x1237,
		.hash_value = 0xdeadbeef,
		.hash_kind = 0x201 };

	for (uint32_t has = 0; has < 16; has++) {
		struct message message = { 0 };
		struct rndis_frame put = wanted, got;
		uint32_t head;

		put.has = has;
		head = rndis_put_frame((uint8_t *)&message, &put);
		cr_assert(head <= RNDIS_PUT_MAX && head == put.offset);
		cr_assert_eq(message.header.length, head + wanted.length);
		cr_assert_eq(parse(&message, head + wanted.length, &got), RNDIS_RIGHT);
		cr_assert_eq(got.offset, head);
		cr_assert_eq(got.length, wanted.length);
		cr_assert_eq(got.has, has);
		cr_assert_eq(got.checksum, has & RNDIS_HAS_CHECKSUM ? wanted.checksum : 0);
		cr_assert_eq(got.lso, has & RNDIS_HAS_LSO ? wanted.lso : 0);
		cr_assert_eq(got.vlan, has & RNDIS_HAS_VLAN ? wanted.vlan : 0);
		cr_assert_eq(got.hash_value, has & RNDIS_HAS_HASH ? wanted.hash_value : 0);
		cr_assert_eq(got.hash_kind, has & RNDIS_HAS_HASH ? wanted.hash_kind : 0);
	}
}

// One word of a plain message is another one.
Test(rndis, what_lies_is_refused)
{
	static const struct {
		size_t at;
		uint32_t value;
		enum rndis_flaw flaw;
	} rows[] = {
		{ offsetof(struct message, header.type), RNDIS_QUERY, RNDIS_FLAW_TYPE },
		{ offsetof(struct message, header.length), 7, RNDIS_FLAW_LENGTH },
		{ offsetof(struct message, header.length), PREFIX - 1, RNDIS_FLAW_LENGTH },
		{ offsetof(struct message, header.length), PREFIX + DATA + 1, RNDIS_FLAW_LENGTH },
		{ offsetof(struct message, header.length), UINT32_MAX, RNDIS_FLAW_LENGTH },
		{ offsetof(struct message, packet.data_length), 0, RNDIS_FLAW_DATA },
		{ offsetof(struct message, packet.data_length), DATA + 1, RNDIS_FLAW_DATA },
		{ offsetof(struct message, packet.data_length), UINT32_MAX - 35, RNDIS_FLAW_DATA },
		{ offsetof(struct message, packet.data_offset), 35, RNDIS_FLAW_DATA },
		{ offsetof(struct message, packet.data_offset), 37, RNDIS_FLAW_DATA },
		{ offsetof(struct message, packet.data_offset), UINT32_MAX, RNDIS_FLAW_DATA },
		{ offsetof(struct message, packet.oob_length), 1, RNDIS_FLAW_OOB },
		{ offsetof(struct message, packet.oob_elements), 1, RNDIS_FLAW_OOB },
		{ offsetof(struct message, packet.info_length), 12, RNDIS_FLAW_INFO }, // at 0
		{ offsetof(struct message, packet.info_length), UINT32_MAX, RNDIS_FLAW_INFO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct message message = plain();
		struct rndis_frame frame;

		memcpy((char *)&message + rows[i].at, &rows[i].value, 4);
		cr_assert_eq(parse(&message, PREFIX + DATA, &frame), rows[i].flaw, "row %zu", i);
	}
	for (uint32_t left = 0; left < PREFIX + DATA; left++) {
		struct message message = plain();
		struct rndis_frame frame;

		cr_assert_eq(parse(&message, left, &frame), RNDIS_FLAW_LENGTH, "%u bytes", left);
	}
}

// Elements, each {size, type, offset, data}.
static enum rndis_flaw parse_elements(
	const uint32_t (*words)[4], uint32_t length, struct rndis_frame *frame)
{
	struct message message = plain();

	memcpy(message.rest, words, length);
	message.packet.info_offset = 36;
	message.packet.info_length = length;
	message.packet.data_offset = 36 + length;
	message.header.length = PREFIX + length + DATA;
	return parse(&message, message.header.length, frame);
}

Test(rndis, elements)
{
	static const struct {
		uint32_t words[2][4];
		enum rndis_flaw flaw;
		uint32_t has;
	} rows[] = {
		{ { { 16, RNDIS_INFO_8021Q, 12, 5 }, { 16, RNDIS_INFO_CHECKSUM, 12, 7 } },
			RNDIS_RIGHT, RNDIS_HAS_VLAN | RNDIS_HAS_CHECKSUM },
		{ { { 16, 99, 12, 5 }, { 16, RNDIS_INFO_LSO, 12, 7 } }, RNDIS_RIGHT,
			RNDIS_HAS_LSO },
		{ { { 32, RNDIS_INFO_8021Q, 28, 5 }, { 0, 0, 0, 9 } }, RNDIS_RIGHT,
			RNDIS_HAS_VLAN },
		{ { { 16, 99, UINT32_MAX, 5 }, { 16, 99, 0, 0 } }, RNDIS_RIGHT,
			0 },				      // not looked at
		{ { { 0, 99, 12, 5 } }, RNDIS_FLAW_INFO, 0 }, // without end
		{ { { 11, 99, 12, 5 } }, RNDIS_FLAW_INFO, 0 },
		{ { { 24, 99, 12, 5 } }, RNDIS_FLAW_INFO, 0 }, // 8 bytes are left
		{ { { 33, 99, 12, 5 } }, RNDIS_FLAW_INFO, 0 },
		{ { { UINT32_MAX, 99, 12, 5 } }, RNDIS_FLAW_INFO, 0 },
		{ { { 16, RNDIS_INFO_LSO, 13, 5 } }, RNDIS_FLAW_INFO, 0 },
		{ { { 16, RNDIS_INFO_LSO, 11, 5 } }, RNDIS_FLAW_INFO, 0 },
		{ { { 12, RNDIS_INFO_LSO, 12, 5 } }, RNDIS_FLAW_INFO, 0 },
		{ { { 16, RNDIS_INFO_LSO, UINT32_MAX, 5 } }, RNDIS_FLAW_INFO, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct rndis_frame frame;

		cr_assert_eq(parse_elements(rows[i].words, 32, &frame), rows[i].flaw, "row %zu", i);
		if (rows[i].flaw == RNDIS_RIGHT)
			cr_assert_eq(frame.has, rows[i].has, "row %zu", i);
	}
}

// The information may fill all of the head, and may not go beyond it.
Test(rndis, as_many_elements_as_there_is_room_for)
{
	const uint32_t most = RNDIS_HEAD_MAX - PREFIX;
	struct message message = plain();
	struct rndis_frame frame;

	for (uint32_t at = 0; at + 12 <= most; at += 12)
		memcpy(message.rest + at, &(struct rndis_info){ 12, 99, 12 }, 12);
	message.packet = (struct rndis_packet){ .data_offset = 36 + most,
		.data_length = DATA,
		.info_offset = 36,
		.info_length = most / 12 * 12 };
	message.header.length = RNDIS_HEAD_MAX + DATA;
	cr_assert_eq(parse(&message, message.header.length, &frame), RNDIS_RIGHT);
	cr_assert_eq(frame.offset, RNDIS_HEAD_MAX);
	message.packet.info_offset += most % 12 + 1;
	cr_assert_eq(parse(&message, message.header.length, &frame), RNDIS_FLAW_INFO);
}

// Whatever stands there: nothing outside of the head is read, and what is taken lies in the
// message.
Test(rndis, anything)
{
	srand(1);
	for (int i = 0; i < 200000; i++) {
		struct message message = plain();
		struct rndis_frame put = { .length = DATA, .has = (uint32_t)rand() & 15 }, frame;
		uint32_t length = rndis_put_frame((uint8_t *)&message, &put) + DATA;

		for (int j = rand() % 4; j >= 0; j--)
			((uint8_t *)&message)[(uint32_t)rand() % put.offset] = (uint8_t)rand();
		parse(&message, (uint32_t)rand() % 8 ? length : (uint32_t)rand() % length, &frame);
	}
}
