// SPDX-License-Identifier: BSD-2-Clause
// What a capture holds of a child's VMBus messages and hypercalls: the data of its frames on the
// interfaces that have these link types, and what a worker says of the messages on its control
// socket. Little endian. tools/wireshark/lumen.lua shows it.
//
// Versions: fields are only ever appended, or get a new link type. A reader takes frames that are
// longer than it expects.
#pragma once

#include "hypercall/synic.h"
#include "hypercall/types.h"

// LINKTYPE_USER0 and LINKTYPE_USER1 of pcap: for whoever writes and reads the file.
enum { CAPTURE_LINKTYPE_VMBUS = 147, CAPTURE_LINKTYPE_HYPERCALLS = 148 };

enum { CAPTURE_VERSION = 1 };

enum capture_direction { CAPTURE_TO_HOST = 1, CAPTURE_TO_GUEST = 2 };

// A SynIC message between the child and its VMBus server. Its payload follows.
struct capture_vmbus {
	uint8_t version;   // CAPTURE_VERSION
	uint8_t direction; // enum capture_direction
	uint8_t sint;	   // to the guest: of its VP; else 0
	uint8_t length;	   // of the payload, in bytes
	uint32_t message_type;
	uint32_t vp;	     // to the guest: which one; else 0
	uint32_t connection; // to the host: at which the guest has posted it; else 0
	uint32_t status;     // to the guest: what became of the host's hypercall; not 0: it is lost
	uint32_t rsvd_z;
};
HV_ASSERT_SIZE(struct capture_vmbus, 24);
HV_ASSERT_OFFSET(struct capture_vmbus, message_type, 4);
HV_ASSERT_OFFSET(struct capture_vmbus, vp, 8);
HV_ASSERT_OFFSET(struct capture_vmbus, connection, 12);
HV_ASSERT_OFFSET(struct capture_vmbus, status, 16);

// A hypercall of the child's, at its end.
struct capture_hypercall {
	uint8_t version; // CAPTURE_VERSION
	uint8_t rsvd_z[3];
	uint32_t vp;  // whose it is
	uint32_t cpu; // the physical processor
	uint32_t rsvd_z2;
	uint64_t control; // TLFS: Hypercall Inputs (hypercall/call.h)
	uint64_t result;  // TLFS: Hypercall Outputs
};
HV_ASSERT_SIZE(struct capture_hypercall, 32);
HV_ASSERT_OFFSET(struct capture_hypercall, vp, 4);
HV_ASSERT_OFFSET(struct capture_hypercall, cpu, 8);
HV_ASSERT_OFFSET(struct capture_hypercall, control, 16);
HV_ASSERT_OFFSET(struct capture_hypercall, result, 24);

// The request on the control socket (docs/worker.md): behind `ok` comes the hello, then records
// until the child ends.
#define CAPTURE_REQUEST "messages"

enum { CAPTURE_MAGIC = 0x5041434c }; // "LCAP"

struct capture_hello {
	uint32_t magic;	    // CAPTURE_MAGIC
	uint32_t version;   // CAPTURE_VERSION
	uint64_t partition; // the child's, in the hypervisor's trace
	uint64_t next;	    // the number of the first record to come
};
HV_ASSERT_SIZE(struct capture_hello, 24);

struct capture_record {
	uint64_t number; // they count up; one that is left out is lost
	uint64_t time;	 // ns since 1970
	struct capture_vmbus message;
	uint8_t payload[HV_MESSAGE_PAYLOAD_BYTE_COUNT]; // zeroes behind message.length
};
HV_ASSERT_SIZE(struct capture_record, 280);
HV_ASSERT_OFFSET(struct capture_record, message, 16);
HV_ASSERT_OFFSET(struct capture_record, payload, 40);
