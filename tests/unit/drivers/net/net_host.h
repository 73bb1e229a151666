// SPDX-License-Identifier: BSD-2-Clause
// The host's end of the network's tests, on the rig: a VSP, its wire, and the buffers that a raw
// guest lends by number.
#pragma once

#include "drivers/vsp/net/net.h"
#include "memory_wire.h"
#include "tests/unit/drivers/rig.h"

enum { NET_HOST_GPADLS = 4, NET_HOST_PAGES = 512 };

struct net_host_gpadl {
	uint32_t byte_count; // 0: there is none
	uint64_t pfns[NET_HOST_PAGES];
	bool held;
};

struct net_test_host {
	struct memory_wire wire;
	struct net_vsp_config config;
	struct net_host host;
	struct net_host_gpadl gpadls[NET_HOST_GPADLS]; // by number
	struct {
		bool asked;
		uint32_t gpadl; // that it is, while held
	} loans[NET_LENT];
	bool slow; // the host does not say what a GPADL is, until net_host_lend()
};

extern struct net_test_host net_host;

// Makes everything anew, with a card of so many queues, and offers its channels.
void net_host_create(uint32_t queues, uint32_t ram_pages);

// Says what the GPADLs are that have been asked for. Returns how many.
uint32_t net_host_lend(void);
