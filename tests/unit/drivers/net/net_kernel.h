// SPDX-License-Identifier: BSD-2-Clause
// The kernel's side of the network VSC's tests, on the rig: a card that is open, what came on it,
// and frames to send.
#pragma once

#include "lumen/net.h"
#include "net_host.h"

enum { NET_KERNEL_FRAME = 66000 };

struct net_kernel {
	struct lumen_net *net;
	uint32_t received, done, good; // frames; those done, and those of them that were sent
	struct lumen_net_received last;
	uint8_t bytes[NET_KERNEL_FRAME]; // of the last one
	bool echoes;			 // what came is sent back
	void (*on_receive)(const struct lumen_net_received *frame);
};

extern struct net_kernel net_kernel;

// Opens the card. config->receive and context are overwritten.
lumen_status net_kernel_open(const struct lumen_net_config *config);

// Host, wire and VSC do all that they can.
void net_kernel_run(void);

// Fills a frame with the card's source address, and bytes that go by `seed`.
void net_kernel_fill(uint8_t *frame, uint32_t length, uint32_t seed);

// For a frame's done().
void net_kernel_done(struct lumen_net_frame *frame);

// A frame comes from the wire, with a header that says nothing.
bool net_kernel_comes(const uint8_t *frame, uint32_t length);
