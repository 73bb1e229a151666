// SPDX-License-Identifier: BSD-2-Clause
// Ports and connections (TLFS: Inter-Partition Communication, HV_PORT_INFO, HV_CONNECTION_INFO).
// The TLFS shows the members for doorbells only; the others are those of Linux.
#ifndef HYPERCALL_PORT_H
#define HYPERCALL_PORT_H

#include "hypercall/types.h"

enum hv_port_type {
	HvPortTypeMessage = 1,
	HvPortTypeEvent = 2,
	HvPortTypeMonitor = 3,
	HvPortTypeDoorbell = 4,
};

// TLFS: HV_PORT_INFO. The page's offsets contradict its own struct; Linux has the struct's.
struct hv_port_info {
	uint32_t port_type; // enum hv_port_type
	uint32_t rsvd_z;
	union {
		struct {
			uint32_t target_sint;  // not 0
			hv_vp_index target_vp; // or HV_ANY_VP
			uint64_t rsvd_z;
		} message;
		struct {
			uint32_t target_sint;  // not 0
			hv_vp_index target_vp; // or HV_ANY_VP
			uint16_t base_flag_number;
			uint16_t flag_count; // base + count <= HV_EVENT_FLAGS_COUNT
			uint32_t rsvd_z;
		} event;
		struct {
			hv_gpa monitor_address;
			uint64_t rsvd_z;
		} monitor;
		struct {
			uint32_t target_sint;
			hv_vp_index target_vp;
			uint64_t rsvd_z;
		} doorbell;
	};
};
HV_ASSERT_SIZE(struct hv_port_info, 24);
HV_ASSERT_OFFSET(struct hv_port_info, message.target_sint, 8);
HV_ASSERT_OFFSET(struct hv_port_info, message.target_vp, 12);
HV_ASSERT_OFFSET(struct hv_port_info, event.base_flag_number, 16);
HV_ASSERT_OFFSET(struct hv_port_info, event.flag_count, 18);

// TLFS: HV_CONNECTION_INFO.
struct hv_connection_info {
	uint32_t port_type; // enum hv_port_type
	uint32_t rsvd_z;
	union {
		struct {
			uint64_t rsvd_z[3];
		} message, event;
		struct {
			hv_gpa monitor_address;
			uint64_t rsvd_z[2];
		} monitor;
		struct {
			hv_gpa gpa;
			uint64_t trigger_value;
			uint64_t flags;
		} doorbell;
	};
};
HV_ASSERT_SIZE(struct hv_connection_info, 32);
HV_ASSERT_OFFSET(struct hv_connection_info, doorbell.trigger_value, 16);

#define HV_DOORBELL_FLAG_TRIGGER_SIZE_ANY   0x00000000u
#define HV_DOORBELL_FLAG_TRIGGER_SIZE_BYTE  0x00000001u
#define HV_DOORBELL_FLAG_TRIGGER_SIZE_WORD  0x00000002u
#define HV_DOORBELL_FLAG_TRIGGER_SIZE_DWORD 0x00000003u
#define HV_DOORBELL_FLAG_TRIGGER_SIZE_QWORD 0x00000004u
#define HV_DOORBELL_FLAG_TRIGGER_SIZE_MASK  0x00000007u
#define HV_DOORBELL_FLAG_TRIGGER_ANY_VALUE  0x80000000u

// TLFS: HvCallCreatePort.
struct hv_input_create_port {
	hv_partition_id port_partition_id;
	hv_port_id port_id;
	uint8_t port_vtl;
	uint8_t min_connection_vtl;
	uint16_t rsvd_z;
	hv_partition_id connection_partition_id; // who may connect
	struct hv_port_info port_info;
	struct hv_proximity_domain_info proximity_domain_info;
};
HV_ASSERT_SIZE(struct hv_input_create_port, 56);
HV_ASSERT_OFFSET(struct hv_input_create_port, connection_partition_id, 16);
HV_ASSERT_OFFSET(struct hv_input_create_port, port_info, 24);
HV_ASSERT_OFFSET(struct hv_input_create_port, proximity_domain_info, 48);

// TLFS: HvCallDeletePort.
struct hv_input_delete_port {
	hv_partition_id port_partition_id;
	hv_port_id port_id;
	uint32_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_delete_port, 16);

// TLFS: HvCallConnectPort.
struct hv_input_connect_port {
	hv_partition_id connection_partition_id;
	hv_connection_id connection_id;
	uint8_t connection_vtl;
	uint8_t rsvd_z0;
	uint16_t rsvd_z1;
	hv_partition_id port_partition_id;
	hv_port_id port_id;
	uint32_t rsvd_z2;
	struct hv_connection_info connection_info;
	struct hv_proximity_domain_info proximity_domain_info;
};
HV_ASSERT_SIZE(struct hv_input_connect_port, 72);
HV_ASSERT_OFFSET(struct hv_input_connect_port, port_partition_id, 16);
HV_ASSERT_OFFSET(struct hv_input_connect_port, port_id, 24);
HV_ASSERT_OFFSET(struct hv_input_connect_port, connection_info, 32);
HV_ASSERT_OFFSET(struct hv_input_connect_port, proximity_domain_info, 64);

// TLFS: HvCallDisconnectPort. The page ends after the id; Linux gives 16 bytes, and says in the
// last four whether it is a doorbell.
struct hv_input_disconnect_port {
	hv_partition_id connection_partition_id;
	hv_connection_id connection_id;
	uint32_t is_doorbell;
};
HV_ASSERT_SIZE(struct hv_input_disconnect_port, 16);

#endif
