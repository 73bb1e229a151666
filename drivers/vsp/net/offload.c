// SPDX-License-Identifier: BSD-2-Clause
// See offload.h. RFC 791, 8200, 9293, 768.
#include "drivers/vsp/net/offload.h"

#include <string.h>

#include "drivers/vsp/net/ethernet.h"

enum {
	IPV4_MIN = 20,
	IPV6_SIZE = 40,
	EXTENSIONS_MAX = 8, // of IPv6
	TCP = 6,
	UDP = 17,
	TCP_MIN = 20,
	TCP_SUM_AT = 16,
	TCP_CWR = 0x80, // in byte 13
	UDP_SIZE = 8,
	UDP_SUM_AT = 6,
};

// Where a frame's headers are, all of it within the bytes that were given.
struct headers {
	const uint8_t *bytes;
	uint32_t length;
	uint32_t ip;	    // 0: neither IPv4 nor IPv6
	bool is_6;	    // IPv6
	uint32_t transport; // of the next header; 0: a fragment, or not within the bytes
	uint8_t protocol;
};

static void find_ipv4(struct headers *headers)
{
	const uint8_t *ip = headers->bytes + headers->ip;
	const uint32_t left = headers->length - headers->ip;
	uint32_t size;

	if (left < IPV4_MIN || ip[0] >> 4 != 4) {
		headers->ip = 0;
		return;
	}
	size = 4u * (ip[0] & 15);
	if (size < IPV4_MIN || size > left) {
		headers->ip = 0;
		return;
	}
	headers->protocol = ip[9];
	if (!(net_get16(ip + 6) & 0x3FFF))
		headers->transport = headers->ip + size;
}

// Hop-by-hop options, routing, destination options. Behind any other header is what is sent.
static bool is_extension(uint8_t type)
{
	return type == 0 || type == 43 || type == 60;
}

static void find_ipv6(struct headers *headers)
{
	const uint8_t *bytes = headers->bytes;
	uint32_t at = headers->ip + IPV6_SIZE;
	uint8_t type;

	headers->is_6 = true;
	if (at > headers->length || bytes[headers->ip] >> 4 != 6) {
		headers->ip = 0;
		return;
	}
	type = bytes[headers->ip + 6];
	for (uint32_t i = 0; i < EXTENSIONS_MAX && is_extension(type); i++) {
		if (headers->length - at < 8)
			return;
		type = bytes[at];
		at += 8u * (bytes[at + 1] + 1u);
		if (at > headers->length)
			return;
	}
	headers->protocol = type;
	if (!is_extension(type))
		headers->transport = at;
}

static struct headers find(const uint8_t *bytes, uint32_t length)
{
	struct headers headers = { .bytes = bytes, .length = length };
	uint32_t at = ETHERNET_TYPE_AT;

	if (length >= ETHERNET_HEADER + ETHERNET_TAG && net_get16(bytes + at) == ETHERNET_VLAN)
		at += ETHERNET_TAG;
	if (length < at + 2)
		return headers;
	headers.ip = at + 2;
	if (net_get16(bytes + at) == ETHERNET_IPV4)
		find_ipv4(&headers);
	else if (net_get16(bytes + at) == ETHERNET_IPV6)
		find_ipv6(&headers);
	else
		headers.ip = 0;
	return headers;
}

// --- sums ---

static uint32_t sum(const uint8_t *bytes, uint32_t length)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i + 1 < length; i += 2)
		total += net_get16(bytes + i);
	return total;
}

static uint16_t fold(uint32_t total)
{
	total = (total & 0xFFFF) + (total >> 16);
	return (uint16_t)(total + (total >> 16));
}

static uint16_t pseudo_header(const struct headers *headers, uint32_t length)
{
	const uint8_t *ip = headers->bytes + headers->ip;
	const uint32_t addresses = headers->is_6 ? sum(ip + 8, 32) : sum(ip + 12, 8);

	return fold(addresses + headers->protocol + (length >> 16) + (length & 0xFFFF));
}

static void finish_ipv4(uint8_t *ip)
{
	net_put16(ip + 10, 0);
	net_put16(ip + 10, (uint16_t)~fold(sum(ip, 4u * (ip[0] & 15))));
}

// --- to the wire ---

// Room for the transport's header, and where its sum is; 0: it has none.
static uint32_t sum_at(const struct headers *headers)
{
	const uint32_t left = headers->length - headers->transport;

	if (!headers->ip || !headers->transport)
		return 0;
	if (headers->protocol == TCP && left >= TCP_MIN)
		return TCP_SUM_AT;
	return headers->protocol == UDP && left >= UDP_SIZE ? UDP_SUM_AT : 0;
}

