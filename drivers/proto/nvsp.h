// SPDX-License-Identifier: BSD-2-Clause
// NVSP, the protocol between a guest's netvsc and the host's network VSP: the version, the two
// buffers that RNDIS messages (rndis.h) travel in, those messages, and sub-channels. Layouts as
// in-tree Linux's netvsc, FreeBSD's hn and OpenVMM's netvsp speak them.
#ifndef LUMEN_DRIVERS_PROTO_NVSP_H
#define LUMEN_DRIVERS_PROTO_NVSP_H

#include "hypercall/types.h"

// clang-format off
// f8615163-df3e-46c5-913f-f2d2f965ed0e, a struct vmbus_guid.
#define NVSP_GUID \
	{ 0xf8615163, 0xdf3e, 0x46c5, { 0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e } }
// clang-format on

// major << 16 | minor, as the guest asks for one at a time.
enum nvsp_version {
	NVSP_VERSION_1 = 0x00002,   // Windows Server 2008
	NVSP_VERSION_2 = 0x30002,   // 2008 R2: MTU and capabilities
	NVSP_VERSION_4 = 0x40000,   // 2012: virtual functions
	NVSP_VERSION_5 = 0x50000,   // 2012 R2: sub-channels, indirection table
	NVSP_VERSION_6 = 0x60000,   // 2016
	NVSP_VERSION_6_1 = 0x60001, // 2016: longer messages, coalesced segments
};

// A message from NVSP_VERSION_6_1 on is as long as its longest one, before as the longest of those
// of old; who receives takes any length from what its type needs on.
enum { NVSP_MESSAGE_SIZE = 0x1c, NVSP_MESSAGE_SIZE_6_1 = 0x28 };

enum nvsp_type {
	NVSP_INIT = 1,
	NVSP_INIT_COMPLETE = 2,

	NVSP_SEND_NDIS_VERSION = 100,
	NVSP_SEND_RECEIVE_BUFFER = 101,
	NVSP_SEND_RECEIVE_BUFFER_COMPLETE = 102,
	NVSP_REVOKE_RECEIVE_BUFFER = 103,
	NVSP_SEND_SEND_BUFFER = 104,
	NVSP_SEND_SEND_BUFFER_COMPLETE = 105,
	NVSP_REVOKE_SEND_BUFFER = 106,
	NVSP_SEND_RNDIS_PACKET = 107,
	NVSP_SEND_RNDIS_PACKET_COMPLETE = 108,

	NVSP_SEND_NDIS_CONFIG = 125, // NVSP_VERSION_2

	NVSP_SEND_VF_ASSOCIATION = 128, // NVSP_VERSION_4
	NVSP_SWITCH_DATA_PATH = 129,

	NVSP_SUB_CHANNEL = 133, // NVSP_VERSION_5; its completion has the same type
	NVSP_SEND_INDIRECTION_TABLE = 134,
};

enum nvsp_status {
	NVSP_STATUS_NONE = 0,
	NVSP_STATUS_SUCCESS = 1,
	NVSP_STATUS_FAILURE = 2,
	NVSP_STATUS_INVALID_RNDIS_PACKET = 5,
	NVSP_STATUS_BUSY = 6,
	NVSP_STATUS_VERSION_UNSUPPORTED = 7,
};

struct nvsp_init {
	uint32_t version, version_again; // of old: the lowest and the highest
};

struct nvsp_init_complete {
	uint32_t rsvd; // of old: the version
	uint32_t max_mdl_chain_length;
	uint32_t status;
};

struct nvsp_ndis_version {
	uint32_t major, minor;
};

// Who lends a buffer numbers it, and revokes it by that.
#define NVSP_RECEIVE_BUFFER_ID 0xcafe
#define NVSP_SEND_BUFFER_ID    0

struct nvsp_buffer {
	uint32_t gpadl;
	uint16_t id;
	uint16_t rsvd;
};

// A part of the receive buffer, in pieces of one size, a packet each at least. No host has ever
// made more than one.
struct nvsp_receive_section {
	uint32_t offset;
	uint32_t piece_size;
	uint32_t pieces;
	uint32_t end_offset;
};

