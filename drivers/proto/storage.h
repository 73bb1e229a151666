// SPDX-License-Identifier: BSD-2-Clause
// VSTOR, the storage protocol between a guest's storvsc and the host's storage VSP: SCSI requests
// in VMBus packets. Layouts as in-tree Linux storvsc and OpenVMM's storvsp_protocol speak them.
#ifndef LUMEN_DRIVERS_PROTO_STORAGE_H
#define LUMEN_DRIVERS_PROTO_STORAGE_H

#include "hypercall/types.h"

// clang-format off
// What channels that speak VSTOR are, each a struct vmbus_guid.
// ba6163d9-04a1-4d29-b605-72e2ffb1dc7f: synthetic SCSI controller.
#define VSTOR_SCSI_GUID \
	{ 0xba6163d9, 0x04a1, 0x4d29, { 0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f } }
// 32412632-86cb-44a2-9b5c-50d1417354f5: accelerated IDE disk.
#define VSTOR_IDE_GUID \
	{ 0x32412632, 0x86cb, 0x44a2, { 0x9b, 0x5c, 0x50, 0xd1, 0x41, 0x73, 0x54, 0xf5 } }
// clang-format on

// Versions are major << 8 | minor. A new version is one row here and one in the VSP's table.
enum vstor_version {
	VSTOR_VERSION_2_0 = 0x0200, // Windows Server 2008
	VSTOR_VERSION_4_2 = 0x0402, // 2008 R2
	VSTOR_VERSION_5_1 = 0x0501, // 2012: long SCSI request, sub-channels
	VSTOR_VERSION_6_0 = 0x0600, // 2012 R2
	VSTOR_VERSION_6_2 = 0x0602, // 2016
};

enum vstor_operation {
	VSTOR_OPERATION_COMPLETE_IO = 1,
	VSTOR_OPERATION_REMOVE_DEVICE = 2,
	VSTOR_OPERATION_EXECUTE_SRB = 3,
	VSTOR_OPERATION_RESET_LUN = 4,
	VSTOR_OPERATION_RESET_ADAPTER = 5,
	VSTOR_OPERATION_RESET_BUS = 6,
	VSTOR_OPERATION_BEGIN_INITIALIZATION = 7,
	VSTOR_OPERATION_END_INITIALIZATION = 8,
	VSTOR_OPERATION_QUERY_PROTOCOL_VERSION = 9,
	VSTOR_OPERATION_QUERY_PROPERTIES = 10,
	VSTOR_OPERATION_ENUMERATE_BUS = 11,
	VSTOR_OPERATION_FCHBA_DATA = 12,
	VSTOR_OPERATION_CREATE_SUB_CHANNELS = 13,
};

// vstor_packet.flags: the sender wants a completion.
#define VSTOR_FLAG_REQUEST_COMPLETION 0x1u

// vstor_packet.status: NT status codes, 0 is success.
__extension__ enum vstor_status { // values above those of int
	VSTOR_STATUS_SUCCESS = 0x00000000,
	VSTOR_STATUS_DEVICE_BUSY = 0x80000011,
	VSTOR_STATUS_INVALID_PARAMETER = 0xC000000D,
	VSTOR_STATUS_INVALID_DEVICE_REQUEST = 0xC0000010,
	VSTOR_STATUS_REVISION_MISMATCH = 0xC0000059,
	VSTOR_STATUS_DEVICE_DOES_NOT_EXIST = 0xC00000C0,
	VSTOR_STATUS_CANCELLED = 0xC0000120,
	VSTOR_STATUS_INVALID_DEVICE_STATE = 0xC0000184,
	VSTOR_STATUS_IO_DEVICE_ERROR = 0xC0000185,
};

// vmscsi_request.srb_status: a code in bits 5:0 and two flags.
enum vstor_srb_status {
	VSTOR_SRB_STATUS_PENDING = 0x00,
	VSTOR_SRB_STATUS_SUCCESS = 0x01,
	VSTOR_SRB_STATUS_ABORTED = 0x02,
	VSTOR_SRB_STATUS_ERROR = 0x04,
	VSTOR_SRB_STATUS_BUSY = 0x05,
	VSTOR_SRB_STATUS_INVALID_REQUEST = 0x06,
	VSTOR_SRB_STATUS_DATA_OVERRUN = 0x12,
	VSTOR_SRB_STATUS_INVALID_LUN = 0x20,
	VSTOR_SRB_STATUS_QUEUE_FROZEN = 0x40,	 // flag
	VSTOR_SRB_STATUS_AUTOSENSE_VALID = 0x80, // flag: sense_data holds sense
};

// vmscsi_request.data_in
enum vstor_data_direction {
	VSTOR_DATA_OUT = 0,
	VSTOR_DATA_IN = 1,
	VSTOR_DATA_NONE = 2,
};

