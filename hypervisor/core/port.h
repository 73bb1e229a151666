// SPDX-License-Identifier: BSD-2-Clause
// Ports and connections (TLFS: Inter-Partition Communication). A partition has a table of each,
// found by id without a lock. A connection names its port by partition and id and is resolved at
// each use, so no pointer can outlive the port.
#pragma once

#include "hypercall/port.h"
#include "hypercall/synic.h"
#include "hypervisor/core/partition.h"

enum { PORT_MESSAGE_BUFFERS = 14 };

// The buffers of a message port: one page.
struct port_messages {
	struct spinlock lock; // guards taking a free one; before the target's synic.lock
	struct message message[PORT_MESSAGE_BUFFERS];
};
_Static_assert(sizeof(struct port_messages) <= PAGE_SIZE, "one page");

struct port {
	hv_partition_id connection_partition; // who may send
	struct port_messages *messages;	      // message ports
	hv_vp_index target_vp;		      // HV_ANY_VP: see port_target()
	uint16_t base_flag, flag_count;	      // event ports
	uint8_t sint;
};

struct connection {
	hv_partition_id port_partition;
	hv_port_id port_id;
};

// PARTITION is in state PARTITION_INITIALIZED; the caller has a hold, or it is its own. Statuses as
// TLFS has them.
hv_status port_create(struct partition *partition, hv_port_id id,
	struct partition *connection_partition, const struct hv_port_info *info);
hv_status port_delete(struct partition *partition, hv_port_id id);
hv_status port_connect(struct partition *partition, hv_connection_id id,
	struct partition *port_partition, hv_port_id port_id,
	const struct hv_connection_info *info);
hv_status port_disconnect(struct partition *partition, hv_connection_id id);

// Through SENDER's connection: HvCallPostMessage, HvCallSignalEvent. PAYLOAD has SIZE bytes, at
// most 240.
hv_status port_post_message(struct partition *sender, hv_connection_id id, uint32_t type,
	const void *payload, uint32_t size);
hv_status port_signal_event(struct partition *sender, hv_connection_id id, uint16_t flag);

// Frees all ports and connections of a partition that nobody can find them in any more. Its VPs are
// destroyed.
void ports_destroy(struct partition *partition);

// May a message, or an event, go to VP? HV_STATUS_INVALID_SYNIC_STATE: its SynIC or its page is
// disabled.
hv_status synic_accepts_messages(const struct vp *vp);
hv_status synic_accepts_events(const struct vp *vp);
