// SPDX-License-Identifier: BSD-2-Clause
// The wire of VMBus's control messages: the payload (at most 240 bytes) of SynIC messages of type 1
// that guest and host exchange. The table of messages is messages.c; the rings' wire is packet.h.
//
// Microsoft has published no document for this; the layouts are those that Linux, FreeBSD, OpenBSD
// and OpenVMM agree on. All fields are little endian. New fields are only ever appended, so a
// receiver takes messages that are longer than it expects.
#ifndef VMBUS_PROTOCOL_H
#define VMBUS_PROTOCOL_H

#include "hypercall/types.h"

struct vmbus_guid {
	uint32_t data1;
	uint16_t data2;
	uint16_t data3;
	uint8_t data4[8];
};
HV_ASSERT(sizeof(struct vmbus_guid) == 16, "size");

#define VMBUS_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))
#define VMBUS_VERSION_1_1	    VMBUS_VERSION(1, 1) // Windows 7
#define VMBUS_VERSION_2_4	    VMBUS_VERSION(2, 4) // Windows 8: dedicated interrupts both ways
#define VMBUS_VERSION_3_0	    VMBUS_VERSION(3, 0) // Windows 8.1: target_vp of messages
#define VMBUS_VERSION_4_0	    VMBUS_VERSION(4, 0) // Windows 10: sockets
#define VMBUS_VERSION_4_1	    VMBUS_VERSION(4, 1) // MODIFY_CHANNEL
#define VMBUS_VERSION_5_0	    VMBUS_VERSION(5, 0) // message connection id, SINT of messages
#define VMBUS_VERSION_5_1	    VMBUS_VERSION(5, 1) // VTL of messages
#define VMBUS_VERSION_5_2	    VMBUS_VERSION(5, 2) // silo of sockets
#define VMBUS_VERSION_5_3	    VMBUS_VERSION(5, 3) // MODIFY_CHANNEL_RESPONSE
#define VMBUS_VERSION_6_0	    VMBUS_VERSION(6, 0) // feature flags; not spoken here

// SynIC message type of a VMBus message, the SINT that guests use for VMBus, and the longest
// message.
#define VMBUS_SYNIC_MESSAGE_TYPE 1u
#define VMBUS_SINT		 2u
#define VMBUS_MESSAGE_MAX	 240u

// Connection ids that a guest posts messages to: the old one, and that of version 5.0 and later.
#define VMBUS_CONNECTION_MESSAGE	     1u
#define VMBUS_CONNECTION_MESSAGE_MULTICLIENT 4u

// A channel's relid is also its event flag at the guest's SINT, of which there are 2048. 0 is not
// used.
#define VMBUS_RELID_MAX 2047u
// Connection id at which a guest signals the channel with this relid: the relid, and the SINT above
// it.
#define VMBUS_CHANNEL_CONNECTION(relid) (0x2000u | (relid))

#define VMBUS_STATUS_SUCCESS		0u
#define VMBUS_STATUS_UNSUCCESSFUL	0xC0000001u
#define VMBUS_STATUS_CONNECTION_REFUSED 0xC0000236u

// A channel that asks for no interrupts: target_vp of OPEN_CHANNEL.
#define VMBUS_VP_NO_INTERRUPT 0xFFFFFFFFu

enum vmbus_message_type {
	VMBUS_MESSAGE_OFFER_CHANNEL = 1,
	VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER = 2,
	VMBUS_MESSAGE_REQUEST_OFFERS = 3,
	VMBUS_MESSAGE_ALL_OFFERS_DELIVERED = 4,
	VMBUS_MESSAGE_OPEN_CHANNEL = 5,
	VMBUS_MESSAGE_OPEN_CHANNEL_RESULT = 6,
	VMBUS_MESSAGE_CLOSE_CHANNEL = 7,
	VMBUS_MESSAGE_GPADL_HEADER = 8,
	VMBUS_MESSAGE_GPADL_BODY = 9,
	VMBUS_MESSAGE_GPADL_CREATED = 10,
	VMBUS_MESSAGE_GPADL_TEARDOWN = 11,
	VMBUS_MESSAGE_GPADL_TORNDOWN = 12,
	VMBUS_MESSAGE_RELID_RELEASED = 13,
	VMBUS_MESSAGE_INITIATE_CONTACT = 14,
	VMBUS_MESSAGE_VERSION_RESPONSE = 15,
	VMBUS_MESSAGE_UNLOAD = 16,
	VMBUS_MESSAGE_UNLOAD_COMPLETE = 17,
	VMBUS_MESSAGE_OPEN_RESERVED_CHANNEL = 18,
	VMBUS_MESSAGE_CLOSE_RESERVED_CHANNEL = 19,
	VMBUS_MESSAGE_CLOSE_RESERVED_RESPONSE = 20,
	VMBUS_MESSAGE_TL_CONNECT_REQUEST = 21,
	VMBUS_MESSAGE_MODIFY_CHANNEL = 22,
	VMBUS_MESSAGE_TL_CONNECT_RESULT = 23,
	VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE = 24,
	VMBUS_MESSAGE_MODIFY_CONNECTION = 25,
	VMBUS_MESSAGE_MODIFY_CONNECTION_RESPONSE = 26,
	VMBUS_MESSAGE_TYPE_COUNT
};

