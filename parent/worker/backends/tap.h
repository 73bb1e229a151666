// SPDX-License-Identifier: BSD-2-Clause
// A TAP of the root's Linux (parent/common/port.h) as a network card's wire: frames with virtio-net
// headers. Those that leave are a system call for each batch, by io_uring; those that come, one for
// each. The wire is made before the worker is confined; the TAP may come later, and go, and another
// one come, as long as no thread uses the wire.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "drivers/vsp/net/backend.h"
#include "parent/common/failure.h"

struct tap;

// Makes a wire without a TAP. Returns NULL with *failure.
struct tap *tap_make(struct failure *failure);
void tap_close(struct tap *tap);

// Takes the TAP, which is the wire's then. Returns false if it is none. And closes it.
bool tap_take(struct tap *tap, int fd);
void tap_drop(struct tap *tap);

struct net_wire *tap_wire(struct tap *tap);

// To wait for: frames have come, or left.
int tap_event_fd(const struct tap *tap);

// Takes what has been done. Kick the wire afterwards.
void tap_poll(struct tap *tap);

// Frames that the root's Linux did not take.
uint64_t tap_refused(const struct tap *tap);
