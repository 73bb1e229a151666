// SPDX-License-Identifier: BSD-2-Clause
// A device of the rig that sends each packet back: as a completion if one is asked for, else
// in-band. For tests of the guest's VMBus.
#pragma once

#include <criterion/criterion.h>

#include "guest_rig.h"

struct echo_device {
	struct guest_rig_device *device;
	struct vmbus_ring_reader reader;
	struct vmbus_ring_writer writer;
	bool speaks_first;  // sends a packet by itself when it is opened
	bool slow_close;    // closes in its run(), not in its close()
	bool refuses;	    // its open fails
	bool stopped;	    // takes no packets
	bool not_permitted; // must not be opened: the test fails
	uint32_t echoed;    // packets
	uint32_t opens, closes;
	uint8_t user_data[VMBUS_USER_DEFINED_SIZE];
};

extern const struct guest_rig_ops echo_ops;

// Its offer: `instance` makes it one of its own, `sub` its sub-channel index.
struct vmbus_offer echo_offer(uint32_t instance, uint16_t sub);
extern const struct vmbus_guid echo_type;

// Adds one to the rig.
void echo_add(struct guest_rig *rig, struct echo_device *echo, uint32_t instance, uint16_t sub);

// Takes and answers what is there. Returns whether there was anything.
bool echo_run(struct echo_device *echo);
