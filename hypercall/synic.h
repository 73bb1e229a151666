// SPDX-License-Identifier: BSD-2-Clause
// Messages, event flags and the calls that send them (TLFS: Inter-Partition Communication).
#ifndef HYPERCALL_SYNIC_H
#define HYPERCALL_SYNIC_H

#include "hypercall/msr.h"
#include "hypercall/types.h"

#define HV_MESSAGE_SIZE			256
#define HV_MESSAGE_PAYLOAD_BYTE_COUNT	240
#define HV_MESSAGE_PAYLOAD_QWORD_COUNT	30
#define HV_MESSAGE_FLAG_PENDING		0x01	    // another one is queued: write EOM
#define HV_MESSAGE_TYPE_HYPERVISOR_MASK 0x80000000u // set: the hypervisor's own

// TLFS: HV_MESSAGE_TYPE.
__extension__ enum hv_message_type { // values above those of int
	HvMessageTypeNone = 0x00000000,
	HvMessageTypeUnmappedGpa = 0x80000000,
	HvMessageTypeGpaIntercept = 0x80000001,
	HvMessageTypeUnacceptedGpa = 0x80000003,
	HvMessageTypeGpaAttributeIntercept = 0x80000004,
	HvMessageTypeTimerExpired = 0x80000010,
	HvMessageTypeInvalidVpRegisterValue = 0x80000020,
	HvMessageTypeUnrecoverableException = 0x80000021,
	HvMessageTypeUnsupportedFeature = 0x80000022,
	HvMessageTypeOpaqueIntercept = 0x8000003f,
	HvMessageTypeEventLogBufferComplete = 0x80000040,
	HvMessageTypeHypercallIntercept = 0x80000050,
	HvMessageTypeSynicEventIntercept = 0x80000060,
	HvMessageTypeSynicSintIntercept = 0x80000061,
	HvMessageTypeSynicSintDeliverable = 0x80000062,
	HvMessageTypeAsyncCallCompletion = 0x80000070,
	HvMessageTypeSchedulerVpSignalBitset = 0x80000100,
	HvMessageTypeSchedulerVpSignalPair = 0x80000101,
	HvMessageTypeX64IoPortIntercept = 0x80010000,
	HvMessageTypeX64MsrIntercept = 0x80010001,
	HvMessageTypeX64CpuidIntercept = 0x80010002,
	HvMessageTypeX64ExceptionIntercept = 0x80010003,
	HvMessageTypeX64ApicEoi = 0x80010004,
	HvMessageTypeX64LegacyFpError = 0x80010005,
	HvMessageTypeX64RegisterIntercept = 0x80010006,
	HvMessageTypeX64Halt = 0x80010007,
	HvMessageTypeX64InterruptionDeliverable = 0x80010008,
	HvMessageTypeX64SipiIntercept = 0x80010009,
};

// TLFS: HV_MESSAGE_HEADER.
struct hv_message_header {
	uint32_t message_type; // enum hv_message_type, or the sender's; 0: the slot is free
	uint8_t payload_size;
	uint8_t message_flags;
	uint16_t rsvd;
	union {
		hv_partition_id sender; // intercept messages: whose VP it was
		hv_port_id port_id;	// messages through a port: the receiver's port
		uint64_t origination_id;
	};
};
HV_ASSERT_SIZE(struct hv_message_header, 16);
HV_ASSERT_OFFSET(struct hv_message_header, payload_size, 4);
HV_ASSERT_OFFSET(struct hv_message_header, message_flags, 5);
HV_ASSERT_OFFSET(struct hv_message_header, sender, 8);

// TLFS: HV_MESSAGE.
struct hv_message {
	struct hv_message_header header;
	union {
		uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
		uint64_t payload64[HV_MESSAGE_PAYLOAD_QWORD_COUNT];
	};
};
HV_ASSERT_SIZE(struct hv_message, HV_MESSAGE_SIZE);
HV_ASSERT_OFFSET(struct hv_message, payload, 16);

