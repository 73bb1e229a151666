// SPDX-License-Identifier: BSD-2-Clause
// A TAP of the root's Linux as a network card's wire: frames with virtio-net headers. Those that
// leave are a system call for each batch, by io_uring; those that come, one for each. It is a port
// of a bridge, and goes when it is closed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/net/backend.h"
#include "parent/common/child_net.h"
#include "parent/common/failure.h"

struct tap;

// Makes the port of the child's card. Returns NULL with *failure.
struct tap *tap_open(const char *child, const struct child_net *net, struct failure *failure);
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
