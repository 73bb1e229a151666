// SPDX-License-Identifier: BSD-2-Clause
// See table.h. An instance's GUID is the row's own, for good: guests find devices by it again.
#include "parent/worker/devices/table.h"

#include "base/macros.h"
#include "drivers/vsp/ic/components.h"
#include "drivers/vsp/storage/storage.h"
#include "parent/worker/devices/ic.h"
#include "parent/worker/devices/net.h"
#include "parent/worker/devices/socket.h"
#include "parent/worker/devices/storage.h"

// clang-format off
#define INSTANCE(number, ...) \
	{ 0x6c756d65, 0x6e00, (number), { 0x80, 0x00, __VA_ARGS__, 0, 0 } }
// clang-format on

#define COMPONENT(component)                                                                       \
	.class = &(component).class, .size = sizeof(struct ic_device), .detail = &(component),     \
	.attach = ic_attach, .flags = ic_flags, .closing = ic_closing, .begin = ic_begin_verb,     \
	.forget = ic_forget_verb, .stat = ic_stat, .tell = ic_tell

const struct device_row device_table[] = {
	{ STORAGE_ROW, .class = &storage_vsp_class,
		.instance = INSTANCE(0x4001, 's', 'c', 's', 'i') },
	{ NET_ROW, .class = &net_vsp_class, .instance = INSTANCE(0x4008, 'n', 'e', 't', 0) },
	{ SOCKET_ROW, .class = &socket_vsp_class },
	{ COMPONENT(shutdown_component), .instance = INSTANCE(0x4002, 's', 'h', 'u', 't') },
	{ COMPONENT(heartbeat_component), .instance = INSTANCE(0x4003, 'h', 'e', 'a', 'r') },
	{ COMPONENT(timesync_component), .instance = INSTANCE(0x4004, 't', 'i', 'm', 'e') },
	{ COMPONENT(kvp_component), .instance = INSTANCE(0x4005, 'k', 'v', 'p', 0) },
	{ COMPONENT(vss_component), .instance = INSTANCE(0x4006, 'v', 's', 's', 0) },
	{ COMPONENT(fcopy_component), .instance = INSTANCE(0x4007, 'c', 'o', 'p', 'y') },
};

const unsigned device_table_count = ARRAY_SIZE(device_table);
_Static_assert(ARRAY_SIZE(device_table) <= DEVICE_TABLE_MAX, "rows");
