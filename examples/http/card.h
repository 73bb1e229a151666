// SPDX-License-Identifier: BSD-2-Clause
// The network card as lwIP has its interfaces. One thread calls all of it, but card_wake().
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lumen/net.h"

struct card_counters {
	uint64_t received, sent;
	uint64_t no_memory; // frames that came and found no room
	uint64_t bad_sums;  // that came, as the host says
};

extern struct card_counters card_counters;

// Opens the first card of the host, starts lwIP, and asks for an address by DHCP.
lumen_status card_start(struct lumen_vmbus *bus);

// Closes it.
void card_stop(void);

// Gives lwIP a bounded number of the frames that have come. *more: there may be others. What
// lumen_net_status() says.
lumen_status card_run(bool *more);

// Whether frames that were to be sent found no room since the last call, and there is room now:
// lwIP has kept those of TCP, and sends them when it is asked to.
bool card_has_room(void);

// Tells the host of what is to be sent since the last call.
void card_flush(void);

// Sleeps until there is something to do for card_run(), or somebody calls card_wake(), or some
// milliseconds are over.
void card_wait(uint32_t ms);

// Any context.
void card_wake(void);
