// SPDX-License-Identifier: BSD-2-Clause
// What the tests of the guest's VMBus have in common: both ways to be interrupted, a handler that
// counts, a guest that has found an echo device, and a conversation with it.
#pragma once

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "echo_device.h"

static uint8_t vectors[] = { 0, GUEST_RIG_VECTOR };

// Each test of this kind runs polled and with interrupts.
#define BOTH_WAYS(suite, name)                                                                     \
	ParameterizedTestParameters(suite, name)                                                   \
	{                                                                                          \
		return cr_make_param_array(uint8_t, vectors, 2);                                   \
	}                                                                                          \
	ParameterizedTest(uint8_t *vector, suite, name)

struct listener {
	uint32_t calls, rescinds, vp;
};

static inline void listen(void *context, struct lumen_channel *channel)
{
	struct listener *listener = context;

	listener->calls++;
	listener->rescinds += lumen_channel_rescinded(channel);
	listener->vp = lumen_this_vp();
}

static inline struct lumen_channel_config channel_config(struct listener *listener)
{
	return (struct lumen_channel_config){
		.send_pages = 2,
		.receive_pages = 3,
		.handler = listen,
		.context = listener,
	};
}

// What most tests start from: a host with one echo device, and a guest that has found it. What the
// host or the device is to do otherwise is set between the steps.
struct guest_case {
	struct guest_rig *rig;
	struct echo_device echo;
	struct lumen_vmbus *bus;
	struct lumen_channel *channel;
	struct listener listener;
	struct lumen_channel_config config; // that the channel is opened with
};

#define GUEST_CASE_INSTANCE 7u // of the echo device

static inline struct lumen_vmbus *connected(struct guest_rig *rig, uint8_t vector)
{
	struct lumen_vmbus *bus = NULL;

	cr_assert_eq(guest_rig_connect(rig, vector, &bus), LUMEN_OK);
	cr_assert_not_null(bus);
	return bus;
}

// Ends a test in which the host has kept so many of the guest's pages.
static inline void finish_without(struct guest_rig *rig, struct lumen_vmbus *bus, uint32_t pages)
{
	if (bus)
		cr_assert_eq(lumen_vmbus_disconnect(bus), LUMEN_OK);
	cr_assert_eq(rig->irq_depth, 0);
	cr_assert_eq(rig->violations, 0, "%s", vmbus_violation_name(rig->last_violation));
	cr_assert_eq(guest_rig_destroy(rig), pages, "memory is lost, or was not kept");
}

// Ends a test that has left nothing behind.
static inline void finish(struct guest_rig *rig, struct lumen_vmbus *bus)
{
	finish_without(rig, bus, 0);
}

// The first half of guest_case_begin(), for a host that is not to be connected to as it is.
// The case stays where it is: its device and its configuration point into it.
static inline void guest_case_offer(struct guest_case *c, uint32_t host_version)
{
	memset(c, 0, sizeof(*c));
	c->rig = guest_rig_create(host_version);
	c->config = channel_config(&c->listener);
	echo_add(c->rig, &c->echo, GUEST_CASE_INSTANCE, 0);
}

// The second half.
static inline void guest_case_connect(struct guest_case *c, uint8_t vector)
{
	c->bus = connected(c->rig, vector);
	c->channel = lumen_vmbus_find(c->bus, &echo_type, 0);
	cr_assert_not_null(c->channel);
}

static inline void guest_case_begin(struct guest_case *c, uint32_t host_version, uint8_t vector)
{
	guest_case_offer(c, host_version);
	guest_case_connect(c, vector);
}

static inline void guest_case_open(struct guest_case *c)
{
	cr_assert_eq(lumen_channel_open(c->channel, &c->config), LUMEN_OK);
}

// Ends a test whose channel is open still. (finish(c.rig, c.bus) is for the others: it finds out
// whether the test's own close was one.)
static inline void guest_case_end(struct guest_case *c)
{
	lumen_channel_close(c->channel);
	finish(c->rig, c->bus);
}

static inline lumen_status send_text(struct lumen_channel *channel, uint64_t id, const char *text)
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
static inline struct vmbus_packet receive(struct guest_rig *rig, struct lumen_channel *channel)
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

static inline void exchange(struct guest_rig *rig, struct lumen_channel *channel, uint64_t id)
{
	struct vmbus_packet packet;

	cr_assert_eq(send_text(channel, id, "to the host and back"), LUMEN_OK);
	packet = receive(rig, channel);
	cr_assert_eq(packet.type, VMBUS_PACKET_COMPLETION);
	cr_assert_eq(packet.transaction_id, id);
	cr_assert_eq(packet.payload_length, 24);
	cr_assert_arr_eq(packet.payload, "to the host and back\0\0\0", 24);
}