// What the packet says it is. A frame may be padded.
static uint32_t transport_length(const struct headers *headers)
{
	const uint8_t *ip = headers->bytes + headers->ip;
	const uint32_t in_front = headers->transport - headers->ip;
	const uint32_t length =
		headers->is_6 ? net_get16(ip + 4) + (uint32_t)IPV6_SIZE : net_get16(ip + 2);

	return length > in_front ? length - in_front : 0;
}

static bool needs_sum(const struct rndis_frame *frame, struct headers *headers, uint8_t *bytes,
	struct net_header *header)
{
	const uint32_t at = sum_at(headers);
	const uint32_t length = at ? transport_length(headers) : 0;

	if (length < at + 2 || length > frame->length - headers->transport)
		return false;
	header->flags = NET_NEEDS_CHECKSUM;
	header->checksum_start = (uint16_t)headers->transport;
	header->checksum_offset = (uint16_t)at;
	net_put16(bytes + headers->transport + at, pseudo_header(headers, length));
	return true;
}

// The length of an IP packet that is to be cut is ours to say: guests leave 0.
static bool put_length(
	const struct headers *headers, uint8_t *bytes, const struct rndis_frame *frame)
{
	uint8_t *ip = bytes + headers->ip;
	const uint32_t length = frame->length - headers->ip - (headers->is_6 ? IPV6_SIZE : 0);

	if (length > UINT16_MAX)
		return false;
	net_put16(ip + (headers->is_6 ? 4 : 2), length);
	if (!headers->is_6)
		finish_ipv4(ip);
	return true;
}

// A size of 0xFFFF means something else to Linux (GSO_BY_FRAGS).
static bool can_cut(uint32_t bytes, uint32_t size)
{
	return size && size < UINT16_MAX && bytes <= NET_SEGMENTS_MAX * size;
}

static bool cut(const struct rndis_frame *frame, struct headers *headers, uint8_t *bytes,
	struct net_header *header)
{
	const uint8_t *tcp = bytes + headers->transport;
	uint32_t size, end;

	if (sum_at(headers) != TCP_SUM_AT || headers->is_6 != !!(frame->lso & RNDIS_LSO_IPV6))
		return false;
	size = 4u * (tcp[12] >> 4);
	end = headers->transport + size;
	if (size < TCP_MIN || end > headers->length || end >= frame->length ||
		!can_cut(frame->length - end, RNDIS_LSO_MSS(frame->lso)))
		return false;
	header->segments = headers->is_6 ? NET_SEGMENT_TCP6 : NET_SEGMENT_TCP4;
	if (tcp[13] & TCP_CWR)
		header->segments |= NET_SEGMENT_ECN;
	header->segment_size = (uint16_t)RNDIS_LSO_MSS(frame->lso);
	header->headers_length = (uint16_t)end;
	return put_length(headers, bytes, frame) && needs_sum(frame, headers, bytes, header);
}

bool net_offload_send(
	const struct rndis_frame *frame, uint8_t *bytes, uint32_t length, struct net_header *header)
{
	const bool lso = frame->has & RNDIS_HAS_LSO && RNDIS_LSO_MSS(frame->lso);
	const uint32_t checksum = frame->has & RNDIS_HAS_CHECKSUM ? frame->checksum : 0;
	struct headers headers;

	*header = (struct net_header){ .flags = 0 };
	if (!lso && !checksum)
		return true;
	headers = find(bytes, length);
	if (lso)
		return cut(frame, &headers, bytes, header);
	if (checksum & RNDIS_CHECKSUM_IP_HEADER) {
		if (!headers.ip || headers.is_6)
			return false;
		finish_ipv4(bytes + headers.ip);
	}
	if (checksum & (RNDIS_CHECKSUM_TCP | RNDIS_CHECKSUM_UDP))
		return needs_sum(frame, &headers, bytes, header);
	return true;
}

// --- from the wire ---

uint32_t net_offload_received(
	const struct net_header *header, const uint8_t *bytes, uint32_t length)
{
	struct headers headers;

	if (!(header->flags & (NET_NEEDS_CHECKSUM | NET_CHECKSUM_GOOD)))
		return 0;
	headers = find(bytes, length);
	if (!headers.ip || !headers.transport)
		return 0;
	if (headers.protocol == TCP)
		return RNDIS_CHECKSUM_TCP_GOOD;
	return headers.protocol == UDP ? RNDIS_CHECKSUM_UDP_GOOD : 0;
}
