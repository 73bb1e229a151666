// SPDX-License-Identifier: BSD-2-Clause
// Checksums and segments: what the wire is told has to make the sums come out right.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/offload.h"

enum { SIZE = 600 };

static uint8_t frame[SIZE];
static struct rndis_frame info;
static struct net_header header;

static uint32_t get16(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 8 | bytes[1];
}

static void put16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}

static uint32_t sum(const uint8_t *bytes, uint32_t length, uint32_t total)
{
	for (uint32_t i = 0; i < length; i++)
		total += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (total >> 16)
		total = (total & 0xFFFF) + (total >> 16);
	return total;
}

// A frame whose transport is of `length` bytes, behind `extensions` bytes of IPv6's.
static void make(bool is_6, uint8_t protocol, uint32_t length, uint32_t extensions, bool tagged)
{
	uint32_t at = 12, ip;

	for (uint32_t i = 0; i < SIZE; i++)
		frame[i] = (uint8_t)(i * 31 + 7);
	if (tagged) {
		put16(frame + at, 0x8100);
		at += 4;
	}
	put16(frame + at, is_6 ? 0x86DD : 0x0800);
	ip = at + 2;
	if (is_6) {
		frame[ip] = 0x60;
		put16(frame + ip + 4, length + extensions);
		frame[ip + 6] = extensions ? 0 : protocol;
		at = ip + 40;
		if (extensions) {
			frame[at] = protocol;
			frame[at + 1] = (uint8_t)(extensions / 8 - 1);
		}
		at += extensions;
	} else {
		frame[ip] = 0x45;
		put16(frame + ip + 2, length + 20);
		put16(frame + ip + 6, 0x4000);
		frame[ip + 9] = protocol;
		at = ip + 20;
	}
	if (protocol == 6) {
		frame[at + 12] = 0x50;
		frame[at + 13] = 0x10;
	}
	info = (struct rndis_frame){ .length = at + length };
}

static bool ask(void)
{
	return net_offload_send(&info, frame,
		info.length < NET_HEADERS_MAX ? info.length : NET_HEADERS_MAX, &header);
}

// The wire's part; then the sum over the pseudo header and all of the segment has to be right.
static void check_sum(bool is_6, uint8_t protocol, uint32_t ip)
{
	const uint32_t start = header.checksum_start;
	const uint32_t end = is_6 ? ip + 40 + get16(frame + ip + 4) : ip + get16(frame + ip + 2);
	uint32_t pseudo = is_6 ? sum(frame + ip + 8, 32, 0) : sum(frame + ip + 12, 8, 0);

	cr_assert_eq(header.flags, NET_NEEDS_CHECKSUM);
	put16(frame + start + header.checksum_offset,
		~sum(frame + start, info.length - start, 0) & 0xFFFF);
	pseudo = sum(NULL, 0, pseudo + protocol + end - start);
	cr_assert_eq(sum(frame + start, end - start, pseudo), 0xFFFF);
}

Test(offload, checksums)
{
	static const struct {
		bool is_6;
		uint8_t protocol;
		uint32_t length, extensions;
		bool tagged;
		uint32_t asked;
	} rows[] = {
		{ false, 6, 20, 0, false, RNDIS_CHECKSUM_IPV4 | RNDIS_CHECKSUM_TCP },
		{ false, 6, 301, 0, false, RNDIS_CHECKSUM_IPV4 | RNDIS_CHECKSUM_TCP },
		{ false, 17, 8, 0, false, RNDIS_CHECKSUM_IPV4 | RNDIS_CHECKSUM_UDP },
		{ false, 17, 99, 0, true, RNDIS_CHECKSUM_IPV4 | RNDIS_CHECKSUM_UDP },
		{ true, 6, 333, 0, false, RNDIS_CHECKSUM_IPV6 | RNDIS_CHECKSUM_TCP },
		{ true, 17, 12, 0, true, RNDIS_CHECKSUM_IPV6 | RNDIS_CHECKSUM_UDP },
		{ true, 17, 12, 24, false, RNDIS_CHECKSUM_IPV6 | RNDIS_CHECKSUM_UDP },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make(rows[i].is_6, rows[i].protocol, rows[i].length, rows[i].extensions,
			rows[i].tagged);
		info.has = RNDIS_HAS_CHECKSUM;
		info.checksum = rows[i].asked;
		cr_assert(ask(), "row %zu", i);
		cr_assert_eq(header.segments, NET_SEGMENT_NONE);
		check_sum(rows[i].is_6, rows[i].protocol, rows[i].tagged ? 18 : 14);
	}
}

// Ethernet's padding is not in the sum's length.
Test(offload, padding_does_not_count)
{
	make(false, 17, 9, 0, false);
	memset(frame + info.length, 0, 60 - info.length);
	info.length = 60;
	info.has = RNDIS_HAS_CHECKSUM;
	info.checksum = RNDIS_CHECKSUM_UDP;
	cr_assert(ask());
	check_sum(false, 17, 14);
}

