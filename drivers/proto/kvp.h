// SPDX-License-Identifier: BSD-2-Clause
// The key-value pair component's messages, framed as in ic.h: the host reads and changes the
// guest's pools of pairs, and its network addresses. Text is UTF-16, zero-terminated. The guest
// answers in the message that it was asked with.
#ifndef LUMEN_DRIVERS_PROTO_KVP_H
#define LUMEN_DRIVERS_PROTO_KVP_H

#include "hypercall/types.h"

// clang-format off
// a9a0f4e7-5a45-4d96-b827-8a841e8c03e6, a struct vmbus_guid.
#define KVP_GUID \
	{ 0xa9a0f4e7, 0x5a45, 0x4d96, { 0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6 } }

// Versions of the messages, the oldest first: addresses came with 4.0.
#define KVP_VERSIONS { { 3, 0 }, { 4, 0 }, { 5, 0 } }
#define KVP_ADDRESSES_MAJOR 4
// clang-format on

enum kvp_operation {
	KVP_GET = 0,
	KVP_SET = 1,
	KVP_DELETE = 2,
	KVP_ENUMERATE = 3,
	KVP_GET_ADDRESSES = 4,
	KVP_SET_ADDRESSES = 5,
};

enum kvp_pool {
	KVP_POOL_EXTERNAL = 0, // of the host's, for the guest
	KVP_POOL_GUEST = 1,    // of the guest's, for the host
	KVP_POOL_AUTO = 2,     // of the guest's system: host name, OS, addresses, ...
	KVP_POOL_AUTO_EXTERNAL = 3,
	KVP_POOL_AUTO_INTERNAL = 4,
};

// An order's argument (drivers/vsp/ic.h): what to do, with which pool.
#define KVP_ORDER(operation, pool) ((operation) | (pool) << KVP_POOL_SHIFT)
#define KVP_OPERATION_MASK	   0xffu
#define KVP_POOL_SHIFT		   8

enum { KVP_KEY_UNITS = 256, KVP_VALUE_UNITS = 1024 };
enum { KVP_TYPE_TEXT = 1, KVP_TYPE_U32 = 4, KVP_TYPE_U64 = 8 }; // Windows' REG_*

struct kvp_header {
	uint8_t operation; // enum kvp_operation
	uint8_t pool;	   // enum kvp_pool
	uint16_t rsvd_z;
};

struct kvp_pair {
	uint32_t type;		       // of the value: KVP_TYPE_*
	uint32_t key_size, value_size; // bytes, the terminators included
	uint16_t key[KVP_KEY_UNITS];
	uint16_t value[KVP_VALUE_UNITS];
};
HV_ASSERT(sizeof(struct kvp_pair) == 2572, "kvp_pair");

struct kvp_get_set {
	struct kvp_header header;
	struct kvp_pair pair;
};
HV_ASSERT(sizeof(struct kvp_get_set) == 2576, "kvp_get_set");

// The pair of a number, from 0 on, until the guest answers that there are no more.
struct kvp_enumerate {
	struct kvp_header header;
	uint32_t index;
	struct kvp_pair pair;
};
HV_ASSERT(sizeof(struct kvp_enumerate) == 2580, "kvp_enumerate");

struct kvp_delete {
	struct kvp_header header;
	uint32_t key_size;
	uint16_t key[KVP_KEY_UNITS];
};
HV_ASSERT(sizeof(struct kvp_delete) == 520, "kvp_delete");

enum { KVP_ADAPTER_UNITS = 128, KVP_ADDRESS_UNITS = 1024, KVP_GATEWAY_UNITS = 512 };
enum { KVP_FAMILY_NONE = 0, KVP_FAMILY_IPV4 = 1, KVP_FAMILY_IPV6 = 2 };

// Lists are separated by semicolons.
struct kvp_addresses {
	uint8_t operation, pool;
	uint16_t adapter[KVP_ADAPTER_UNITS];
	uint8_t family; // KVP_FAMILY_*
	uint8_t dhcp;
	uint16_t addresses[KVP_ADDRESS_UNITS];
	uint16_t netmasks[KVP_ADDRESS_UNITS];
	uint16_t gateways[KVP_GATEWAY_UNITS];
	uint16_t name_servers[KVP_ADDRESS_UNITS];
};
HV_ASSERT(sizeof(struct kvp_addresses) == 7428, "kvp_addresses");
HV_ASSERT(offsetof(struct kvp_addresses, addresses) == 260, "addresses");

#endif
