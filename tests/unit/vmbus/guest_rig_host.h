// SPDX-License-Identifier: BSD-2-Clause
// Between the rig's host (guest_rig.c) and its platform (guest_rig_platform.c); not for tests.
#pragma once

#include "guest_rig.h"

// Messages that the hypervisor keeps for the host's port.
#define GUEST_RIG_PORT 8u

struct guest_rig_port_message {
	uint32_t connection_id;
	uint32_t length;
	uint8_t bytes[VMBUS_MESSAGE_MAX];
};

// Memory of the guest's.
struct guest_rig_region {
	struct guest_rig_region *next;
	uint8_t *base;
	size_t pages;
	bool borrowed; // guest_rig_add_memory(): not ours to free
};

struct guest_rig_private {
	struct vmbus_server_channel channels[GUEST_RIG_CHANNELS];
	struct vmbus_gpadl gpadls[GUEST_RIG_GPADLS];
	struct vmbus_action actions[VMBUS_SERVER_ACTIONS(GUEST_RIG_CHANNELS, GUEST_RIG_GPADLS)];
	struct vmbus_post posts[VMBUS_SERVER_POSTS(GUEST_RIG_CHANNELS, GUEST_RIG_GPADLS)];
	struct guest_rig_port_message port[GUEST_RIG_PORT];
	uint32_t port_queued;
	uint64_t events[GUEST_RIG_VPS][HV_EVENT_FLAGS_COUNT / 64]; // set and not taken
	struct guest_rig_region *regions;
	bool running; // guest_rig_run() does not nest
};

extern struct guest_rig *guest_rig_current;

_Noreturn void guest_rig_fail(const char *why);
void guest_rig_free_memory(struct guest_rig *rig);
