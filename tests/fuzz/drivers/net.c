// SPDX-License-Identifier: BSD-2-Clause
// The network, both ends, for fuzz_devices.c.
#include <string.h>

#include "devices.h"
#include "drivers/common/rndis.h"
#include "drivers/proto/ndis.h"
#include "drivers/proto/nvsp.h"
#include "lumen/net.h"
#include "tests/unit/drivers/net/net_host.h"

enum { RAM = 64, RECEIVE_PAGE = 16, RECEIVE_PAGES = 32, SEND_PAGE = 8, SEND_PAGES = 6, GPADL = 1 };

static void make_gpadl(uint32_t number, uint32_t page, uint32_t pages)
{
	net_host.gpadls[number].byte_count = pages * VMBUS_PAGE_SIZE;
	for (uint32_t i = 0; i < pages; i++)
		net_host.gpadls[number].pfns[i] = page + i;
}

static void create(const struct fuzz_device *device)
{
	const uint32_t what = take();

	(void)device;
	net_host_create(1 + what % RIG_CHANNELS, RAM);
	memset(rig.ram, 0, RAM * VMBUS_PAGE_SIZE);
	net_host.config.slot_count = NET_VSP_SLOTS_MIN;
	net_host.config.room_count = 16;
	net_host.config.card.offloads = what >> 2 & 15;
	net_host.config.any_source = what & 0x40;
	net_host.wire.deferred = what & 0x80;
	rig.complete = 1 + (take() & 3);
}

static void destroy(void)
{
	for (uint32_t i = 0; i < NET_LENT; i++)
		rig_check(!net_host.loans[i].gpadl);
	rig_check(!net_host.wire.rooms && !net_host.wire.sending);
	rig_destroy();
}

// A frame comes, the link changes, or the wire does.
static void ask(const struct fuzz_device *device)
{
	const uint32_t what = take();
	struct net_header header = { .flags = what >> 4 & 3 };
	uint8_t frame[1700] = { 255, 255, 255, 255, 255, 255 };

	(void)device;
	if (what & 1) {
		net_vsp_set_link(rig.channels[0].vsp, what & 2);
	} else if (what & 2) {
		net_host.wire.deferred = what & 4;
		net_host.wire.refuse = what & 8;
	} else {
		if (what & 0x40)
			memcpy(frame, net_host.config.card.mac, 6);
		patch(frame, 64, 7);
		memory_wire_receive(&net_host.wire, &header, frame, what & 0x80 ? take() : 1514);
	}
}

// --- a raw guest ---

// In-band, or with a range or two of the RAM.
static void send(uint32_t kind, const struct nvsp_message *message, uint32_t length)
{
	const uint32_t count = kind & 3;
	struct vmbus_gpa_direct_header direct = { 0, count };
	struct vmbus_gpa_range_header ranges[3];
	uint64_t pfns[3][3];
	struct vmbus_piece header[7] = { { &direct, 8 } };
	const struct vmbus_piece payload = { message, length };

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t at = take32();

		ranges[i] = (struct vmbus_gpa_range_header){ at & 0x1FFF, at >> 13 & 0xFFF };
		for (uint32_t j = 0; j < 3; j++)
			pfns[i][j] = (at >> 25) % (RAM + 1) + j;
		header[1 + 2 * i] = (struct vmbus_piece){ &ranges[i], 8 };
		header[2 + 2 * i] = (struct vmbus_piece){ pfns[i],
			8 * (uint32_t)vmbus_pages_spanned(
				    ranges[i].byte_offset, ranges[i].byte_count) };
	}
	rig_write(&fuzz_channel()->guest,
		&(struct vmbus_packet_out){
			.type = count	   ? VMBUS_PACKET_GPA_DIRECT
				: kind & 4 ? VMBUS_PACKET_COMPLETION
					   : VMBUS_PACKET_IN_BAND,
			.flags = kind & 8 ? 0 : VMBUS_PACKET_FLAG_COMPLETION_REQUESTED,
			.transaction_id = kind & 4 ? take() : 1,
			.header = header,
			.header_count = count ? 1 + 2 * count : 0,
			.payload = &payload,
			.payload_count = 1,
		});
}

