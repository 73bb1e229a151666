// SPDX-License-Identifier: BSD-2-Clause
// A TAP that leads nowhere: what is sent is gone, and nothing comes. For the worker's tests.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "parent/worker/backends/tap.h"

struct tap {
	struct net_wire wire; // first
	int fd, taken;
	struct net_buffer *sending, *rooms;
};

static void push(struct net_buffer **list, struct net_buffer *buffer)
{
	buffer->next = *list;
	*list = buffer;
}

static void end_all(struct net_buffer **list, bool sent)
{
	struct net_buffer *buffer = *list, *next;

	*list = NULL;
	for (; buffer; buffer = next) {
		next = buffer->next;
		buffer->done(buffer, sent ? (uint32_t)buffer->iov[1].length : 0);
	}
}

static void send_frame(struct net_wire *wire, struct net_buffer *frame)
{
	push(&((struct tap *)wire)->sending, frame);
}

static void receive(struct net_wire *wire, struct net_buffer *room)
{
	push(&((struct tap *)wire)->rooms, room);
}

static void kick(struct net_wire *wire)
{
	end_all(&((struct tap *)wire)->sending, true);
}

static void take_back(struct net_wire *wire)
{
	end_all(&((struct tap *)wire)->rooms, false);
}

static void set_takes(struct net_wire *wire, uint32_t takes)
{
}

struct tap *tap_make(struct failure *failure)
{
	static const struct net_wire_ops ops = { send_frame, receive, kick, take_back, set_takes };
	struct tap *tap = calloc(1, sizeof(*tap));

	tap->wire.ops = &ops;
	tap->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return tap;
}

// What can be read and written passes for one.
bool tap_take(struct tap *tap, int fd)
{
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return false;
	tap->taken = fd;
	return true;
}

void tap_drop(struct tap *tap)
{
	close(tap->taken);
}

void tap_close(struct tap *tap)
{
	close(tap->fd);
	free(tap);
}

struct net_wire *tap_wire(struct tap *tap)
{
	return &tap->wire;
}

int tap_event_fd(const struct tap *tap)
{
	return tap->fd;
}

void tap_poll(struct tap *tap)
{
}

uint64_t tap_refused(const struct tap *tap)
{
	return tap->fd < 0;
}
