// SPDX-License-Identifier: BSD-2-Clause
// See toeplitz.h. RFC 791, RFC 8200.
#include "drivers/vsp/net/toeplitz.h"

#include <string.h>

#include "drivers/vsp/net/ethernet.h"

enum { TCP = 6 };
enum { IPV4_SIZE = 20, IPV4_ADDRESSES = 12, IPV6_SIZE = 40, IPV6_ADDRESSES = 8, PORTS = 4 };

// The 32 bits of the key from bit `at` on.
static uint32_t window(const uint8_t *key, uint32_t at)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < 5; i++)
		bits = bits << 8 | key[at / 8 + i];
	return (uint32_t)(bits >> (8 - at % 8));
}

// The last window is that of bit 287: it ends in byte 39, the key's last.
_Static_assert((8 * TOEPLITZ_INPUT_MAX - 1) / 8 + 5 == NDIS_RSS_KEY_SIZE, "windows lie in the key");

void toeplitz_set_key(struct toeplitz *toeplitz, const uint8_t key[NDIS_RSS_KEY_SIZE])
{
	for (uint32_t i = 0; i < TOEPLITZ_INPUT_MAX; i++) {
		for (uint32_t value = 0; value < 256; value++) {
			uint32_t sum = 0;

			for (uint32_t bit = 0; bit < 8; bit++)
				if (value & 0x80 >> bit)
					sum ^= window(key, 8 * i + bit);
			toeplitz->adds[i][value] = sum;
		}
	}
}

// What the hash is made of: addresses and ports as they stand in the packet.
struct flow {
	uint8_t input[TOEPLITZ_INPUT_MAX];
	uint32_t addresses; // bytes
	uint32_t ports;	    // bytes; 0 without
};

static void take_ports(struct flow *flow, const uint8_t *segment, uint32_t length)
{
	if (length < PORTS)
		return;
	memcpy(flow->input + flow->addresses, segment, PORTS);
	flow->ports = PORTS;
}

static void take_ipv4(struct flow *flow, const uint8_t *packet, uint32_t length)
{
	const uint32_t size = 4u * (packet[0] & 15);

	if (length < IPV4_SIZE || packet[0] >> 4 != 4 || size < IPV4_SIZE)
		return;
	flow->addresses = 8;
	memcpy(flow->input, packet + IPV4_ADDRESSES, flow->addresses);
	if (packet[9] == TCP && !(net_get16(packet + 6) & 0x3FFF) && length > size) // no fragment
		take_ports(flow, packet + size, length - size);
}

// Extension headers are not passed over: who has them is hashed by its addresses.
static void take_ipv6(struct flow *flow, const uint8_t *packet, uint32_t length)
{
	if (length < IPV6_SIZE || packet[0] >> 4 != 6)
		return;
	flow->addresses = 32;
	memcpy(flow->input, packet + IPV6_ADDRESSES, flow->addresses);
	if (packet[6] == TCP)
		take_ports(flow, packet + IPV6_SIZE, length - IPV6_SIZE);
}

uint32_t toeplitz_flow(const struct toeplitz *toeplitz, uint32_t kinds, const uint8_t *frame,
	uint32_t length, uint32_t *kind)
{
	static const struct {
		uint32_t type, addresses, ports;
		void (*take)(struct flow *flow, const uint8_t *packet, uint32_t length);
	} protocols[] = { { ETHERNET_IPV4, NDIS_HASH_IPV4, NDIS_HASH_TCP_IPV4, take_ipv4 },
		{ ETHERNET_IPV6, NDIS_HASH_IPV6, NDIS_HASH_TCP_IPV6, take_ipv6 } };
	struct flow flow = { .addresses = 0 };
	uint32_t at = ETHERNET_TYPE_AT;

	*kind = 0;
	if (length > at + ETHERNET_TAG + 2 && net_get16(frame + at) == ETHERNET_VLAN)
		at += ETHERNET_TAG;
	for (uint32_t i = 0; i < 2 && length > at + 2; i++) {
		if (net_get16(frame + at) != protocols[i].type)
			continue;
		protocols[i].take(&flow, frame + at + 2, length - at - 2);
		if (flow.ports && (kinds & protocols[i].ports))
			*kind = protocols[i].ports;
		else if (flow.addresses && (kinds & protocols[i].addresses))
			*kind = protocols[i].addresses;
		if (*kind != protocols[i].ports)
			flow.ports = 0;
	}
	return *kind ? toeplitz_hash(toeplitz, flow.input, flow.addresses + flow.ports) : 0;
}