struct nvsp_receive_buffer_complete {
	uint32_t status;
	uint32_t section_count;
	struct nvsp_receive_section section;
};

// The host says into how large sections it takes the send buffer apart.
struct nvsp_send_buffer_complete {
	uint32_t status;
	uint32_t section_size;
};

struct nvsp_revoke {
	uint16_t id;
};

enum { NVSP_CHANNEL_DATA = 0, NVSP_CHANNEL_CONTROL = 1 };
#define NVSP_NO_SECTION 0xFFFFFFFFu // all of it is in the packet's GPA ranges

// RNDIS messages, in a VMBus packet with a range list (to the guest: transfer pages, offsets into
// its receive buffer), and what has been put into the send buffer in front of them.
struct nvsp_rndis_packet {
	uint32_t channel; // NVSP_CHANNEL_*
	uint32_t section; // index, or NVSP_NO_SECTION
	uint32_t section_size;
};

struct nvsp_rndis_packet_complete {
	uint32_t status;
};

#define NVSP_CAPABILITY_VMQ	       0x01ull
#define NVSP_CAPABILITY_SRIOV	       0x04ull
#define NVSP_CAPABILITY_8021Q	       0x08ull
#define NVSP_CAPABILITY_CORRELATION_ID 0x10ull
#define NVSP_CAPABILITY_TEAMING	       0x20ull
#define NVSP_CAPABILITY_SUBNET_ID      0x40ull
#define NVSP_CAPABILITY_RSC	       0x80ull // segments that the host has coalesced, NVSP_VERSION_6_1

// Pieces of such a frame, at most (Linux: NVSP_RSC_MAX).
#define NVSP_RSC_MAX 562u

struct nvsp_ndis_config {
	uint32_t mtu; // the frame's header included
	uint32_t rsvd;
	uint64_t capabilities;
} __attribute__((packed)); // of what follows four bytes of header

struct nvsp_vf_association {
	uint32_t allocated;
	uint32_t serial_number;
};

enum { NVSP_PATH_SYNTHETIC = 0, NVSP_PATH_VF = 1 };

struct nvsp_switch_data_path {
	uint32_t path;
};

enum { NVSP_SUB_CHANNEL_ALLOCATE = 1 };

struct nvsp_sub_channel {
	uint32_t operation;
	uint32_t count;
};

struct nvsp_sub_channel_complete {
	uint32_t status;
	uint32_t count; // there are so many
};

enum { NVSP_SEND_TABLE_ENTRIES = 16 };

// To the guest: which channel a flow's packets go out by. The table is behind the message, at an
// offset from the message's beginning (Linux and FreeBSD take both that and a fixed one; hosts have
// had it wrong).
struct nvsp_send_table {
	uint32_t entry_count; // NVSP_SEND_TABLE_ENTRIES
	uint32_t offset;
};

struct nvsp_message {
	uint32_t type; // enum nvsp_type
	union {
		struct nvsp_init init;
		struct nvsp_init_complete init_complete;
		struct nvsp_ndis_version ndis_version;
		struct nvsp_buffer buffer; // both
		struct nvsp_receive_buffer_complete receive_buffer_complete;
		struct nvsp_send_buffer_complete send_buffer_complete;
		struct nvsp_revoke revoke; // both
		struct nvsp_rndis_packet rndis_packet;
		struct nvsp_rndis_packet_complete rndis_packet_complete;
		struct nvsp_ndis_config ndis_config;
		struct nvsp_vf_association vf_association;
		struct nvsp_switch_data_path switch_data_path;
		struct nvsp_sub_channel sub_channel;
		struct nvsp_sub_channel_complete sub_channel_complete;
		struct nvsp_send_table send_table;
		uint8_t bytes[NVSP_MESSAGE_SIZE_6_1 - 4];
	};
};
HV_ASSERT(sizeof(struct nvsp_message) == NVSP_MESSAGE_SIZE_6_1, "nvsp_message");
HV_ASSERT(
	4 + sizeof(struct nvsp_receive_buffer_complete) == NVSP_MESSAGE_SIZE, "the longest of old");
HV_ASSERT(sizeof(struct nvsp_ndis_config) == 16, "nvsp_ndis_config");

#endif
