// SPDX-License-Identifier: BSD-2-Clause
// See memory_wire.h.
#include "memory_wire.h"

#include <string.h>

#include "tests/unit/drivers/rig.h"

static struct memory_wire *wire_of(struct net_wire *wire)
{
	return (struct memory_wire *)wire;
}

static void keep(struct memory_wire *wire, const struct net_buffer *frame)
{
	struct memory_wire_frame *to = &wire->sent[wire->sent_count++ % MEMORY_WIRE_SENT];

	rig_check(frame->iov_count > 1 && frame->iov[0].length == sizeof(to->header));
	memcpy(&to->header, frame->iov[0].base, sizeof(to->header));
	to->pieces = frame->iov_count - 1;
	to->length = 0;
	for (uint32_t i = 1; i < frame->iov_count; i++) {
		rig_check(frame->iov[i].length <= MEMORY_WIRE_FRAME - to->length);
		memcpy(to->bytes + to->length, frame->iov[i].base, frame->iov[i].length);
		to->length += (uint32_t)frame->iov[i].length;
	}
}

static void end(struct memory_wire *wire, struct net_buffer *frame)
{
	if (wire->refuse) {
		frame->done(frame, 0);
		return;
	}
	keep(wire, frame);
	frame->done(frame, wire->sent[(wire->sent_count - 1) % MEMORY_WIRE_SENT].length);
}

static void send(struct net_wire *net, struct net_buffer *frame)
{
	struct memory_wire *wire = wire_of(net);

	frame->next = NULL;
	*wire->sending_end = frame;
	wire->sending_end = &frame->next;
}

uint32_t memory_wire_run(struct memory_wire *wire, uint32_t count)
{
	uint32_t done;

	for (done = 0; done < count && wire->sending; done++) {
		struct net_buffer *frame = wire->sending;

		wire->sending = frame->next;
		if (!wire->sending)
			wire->sending_end = &wire->sending;
		end(wire, frame);
	}
	return done;
}

static void receive(struct net_wire *net, struct net_buffer *room)
{
	struct memory_wire *wire = wire_of(net);

	room->next = NULL;
	*wire->rooms_end = room;
	wire->rooms_end = &room->next;
	wire->room_count++;
}

static struct net_buffer *take_room(struct memory_wire *wire)
{
	struct net_buffer *room = wire->rooms;

	wire->rooms = room->next;
	if (!wire->rooms)
		wire->rooms_end = &wire->rooms;
	wire->room_count--;
	return room;
}

static void kick(struct net_wire *net)
{
	struct memory_wire *wire = wire_of(net);

	wire->kicks++;
	if (!wire->deferred)
		memory_wire_run(wire, UINT32_MAX);
}

static void take_back(struct net_wire *net)
{
	struct memory_wire *wire = wire_of(net);

	while (wire->rooms) {
		struct net_buffer *room = take_room(wire);

		room->done(room, 0);
	}
}

static void set_takes(struct net_wire *net, uint32_t takes)
{
	wire_of(net)->takes = takes;
}

void memory_wire_init(struct memory_wire *wire)
{
	static const struct net_wire_ops ops = { send, receive, kick, take_back, set_takes };

	memset(wire, 0, sizeof(*wire));
	wire->wire.ops = &ops;
	wire->sending_end = &wire->sending;
	wire->rooms_end = &wire->rooms;
}

bool memory_wire_receive(struct memory_wire *wire, const struct net_header *header,
	const void *bytes, uint32_t length)
{
	const uint8_t *from = bytes;
	uint32_t left = length;
	struct net_buffer *room;

	if (!wire->rooms)
		return false;
	room = take_room(wire);
	memcpy(room->iov[0].base, header, sizeof(*header));
	for (uint32_t i = 1; i < room->iov_count && left; i++) {
		const uint32_t now =
			left < room->iov[i].length ? left : (uint32_t)room->iov[i].length;

		memcpy(room->iov[i].base, from, now);
		from += now;
		left -= now;
	}
	room->done(room, length - left);
	return !left;
}

const struct memory_wire_frame *memory_wire_sent(const struct memory_wire *wire, uint32_t index)
{
	rig_check(index < wire->sent_count && wire->sent_count - index <= MEMORY_WIRE_SENT);
	return &wire->sent[index % MEMORY_WIRE_SENT];
}
