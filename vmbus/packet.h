// SPDX-License-Identifier: BSD-2-Clause
// The wire inside a ring: the control page, packet descriptors and what lies between a descriptor
// and its payload. All fields are little endian; all packets begin and end on 8-byte boundaries.
#ifndef VMBUS_PACKET_H
#define VMBUS_PACKET_H

#include "hypercall/types.h"

// The first page of each ring. The data follow on the next pages.
struct vmbus_ring_control {
	uint32_t in;		    // where the writer goes on: byte offset in the data, writer's
	uint32_t out;		    // where the reader goes on: byte offset in the data, reader's
	uint32_t interrupt_mask;    // reader's: not 0 says "do not signal me, I am looking"
	uint32_t pending_send_size; // writer's: bytes that it waits for, 0 if it does not wait
	uint32_t rsvd_z[12];
	uint32_t feature_bits; // writer's: VMBUS_RING_FEATURE_*
	uint32_t rsvd2_z[15];
};
HV_ASSERT(sizeof(struct vmbus_ring_control) == 128, "size");
HV_ASSERT(offsetof(struct vmbus_ring_control, pending_send_size) == 12, "offset");
HV_ASSERT(offsetof(struct vmbus_ring_control, feature_bits) == 64, "offset");

// The writer of this ring sets pending_send_size when it waits for room, and as a reader of the
// other ring it looks at the other's.
#define VMBUS_RING_FEATURE_PENDING_SEND_SIZE 0x1u

enum vmbus_packet_type {
	VMBUS_PACKET_IN_BAND = 0x6,	   // payload only
	VMBUS_PACKET_TRANSFER_PAGES = 0x7, // payload, and ranges of a buffer agreed before
	VMBUS_PACKET_GPA_DIRECT = 0x9,	   // payload, and ranges of the sender's pages
	VMBUS_PACKET_COMPLETION = 0xB,	   // the answer to the packet with this transaction id
};

#define VMBUS_PACKET_FLAG_COMPLETION_REQUESTED 0x1u

struct vmbus_packet_descriptor {
	uint16_t type;
	uint16_t data_offset8; // from the descriptor to the payload, in units of 8 bytes
	uint16_t length8;      // the packet without its footer, in units of 8 bytes
	uint16_t flags;
	uint64_t transaction_id; // the sender's; a completion carries it back
};
HV_ASSERT(sizeof(struct vmbus_packet_descriptor) == 16, "size");

// After each packet. Counted in the ring's indices but not in length8.
struct vmbus_packet_footer {
	uint32_t rsvd_z;
	uint32_t packet_offset; // where in the ring's data the packet began
};
HV_ASSERT(sizeof(struct vmbus_packet_footer) == 8, "size");

// After the descriptor of a GPA-direct packet; range_count ranges follow.
struct vmbus_gpa_direct_header {
	uint32_t rsvd; // not always 0: hosts and guests leave what was there
	uint32_t range_count;
};
HV_ASSERT(sizeof(struct vmbus_gpa_direct_header) == 8, "size");

// A range of pages, in a GPA-direct packet and in a GPADL; its page numbers follow.
struct vmbus_gpa_range_header {
	uint32_t byte_count;
	uint32_t byte_offset; // in the first page
};
HV_ASSERT(sizeof(struct vmbus_gpa_range_header) == 8, "size");

// After the descriptor of a transfer-pages packet; range_count vmbus_transfer_range follow.
struct vmbus_transfer_header {
	uint16_t transfer_set_id;
	uint16_t rsvd; // not always 0
	uint32_t range_count;
};
HV_ASSERT(sizeof(struct vmbus_transfer_header) == 8, "size");

struct vmbus_transfer_range {
	uint32_t byte_count;
	uint32_t byte_offset;
};
HV_ASSERT(sizeof(struct vmbus_transfer_range) == 8, "size");

#endif
