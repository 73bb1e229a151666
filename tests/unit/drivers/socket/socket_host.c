// SPDX-License-Identifier: BSD-2-Clause
// See socket_host.h.
#include "socket_host.h"

#include <string.h>

struct socket_test_host socket_host;

uint8_t socket_host_byte(uint32_t number)
{
	return (uint8_t)(number * 31 + (number >> 8));
}

static uint32_t least(uint32_t one, uint32_t other)
{
	return one < other ? one : other;
}

static int32_t take(void *context, const void *bytes, uint32_t length)
{
	const uint32_t count = least(length, least(socket_host.room, socket_host.gulp));

	(void)context;
	rig_check(length && !socket_host.ends);
	if (socket_host.refuses)
		return SOCKET_WIRE_ENDED;
	rig_check(socket_host.taken + count <= SOCKET_HOST_BYTES);
	memcpy(socket_host.bytes + socket_host.taken, bytes, count);
	socket_host.taken += count;
	socket_host.room -= count;
	return (int32_t)count;
}

static int32_t give(void *context, void *bytes, uint32_t size)
{
	const uint32_t count = least(size, socket_host.to_write - socket_host.written);

	(void)context;
	rig_check(size);
	for (uint32_t i = 0; i < count; i++)
		((uint8_t *)bytes)[i] = socket_host_byte(socket_host.written++);
	return count || !socket_host.ended ? (int32_t)count : SOCKET_WIRE_ENDED;
}

static void end(void *context)
{
	(void)context;
	rig_check(!socket_host.ends++);
}

static uint32_t take_back(uint32_t count)
{
	struct lumen_channel *channel = &rig.channels[0];
	const struct socket_vsp *socket = (const struct socket_vsp *)channel->vsp;

	(void)count;
	if (!socket_host.takes_back || !channel->open || channel->rescinded || !socket ||
		!socket->program_ended || socket->out_waits ||
		!(socket->program_told || socket->program_gone))
		return 0;
	rig_rescind_one(channel);
	return 1;
}

// Another connection.
static void on_open(struct lumen_channel *channel)
{
	(void)channel;
	socket_host.ends = 0;
}

void socket_host_create(void)
{
	static const struct vmbus_guid guid = SOCKET_SERVICE(1);

	memset(&socket_host, 0, sizeof(socket_host));
	socket_host.wire = (struct socket_wire){ NULL, take, give, end };
	socket_host.config = (struct socket_vsp_config){ &socket_host.wire };
	socket_host.room = socket_host.gulp = SOCKET_HOST_BYTES;
	rig_create(1);
	rig.on_open = on_open;
	rig.backend = take_back;
	rig_offer(0, &guid, &socket_vsp_class, &socket_host.config);
}
