// SPDX-License-Identifier: BSD-2-Clause
// The network VSC with several channels, against the real VSP.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/ndis.h"
#include "drivers/proto/nvsp.h"
#include "net_kernel.h"

enum { FLOWS = 60, LENGTH = 100, PORT = 35 };

static const uint32_t vps[] = { 0, 1, 2, 3 };

static uint8_t frame[LENGTH];
static uint32_t came_on; // the channel of the last batch
static uint32_t sections[RIG_CHANNELS];

static void note_channel(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	if (packet->type == VMBUS_PACKET_TRANSFER_PAGES)
		came_on = channel->index;
}

static void note_section(struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	struct nvsp_message message;

	memcpy(&message, packet->payload[0].data, NVSP_MESSAGE_SIZE);
	if (message.type == NVSP_SEND_RNDIS_PACKET &&
		message.rndis_packet.channel == NVSP_CHANNEL_DATA)
		sections[channel->index] = message.rndis_packet.section;
}

// A card of `queues` at the host, and a kernel that wants `wanted`.
static void open_queues(uint32_t queues, uint32_t wanted, uint32_t expected)
{
	struct lumen_net_config config = { .vps = vps,
		.vp_count = wanted,
		.bus = (void *)&net_kernel,
		.depth = 20,
		.timeout_ns = 1000 };
	lumen_status status;

	net_host_create(queues, 0);
	rig.on_receive = note_channel;
	rig.on_sent = note_section;
	status = net_kernel_open(&config);
	cr_assert_eq(status, LUMEN_OK, "%x", status);
	cr_assert_eq(lumen_net_info(net_kernel.net)->channels, expected);
	net_kernel_run();
}

static void close_queues(void)
{
	cr_assert_eq(lumen_net_status(net_kernel.net), LUMEN_OK, "%s",
		lumen_net_failure(net_kernel.net));
	lumen_net_close(net_kernel.net);
	cr_assert_eq(rig.gpadls, 0);
	rig_destroy();
}

// One of a flow's, by its port.
static void make_tcp(uint8_t flow)
{
	net_kernel_fill(frame, LENGTH, 9);
	memset(frame + 14, 0, 40);
	memcpy(frame, net_host.config.card.mac, 6);
	memcpy(frame + 12, (uint8_t[]){ 0x08, 0x00, 0x45 }, 3);
	frame[17] = LENGTH - 14;
	frame[23] = 6;
	frame[PORT] = flow;
	frame[46] = 0x50;
}

static void receive_flow(uint8_t flow)
{
	const uint32_t before = net_kernel.received;

	make_tcp(flow);
	cr_assert(net_kernel_comes(frame, LENGTH));
	net_kernel_run();
	cr_assert_eq(net_kernel.received, before + 1);
	cr_assert_arr_eq(net_kernel.bytes, frame, LENGTH);
}

Test(net_vsc_queues, a_flow_comes_on_one_channel)
{
	uint32_t seen[RIG_CHANNELS] = { 0 }, channel;

	open_queues(3, 3, 3);
	for (uint8_t i = 0; i < FLOWS; i++) {
		receive_flow(i);
		channel = came_on;
		receive_flow(i);
		cr_assert_eq(came_on, channel);
		cr_assert(net_kernel.last.flags & LUMEN_NET_HAS_HASH);
		cr_assert_eq(net_kernel.last.hash % NDIS_RSS_TABLE_MAX % 3, channel);
		seen[channel]++;
	}
	for (uint32_t i = 0; i < RIG_CHANNELS; i++) {
		cr_assert_eq(rig.channels[i].config.target_vp, i);
		cr_assert_gt(seen[i], FLOWS / 10);
	}
	close_queues();
}

// Each has sections of its own, and all frames are right.
Test(net_vsc_queues, a_processor_sends_on_its_channel)
{
	struct lumen_net_counters counters;
	uint32_t seen = 0;

	open_queues(3, 3, 3);
	for (uint32_t i = 0; i < 9; i++) {
		rig_vp = i;
		make_tcp((uint8_t)i);
		sections[i % 3] = UINT32_MAX;
		cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, LENGTH), LUMEN_OK);
		cr_assert_eq(sections[i % 3] / 20, i % 3);
	}
	rig_vp = 0;
	net_kernel_run();
	cr_assert_eq(net_host.wire.sent_count, 9);
	for (uint32_t i = 0; i < 9; i++)
		seen |= 1u << memory_wire_sent(&net_host.wire, i)->bytes[PORT];
	cr_assert_eq(seen, 0x1ff);
	lumen_net_statistics(net_kernel.net, &counters);
	cr_assert_eq(counters.sent, 9);
	close_queues();
}

