// SPDX-License-Identifier: BSD-2-Clause
// See socket.h.
#include "drivers/vsp/socket/socket.h"

#include <stddef.h>

#include "vmbus/packet.h"

static struct socket_vsp *socket_of(struct vsp *vsp)
{
	return (struct socket_vsp *)vsp;
}

static const struct socket_vsp *socket_of_const(const struct vsp *vsp)
{
	return (const struct socket_vsp *)vsp;
}

static size_t socket_size(const void *config, bool sub)
{
	return ((const struct socket_vsp_config *)config)->wire && !sub ? sizeof(struct socket_vsp)
									: 0;
}

static void socket_open(struct vsp *vsp, const void *config)
{
	struct socket_vsp *socket = socket_of(vsp);

	socket->wire = ((const struct socket_vsp_config *)config)->wire;
	socket->message_max = vsp->writer.pages.size / 2;
	if (socket->message_max > SOCKET_OUT_MAX)
		socket->message_max = SOCKET_OUT_MAX;
	vsp->buffer = socket->in;
	vsp->buffer_size = sizeof(socket->in);
}

// --- from the guest to the program ---

static void drop_unread(struct socket_vsp *socket)
{
	socket->dropped += socket->left;
	socket->left = 0;
}

static void write_unread(struct socket_vsp *socket)
{
	while (socket->left && !socket->program_gone) {
		const int32_t count =
			socket->wire->write(socket->wire->context, socket->unread, socket->left);

		if (count == SOCKET_WIRE_NOT_NOW)
			break;
		if (count < 0) {
			socket->program_gone = true;
			break;
		}
		socket->unread += count;
		socket->left -= (uint32_t)count;
		socket->bytes_in += (uint32_t)count;
	}
	if (socket->program_gone)
		drop_unread(socket);
	socket->vsp.full = socket->left;
}

static void tell_program(struct socket_vsp *socket)
{
	if (!socket->guest_ended || socket->left || socket->program_told)
		return;
	socket->program_told = true;
	if (!socket->program_gone)
		socket->wire->end(socket->wire->context);
}

static uint32_t socket_packet(struct vsp *vsp)
{
	struct socket_vsp *socket = socket_of(vsp);
	struct pipe_message message;

	if (vsp->packet.type != VMBUS_PACKET_IN_BAND ||
		!pipe_parse(vsp->packet.payload, vsp->packet.payload_length, &message)) {
		vsp->counters.malformed++;
		vsp_fail(vsp, "a packet that is no message of a socket");
	} else if (socket->guest_ended) {
		vsp->counters.malformed++;
		vsp_fail(vsp, "a message behind the end of the stream");
	} else {
		socket->guest_ended = !message.length;
		socket->unread = message.bytes;
		socket->left = message.length;
		write_unread(socket);
	}
	return 1;
}

// --- from the program to the guest ---

// Returns false if it waits for room.
static bool send_message(struct socket_vsp *socket, uint32_t length)
{
	socket->message.header = pipe_header_for(length);
	socket->out = (struct vsp_out){
		.type = VMBUS_PACKET_IN_BAND,
		.payload = &socket->message,
		.length = sizeof(socket->message.header) + length,
	};
	socket->bytes_out += length;
	socket->out_waits = !vsp_send(&socket->vsp, &socket->out);
	return !socket->out_waits;
}

static void socket_sent(struct vsp *vsp, struct vsp_out *out)
{
	socket_of(vsp)->out_waits = false;
}

// Returns whether there may be more.
static bool read_some(struct socket_vsp *socket)
{
	const int32_t count = socket->wire->read(
		socket->wire->context, socket->message.bytes, socket->message_max);

	if (count == SOCKET_WIRE_NOT_NOW)
		return false;
	socket->program_ended = count < 0;
	// The end of the whole connection says it all. (And Linux 6.1, told both at once, keeps the
	// channel for 8 s more.)
	if (socket->program_ended && socket->program_gone)
		return false;
	return send_message(socket, count < 0 ? 0 : (uint32_t)count) && !socket->program_ended;
}

static void read_program(struct socket_vsp *socket)
{
	for (uint32_t i = 0; socket_vsp_reads(&socket->vsp); i++) {
		if (i == SOCKET_POLL_PACKETS) {
			socket->vsp.again = true;
			return;
		}
		if (!read_some(socket))
			return;
	}
}

static bool is_over(const struct socket_vsp *socket)
{
	return socket->program_ended && !socket->out_waits &&
	       (socket->program_told || socket->program_gone);
}

static void socket_work(struct vsp *vsp)
{
	write_unread(socket_of(vsp));
}

static void socket_kick(struct vsp *vsp)
{
	struct socket_vsp *socket = socket_of(vsp);

	if (vsp->failure)
		return;
	tell_program(socket);
	if (!vsp->paused)
		read_program(socket);
	if (is_over(socket))
		vsp->own_flags |= SOCKET_OVER;
}

bool socket_vsp_reads(const struct vsp *vsp)
{
	const struct socket_vsp *socket = socket_of_const(vsp);

	return !vsp->failure && !vsp->stopped && !socket->out_waits && !socket->program_ended;
}

bool socket_vsp_writes(const struct vsp *vsp)
{
	return !vsp->failure && !vsp->stopped && socket_of_const(vsp)->left;
}

bool socket_vsp_lingers(const struct vsp *vsp)
{
	const struct socket_vsp *socket = socket_of_const(vsp);

	return socket->out_waits && (socket->guest_ended || socket->program_gone);
}

void socket_vsp_hang_up(struct vsp *vsp)
{
	socket_of(vsp)->program_gone = true;
}

// --- saving: there is nothing of it that could go on elsewhere ---

static void socket_save(const struct vsp *vsp, struct vsp_writer *to)
{
}

static bool socket_restore(struct vsp *vsp, struct vsp_reader *from)
{
	vsp_fail(vsp, "a connection that does not outlive a save");
	return true;
}

// What waited for room goes nowhere.
static struct vsp_out *socket_restore_out(struct vsp *vsp, const struct vsp_out *saved)
{
	struct socket_vsp *socket = socket_of(vsp);

	if (socket->out_waits || saved->length > sizeof(socket->message) || saved->header_length)
		return NULL;
	socket->out_waits = true;
	socket->out = (struct vsp_out){ .payload = &socket->message };
	return &socket->out;
}

static const struct vsp_counter socket_counters[] = {
#define X(field) { #field, offsetof(struct socket_vsp, field) },
	X(bytes_in) X(bytes_out) X(dropped)
#undef X
		{ NULL, 0 },
};

const struct vsp_class socket_vsp_class = {
	.name = "socket",
	.guid = SOCKET_SERVICE(0),
	.poll_packets = SOCKET_POLL_PACKETS,
	.poll_cost = SOCKET_POLL_PACKETS,
	.saved_version = 1,
	.counters = socket_counters,
	.size = socket_size,
	.open = socket_open,
	.packet = socket_packet,
	.work = socket_work,
	.kick = socket_kick,
	.sent = socket_sent,
	.save = socket_save,
	.restore = socket_restore,
	.restore_out = socket_restore_out,
};
