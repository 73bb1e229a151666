// SPDX-License-Identifier: BSD-2-Clause
// The mode `random-bus`: random messages, rings, packets, buffers and disk requests for the worker,
// from one processor, in between what makes a connection and keeps it. Options as of `random`.
#pragma once

#include "lumen/vmbus.h"
#include "tests/guests/hostile/random.h"

// random_storage.c
extern struct random_action random_storage[];

// Whether there is an open channel, most often of a disk controller; it is opened if it is not.
bool random_bus_usable(struct random_vp *vp);
// On that channel.
bool random_bus_send(const struct vmbus_packet_out *packet);
// Takes what has come; whether there was any.
bool random_bus_receive(struct random_vp *vp);