static void say(const struct nvsp_message *message)
{
	send(0, message, sizeof(*message));
	rig_run();
}

// A control message in the send buffer's first section.
static void control(uint32_t type, const void *body, uint32_t length)
{
	const struct rndis_header header = { type, 8 + length };
	uint8_t *to = rig.ram + SEND_PAGE * VMBUS_PAGE_SIZE;

	memcpy(to, &header, 8);
	memcpy(to + 8, body, length);
	say(&(struct nvsp_message){ .type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { NVSP_CHANNEL_CONTROL, 0, 8 + length } });
}

static void greet(const struct fuzz_device *device)
{
	static const uint32_t versions[] = { NVSP_VERSION_6_1, NVSP_VERSION_5, NVSP_VERSION_2,
		NVSP_VERSION_1 };
	const uint32_t version = versions[take() & 3];
	const struct rndis_initialize initialize = { 1, 1, 0, 0x4000 };
	const struct {
		struct rndis_request request;
		uint32_t filter;
	} set = { { 2, OID_GEN_CURRENT_PACKET_FILTER, 4, 20, 0 }, NDIS_FILTER_PROMISCUOUS };

	(void)device;
	make_gpadl(GPADL, RECEIVE_PAGE, RECEIVE_PAGES);
	make_gpadl(GPADL + 1, SEND_PAGE, SEND_PAGES);
	say(&(struct nvsp_message){ .type = NVSP_INIT, .init = { version, version } });
	say(&(struct nvsp_message){
		.type = NVSP_SEND_RECEIVE_BUFFER, .buffer = { GPADL, NVSP_RECEIVE_BUFFER_ID, 0 } });
	say(&(struct nvsp_message){
		.type = NVSP_SEND_SEND_BUFFER, .buffer = { GPADL + 1, NVSP_SEND_BUFFER_ID, 0 } });
	control(RNDIS_INITIALIZE, &initialize, sizeof(initialize));
	control(RNDIS_SET, &set, sizeof(set));
	if (version >= NVSP_VERSION_5 && take() & 1)
		say(&(struct nvsp_message){ .type = NVSP_SUB_CHANNEL,
			.sub_channel = { NVSP_SUB_CHANNEL_ALLOCATE, take() % 4 } });
	for (uint32_t i = 1; i <= rig.offered_subs; i++)
		rig_open(&rig.channels[i], 4, 4);
}

// A frame, nearly right, where the ranges or the send buffer are.
static void put_frame(uint8_t *to)
{
	struct rndis_frame frame = { .length = 14 + take() * 4, .has = take() & 15 };
	uint32_t size;

	frame.checksum = take32();
	frame.lso = take32();
	size = rndis_put_frame(to, &frame);
	memcpy(to + size + 6, net_host.config.card.mac, 6);
	patch(to, size + 64, 5);
}

static void guest_says(const struct fuzz_device *device)
{
	static const uint16_t types[] = { NVSP_INIT, NVSP_SEND_NDIS_VERSION,
		NVSP_SEND_RECEIVE_BUFFER, NVSP_REVOKE_RECEIVE_BUFFER, NVSP_SEND_SEND_BUFFER,
		NVSP_REVOKE_SEND_BUFFER, NVSP_SEND_RNDIS_PACKET, NVSP_SEND_NDIS_CONFIG,
		NVSP_SUB_CHANNEL };
	const uint32_t kind = take(), what = take();
	struct nvsp_message message = { .type = types[what % 9] };

	(void)device;
	if (what & 0x80) {
		message.type = NVSP_SEND_RNDIS_PACKET;
		message.rndis_packet = (struct nvsp_rndis_packet){ what >> 6 & 1,
			kind & 3 ? NVSP_NO_SECTION : what >> 4 & 3, 1200 };
		put_frame(rig.ram + (SEND_PAGE + (what >> 4 & 3) + (kind & 3 ? RECEIVE_PAGES : 0)) *
					    VMBUS_PAGE_SIZE);
	} else if (what & 0x40) {
		message.buffer = (struct nvsp_buffer){ take() & 3, (uint16_t)take(), 0 };
	}
	patch(&message, sizeof(message), kind >> 6);
	send(kind, &message, kind & 0x20 ? take() % 41 : sizeof(message));
}

