// SPDX-License-Identifier: BSD-2-Clause
// A socket, both ends, for fuzz_devices.c.
#include "devices.h"
#include "drivers/common/pipe.h"
#include "lumen/socket.h"
#include "tests/unit/drivers/socket/socket_host.h"

static struct lumen_sockets sockets;
static bool meddled; // with what the program says

static void create(const struct fuzz_device *device)
{
	const uint32_t what = take();

	(void)device;
	socket_host_create();
	meddled = false;
	socket_host.gulp = 1 + (what & 15) * 500;
	socket_host.room = what & 16 ? 5000 : SOCKET_HOST_BYTES;
	socket_host.to_write = take() * 256;
	socket_host.ended = what & 32;
	socket_host.takes_back = what & 64;
	lumen_sockets_start(&sockets, NULL,
		&(struct lumen_sockets_config){ 1 + (take() & 7), 1 + (take() & 7) });
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

// A message that is nearly right, at either end.
static void say(struct rig_end *end)
{
	static struct {
		struct pipe_header header;
		uint8_t bytes[256 * 65];
	} message;
	const uint32_t kind = take();
	const uint32_t length = kind & 1 ? take() * 65 : take();

	message.header = (struct pipe_header){ PIPE_TYPE_DATA, length };
	patch(&message, sizeof(message.header), kind >> 5 & (kind & 0x10 ? 7 : 0));
	rig_say(end, kind & 8 ? (uint16_t)(take() & 15) : (uint16_t)VMBUS_PACKET_IN_BAND, 0,
		&message, (uint32_t)sizeof(message.header) + length - (kind & 2 ? 1 : 0));
}

static void guest_says(const struct fuzz_device *device)
{
	(void)device;
	if (socket_host.taken <= SOCKET_HOST_BYTES / 2)
		say(&fuzz_channel()->guest);
}

static void guest_hears(const struct vmbus_packet *packet)
{
	struct pipe_message part;

	rig_check(packet->type == VMBUS_PACKET_IN_BAND &&
		  pipe_parse(packet->payload, packet->payload_length, &part));
}

// --- the kernel ---

static struct lumen_socket *sock;
static uint32_t received; // bytes of the program's

static bool open(const struct fuzz_device *device)
{
	(void)device;
	received = 0;
	socket_host.written = socket_host.to_write = 0;
	return lumen_socket_connect(&sockets, 1, &sock) == LUMEN_OK;
}

static void receive(uint32_t size)
{
	static uint8_t bytes[256 * 64];
	uint32_t count;
	const lumen_status status = lumen_socket_receive(sock, bytes, size, 0, &count);

	rig_check(count <= size && (!count || status == LUMEN_OK));
	for (uint32_t i = 0; i < count && !meddled; i++)
		rig_check(bytes[i] == socket_host_byte(received + i));
	received += count;
}

// Whatever the kernel does ends in time, with a status that the header names.
static void act(void)
{
	static const uint8_t bytes[256 * 64];
	const uint32_t what = take();
	uint64_t deadline = what & 8 ? lumen_deadline_ns(1000) : 0;
	const uint32_t length = take() * (what & 16 ? 64 : 1);
	lumen_status status;
	uint32_t count;

	if (what & 1) {
		receive(length + 1);
	} else if (what & 2) {
		if (socket_host.taken + length > SOCKET_HOST_BYTES / 2)
			return;
		status = lumen_socket_send(sock, bytes, length, deadline, &count);
		rig_check(count <= length && (status != LUMEN_OK || count == length));
	} else if (what & 4) {
		lumen_socket_end(sock);
	} else {
		lumen_sockets_wait(&sockets, lumen_sockets_events(&sockets), rig.now + 1000);
	}
}

static void close(void)
{
	lumen_socket_close(sock, take() & 1 ? lumen_deadline_ns(1000) : 0);
}

static bool blames(void)
{
	return lumen_socket_status(sock) == LUMEN_BAD_HOST;
}

static void host_says(const struct fuzz_device *device)
{
	meddled = true;
	say(&fuzz_channel()->host);
	(void)device;
}

// What has come is changed before the VSC has it.
static void change(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	const uint32_t how = take();

	(void)channel;
	if (!(how & 0xC0)) // mostly honest
		patch((void *)(uintptr_t)packet->payload, packet->payload_length, how & 7);
}

static void tamper(void)
{
	meddled = true;
	rig.on_receive = change;
}

const struct fuzz_device fuzz_socket = {
	.create = create,
	.destroy = destroy,
	.greet = greet,
	.guest_says = guest_says,
	.guest_hears = guest_hears,
	.ask = ask,
	.open = open,
	.act = act,
	.close = close,
	.blames = blames,
	.host_says = host_says,
	.tamper = tamper,
};
