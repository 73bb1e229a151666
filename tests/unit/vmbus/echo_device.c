// SPDX-License-Identifier: BSD-2-Clause
// A device of the rig that sends each packet back.
#include "echo_device.h"

#include <string.h>

const struct vmbus_guid echo_type = { 0xec0ec0ec, 1, 2, { 3, 4, 5, 6, 7, 8, 9, 10 } };

struct vmbus_offer echo_offer(uint32_t instance, uint16_t sub)
{
	return (struct vmbus_offer){
		.interface_type = echo_type,
		.interface_instance = { .data1 = instance },
		.flags = VMBUS_OFFER_ENUMERATE_DEVICE_INTERFACE,
		.sub_channel_index = sub,
		.user_defined = { 0xE0, (uint8_t)instance },
	};
}

void echo_add(struct guest_rig *rig, struct echo_device *echo, uint32_t instance, uint16_t sub)
{
	const struct vmbus_offer offer = echo_offer(instance, sub);

	echo->device = guest_rig_offer(rig, &offer, &echo_ops, echo);
	cr_assert_not_null(echo->device);
}

static void echo_send(struct echo_device *echo, const struct vmbus_packet *packet)
{
	const struct vmbus_piece piece = { packet->payload, packet->payload_length };
	const struct vmbus_packet_out out = {
		.type = packet->flags & VMBUS_PACKET_FLAG_COMPLETION_REQUESTED
				? VMBUS_PACKET_COMPLETION
				: VMBUS_PACKET_IN_BAND,
		.transaction_id = packet->transaction_id,
		.payload = &piece,
		.payload_count = 1,
	};

	cr_assert_eq(vmbus_ring_write(&echo->writer, &out), VMBUS_RING_OK);
	if (vmbus_ring_writer_commit(&echo->writer))
		guest_rig_signal(echo->device);
}

static bool echo_open(
	void *context, struct guest_rig_device *device, const struct guest_rig_open *open)
{
	struct echo_device *echo = context;

	cr_assert_not(echo->not_permitted);
	echo->opens++;
	if (echo->refuses)
		return false;
	echo->device = device;
	memcpy(echo->user_data, open->user_data, sizeof(echo->user_data));
	cr_assert_eq(vmbus_ring_reader_init(&echo->reader, open->in_pages, open->in_page_count),
		VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_writer_init(&echo->writer, open->out_pages, open->out_page_count),
		VMBUS_RING_OK);
	if (echo->speaks_first) {
		static const uint8_t words[16] = "I speak first";

		device->open = true; // its signals count
		echo_send(echo,
			&(struct vmbus_packet){
				.transaction_id = 1, .payload = words, .payload_length = 16 });
	}
	return true;
}

static void echo_close(void *context, struct guest_rig_device *device)
{
	struct echo_device *echo = context;

	echo->closes++;
	if (!echo->slow_close)
		guest_rig_closed(device);
}

bool echo_run(struct echo_device *echo)
{
	_Alignas(8) uint8_t buffer[4096];
	struct vmbus_packet packet;
	uint32_t before = echo->echoed;

	do {
		vmbus_ring_reader_mask(&echo->reader);
		while (vmbus_ring_read(&echo->reader, buffer, sizeof(buffer), &packet) ==
			VMBUS_RING_OK) {
			echo_send(echo, &packet);
			echo->echoed++;
		}
		if (vmbus_ring_reader_commit(&echo->reader))
			guest_rig_signal(echo->device);
	} while (vmbus_ring_reader_unmask(&echo->reader));
	return echo->echoed != before;
}

static void echo_signalled(void *context, struct guest_rig_device *device)
{
	struct echo_device *echo = context;

	if (!echo->stopped)
		echo_run(echo);
}

static bool echo_idle(void *context, struct guest_rig_device *device)
{
	struct echo_device *echo = context;

	if (!device->closing || !echo->slow_close)
		return false;
	guest_rig_closed(device);
	return true;
}

const struct guest_rig_ops echo_ops = {
	.open = echo_open,
	.close = echo_close,
	.signalled = echo_signalled,
	.run = echo_idle,
};
