// SPDX-License-Identifier: BSD-2-Clause
// What a network card is asked and told by RNDIS_QUERY and RNDIS_SET (rndis.h): object identifiers
// and the structures that they go with, as far as guests use them. Layouts as in-tree Linux's
// hyperv_net.h, FreeBSD's ndis.h and OpenVMM's rndisprot have them.
#ifndef LUMEN_DRIVERS_PROTO_NDIS_H
#define LUMEN_DRIVERS_PROTO_NDIS_H

#include "hypercall/types.h"

__extension__ enum ndis_oid {
	OID_GEN_SUPPORTED_LIST = 0x00010101,
	OID_GEN_HARDWARE_STATUS = 0x00010102,
	OID_GEN_MEDIA_SUPPORTED = 0x00010103,
	OID_GEN_MEDIA_IN_USE = 0x00010104,
	OID_GEN_MAXIMUM_LOOKAHEAD = 0x00010105,
	OID_GEN_MAXIMUM_FRAME_SIZE = 0x00010106, // without the frame's header
	OID_GEN_LINK_SPEED = 0x00010107,	 // units of 100 bit/s
	OID_GEN_VENDOR_ID = 0x0001010C,
	OID_GEN_VENDOR_DESCRIPTION = 0x0001010D,
	OID_GEN_CURRENT_PACKET_FILTER = 0x0001010E, // NDIS_FILTER_*
	OID_GEN_MAXIMUM_TOTAL_SIZE = 0x00010111,
	OID_GEN_MAC_OPTIONS = 0x00010113,
	OID_GEN_MEDIA_CONNECT_STATUS = 0x00010114, // NDIS_MEDIA_*
	OID_GEN_RECEIVE_SCALE_CAPABILITIES = 0x00010203,
	OID_GEN_RECEIVE_SCALE_PARAMETERS = 0x00010204,
	OID_GEN_RNDIS_CONFIG_PARAMETER = 0x0001021B,
	OID_GEN_XMIT_OK = 0x00020101,
	OID_GEN_RCV_OK = 0x00020102,
	OID_GEN_XMIT_ERROR = 0x00020103,
	OID_GEN_RCV_ERROR = 0x00020104,
	OID_GEN_RCV_NO_BUFFER = 0x00020105,
	OID_802_3_PERMANENT_ADDRESS = 0x01010101,
	OID_802_3_CURRENT_ADDRESS = 0x01010102,
	OID_802_3_MAXIMUM_LIST_SIZE = 0x01010104,
	OID_TCP_OFFLOAD_PARAMETERS = 0xFC01020C,
	OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES = 0xFC01020D,
};

enum { NDIS_MEDIA_CONNECTED = 0, NDIS_MEDIA_DISCONNECTED = 1 };

#define NDIS_FILTER_DIRECTED	  0x01u
#define NDIS_FILTER_MULTICAST	  0x02u
#define NDIS_FILTER_ALL_MULTICAST 0x04u
#define NDIS_FILTER_BROADCAST	  0x08u
#define NDIS_FILTER_PROMISCUOUS	  0x20u

enum ndis_object_type {
	NDIS_OBJECT_DEFAULT = 0x80,
	NDIS_OBJECT_RSS_CAPABILITIES = 0x88,
	NDIS_OBJECT_RSS_PARAMETERS = 0x89,
	NDIS_OBJECT_OFFLOAD = 0xA7,
};

struct ndis_object {
	uint8_t type; // enum ndis_object_type
	uint8_t revision;
	uint16_t size; // of the structure that begins with this
};

// --- receive-side scaling ---

enum { NDIS_RSS_TABLE_MAX = 128, NDIS_RSS_KEY_SIZE = 40 };

#define NDIS_HASH_TOEPLITZ 0x00000001u
#define NDIS_HASH_IPV4	   0x00000100u
#define NDIS_HASH_TCP_IPV4 0x00000200u
#define NDIS_HASH_IPV6	   0x00000400u
#define NDIS_HASH_TCP_IPV6 0x00001000u

#define NDIS_RSS_CAPS_TCP_IPV4 0x00000100u
#define NDIS_RSS_CAPS_TCP_IPV6 0x00000200u
#define NDIS_RSS_CAPS_MSI      0x01000000u
#define NDIS_RSS_CAPS_ISR      0x02000000u
#define NDIS_RSS_CAPS_DPC      0x04000000u

struct ndis_rss_capabilities {
	struct ndis_object object;
	uint32_t flags; // NDIS_RSS_CAPS_*, and a hash function
	uint32_t messages;
	uint32_t queues;
	uint16_t table_entries; // from revision 2 on
	uint16_t rsvd;
};
#define NDIS_RSS_CAPABILITIES_SIZE_2 18u
HV_ASSERT(sizeof(struct ndis_rss_capabilities) == 20, "ndis_rss_capabilities");