// Begins each message. REQUEST_OFFERS, ALL_OFFERS_DELIVERED, UNLOAD and UNLOAD_COMPLETE are only
// this.
struct vmbus_message_header {
	uint32_t type; // enum vmbus_message_type
	uint32_t rsvd_z;
};
HV_ASSERT(sizeof(struct vmbus_message_header) == 8, "size");

#define VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE 0x0001u
#define VMBUS_OFFER_NAMED_PIPE_MODE	       0x0010u
#define VMBUS_OFFER_TLNPI_PROVIDER	       0x2000u

#define VMBUS_USER_DEFINED_SIZE 120u
#define VMBUS_PIPE_MODE_BYTE	0u
#define VMBUS_PIPE_MODE_MESSAGE 4u

// What an offer with VMBUS_OFFER_TLNPI_PROVIDER, a socket's, says in its user_defined. Its
// interface is the service that is connected to; its instance the other end, which
// TL_CONNECT_REQUEST names if that is the guest's.
struct vmbus_socket_parameters {
	uint32_t pipe_mode; // VMBUS_PIPE_MODE_BYTE
	uint8_t from_host;  // not 0: the guest accepts, else it has asked for the connection
	uint8_t for_container;
	uint8_t version[4]; // u32: 1
	uint8_t silo[16];
	uint8_t rsvd_z[2];
};
HV_ASSERT(sizeof(struct vmbus_socket_parameters) == 28, "size");

struct vmbus_offer_channel {
	struct vmbus_message_header header;
	struct vmbus_guid interface_type;
	struct vmbus_guid interface_instance;
	uint32_t rsvd_z[4];
	uint16_t flags; // VMBUS_OFFER_*
	uint16_t mmio_megabytes;
	uint8_t user_defined[VMBUS_USER_DEFINED_SIZE]; // pipes: u32 VMBUS_PIPE_MODE_* comes first
	uint16_t sub_channel_index;		       // 0: the primary channel
	uint16_t mmio_megabytes_optional;
	uint32_t relid;
	uint8_t monitor_id;
	uint8_t monitor_allocated;
	uint16_t is_dedicated_interrupt;
	uint32_t connection_id; // where the guest signals, if is_dedicated_interrupt
};
HV_ASSERT(sizeof(struct vmbus_offer_channel) == 196, "size");
HV_ASSERT(offsetof(struct vmbus_offer_channel, flags) == 56, "offset");
HV_ASSERT(offsetof(struct vmbus_offer_channel, sub_channel_index) == 180, "offset");
HV_ASSERT(offsetof(struct vmbus_offer_channel, relid) == 184, "offset");
HV_ASSERT(offsetof(struct vmbus_offer_channel, connection_id) == 192, "offset");

struct vmbus_rescind_channel_offer {
	struct vmbus_message_header header;
	uint32_t relid;
};
HV_ASSERT(sizeof(struct vmbus_rescind_channel_offer) == 12, "size");

struct vmbus_open_channel {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t open_id; // the guest's; comes back in the result
	uint32_t ring_gpadl;
	uint32_t target_vp;		 // whose event flags the host sets
	uint32_t downstream_page_offset; // in the GPADL: first page of the host-to-guest ring
	uint8_t user_data[VMBUS_USER_DEFINED_SIZE];
};
HV_ASSERT(sizeof(struct vmbus_open_channel) == 148, "size");
HV_ASSERT(offsetof(struct vmbus_open_channel, user_data) == 28, "offset");

struct vmbus_open_channel_result {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t open_id;
	uint32_t status; // VMBUS_STATUS_*
};
HV_ASSERT(sizeof(struct vmbus_open_channel_result) == 20, "size");

