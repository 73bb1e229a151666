// SPDX-License-Identifier: BSD-2-Clause
// Remote NDIS, as it travels in NVSP (nvsp.h): control messages of the network card's, and frames
// with what belongs to each. Lengths are in bytes; offsets count from behind the message's header
// (struct rndis_header). Layouts as in-tree Linux's rndis_filter, FreeBSD's hn and OpenVMM's netvsp
// speak them.
#ifndef LUMEN_DRIVERS_PROTO_RNDIS_H
#define LUMEN_DRIVERS_PROTO_RNDIS_H

#include "hypercall/types.h"

#define RNDIS_COMPLETE 0x80000000u // of an answer's type

__extension__ enum rndis_type {
	RNDIS_PACKET = 1,
	RNDIS_INITIALIZE = 2,
	RNDIS_HALT = 3,
	RNDIS_QUERY = 4,
	RNDIS_SET = 5,
	RNDIS_RESET = 6,
	RNDIS_INDICATE_STATUS = 7,
	RNDIS_KEEP_ALIVE = 8,
	RNDIS_INITIALIZE_COMPLETE = RNDIS_COMPLETE | RNDIS_INITIALIZE,
	RNDIS_QUERY_COMPLETE = RNDIS_COMPLETE | RNDIS_QUERY,
	RNDIS_SET_COMPLETE = RNDIS_COMPLETE | RNDIS_SET,
	RNDIS_RESET_COMPLETE = RNDIS_COMPLETE | RNDIS_RESET,
	RNDIS_KEEP_ALIVE_COMPLETE = RNDIS_COMPLETE | RNDIS_KEEP_ALIVE,
};

__extension__ enum rndis_status { // NDIS status codes
	RNDIS_STATUS_SUCCESS = 0,
	RNDIS_STATUS_MEDIA_CONNECT = 0x4001000B,
	RNDIS_STATUS_MEDIA_DISCONNECT = 0x4001000C,
	RNDIS_STATUS_LINK_SPEED_CHANGE = 0x40010013,
	RNDIS_STATUS_BUFFER_OVERFLOW = 0x80000005,
	RNDIS_STATUS_FAILURE = 0xC0000001,
	RNDIS_STATUS_NOT_SUPPORTED = 0xC00000BB,
	RNDIS_STATUS_BAD_VERSION = 0xC0010004,
	RNDIS_STATUS_INVALID_PACKET = 0xC001000F,
	RNDIS_STATUS_INVALID_LENGTH = 0xC0010014,
	RNDIS_STATUS_INVALID_DATA = 0xC0010015,
	RNDIS_STATUS_INVALID_OID = 0xC0010017,
};

struct rndis_header {
	uint32_t type;	 // enum rndis_type
	uint32_t length; // of the message, this included
};

// --- control ---

enum { RNDIS_MAJOR = 1, RNDIS_MINOR = 0, RNDIS_CONNECTIONLESS = 1, RNDIS_MEDIUM_802_3 = 0 };

struct rndis_initialize {
	uint32_t request_id;
	uint32_t major, minor;
	uint32_t max_transfer_size;
};

struct rndis_initialize_complete {
	uint32_t request_id;
	uint32_t status;
	uint32_t major, minor;
	uint32_t device_flags; // RNDIS_CONNECTIONLESS
	uint32_t medium;
	uint32_t max_packets; // in one NVSP_SEND_RNDIS_PACKET of the guest's
	uint32_t max_transfer_size;
	uint32_t alignment_shift; // of the messages behind the first in one
	uint32_t rsvd[2];
};
HV_ASSERT(sizeof(struct rndis_initialize_complete) == 44, "rndis_initialize_complete");

// RNDIS_QUERY and RNDIS_SET; the buffer is the OID's.
struct rndis_request {
	uint32_t request_id;
	uint32_t oid;
	uint32_t buffer_length;
	uint32_t buffer_offset;
	uint32_t rsvd;
};