static void guest_hears(const struct vmbus_packet *packet)
{
	const struct nvsp_message done = { .type = NVSP_SEND_RNDIS_PACKET_COMPLETE };

	if (packet->type == VMBUS_PACKET_TRANSFER_PAGES)
		rig_say(&fuzz_channel()->guest, VMBUS_PACKET_COMPLETION, packet->transaction_id,
			&done, 8);
}

// --- a VSC ---

enum { FRAMES = 12, MEMORY = 128 << 10 };

struct track {
	struct lumen_net_frame frame;
	struct lumen_segment segments[LUMEN_NET_MAX_SEGMENTS];
	bool under_way;
};

static struct track tracks[FRAMES];
static struct lumen_net *net;
static uint8_t memory[MEMORY];

static void on_frame(void *context, struct lumen_net *of, const struct lumen_net_received *frame)
{
	static uint8_t copy[LUMEN_NET_MAX_RECEIVED];
	const struct lumen_net_properties *info = lumen_net_info(of);
	const bool coalesced = info->offloads & LUMEN_NET_COALESCED;
	uint32_t size = frame->length;

	rig_check(context == tracks && frame->length >= 14 &&
		  frame->size <= (coalesced ? sizeof(copy) : info->mtu + 18) &&
		  frame->more_count < (coalesced ? LUMEN_NET_MAX_PIECES : 1));
	memcpy(copy, frame->data, frame->length);
	for (uint32_t i = 0; i < frame->more_count; size += frame->more[i++].length)
		memcpy(copy + size, frame->more[i].data, frame->more[i].length);
	rig_check(size == frame->size);
	if (frame->flags & LUMEN_NET_HAS_VLAN)
		lumen_net_send_copy(of, copy, frame->length);
}

static bool open(const struct fuzz_device *device)
{
	const uint32_t how = take();
	const struct lumen_net_config config = {
		.receive = on_frame,
		.context = tracks,
		.polled = how & 1,
		.mtu = how & 2 ? 9000 : 0,
		.offloads = take() & LUMEN_NET_OFFLOADS,
		.depth = 1 + take() % 16,
		.receive_buffer_pages = how & 4 ? 64 : 16,
		.send_pages = 2,
		.receive_pages = 1,
		.timeout_ns = 1000000,
	};

	(void)device;
	memset(tracks, 0, sizeof(tracks));
	net_host.config.card.mtu = 1500;
	return lumen_net_open(lumen_net_find(NULL, 0), &config, &net) == LUMEN_OK;
}

static void close(void)
{
	rig.on_receive = NULL;
	lumen_net_close(net);
	for (uint32_t i = 0; i < FRAMES; i++)
		rig_check(!tracks[i].under_way);
}

static bool blames(void)
{
	return lumen_net_status(net) == LUMEN_BAD_HOST;
}

static void on_done(struct lumen_net_frame *frame)
{
	struct track *track = frame->context;

	rig_check(track->under_way);
	track->under_way = false;
}

static void start(uint32_t how)
{
	struct track *track = &tracks[take() % FRAMES];
	const uint32_t count = 1 + take() % (LUMEN_NET_MAX_SEGMENTS + 1), step = take();

	if (track->under_way)
		return;
	*track = (struct track){ .under_way = true };
	track->frame = (struct lumen_net_frame){
		.segments = track->segments,
		.segment_count = count,
		.flags = how >> 3 & 31,
		.vlan = (uint16_t)(step * 257),
		.transport = how & 4 ? 34 : (uint16_t)(step * 7),
		.segment_size = how & 1 ? 1000 : 0,
		.done = on_done,
		.context = track,
	};
	for (uint32_t i = 0; i < count && i < LUMEN_NET_MAX_SEGMENTS; i++)
		track->segments[i] =
			(struct lumen_segment){ .data = memory + i * 4096 - i * (step & 63),
				.length = how & 2 ? step * 16 : step };
	memcpy(memory + 6, net_host.config.card.mac, 6);
	if (lumen_net_queue(net, &track->frame) != LUMEN_OK)
		track->under_way = false;
	if (how & 0x80)
		lumen_net_kick(net);
}

