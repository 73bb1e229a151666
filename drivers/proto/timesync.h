// SPDX-License-Identifier: BSD-2-Clause
// The time synchronisation component's messages, framed as in ic.h: the host says what time it is.
#ifndef LUMEN_DRIVERS_PROTO_TIMESYNC_H
#define LUMEN_DRIVERS_PROTO_TIMESYNC_H

#include "hypercall/types.h"

// clang-format off
// 9527e630-d0ae-497b-adce-e80ab0175caf, a struct vmbus_guid.
#define TIMESYNC_GUID \
	{ 0x9527e630, 0xd0ae, 0x497b, { 0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf } }

// Versions of the messages, the oldest first: up to 3.0 they are struct timesync_message, from 4.0
// on struct timesync_reference.
#define TIMESYNC_VERSIONS { { 1, 0 }, { 3, 0 }, { 4, 0 } }
// clang-format on

#define TIMESYNC_FLAG_SYNC   0x1u // set the clock to this: after boot, pause, restore
#define TIMESYNC_FLAG_SAMPLE 0x2u // one of many, to steer it by

// Times are in units of 100 ns, UTC from 1601 on. Neither struct is padded at its end on the wire.
#define TIMESYNC_MESSAGE_SIZE	25u
#define TIMESYNC_REFERENCE_SIZE 22u

struct timesync_message {
	uint64_t host_time;
	uint64_t guest_time; // the guest's, in the answer; nobody fills it in
	uint64_t round_trip; // 100 ns, measured by the host; 0: unknown
	uint8_t flags;	     // TIMESYNC_FLAG_*
	uint8_t rsvd_z[7];   // not on the wire
};
HV_ASSERT(offsetof(struct timesync_message, flags) + 1 == TIMESYNC_MESSAGE_SIZE, "flags");

struct timesync_reference {
	uint64_t host_time;
	uint64_t reference_time; // the guest's HV_X64_MSR_TIME_REF_COUNT at that time
	uint8_t flags;		 // TIMESYNC_FLAG_*
	uint8_t leap_indicator;
	uint8_t stratum;
	uint8_t rsvd_z[5]; // the last two are not on the wire
};
HV_ASSERT(offsetof(struct timesync_reference, flags) == 16, "flags");
HV_ASSERT(offsetof(struct timesync_reference, rsvd_z) + 3 == TIMESYNC_REFERENCE_SIZE, "size");

#endif
