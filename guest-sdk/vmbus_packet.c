// SPDX-License-Identifier: BSD-2-Clause
// Packets: to and from the rings of an open channel, and the signals that go with them.
#include "guest-sdk/vmbus_internal.h"

static bool live(const struct lumen_channel *channel)
{
	return __atomic_load_n(&channel->live, __ATOMIC_ACQUIRE);
}

// TLFS: HvCallSignalEvent, fast: connection id, and flag number 0 above it. If it fails, the host
// does not listen any more, and says so itself by a rescind.
static void signal_host(const struct lumen_channel *channel)
{
	lumen_hypercall_fast(HvCallSignalEvent, channel->protocol->offer.connection_id, 0);
}

static lumen_status ring_status(enum vmbus_ring_status status)
{
	switch (status) {
	case VMBUS_RING_OK:
		return LUMEN_OK;
	case VMBUS_RING_EMPTY:
	case VMBUS_RING_FULL:
		return LUMEN_BUSY;
	case VMBUS_RING_UNWRITABLE:
		return LUMEN_BAD_ARGUMENT;
	default:
		return LUMEN_BAD_HOST;
	}
}

static uint32_t length_of(const struct vmbus_piece *pieces, uint32_t count)
{
	uint32_t sum = 0, i;

	for (i = 0; i < count; i++)
		sum += pieces[i].length; // does not wrap: vmbus_ring_write() has looked
	return sum;
}

lumen_status lumen_channel_queue(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	enum vmbus_ring_status status;
	uint32_t room;

	if (vmbus_rescinded(channel))
		return LUMEN_RESCINDED;
	if (!live(channel))
		return LUMEN_BAD_STATE;
	status = vmbus_ring_write(&channel->writer, packet);
	if (status == VMBUS_RING_FULL) {
		// The host must see all that is there, or it makes no room.
		lumen_channel_flush(channel);
		room = vmbus_ring_packet_room(length_of(packet->header, packet->header_count),
			length_of(packet->payload, packet->payload_count));
		if (vmbus_ring_writer_wait(&channel->writer, room))
			status = vmbus_ring_write(&channel->writer, packet);
	}
	return ring_status(status);
}

void lumen_channel_flush(struct lumen_channel *channel)
{
	if (live(channel) && vmbus_ring_writer_commit(&channel->writer))
		signal_host(channel);
}

lumen_status lumen_channel_send(
	struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	lumen_status status = lumen_channel_queue(channel, packet);

	if (!status)
		lumen_channel_flush(channel);
	return status;
}

lumen_status lumen_channel_receive(
	struct lumen_channel *channel, void *buffer, uint32_t size, struct vmbus_packet *packet)
{
	if (!live(channel))
		return LUMEN_BAD_STATE;
	return ring_status(vmbus_ring_read(&channel->reader, buffer, size, packet));
}

bool lumen_channel_unmask(struct lumen_channel *channel)
{
	if (!live(channel))
		return false;
	if (vmbus_ring_reader_commit(&channel->reader))
		signal_host(channel);
	if (!vmbus_ring_reader_unmask(&channel->reader))
		return false;
	vmbus_ring_reader_mask(&channel->reader);
	return true;
}
