// SPDX-License-Identifier: BSD-2-Clause
// The table of control messages and the check at the door.
#include "vmbus/messages.h"

#include <string.h>

#define ROW(type_, direction_, oldest_, size_)                                                     \
	[VMBUS_MESSAGE_##type_] = {                                                                \
		.name = #type_,                                                                    \
		.direction = VMBUS_##direction_,                                                   \
		.oldest_version = oldest_,                                                         \
		.size = size_,                                                                     \
	}
#define FIRST	  VMBUS_VERSION(0, 13)
#define HEADER	  SIZE(message_header)
#define SIZE(tag) sizeof(struct vmbus_##tag)

// clang-format off
static const struct vmbus_message_info messages[VMBUS_MESSAGE_TYPE_COUNT] = {
	ROW(OFFER_CHANNEL,              TO_GUEST, FIRST,             SIZE(offer_channel)),
	ROW(RESCIND_CHANNEL_OFFER,      TO_GUEST, FIRST,             SIZE(rescind_channel_offer)),
	ROW(REQUEST_OFFERS,             TO_HOST,  FIRST,             HEADER),
	ROW(ALL_OFFERS_DELIVERED,       TO_GUEST, FIRST,             HEADER),
	ROW(OPEN_CHANNEL,               TO_HOST,  FIRST,             SIZE(open_channel)),
	ROW(OPEN_CHANNEL_RESULT,        TO_GUEST, FIRST,             SIZE(open_channel_result)),
	ROW(CLOSE_CHANNEL,              TO_HOST,  FIRST,             SIZE(close_channel)),
	ROW(GPADL_HEADER,               TO_HOST,  FIRST,             SIZE(gpadl_header)),
	ROW(GPADL_BODY,                 TO_HOST,  FIRST,             SIZE(gpadl_body)),
	ROW(GPADL_CREATED,              TO_GUEST, FIRST,             SIZE(gpadl_created)),
	ROW(GPADL_TEARDOWN,             TO_HOST,  FIRST,             SIZE(gpadl_teardown)),
	ROW(GPADL_TORNDOWN,             TO_GUEST, FIRST,             SIZE(gpadl_torndown)),
	ROW(RELID_RELEASED,             TO_HOST,  FIRST,             SIZE(relid_released)),
	ROW(INITIATE_CONTACT,           TO_HOST,  0,                 SIZE(initiate_contact)),
	ROW(VERSION_RESPONSE,           TO_GUEST, 0,                 SIZE(version_response)),
	ROW(UNLOAD,                     TO_HOST,  FIRST,             HEADER),
	ROW(UNLOAD_COMPLETE,            TO_GUEST, VMBUS_VERSION_1_1, HEADER),
	// Reserved channels are for firmware that talks before it connects: known, not offered here.
	ROW(OPEN_RESERVED_CHANNEL,      TO_HOST,  VMBUS_VERSION_4_0, HEADER + 20),
	ROW(CLOSE_RESERVED_CHANNEL,     TO_HOST,  0,                 HEADER + 12),
	ROW(CLOSE_RESERVED_RESPONSE,    TO_GUEST, VMBUS_VERSION_4_0, HEADER + 4),
	ROW(TL_CONNECT_REQUEST,         TO_HOST,  VMBUS_VERSION_4_0, SIZE(tl_connect_request)),
	ROW(MODIFY_CHANNEL,             TO_HOST,  VMBUS_VERSION_4_1, SIZE(modify_channel)),
	ROW(TL_CONNECT_RESULT,          TO_GUEST, VMBUS_VERSION_4_1, SIZE(tl_connect_result)),
	ROW(MODIFY_CHANNEL_RESPONSE,    TO_GUEST, VMBUS_VERSION_5_3, SIZE(modify_channel_response)),
	ROW(MODIFY_CONNECTION,          TO_HOST,  VMBUS_VERSION_6_0, HEADER + 16),
	ROW(MODIFY_CONNECTION_RESPONSE, TO_GUEST, VMBUS_VERSION_6_0, HEADER + 1),
};
// clang-format on

const struct vmbus_message_info *vmbus_message_info(uint32_t type)
{
	if (type >= VMBUS_MESSAGE_TYPE_COUNT || !messages[type].name)
		return NULL;
	return &messages[type];
}

enum vmbus_message_check vmbus_message_parse(union vmbus_message *message, const void *bytes,
	uint32_t length, enum vmbus_direction direction, uint32_t version)
{
	const struct vmbus_message_info *info;

	memset(message, 0, sizeof(*message));
	if (length > VMBUS_MESSAGE_MAX)
		return VMBUS_CHECK_LONG;
	memcpy(message->bytes, bytes, length);
	if (length < HEADER)
		return VMBUS_CHECK_SHORT;

	info = vmbus_message_info(message->header.type);
	if (!info)
		return VMBUS_CHECK_UNKNOWN;
	if (info->direction != direction)
		return VMBUS_CHECK_WRONG_DIRECTION;
	if (info->oldest_version && !version)
		return VMBUS_CHECK_NOT_CONNECTED;
	if (info->oldest_version > version)
		return VMBUS_CHECK_TOO_NEW;
	if (length < info->size)
		return VMBUS_CHECK_SHORT;
	return VMBUS_CHECK_GOOD;
}