struct rndis_query_complete {
	uint32_t request_id;
	uint32_t status;
	uint32_t buffer_length;
	uint32_t buffer_offset;
};

// RNDIS_SET_COMPLETE and RNDIS_KEEP_ALIVE_COMPLETE.
struct rndis_complete {
	uint32_t request_id;
	uint32_t status;
};

struct rndis_reset_complete {
	uint32_t status;
	uint32_t addressing_reset;
};

struct rndis_indicate_status {
	uint32_t status;
	uint32_t buffer_length;
	uint32_t buffer_offset;
};

// --- frames ---

// RNDIS_PACKET. Without out-of-band data (none is used); per-packet information is a list of
// elements.
struct rndis_packet {
	uint32_t data_offset, data_length;
	uint32_t oob_offset, oob_length, oob_elements;
	uint32_t info_offset, info_length;
	uint32_t rsvd[2];
};
HV_ASSERT(sizeof(struct rndis_packet) == 36, "rndis_packet");

#define RNDIS_INFO_INTERNAL 0x80000000u // of its type: none of NDIS', but between these two ends

__extension__ enum rndis_info_type {
	RNDIS_INFO_CHECKSUM = 0,
	RNDIS_INFO_LSO = 2,   // from the guest
	RNDIS_INFO_8021Q = 6, // priority 2:0, CFI 3, VLAN 15:4
	RNDIS_INFO_HASH_VALUE = 9,
	RNDIS_INFO_HASH_KIND = 10,
	RNDIS_INFO_ID = RNDIS_INFO_INTERNAL | 1, // struct rndis_info_id, from the host
};

// An element: size bytes from here on, its data at an offset from here.
struct rndis_info {
	uint32_t size;
	uint32_t type; // enum rndis_info_type
	uint32_t offset;
};

// RNDIS_INFO_ID: a piece of a frame that the host has put together of several (receive-side
// coalescing). Its pieces are messages of one VMBus packet, in order; what is said of the frame is
// in the first one. (Linux: rndis_filter_receive_data.)
#define RNDIS_ID_PIECE 0x1u // else it is a whole frame
#define RNDIS_ID_FIRST 0x2u
#define RNDIS_ID_LAST  0x4u

struct rndis_info_id {
	uint8_t version; // 1
	uint8_t flags;	 // RNDIS_ID_*
	uint16_t id;
};
HV_ASSERT(sizeof(struct rndis_info_id) == 4, "rndis_info_id");

// RNDIS_INFO_CHECKSUM, of a frame from the guest: what the host is to fill in.
#define RNDIS_CHECKSUM_IPV4	    0x01u
#define RNDIS_CHECKSUM_IPV6	    0x02u
#define RNDIS_CHECKSUM_TCP	    0x04u
#define RNDIS_CHECKSUM_UDP	    0x08u
#define RNDIS_CHECKSUM_IP_HEADER    0x10u
#define RNDIS_CHECKSUM_L4_OFFSET(v) ((v) >> 16 & 0x3FF) // where TCP's or UDP's header begins

// The same, of a frame to the guest: what the host has seen.
#define RNDIS_CHECKSUM_TCP_BAD	0x01u
#define RNDIS_CHECKSUM_UDP_BAD	0x02u
#define RNDIS_CHECKSUM_IP_BAD	0x04u
#define RNDIS_CHECKSUM_TCP_GOOD 0x08u
#define RNDIS_CHECKSUM_UDP_GOOD 0x10u
#define RNDIS_CHECKSUM_IP_GOOD	0x20u

// RNDIS_INFO_LSO, version 2: the host cuts a frame into segments of so much data each.
#define RNDIS_LSO_MSS(v)       ((v)&0xFFFFF)
#define RNDIS_LSO_L4_OFFSET(v) ((v) >> 20 & 0x3FF)
#define RNDIS_LSO_V2	       0x40000000u
#define RNDIS_LSO_IPV6	       0x80000000u

#endif