#define NDIS_RSS_SAME_HASH  0x0002u // flags: what is not changed
#define NDIS_RSS_SAME_TABLE 0x0004u
#define NDIS_RSS_SAME_KEY   0x0008u
#define NDIS_RSS_DISABLE    0x0010u

// Table and key lie behind it, at offsets from its beginning. An entry of the table is a uint32_t,
// a queue.
struct ndis_rss_parameters {
	struct ndis_object object;
	uint16_t flags;
	uint16_t base_cpu;
	uint32_t hash; // NDIS_HASH_*
	uint16_t table_size;
	uint16_t rsvd;
	uint32_t table_offset;
	uint16_t key_size;
	uint16_t rsvd2;
	uint32_t key_offset;
	uint32_t rsvd3[3]; // processor masks, which no guest sends
};
HV_ASSERT(sizeof(struct ndis_rss_parameters) == 40, "ndis_rss_parameters");

// --- offloads ---

#define NDIS_ENCAPSULATION_8023 2u

// Fields of two bits, of which the lower one says "there is".
#define NDIS_CHECKSUM_IP_OPTIONS  0x001u // IPv6: extension headers
#define NDIS_CHECKSUM_TCP_OPTIONS 0x004u
#define NDIS_CHECKSUM_TCP	  0x010u
#define NDIS_CHECKSUM_UDP	  0x040u
#define NDIS_CHECKSUM_IPV4	  0x100u

struct ndis_checksums {
	uint32_t send_encapsulation, send; // NDIS_CHECKSUM_*
	uint32_t receive_encapsulation, receive;
};

struct ndis_lso {
	uint32_t encapsulation;
	uint32_t max_size;
	uint32_t min_segments;
};

#define NDIS_LSO_IP6_EXTENSIONS	 0x1u
#define NDIS_LSO_IP6_TCP_OPTIONS 0x4u

struct ndis_offload {
	struct ndis_object object;
	struct ndis_checksums checksums_4, checksums_6;
	uint32_t lso_v1[4];
	uint32_t ipsec_v1[7];
	struct ndis_lso lso_4, lso_6;
	uint32_t lso_6_flags; // NDIS_LSO_IP6_*
	uint32_t flags;	      // the end of revision 1
	uint32_t ipsec_v2[8];
	uint8_t rsc_4, rsc_6, rsvd[2];
	uint32_t nvgre[2]; // the end of revision 3
};
#define NDIS_OFFLOAD_SIZE_1 112u
#define NDIS_OFFLOAD_SIZE_2 148u
#define NDIS_OFFLOAD_SIZE_3 156u
HV_ASSERT(offsetof(struct ndis_offload, ipsec_v2) == NDIS_OFFLOAD_SIZE_1, "revision 1");
HV_ASSERT(offsetof(struct ndis_offload, nvgre) == NDIS_OFFLOAD_SIZE_2, "revision 2");
HV_ASSERT(sizeof(struct ndis_offload) == NDIS_OFFLOAD_SIZE_3, "revision 3");

enum ndis_checksum_setting {
	NDIS_CHECKSUM_SAME = 0,
	NDIS_CHECKSUM_OFF = 1,
	NDIS_CHECKSUM_SEND = 2,
	NDIS_CHECKSUM_RECEIVE = 3,
	NDIS_CHECKSUM_BOTH = 4,
};

enum ndis_setting { NDIS_SAME = 0, NDIS_OFF = 1, NDIS_ON = 2 };

// Of LSO version 2, both with two values more for both versions at once, which no guest uses.
struct ndis_offload_parameters {
	struct ndis_object object;
	uint8_t ipv4, tcp4, udp4, tcp6, udp6; // enum ndis_checksum_setting
	uint8_t lso_v1;
	uint8_t ipsec;
	uint8_t lso_4, lso_6; // enum ndis_setting
	uint8_t connection_4, connection_6;
	uint8_t rsvd;
	uint32_t flags; // the end of revision 1
	uint8_t ipsec_v2, ipsec_v2_4;
	uint8_t rsc_4, rsc_6; // enum ndis_setting
	uint8_t encapsulated, encapsulation;
	uint8_t rsvd2[2]; // the end of revision 3
};
#define NDIS_OFFLOAD_PARAMETERS_SIZE_1 20u
HV_ASSERT(offsetof(struct ndis_offload_parameters, ipsec_v2) == NDIS_OFFLOAD_PARAMETERS_SIZE_1,
	"revision 1");
HV_ASSERT(sizeof(struct ndis_offload_parameters) == 28, "revision 3");

// --- OID_GEN_RNDIS_CONFIG_PARAMETER ---

enum { NDIS_PARAMETER_TEXT = 2 };

// Name and value lie behind it, at offsets from its beginning; text is UTF-16. Guests set
// "NetworkAddress" to twelve hexadecimal digits.
struct ndis_parameter {
	uint32_t name_offset, name_size;
	uint32_t type;
	uint32_t value_offset, value_size;
};

#endif
