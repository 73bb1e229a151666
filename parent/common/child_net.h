// SPDX-License-Identifier: BSD-2-Clause
// A child's network card, as --net says it: SWITCH[,OPTION...].
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "parent/common/bridge.h"

enum {
	CHILD_VLAN_MAX = 4094,
	CHILD_QUEUES_MAX = 16,
	CHILD_MTU_MIN = 68,
	CHILD_MTU_MAX = 9000,
	CHILD_NET_MAX = 256 /* bytes of text */
};

// Bits per second. Below, one large frame would be on its way for seconds; above, it is no less
// than the card says that it has.
#define CHILD_RATE_MIN 64000ull
#define CHILD_RATE_MAX 10000000000ull

struct child_net {
	char bridge[BRIDGE_NAME_MAX + 1]; // "": the child has no network card
	uint8_t mac[6];			  // if has_mac: else child_net_address()'s
	bool has_mac;
	uint32_t vlan;	 // 0: the switch's for ports of which nothing else is said
	uint32_t queues; // 0: one for each VP
	uint64_t rate;	 // bits per second, each way; 0: as many as there can be
	uint32_t mtu;	 // at most; 0: the switch's, up to CHILD_MTU_MAX
	bool isolated;	 // from other cards that are
};

// Reads such a text; "none" is no card. Returns NULL, or why not: the end of a sentence that begins
// with the text.
const char *child_net_parse(struct child_net *net, const char *text);

// Writes one that child_net_parse() reads.
void child_net_print(const struct child_net *net, FILE *file);

// Gives a card that has none an address: the same for the same child.
void child_net_address(struct child_net *net, const char *child);
