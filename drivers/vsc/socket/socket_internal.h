// SPDX-License-Identifier: BSD-2-Clause
// Shared by the files of the socket VSC.
#ifndef LUMEN_DRIVERS_VSC_SOCKET_INTERNAL_H
#define LUMEN_DRIVERS_VSC_SOCKET_INTERNAL_H

#include "drivers/common/pipe.h"
#include "drivers/proto/socket.h"
#include "drivers/vsc/vsc.h"
#include "lumen/socket.h"
#include "vmbus/packet.h"

// The largest packet from the host.
#define SOCKET_PACKET_SIZE                                                                         \
	((uint32_t)(sizeof(struct vmbus_packet_descriptor) + sizeof(struct pipe_header) +          \
		    SOCKET_MESSAGE_MAX))

struct lumen_socket {
	struct vsc vsc;
	struct lumen_sockets *sockets;
	uint32_t events;      // of this one
	uint32_t message_max; // bytes, to the host
	uint32_t page_count;  // of this allocation

	// The queue's lock keeps the rest.
	bool ended;	       // the kernel's stream
	bool end_due;	       // the host has not been told, as there was no room
	bool host_ended;       // its stream, as far as it has been received
	const uint8_t *unread; // `left` bytes of the message in the inbox
	uint32_t left;
};

// --- socket_stream.c ---

// Something may have become possible. Any context, not locked.
void socket_tell(struct lumen_socket *socket);

// The channel's handler has been called. Any context.
void socket_signalled(struct lumen_socket *socket);

// Receives as lumen_socket_receive() does without a deadline; into NULL: throws away.
lumen_status socket_take(
	struct lumen_socket *socket, uint8_t *buffer, uint32_t size, uint32_t *received);

// Waits until *seen is not the socket's counter any more; before that it is looked at. LUMEN_OK:
// try again.
lumen_status socket_sleep(struct lumen_socket *socket, uint32_t seen, uint64_t deadline_ns);

#endif