Test(offload, ipv4s_own_sum)
{
	make(false, 1, 30, 0, false);
	info.has = RNDIS_HAS_CHECKSUM;
	info.checksum = RNDIS_CHECKSUM_IPV4 | RNDIS_CHECKSUM_IP_HEADER;
	cr_assert(ask());
	cr_assert_eq(header.flags, 0);
	cr_assert_eq(sum(frame + 14, 20, 0), 0xFFFF);
	make(true, 1, 30, 0, false);
	info.has = RNDIS_HAS_CHECKSUM;
	info.checksum = RNDIS_CHECKSUM_IPV6 | RNDIS_CHECKSUM_IP_HEADER;
	cr_assert_not(ask());
}

// Guests leave lengths of 0, and some leave sums of anything.
Test(offload, segments)
{
	for (uint32_t is_6 = 0; is_6 < 2; is_6++) {
		const uint32_t ip = 14, tcp = ip + (is_6 ? 40 : 20);

		make(is_6, 6, 500, 0, false);
		put16(frame + ip + (is_6 ? 4 : 2), 0);
		frame[tcp + 13] |= 0x80;
		info.has = RNDIS_HAS_LSO;
		info.lso = 100 | tcp << 20 | RNDIS_LSO_V2 | (is_6 ? RNDIS_LSO_IPV6 : 0);
		cr_assert(ask());
		cr_assert_eq(header.segments,
			(is_6 ? NET_SEGMENT_TCP6 : NET_SEGMENT_TCP4) | NET_SEGMENT_ECN);
		cr_assert_eq(header.segment_size, 100);
		cr_assert_eq(header.headers_length, tcp + 20);
		check_sum(is_6, 6, ip);
		if (!is_6)
			cr_assert_eq(sum(frame + ip, 20, 0), 0xFFFF);
	}
}

Test(offload, what_is_not_so)
{
	static const struct {
		uint32_t at;
		uint8_t value;
	} lies[] = {
		{ 12, 0x86 },	   // another protocol
		{ 14, 0x55 },	   // IP of another version
		{ 14, 0x44 },	   // a header too short
		{ 14, 0x4F },	   // or longer than there is
		{ 20, 0x20 },	   // a fragment
		{ 21, 0x01 },	   // likewise
		{ 23, 17 },	   // UDP
		{ 34 + 12, 0x40 }, // TCP's header too short
		{ 34 + 12, 0xF0 }, // longer than all of it
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		make(false, 6, 40, 0, false);
		frame[lies[i].at] = lies[i].value;
		info.has = RNDIS_HAS_LSO;
		info.lso = 10 | RNDIS_LSO_V2;
		cr_assert_not(ask(), "lie %zu", i);
	}
	make(false, 6, 40, 0, false);
	info.has = RNDIS_HAS_LSO;
	info.lso = 10 | RNDIS_LSO_V2 | RNDIS_LSO_IPV6;
	cr_assert_not(ask(), "it is IPv4");
	info.lso = 0xFFFFF | RNDIS_LSO_V2;
	cr_assert_not(ask(), "a segment longer than a packet");
	make(false, 17, 8, 0, false);
	put16(frame + 16, 0xFFFF);
	info.has = RNDIS_HAS_CHECKSUM;
	info.checksum = RNDIS_CHECKSUM_UDP;
	cr_assert_not(ask(), "longer than the frame");
	put16(frame + 16, 21);
	cr_assert_not(ask(), "no room for the sum");
}

// A frame is cut into so many by the root's Linux, in one go; and 0xFFFF says something else to it.
Test(offload, segments_without_number)
{
	make(false, 6, 500, 0, false);
	info.has = RNDIS_HAS_LSO;
	info.length = 54 + NET_SEGMENTS_MAX * 10;
	info.lso = 10 | RNDIS_LSO_V2;
	cr_assert(ask());
	info.length++;
	cr_assert_not(ask());
	info.lso = 11 | RNDIS_LSO_V2;
	cr_assert(ask());
	info.lso = 0xFFFE | RNDIS_LSO_V2;
	cr_assert(ask());
	info.lso = 0xFFFF | RNDIS_LSO_V2;
	cr_assert_not(ask());
}

// Whatever is in it, nothing beyond the bytes is read or written (ASan).
Test(offload, any_bytes_of_any_length)
{
	uint32_t seed = 1;

	for (uint32_t i = 0; i < 200000; i++) {
		static uint8_t exact[NET_HEADERS_MAX];
		const uint32_t length = i % NET_HEADERS_MAX + 1;
		uint8_t *bytes = exact + NET_HEADERS_MAX - length;

		make(i & 1, i & 2 ? 6 : 17, 60, i & 4 ? 16 : 0, i & 8);
		for (uint32_t n = 0; n < 4; n++) {
			seed = seed * 1103515245 + 12345;
			frame[12 + (seed >> 8) % 60] = (uint8_t)(seed >> 16);
		}
		memcpy(bytes, frame, length);
		info.length = i & 16 ? length : length + 1000;
		info.has = RNDIS_HAS_CHECKSUM | (i & 32 ? RNDIS_HAS_LSO : 0);
		info.checksum = seed >> 5 & 0x1F;
		info.lso = seed;
		if (net_offload_send(&info, bytes, length, &header) && header.flags)
			cr_assert_leq(header.checksum_start + header.checksum_offset + 2, length);
		header.flags = 3;
		net_offload_received(&header, bytes, length);
	}
}