// vmscsi_request.srb_flags
#define VSTOR_SRB_FLAGS_QUEUE_ACTION_ENABLE    0x00000002u // queue_tag and queue_action count
#define VSTOR_SRB_FLAGS_DISABLE_SYNCH_TRANSFER 0x00000008u
#define VSTOR_SRB_FLAGS_DATA_IN		       0x00000040u
#define VSTOR_SRB_FLAGS_DATA_OUT	       0x00000080u
#define VSTOR_SRB_FLAGS_NO_QUEUE_FREEZE	       0x00000100u // an error does not stop the others

// vmscsi_request.queue_tag and queue_action
#define VSTOR_QUEUE_TAG_NONE	  0xFFu
#define VSTOR_QUEUE_ACTION_SIMPLE 0x20u

#define VSTOR_CDB_SIZE	 16u
#define VSTOR_SENSE_SIZE 20u

// One SCSI command, and in the completion its result. Below version 5.1 only the first 0x24 bytes
// are there.
struct vmscsi_request {
	uint16_t length;
	uint8_t srb_status;
	uint8_t scsi_status;

	uint8_t port_number;
	uint8_t path_id;
	uint8_t target_id;
	uint8_t lun;

	uint8_t cdb_length;
	uint8_t sense_info_length;
	uint8_t data_in;
	uint8_t rsvd_z;

	uint32_t data_transfer_length; // bytes

	union {
		uint8_t cdb[VSTOR_CDB_SIZE];
		uint8_t sense_data[VSTOR_SENSE_SIZE];
	};

	// From version 5.1 on.
	uint16_t rsvd2_z;
	uint8_t queue_tag;
	uint8_t queue_action;
	uint32_t srb_flags;
	uint32_t time_out_value; // seconds
	uint32_t queue_sort_key;
};

#define VSTOR_SRB_SIZE_V1 0x24u
#define VSTOR_SRB_SIZE_V2 0x34u

HV_ASSERT(sizeof(struct vmscsi_request) == VSTOR_SRB_SIZE_V2, "vmscsi_request");
HV_ASSERT(offsetof(struct vmscsi_request, path_id) == 5, "path_id");
HV_ASSERT(offsetof(struct vmscsi_request, cdb_length) == 8, "cdb_length");
HV_ASSERT(offsetof(struct vmscsi_request, data_transfer_length) == 12, "transfer length");
HV_ASSERT(offsetof(struct vmscsi_request, cdb) == 16, "cdb");
HV_ASSERT(offsetof(struct vmscsi_request, rsvd2_z) == VSTOR_SRB_SIZE_V1, "version 1 size");
HV_ASSERT(offsetof(struct vmscsi_request, srb_flags) == 0x28, "srb_flags");

// Answer to QUERY_PROPERTIES.
struct vstor_channel_properties {
	uint32_t rsvd_z;
	uint16_t max_channel_count; // sub-channels that the guest may ask for
	uint16_t rsvd2_z;
	uint32_t flags;
	uint32_t max_transfer_bytes;
	uint32_t rsvd3_z[2];
};
HV_ASSERT(sizeof(struct vstor_channel_properties) == 24, "vstor_channel_properties");
HV_ASSERT(offsetof(struct vstor_channel_properties, max_transfer_bytes) == 12, "transfer");

#define VSTOR_CHANNEL_SUPPORTS_MULTI_CHANNEL 0x1u

// Question and answer of QUERY_PROTOCOL_VERSION.
struct vstor_protocol_version {
	uint16_t major_minor; // enum vstor_version
	uint16_t revision;    // 0
};
HV_ASSERT(sizeof(struct vstor_protocol_version) == 4, "vstor_protocol_version");

// Answer to FCHBA_DATA; only a fibre channel adapter has one.
struct vstor_fc_wwn {
	uint8_t primary_active;
	uint8_t rsvd_z[3];
	uint8_t primary_port[8];
	uint8_t primary_node[8];
	uint8_t secondary_port[8];
	uint8_t secondary_node[8];
};
HV_ASSERT(sizeof(struct vstor_fc_wwn) == 36, "vstor_fc_wwn");

// The payload of every packet, both ways.
struct vstor_packet {
	uint32_t operation; // enum vstor_operation
	uint32_t flags;
	uint32_t status; // enum vstor_status
	union {
		struct vmscsi_request srb;
		struct vstor_channel_properties properties;
		struct vstor_protocol_version version;
		struct vstor_fc_wwn wwn;
		uint16_t sub_channel_count;
		uint8_t buffer[VSTOR_SRB_SIZE_V2];
	};
};
HV_ASSERT(offsetof(struct vstor_packet, srb) == 12, "vstor_packet payload");
HV_ASSERT(sizeof(struct vstor_packet) == 64, "vstor_packet");

#define VSTOR_HEADER_SIZE    12u
#define VSTOR_PACKET_SIZE_V1 (VSTOR_HEADER_SIZE + VSTOR_SRB_SIZE_V1)
#define VSTOR_PACKET_SIZE_V2 (VSTOR_HEADER_SIZE + VSTOR_SRB_SIZE_V2)

#endif