static void act(void)
{
	const uint32_t how = take();

	if (how % 8 == 0)
		lumen_net_poll(net);
	else if (how % 8 == 1)
		lumen_net_set_filter(net, how);
	else if (how % 8 == 2)
		lumen_net_send_copy(net, memory, take() * 8);
	else
		start(how);
}

// --- a host that lies ---

// Frames in the receive buffer, which is what was lent first.
static uint8_t *receive_buffer(void)
{
	return rig_memory_at(net_host.gpadls[GPADL].pfns[0] << VMBUS_PAGE_SHIFT);
}

static void say_frames(uint32_t how)
{
	struct vmbus_transfer_header header = { NVSP_RECEIVE_BUFFER_ID, 0, 1 + (how & 3) };
	struct vmbus_transfer_range ranges[4];
	struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET };
	const struct vmbus_piece pieces[] = { { &header, 8 }, { ranges, 8 * (1 + (how & 3)) } };
	const struct vmbus_piece payload = { &message, NVSP_MESSAGE_SIZE };

	for (uint32_t i = 0; i < 4; i++) {
		struct rndis_frame frame = { .length = 14 + take() * 4, .has = take() & 31 };
		uint8_t *to = receive_buffer() + i * 4096;
		uint32_t size;

		frame.id.flags = frame.has & RNDIS_HAS_ID ? take() & 7 : 0;
		size = rndis_put_frame(to, &frame);
		ranges[i] = (struct vmbus_transfer_range){ size + frame.length, i * 4096 };
		patch(to, size, how >> 2 & 3);
	}
	patch(ranges, sizeof(ranges), how >> 4 & 1);
	patch(&header, sizeof(header), how >> 5 & 1);
	patch(&message, 16, how >> 6 & 1);
	rig_write(&fuzz_channel()->host, &(struct vmbus_packet_out){
						 .type = VMBUS_PACKET_TRANSFER_PAGES,
						 .flags = how >> 7,
						 .transaction_id = 5,
						 .header = pieces,
						 .header_count = 2,
						 .payload = &payload,
						 .payload_count = 1,
					 });
}

static void host_says(const struct fuzz_device *device)
{
	const uint32_t how = take();
	struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
		.rndis_packet_complete = { NVSP_STATUS_SUCCESS } };
	uint64_t id = fuzz_channel()->sent_id;

	(void)device;
	if (how & 1) {
		say_frames(take());
		return;
	}
	if (how & 2)
		id ^= take32();
	if (how & 4)
		id ^= (uint64_t)take() << 32;
	patch(&message, sizeof(message), how >> 5);
	rig_say(&fuzz_channel()->host,
		how & 8 ? (uint16_t)(take() & 15) : (uint16_t)VMBUS_PACKET_COMPLETION, id, &message,
		how & 16 ? take() % 41 : 8);
}

// An answer, or what is in the receive buffer, is changed before the VSC has it.
static void change(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	const uint32_t how = take();

	(void)channel;
	if (how & 0xC0) // mostly honest
		return;
	if (packet->type == VMBUS_PACKET_TRANSFER_PAGES && how & 1)
		patch(receive_buffer() + packet->transfer_ranges[0].byte_offset, 64, how >> 1 & 7);
	else if (packet->payload_length)
		patch((void *)(uintptr_t)packet->payload, packet->payload_length, how >> 1 & 7);
}

static void tamper(void)
{
	rig.on_receive = change;
}

const struct fuzz_device fuzz_net = {
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