struct vmbus_close_channel {
	struct vmbus_message_header header;
	uint32_t relid;
};
HV_ASSERT(sizeof(struct vmbus_close_channel) == 12, "size");

// The ranges (struct vmbus_gpa_range_header and page numbers, packet.h) follow at offset 20, and go
// on in GPADL_BODY messages until `length` bytes have come.
struct vmbus_gpadl_header {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t gpadl;
	uint16_t length; // of all ranges, in bytes
	uint16_t range_count;
};
HV_ASSERT(sizeof(struct vmbus_gpadl_header) == 20, "size");

struct vmbus_gpadl_body {
	struct vmbus_message_header header;
	uint32_t message_number; // counts up from 1 in Linux, is 0 elsewhere: not to be relied on
	uint32_t gpadl;
};
HV_ASSERT(sizeof(struct vmbus_gpadl_body) == 16, "size");

struct vmbus_gpadl_created {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t gpadl;
	uint32_t status; // VMBUS_STATUS_*
};
HV_ASSERT(sizeof(struct vmbus_gpadl_created) == 20, "size");

struct vmbus_gpadl_teardown {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t gpadl;
};
HV_ASSERT(sizeof(struct vmbus_gpadl_teardown) == 16, "size");

struct vmbus_gpadl_torndown {
	struct vmbus_message_header header;
	uint32_t gpadl;
};
HV_ASSERT(sizeof(struct vmbus_gpadl_torndown) == 12, "size");

struct vmbus_relid_released {
	struct vmbus_message_header header;
	uint32_t relid;
};
HV_ASSERT(sizeof(struct vmbus_relid_released) == 12, "size");

// What INITIATE_CONTACT's target_info holds from version 5.0 on.
struct vmbus_target_info {
	uint8_t sint; // 5.0, and only on VMBUS_CONNECTION_MESSAGE_MULTICLIENT
	uint8_t vtl;  // 5.1, likewise
	uint16_t rsvd_z;
	uint32_t feature_flags; // 6.0
};
HV_ASSERT(sizeof(struct vmbus_target_info) == 8, "size");

struct vmbus_initiate_contact {
	struct vmbus_message_header header;
	uint32_t version;
	uint32_t target_vp; // whose messages the host posts to; from 3.0 on, 0 before
	union {
		uint64_t interrupt_page; // a GPA, below 5.0; used by hosts below 2.4 only
		struct vmbus_target_info target_info;
	};
	uint64_t host_to_guest_monitor_page; // GPAs: both or none
	uint64_t guest_to_host_monitor_page;
};
HV_ASSERT(sizeof(struct vmbus_initiate_contact) == 40, "size");
HV_ASSERT(offsetof(struct vmbus_initiate_contact, target_info) == 16, "offset");

#define VMBUS_CONNECTION_SUCCESSFUL	      0u
#define VMBUS_CONNECTION_FAILED_LOW_RESOURCES 1u
#define VMBUS_CONNECTION_FAILED_UNKNOWN	      2u

struct vmbus_version_response {
	struct vmbus_message_header header;
	uint8_t version_supported;
	uint8_t connection_state; // VMBUS_CONNECTION_*
	uint16_t rsvd_z;
	union {
		uint32_t selected_version;	// below 5.0
		uint32_t message_connection_id; // from 5.0 on: where the guest posts from now on
	};
};
HV_ASSERT(sizeof(struct vmbus_version_response) == 16, "size");

// A guest asks to be connected to a socket of the host: from 5.2 on a silo follows, which is not
// looked at here. The result comes only when it fails.
struct vmbus_tl_connect_request {
	struct vmbus_message_header header;
	struct vmbus_guid endpoint_id;
	struct vmbus_guid service_id;
};
HV_ASSERT(sizeof(struct vmbus_tl_connect_request) == 40, "size");

struct vmbus_tl_connect_result {
	struct vmbus_message_header header;
	struct vmbus_guid endpoint_id;
	struct vmbus_guid service_id;
	uint32_t status; // VMBUS_STATUS_*
};
HV_ASSERT(sizeof(struct vmbus_tl_connect_result) == 44, "size");

struct vmbus_modify_channel {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t target_vp;
};
HV_ASSERT(sizeof(struct vmbus_modify_channel) == 16, "size");

struct vmbus_modify_channel_response {
	struct vmbus_message_header header;
	uint32_t relid;
	uint32_t status; // VMBUS_STATUS_*
};
HV_ASSERT(sizeof(struct vmbus_modify_channel_response) == 16, "size");

#endif