// As many as the depth on each at once; control messages have their section beside them.
Test(net_vsc_queues, all_slots_of_all_channels)
{
	open_queues(3, 3, 3);
	net_host.wire.deferred = true;
	for (uint32_t i = 0; i < 3 * 20; i++) {
		rig_vp = i;
		make_tcp((uint8_t)i);
		cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, LENGTH), LUMEN_OK);
	}
	for (rig_vp = 0; rig_vp < 3; rig_vp++)
		cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, LENGTH), LUMEN_BUSY);
	rig_vp = 0;
	cr_assert_eq(lumen_net_set_filter(net_kernel.net, LUMEN_NET_DIRECTED), LUMEN_OK);
	net_host.wire.deferred = false;
	net_kernel_run();
	cr_assert_eq(net_host.wire.sent_count, 60);
	close_queues();
}

Test(net_vsc_queues, as_many_as_the_host_has)
{
	open_queues(1, 3, 1);
	receive_flow(1);
	close_queues();
	open_queues(2, 4, 2);
	for (uint8_t i = 0; i < 10; i++)
		receive_flow(i);
	close_queues();
}

Test(net_vsc_queues, hosts_without_them)
{
	struct lumen_net_config config = {
		.vps = vps, .vp_count = 3, .bus = (void *)&net_kernel, .max_version = NVSP_VERSION_4
	};

	net_host_create(3, 0);
	cr_assert_eq(net_kernel_open(&config), LUMEN_OK);
	cr_assert_eq(lumen_net_info(net_kernel.net)->channels, 1);
	close_queues();
}

static struct nvsp_sub_channel_complete lie;

static void lie_of_subs(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	uint32_t type = 0;

	if (packet->type != VMBUS_PACKET_COMPLETION || packet->payload_length < NVSP_MESSAGE_SIZE)
		return;
	memcpy(&type, packet->payload, sizeof(type));
	if (type == NVSP_SUB_CHANNEL)
		memcpy((uint8_t *)packet->payload + sizeof(type), &lie, sizeof(lie));
}

// What a host says of its sub-channels costs at most these.
Test(net_vsc_queues, hosts_that_lie_of_them)
{
	static const struct {
		struct nvsp_sub_channel_complete lie;
		uint32_t channels;
	} lies[] = {
		{ { NVSP_STATUS_FAILURE, 2 }, 1 },
		{ { NVSP_STATUS_NONE, 2 }, 1 },
		{ { NVSP_STATUS_SUCCESS, 0 }, 1 },
		{ { NVSP_STATUS_SUCCESS, 1 }, 2 },
		{ { NVSP_STATUS_SUCCESS, UINT32_MAX }, 3 },
	};
	struct lumen_net_config config = {
		.vps = vps, .vp_count = 3, .bus = (void *)&net_kernel, .depth = 20
	};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		lie = lies[i].lie;
		net_host_create(3, 0);
		rig.on_receive = lie_of_subs;
		cr_assert_eq(net_kernel_open(&config), LUMEN_OK);
		cr_assert_eq(lumen_net_info(net_kernel.net)->channels, lies[i].channels);
		net_kernel_run();
		for (uint8_t flow = 0; flow < 10; flow++)
			receive_flow(flow);
		close_queues();
	}
}

Test(net_vsc_queues, bad_configurations)
{
	static const struct lumen_net_config bad[] = {
		{ .vp_count = 1 },
		{ .vps = vps },
		{ .vps = vps, .vp_count = 2 },
		{ .vps = vps, .vp_count = LUMEN_NET_MAX_CHANNELS + 1, .bus = (void *)&net_kernel },
	};

	net_host_create(3, 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(net_kernel_open(&bad[i]), LUMEN_BAD_ARGUMENT);
	rig_destroy();
}

// Wherever memory ends, nothing of it stays; with less than all channels it works too.
Test(net_vsc_queues, without_memory)
{
	struct lumen_net_config config = {
		.vps = vps, .vp_count = 3, .bus = (void *)&net_kernel, .depth = 20
	};
	uint32_t channels = 0;

	for (uint32_t i = 1; channels < 3; i++) {
		net_host_create(3, 0);
		rig.fail_alloc = i;
		if (net_kernel_open(&config) == LUMEN_OK) {
			channels = lumen_net_info(net_kernel.net)->channels;
			net_kernel_run();
			make_tcp(0);
			rig_vp = 2;
			cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, LENGTH), LUMEN_OK);
			rig_vp = 0;
			net_kernel_run();
			cr_assert_eq(net_host.wire.sent_count, 1);
			lumen_net_close(net_kernel.net);
		}
		cr_assert_eq(rig.gpadls, 0);
		cr_assert_eq(rig.pages, 0);
		rig_destroy();
		cr_assert_lt(i, 20);
	}
}

Test(net_vsc_queues, a_sub_channel_is_taken_away)
{
	open_queues(3, 3, 3);
	rig_rescind_one(&rig.channels[1]);
	rig_vp = 1;
	make_tcp(0);
	lumen_net_send_copy(net_kernel.net, frame, LENGTH);
	rig_vp = 0;
	net_kernel_run();
	cr_assert_eq(lumen_net_status(net_kernel.net), LUMEN_RESCINDED);
	lumen_net_close(net_kernel.net);
	cr_assert_eq(rig.gpadls, 0);
	rig_destroy();
}
