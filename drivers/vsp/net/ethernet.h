// SPDX-License-Identifier: BSD-2-Clause
// Frames as they are on a wire: Ethernet (IEEE 802.3) with or without a tag (IEEE 802.1Q), and the
// byte order of all that is in them.
#pragma once

#include <stdint.h>

enum {
	ETHERNET_HEADER = 14, // destination, source, type
	ETHERNET_SOURCE_AT = 6,
	ETHERNET_TYPE_AT = 12,
	ETHERNET_TAG = 4, // in front of the type
	ETHERNET_VLAN = 0x8100,
	ETHERNET_IPV4 = 0x0800,
	ETHERNET_IPV6 = 0x86DD,
};

static inline uint16_t net_get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static inline void net_put16(uint8_t *bytes, uint32_t value)
{
	bytes[0] = (uint8_t)(value >> 8);
	bytes[1] = (uint8_t)value;
}