// TLFS: SIM Page. A slot per SINT.
struct hv_message_page {
	struct hv_message sint_message[HV_SYNIC_SINT_COUNT];
};
HV_ASSERT_SIZE(struct hv_message_page, HV_PAGE_SIZE);

// TLFS: HV_TIMER_MESSAGE_PAYLOAD, times in units of 100 ns of the partition's reference time.
struct hv_timer_message_payload {
	uint32_t timer_index;
	uint32_t rsvd;
	hv_nano100_time expiration_time;
	hv_nano100_time delivery_time;
};
HV_ASSERT_SIZE(struct hv_timer_message_payload, 24);
HV_ASSERT_OFFSET(struct hv_timer_message_payload, expiration_time, 8);

// TLFS: HV_SYNIC_EVENT_FLAGS, SIEF Page.
#define HV_EVENT_FLAGS_COUNT	  2048
#define HV_EVENT_FLAGS_BYTE_COUNT 256

struct hv_synic_event_flags {
	uint64_t flags[HV_EVENT_FLAGS_BYTE_COUNT / 8];
};
HV_ASSERT_SIZE(struct hv_synic_event_flags, HV_EVENT_FLAGS_BYTE_COUNT);

struct hv_synic_event_flags_page {
	struct hv_synic_event_flags sint_event_flags[HV_SYNIC_SINT_COUNT];
};
HV_ASSERT_SIZE(struct hv_synic_event_flags_page, HV_PAGE_SIZE);

// TLFS: HvCallPostMessage.
struct hv_input_post_message {
	hv_connection_id connection_id;
	uint32_t rsvd_z;
	uint32_t message_type; // not 0, top bit clear
	uint32_t payload_size; // up to HV_MESSAGE_PAYLOAD_BYTE_COUNT
	uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT];
};
HV_ASSERT_SIZE(struct hv_input_post_message, 256);
HV_ASSERT_OFFSET(struct hv_input_post_message, message_type, 8);
HV_ASSERT_OFFSET(struct hv_input_post_message, payload_size, 12);
HV_ASSERT_OFFSET(struct hv_input_post_message, payload, 16);

// TLFS: HvCallSignalEvent. Also as a fast call: everything in RDX.
struct hv_input_signal_event {
	hv_connection_id connection_id;
	uint16_t flag_number; // relative to the port's base flag
	uint16_t rsvd_z;
};
HV_ASSERT_SIZE(struct hv_input_signal_event, 8);
HV_ASSERT_OFFSET(struct hv_input_signal_event, flag_number, 4);

// TLFS: HvCallPostMessageDirect. The page has the SINT at 13 and the message at 16; Linux and
// OpenVMM, which issue the call, have them as here.
struct hv_input_post_message_direct {
	hv_partition_id partition_id;
	hv_vp_index vp_index;
	uint8_t vtl;
	uint8_t rsvd_z0[3];
	uint8_t sint_index;
	uint8_t rsvd_z2[3];
	uint8_t message[HV_MESSAGE_SIZE]; // struct hv_message
	uint32_t rsvd_z1;
};
HV_ASSERT_SIZE(struct hv_input_post_message_direct, 280);
HV_ASSERT_OFFSET(struct hv_input_post_message_direct, sint_index, 16);
HV_ASSERT_OFFSET(struct hv_input_post_message_direct, message, 20);

// TLFS: HvCallSignalEventDirect.
struct hv_input_signal_event_direct {
	hv_partition_id target_partition;
	hv_vp_index target_vp;
	uint8_t target_vtl;
	uint8_t target_sint;
	uint16_t flag_number;
};
HV_ASSERT_SIZE(struct hv_input_signal_event_direct, 16);
HV_ASSERT_OFFSET(struct hv_input_signal_event_direct, target_vp, 8);
HV_ASSERT_OFFSET(struct hv_input_signal_event_direct, target_sint, 13);
HV_ASSERT_OFFSET(struct hv_input_signal_event_direct, flag_number, 14);

struct hv_output_signal_event_direct {
	uint8_t newly_signaled;
	uint8_t rsvd[7];
};
HV_ASSERT_SIZE(struct hv_output_signal_event_direct, 8);

#endif
