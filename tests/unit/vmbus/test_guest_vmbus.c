// SPDX-License-Identifier: BSD-2-Clause
// The guest SDK's VMBus against the real server and real rings: connecting, channels, packets,
// buffers, sub-channels, several VPs; polled and with interrupts.
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "echo_device.h"
#include "lumen/hypercall.h"

static const uint8_t vectors[] = { 0, GUEST_RIG_VECTOR };

// Each test of this kind runs polled and with interrupts.
#define BOTH_WAYS(name)                                                                            \
	ParameterizedTestParameters(guest_vmbus, name)                                             \
	{                                                                                          \
		return cr_make_param_array(uint8_t, (void *)vectors, 2);                           \
	}                                                                                          \
	ParameterizedTest(uint8_t *vector, guest_vmbus, name)

struct listener {
	uint32_t calls, rescinds, vp;
};

static void listen(void *context, struct lumen_channel *channel)
{
	struct listener *listener = context;

	listener->calls++;
	listener->rescinds += lumen_channel_rescinded(channel);
	listener->vp = lumen_this_vp();
}

static struct lumen_channel_config channel_config(struct listener *listener)
{
	return (struct lumen_channel_config){
		.send_pages = 2,
		.receive_pages = 3,
		.handler = listen,
		.context = listener,
	};
}

static struct lumen_vmbus *connected(struct guest_rig *rig, uint8_t vector)
{
	struct lumen_vmbus *bus = NULL;

	cr_assert_eq(guest_rig_connect(rig, vector, &bus), LUMEN_OK);
	cr_assert_not_null(bus);
	return bus;
}

// Ends a test that has left nothing behind.
static void finish(struct guest_rig *rig, struct lumen_vmbus *bus)
{
	if (bus)
		cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_OK);
	cr_assert_eq(rig->irq_depth, 0);
	cr_assert_eq(rig->violations, 0, "%s", vmbus_violation_name(rig->last_violation));
	cr_assert_eq(guest_rig_destroy(rig), 0, "memory is lost");
}

static lumen_status send_text(struct lumen_channel *channel, uint64_t id, const char *text)
{
	const struct vmbus_piece piece = { text, (uint32_t)strlen(text) };
	const struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_IN_BAND,
		.flags = VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
		.transaction_id = id,
		.payload = &piece,
		.payload_count = 1,
	};

	return lumen_channel_send(channel, &out);
}

// Takes a packet, as a driver that sleeps until its handler is called.
static struct vmbus_packet receive(struct guest_rig *rig, struct lumen_channel *channel)
{
	static _Alignas(8) uint8_t buffer[4096];
	struct vmbus_packet packet;
	lumen_status status;

	status = lumen_channel_receive(channel, buffer, sizeof(buffer), &packet);
	while (status == LUMEN_BUSY) {
		if (!lumen_channel_unmask(channel))
			cr_assert(guest_rig_run(rig), "nothing comes");
		status = lumen_channel_receive(channel, buffer, sizeof(buffer), &packet);
	}
	cr_assert_eq(status, LUMEN_OK);
	return packet;
}

static void exchange(struct guest_rig *rig, struct lumen_channel *channel, uint64_t id)
{
	struct vmbus_packet packet;

	cr_assert_eq(send_text(channel, id, "to the host and back"), LUMEN_OK);
	packet = receive(rig, channel);
	cr_assert_eq(packet.type, VMBUS_PACKET_COMPLETION);
	cr_assert_eq(packet.transaction_id, id);
	cr_assert_eq(packet.payload_length, 24);
	cr_assert_arr_eq(packet.payload, "to the host and back\0\0\0", 24);
}

BOTH_WAYS(a_channel_is_opened_used_and_closed)
{
	struct guest_rig *rig = guest_rig_create(VMBUS_VERSION_5_3);
	struct listener listener = { 0 };
	struct lumen_channel_config config = channel_config(&listener);
	uint8_t user_data[VMBUS_USER_DEFINED_SIZE] = { 1, 2, [119] = 3 };
	struct echo_device echo = { 0 };
	struct lumen_channel *channel;
	struct lumen_vmbus *bus;
	uint32_t i, turn;

	echo_add(rig, &echo, 7, 0);
	bus = connected(rig, *vector);
	cr_assert_eq(lumen_vmbus_version(bus), VMBUS_VERSION_5_3);
	channel = lumen_vmbus_find(bus, &echo_type, 0);
	cr_assert_not_null(channel);
	cr_assert_eq(lumen_channel_offer(channel)->interface_instance.data1, 7);
	cr_assert_eq(lumen_channel_offer(channel)->user_defined[0], 0xE0);
	cr_assert_eq(send_text(channel, 1, "x"), LUMEN_BAD_STATE);
	config.user_data = user_data;
	for (turn = 0; turn < 3; turn++) {
		cr_assert_eq(lumen_channel_open(channel, &config), LUMEN_OK);
		cr_assert_eq(lumen_channel_open(channel, &config), LUMEN_BAD_STATE);
		cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_BAD_STATE);
		cr_assert_arr_eq(echo.user_data, user_data, sizeof(user_data));
		cr_assert_eq(echo.device->rings.in_page_count, 3);
		cr_assert_eq(echo.device->rings.out_page_count, 4);
		for (i = 0; i < 1000; i++)
			exchange(rig, channel, i);
		lumen_channel_close(channel);
		lumen_channel_close(channel);
		guest_rig_run(rig);
		cr_assert_not(echo.device->open);
		config.user_data = NULL;
		memset(user_data, 0, sizeof(user_data));
	}
	cr_assert_eq(echo.opens, 3);
	cr_assert_eq(echo.closes, 3);
	cr_assert_eq(echo.echoed, 3000);
	cr_assert_gt(listener.calls, 0);
	cr_assert_eq(listener.rescinds, 0);
	finish(rig, bus);
}
