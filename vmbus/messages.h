// SPDX-License-Identifier: BSD-2-Clause
// The one table of control messages, and the check that every message passes before its handler:
// known, in the right direction, long enough, and not newer than what the two ends agreed on.
#ifndef VMBUS_MESSAGES_H
#define VMBUS_MESSAGES_H

#include "vmbus/protocol.h"

enum vmbus_direction { VMBUS_TO_HOST = 1, VMBUS_TO_GUEST = 2 };

struct vmbus_message_info {
	const char *name;
	enum vmbus_direction direction;
	uint32_t oldest_version; // 0: may come while nothing is agreed on
	uint32_t size;		 // the least that it has, in bytes, header included
};

// What vmbus_message_parse says.
enum vmbus_message_check {
	VMBUS_CHECK_GOOD,
	VMBUS_CHECK_SHORT,	     // shorter than its type's struct, or than a header
	VMBUS_CHECK_LONG,	     // longer than VMBUS_MESSAGE_MAX
	VMBUS_CHECK_UNKNOWN,	     // no such type
	VMBUS_CHECK_WRONG_DIRECTION, // a type that only the receiver may send
	VMBUS_CHECK_NOT_CONNECTED,   // no version is agreed on yet
	VMBUS_CHECK_TOO_NEW,	     // a type that the agreed version does not have
};

// Any message, aligned for all its fields, in private memory.
union vmbus_message {
	struct vmbus_message_header header;
	struct vmbus_offer_channel offer_channel;
	struct vmbus_rescind_channel_offer rescind_channel_offer;
	struct vmbus_open_channel open_channel;
	struct vmbus_open_channel_result open_channel_result;
	struct vmbus_close_channel close_channel;
	struct vmbus_gpadl_header gpadl_header;
	struct vmbus_gpadl_body gpadl_body;
	struct vmbus_gpadl_created gpadl_created;
	struct vmbus_gpadl_teardown gpadl_teardown;
	struct vmbus_gpadl_torndown gpadl_torndown;
	struct vmbus_relid_released relid_released;
	struct vmbus_initiate_contact initiate_contact;
	struct vmbus_version_response version_response;
	struct vmbus_tl_connect_request tl_connect_request;
	struct vmbus_tl_connect_result tl_connect_result;
	struct vmbus_modify_channel modify_channel;
	struct vmbus_modify_channel_response modify_channel_response;
	uint8_t bytes[VMBUS_MESSAGE_MAX];
};
_Static_assert(sizeof(union vmbus_message) == VMBUS_MESSAGE_MAX, "size");

// Returns the table's row for a type, or NULL if there is none.
const struct vmbus_message_info *vmbus_message_info(uint32_t type);

// Copies `length` bytes to *message (zeroes behind them) and checks them. `direction` is where the
// message was going, `version` what is agreed on (0: nothing yet). Only after VMBUS_CHECK_GOOD
// may the caller use the member of the union that belongs to header.type.
enum vmbus_message_check vmbus_message_parse(union vmbus_message *message, const void *bytes,
	uint32_t length, enum vmbus_direction direction, uint32_t version);

#endif
