// SPDX-License-Identifier: BSD-2-Clause
// A socket's VSP, for fuzz_devices.c; a raw guest is at the other end.
#include "devices.h"
#include "drivers/proto/pipe.h"
#include "tests/unit/drivers/socket/socket_host.h"

static void create(const struct fuzz_device *device)
{
	const uint32_t what = take();

	(void)device;
	socket_host_create();
	socket_host.gulp = 1 + (what & 15) * 500;
	socket_host.room = what & 16 ? 5000 : SOCKET_HOST_BYTES;
	socket_host.to_write = take() * 256;
	socket_host.ended = what & 32;
}

// As long as it is open its bytes are counted once.
static void destroy(void)
{
	rig_check(socket_host.written <= socket_host.to_write);
	rig_destroy();
}

static void greet(const struct fuzz_device *device)
{
	(void)device;
	rig_run();
}

// The program reads, writes, ends its stream, or goes.
static void ask(const struct fuzz_device *device)
{
	const uint32_t what = take();

	(void)device;
	if (what & 1 && socket_host.taken < SOCKET_HOST_BYTES / 2)
		socket_host.room = (what >> 4) * 4096;
	if (what & 2 && !socket_host.ended)
		socket_host.to_write += (what >> 4) * 1000;
	socket_host.ended |= (what & 0xC) == 4;
	if ((what & 0xFC) == 8) {
		socket_host.refuses = socket_host.ended = true;
		socket_vsp_hang_up(rig.channels[0].vsp);
	}
}

static void guest_says(const struct fuzz_device *device)
{
	static struct {
		struct pipe_header header;
		uint8_t bytes[SOCKET_MESSAGE_MAX + 8];
	} message;
	const uint32_t kind = take();
	const uint32_t length = kind & 1 ? take() * 65 : take();

	(void)device;
	if (socket_host.taken > SOCKET_HOST_BYTES / 2)
		return;
	message.header = (struct pipe_header){ PIPE_TYPE_DATA, length };
	patch(&message, sizeof(message.header), kind >> 5 & (kind & 0x10 ? 7 : 0));
	rig_say(&fuzz_channel()->guest,
		kind & 8 ? (uint16_t)(take() & 15) : (uint16_t)VMBUS_PACKET_IN_BAND, 0, &message,
		(uint32_t)sizeof(message.header) + length - (kind & 2 ? 1 : 0));
}

static void guest_hears(const struct vmbus_packet *packet)
{
	struct pipe_message part;

	rig_check(packet->type == VMBUS_PACKET_IN_BAND &&
		  pipe_parse(packet->payload, packet->payload_length, &part));
}

const struct fuzz_device fuzz_socket = {
	.create = create,
	.destroy = destroy,
	.greet = greet,
	.guest_says = guest_says,
	.guest_hears = guest_hears,
	.ask = ask,
};
