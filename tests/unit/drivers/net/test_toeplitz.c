// SPDX-License-Identifier: BSD-2-Clause
// The hash of flows, against the numbers of Microsoft's RSS verification suite, and frames cut
// short anywhere.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/toeplitz.h"

static const uint8_t key[NDIS_RSS_KEY_SIZE] = { 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30,
	0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
	0x01, 0xfa };
static struct toeplitz toeplitz;

#define ALL (NDIS_HASH_IPV4 | NDIS_HASH_TCP_IPV4 | NDIS_HASH_IPV6 | NDIS_HASH_TCP_IPV6)

struct row {
	uint8_t from[16], to[16];
	uint16_t from_port, to_port;
	uint32_t addresses, ports; // hashes
};

static const struct row rows_4[] = {
	{ { 66, 9, 149, 187 }, { 161, 142, 100, 80 }, 2794, 1766, 0x323e8fc2, 0x51ccc178 },
	{ { 199, 92, 111, 2 }, { 65, 69, 140, 83 }, 14230, 4739, 0xd718262a, 0xc626b0ea },
	{ { 24, 19, 198, 95 }, { 12, 22, 207, 184 }, 12898, 38024, 0xd2d0a5de, 0x5c2b394a },
	{ { 38, 27, 205, 30 }, { 209, 142, 163, 6 }, 48228, 2217, 0x82989176, 0xafc7327f },
	{ { 153, 39, 163, 191 }, { 202, 188, 127, 2 }, 44251, 1303, 0x5d1809c5, 0x10e828a2 },
};
static const struct row rows_6[] = {
	{ { 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7 },
		{ 0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1 }, 2794, 1766,
		0x2cc18cd5, 0x40207d3d },
	{ { 0x3f, 0xfe, 0x05, 0x01, 0, 8, 0, 0, 0x02, 0x60, 0x97, 0xff, 0xfe, 0x40, 0xef, 0xab },
		{ 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 14230, 4739, 0x0f0c461c,
		0xdde51bbf },
	{ { 0x3f, 0xfe, 0x19, 0x00, 0x45, 0x45, 0, 3, 0x02, 0, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf },
		{ 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0, 0xf8, 0xff, 0xfe, 0x21, 0x67, 0xcf },
		44251, 38024, 0x4b61e985, 0x02d1feef },
};

static void put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

// Returns the frame's length. tag: 4 bytes for a VLAN, or 0; options: of the IPv4 header, bytes.
static uint32_t frame_4(uint8_t *frame, const struct row *row, uint32_t tag, uint32_t options)
{
	uint8_t *ip = frame + 14 + tag;

	memset(frame, 0xEE, 128);
	if (tag)
		put16(frame + 12, 0x8100);
	put16(ip - 2, 0x0800);
	memset(ip, 0, 20);
	ip[0] = (uint8_t)(0x45 + options / 4);
	ip[9] = 6;
	memcpy(ip + 12, row->from, 4);
	memcpy(ip + 16, row->to, 4);
	put16(ip + 20 + options, row->from_port);
	put16(ip + 22 + options, row->to_port);
	return 14 + tag + 20 + options + 20;
}

static uint32_t frame_6(uint8_t *frame, const struct row *row)
{
	uint8_t *ip = frame + 14;

	memset(frame, 0xEE, 128);
	put16(ip - 2, 0x86DD);
	ip[0] = 0x60;
	ip[6] = 6;
	memcpy(ip + 8, row->from, 16);
	memcpy(ip + 24, row->to, 16);
	put16(ip + 40, row->from_port);
	put16(ip + 42, row->to_port);
	return 14 + 40 + 20;
}

static uint32_t hash(const uint8_t *frame, uint32_t length, uint32_t kinds, uint32_t *kind)
{
	uint8_t *copy = malloc(length ? length : 1);
	uint32_t value;

	memcpy(copy, frame, length);
	value = toeplitz_flow(&toeplitz, kinds, copy, length, kind);
	free(copy);
	return value;
}

Test(toeplitz, ipv4)
{
	uint8_t frame[128];
	uint32_t kind, length;

	toeplitz_set_key(&toeplitz, key);
	for (size_t i = 0; i < ARRAY_SIZE(rows_4); i++) {
		for (uint32_t shape = 0; shape < 4; shape++) {
			length = frame_4(frame, &rows_4[i], shape & 1 ? 4 : 0, shape & 2 ? 40 : 0);
			cr_assert_eq(
				hash(frame, length, ALL, &kind), rows_4[i].ports, "row %zu", i);
			cr_assert_eq(kind, NDIS_HASH_TCP_IPV4);
			cr_assert_eq(
				hash(frame, length, NDIS_HASH_IPV4, &kind), rows_4[i].addresses);
			cr_assert_eq(kind, NDIS_HASH_IPV4);
			cr_assert_eq(hash(frame, length, NDIS_HASH_IPV6, &kind), 0);
			cr_assert_eq(kind, 0);
		}
		length = frame_4(frame, &rows_4[i], 0, 0);
		frame[14 + 6] = 0x20; // the first fragment
		cr_assert_eq(hash(frame, length, ALL, &kind), rows_4[i].addresses);
		frame[14 + 6] = 0x40; // not to be fragmented
		cr_assert_eq(hash(frame, length, ALL, &kind), rows_4[i].ports);
		frame[14 + 9] = 17;
		cr_assert_eq(hash(frame, length, ALL, &kind), rows_4[i].addresses);
	}
}

Test(toeplitz, ipv6)
{
	uint8_t frame[128];
	uint32_t kind, length;

	toeplitz_set_key(&toeplitz, key);
	for (size_t i = 0; i < ARRAY_SIZE(rows_6); i++) {
		length = frame_6(frame, &rows_6[i]);
		cr_assert_eq(hash(frame, length, ALL, &kind), rows_6[i].ports, "row %zu", i);
		cr_assert_eq(kind, NDIS_HASH_TCP_IPV6);
		frame[14 + 6] = 44; // a fragment header follows
		cr_assert_eq(hash(frame, length, ALL, &kind), rows_6[i].addresses, "row %zu", i);
		cr_assert_eq(hash(frame, length, NDIS_HASH_TCP_IPV6, &kind), 0);
		cr_assert_eq(kind, 0);
	}
}

Test(toeplitz, frames_cut_short)
{
	uint8_t frame[128];
	uint32_t kind;

	toeplitz_set_key(&toeplitz, key);
	for (uint32_t shape = 0; shape < 3; shape++) {
		const uint32_t length = shape == 2 ? frame_6(frame, rows_6)
						   : frame_4(frame, rows_4, shape ? 4 : 0, 20);
		const uint32_t ip = shape == 2 ? 54 : shape ? 38 : 34;

		for (uint32_t i = 0; i <= length; i++) {
			hash(frame, i, ALL, &kind);
			cr_assert_eq(!kind, i < ip, "shape %u, %u bytes", shape, i);
		}
	}
	srand(1);
	for (int i = 0; i < 100000; i++) {
		uint32_t length =
			i % 2 ? frame_6(frame, rows_6) : frame_4(frame, rows_4, 4 * (i & 2), 0);

		frame[rand() % 20 + 10] = (uint8_t)rand();
		hash(frame, (uint32_t)rand() % (length + 1), ALL, &kind);
	}
}
