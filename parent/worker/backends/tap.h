// SPDX-License-Identifier: BSD-2-Clause
// A TAP of the root's Linux as a network card's wire: frames with virtio-net headers. Those that
// leave are a system call for each batch, by io_uring; those that come, one for each. It is a port
// of a bridge, and goes when it is closed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/net/backend.h"
#include "parent/common/failure.h"

struct tap;

struct tap_config {
	const char *child;  // its name
	const char *bridge; // of the root's
	const uint8_t *mac; // of the child's card
	uint32_t vlan;	    // 0: the bridge's for ports of which nothing else is said
	uint32_t mtu;	    // 0: the bridge's
	bool isolated;	    // from other ports that are
};

// Makes a TAP, puts it into the bridge and sets it up. Needs the rights that the worker has before
// it is confined. Returns NULL with *failure.
struct tap *tap_open(const struct tap_config *config, struct failure *failure);
void tap_close(struct tap *tap);

struct net_wire *tap_wire(struct tap *tap);

// The MTU that it has.
uint32_t tap_mtu(const struct tap *tap);

// To wait for: frames have come, or left.
int tap_event_fd(const struct tap *tap);

// Takes what has been done. Kick the wire afterwards.
void tap_poll(struct tap *tap);

// Frames that the root's Linux did not take.
uint64_t tap_refused(const struct tap *tap);
