// SPDX-License-Identifier: BSD-2-Clause
// The network VSP against a raw guest: the protocol, frames both ways, what is lent, and lies.
#include "net_guest.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/net_internal.h"

static uint8_t bytes[66000];
static const struct net_header plain;

static struct net_vsp *net(uint32_t channel)
{
	return (struct net_vsp *)rig.channels[channel].vsp;
}

static const struct memory_wire_frame *last_sent(void)
{
	return memory_wire_sent(&net_host.wire, net_host.wire.sent_count - 1);
}

static void begin(uint32_t version, uint32_t queues)
{
	net_guest_create(queues);
	net_guest_initialize(version);
}

// A frame in one range, which is completed.
static void send_whole(struct rndis_frame *info)
{
	const uint32_t length = net_guest_put_frame(0, info, bytes);

	net_guest.answer_id = 0;
	net_guest_send_data(5, &length, 1);
	net_guest_run();
	net_guest_take();
	cr_assert_eq(net_guest.answer_id, 5);
	cr_assert_eq(net_guest.answer.rndis_packet_complete.status, NVSP_STATUS_SUCCESS);
}

static bool failed(uint32_t channel)
{
	net_guest_run();
	return rig.channels[channel].vsp->failure;
}

Test(net_vsp, configurations_out_of_bounds)
{
	static const struct {
		uint32_t slots, rooms, queues;
		uint8_t mac;
	} bad[] = { { 15, 512, 1, 2 }, { 1025, 512, 1, 2 }, { 256, 7, 1, 2 }, { 256, 1025, 1, 2 },
		{ 256, 512, 0, 2 }, { 256, 512, 65, 2 }, { 256, 512, 1, 3 } };

	net_guest_create(1);
	cr_assert_gt(vsp_size(&net_vsp_class, &net_host.config, false),
		vsp_size(&net_vsp_class, &net_host.config, true));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct net_vsp_config config = net_host.config;

		config.slot_count = bad[i].slots;
		config.room_count = bad[i].rooms;
		config.card.queues = bad[i].queues;
		config.card.mac[0] = bad[i].mac;
		cr_assert_eq(vsp_size(&net_vsp_class, &config, false), 0, "row %zu", i);
	}
	net_guest_destroy();
}

// --- negotiation ---

Test(net_vsp, speaks_every_version_and_no_other)
{
	static const uint32_t versions[] = { NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4,
		NVSP_VERSION_5, NVSP_VERSION_6, NVSP_VERSION_6_1 };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		net_guest_create(1);
		net_guest_ask_version(0x70000);
		cr_assert_eq(
			net_guest.answer.init_complete.status, NVSP_STATUS_VERSION_UNSUPPORTED);
		net_guest_initialize(versions[i]);
		net_guest_destroy();
	}
}

Test(net_vsp, a_message_out_of_turn_ends_the_channel)
{
	const struct nvsp_message before = { .type = NVSP_SEND_RECEIVE_BUFFER };
	const struct nvsp_message again = { .type = NVSP_INIT, .init = { NVSP_VERSION_5, 0 } };
	const struct nvsp_message unknown = { .type = 150 };
	const struct nvsp_message newer = { .type = NVSP_SUB_CHANNEL,
		.sub_channel = { NVSP_SUB_CHANNEL_ALLOCATE, 1 } };
	const struct nvsp_message *messages[] = { &before, &again, &unknown, &newer };

	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		net_guest_create(2);
		if (i)
			net_guest_initialize(NVSP_VERSION_4);
		net_guest_send(1, messages[i], NULL, 0);
		cr_assert(failed(0), "message %zu", i);
		net_guest_destroy();
	}
}

Test(net_vsp, control_messages_are_answered_in_the_receive_buffer)
{
	const struct {
		struct rndis_header header;
		struct rndis_request request;
	} query = { { RNDIS_QUERY, 28 }, { 9, OID_802_3_CURRENT_ADDRESS, 0, 0, 0 } };
	struct rndis_query_complete complete;

	begin(NVSP_VERSION_6_1, 1);
	net_guest_control(&query, sizeof(query));
	memcpy(&complete, net_guest.control + 8, sizeof(complete));
	cr_assert_eq(complete.request_id, 9);
	cr_assert_eq(complete.buffer_length, 6);
	cr_assert_arr_eq(net_guest.control + 24, net_host.config.card.mac, 6);
	net_guest_destroy();
}

// A guest that takes none of its answers costs itself answers, and nobody else anything.
Test(net_vsp, answers_that_are_not_taken_end_with_the_rooms_for_them)
{
	const uint32_t alive[] = { RNDIS_KEEP_ALIVE, 12, 1 };

	begin(NVSP_VERSION_6_1, 1);
	net_guest.keeps = true;
	for (uint32_t i = 0; i < 10; i++) {
		net_guest_control(alive, sizeof(alive));
		cr_assert_eq(net_guest.control_length != 0, i < NET_CONTROL_ROOMS);
	}
	cr_assert_eq(net(0)->state->card.counters.malformed, 10 - NET_CONTROL_ROOMS);
	net_guest_destroy();
}

Test(net_vsp, the_link_is_told_when_it_changes)
{
	struct rndis_indicate_status status;

	begin(NVSP_VERSION_5, 1);
	net_guest.control_length = 0;
	net_vsp_set_link(rig.channels[0].vsp, true);
	net_guest_run();
	net_guest_take();
	cr_assert_eq(net_guest.control_length, 0, "it knows");
	net_vsp_set_link(rig.channels[0].vsp, false);
	net_guest_run();
	net_guest_take();
	memcpy(&status, net_guest.control + 8, sizeof(status));
	cr_assert_eq(status.status, RNDIS_STATUS_MEDIA_DISCONNECT);
	net_guest_destroy();
}

// --- from the guest ---

Test(net_vsp, a_frame_goes_out)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 1514) };

	begin(NVSP_VERSION_6_1, 1);
	send_whole(&info);
	cr_assert_eq(net_host.wire.sent_count, 1);
	cr_assert_eq(last_sent()->length, 1514);
	cr_assert_arr_eq(last_sent()->bytes, bytes, 1514);
	cr_assert_eq(last_sent()->header.flags, 0);
	cr_assert_eq(net(0)->sent, 1);
	cr_assert_eq(net(0)->sent_bytes, 1514);
	net_guest_destroy();
}

// Linux from 6.14 on has RNDIS headers that cross a page, and ranges of any length.
Test(net_vsp, a_message_may_be_cut_anywhere)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 600) };
	uint32_t length;

	begin(NVSP_VERSION_6_1, 1);
	length = net_guest_put_frame(VMBUS_PAGE_SIZE - 20, &info, bytes) + VMBUS_PAGE_SIZE - 20;
	for (uint32_t cut = VMBUS_PAGE_SIZE - 19; cut < length; cut++) {
		struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET,
			.rndis_packet = { NVSP_CHANNEL_DATA, NVSP_NO_SECTION, 0 } };
		const uint64_t pfns[] = { GUEST_DATA_PAGE, GUEST_DATA_PAGE + 1 };
		const uint32_t first = cut - (VMBUS_PAGE_SIZE - 20);
		const bool crosses = cut > VMBUS_PAGE_SIZE;
		const struct vmbus_gpa_range ranges[] = {
			{ first, VMBUS_PAGE_SIZE - 20, crosses ? 2 : 1, pfns },
			{ length - cut, cut % VMBUS_PAGE_SIZE, cut < VMBUS_PAGE_SIZE ? 2 : 1,
				cut < VMBUS_PAGE_SIZE ? pfns : pfns + 1 },
		};

		net_guest_send(cut, &message, ranges, 2);
		net_guest_run();
		net_guest_take();
		cr_assert_eq(net_guest.answer_id, cut);
		cr_assert_eq(last_sent()->length, 600);
		cr_assert_arr_eq(last_sent()->bytes, bytes, 600, "cut at %u", cut);
	}
	net_guest_destroy();
}

Test(net_vsp, several_messages_begin_in_a_section_and_go_on_in_a_range)
{
	struct rndis_frame infos[3] = { { .length = 60 }, { .length = 200 }, { .length = 900 } };
	const struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET,
		.rndis_packet = { NVSP_CHANNEL_DATA, 2, 150 } };
	const uint64_t pfns[] = { GUEST_DATA_PAGE };
	struct vmbus_gpa_range range;
	uint32_t length = 0;

	begin(NVSP_VERSION_5, 1);
	net_guest_make_tcp(bytes, 900);
	for (uint32_t i = 0; i < 3; i++)
		length += net_guest_put_frame(length, &infos[i], bytes);
	// The first 150 bytes go to section 2, which is in the buffer's fourth page.
	memcpy(rig.ram + net_host.gpadls[GUEST_SEND_GPADL].pfns[3] * VMBUS_PAGE_SIZE,
		rig.ram + GUEST_DATA_PAGE * VMBUS_PAGE_SIZE, 150);
	range = (struct vmbus_gpa_range){ length - 150, 150, 1, pfns };
	net_guest_send(3, &message, &range, 1);
	net_guest_run();
	net_guest_take();
	cr_assert_eq(net_guest.answer_id, 3);
	cr_assert_eq(net_host.wire.sent_count, 3);
	for (uint32_t i = 0; i < 3; i++) {
		cr_assert_eq(memory_wire_sent(&net_host.wire, i)->length, infos[i].length);
		cr_assert_arr_eq(
			memory_wire_sent(&net_host.wire, i)->bytes, bytes, infos[i].length);
	}
	net_guest_destroy();
}

Test(net_vsp, a_packet_is_complete_when_its_last_frame_has_left)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 100) };
	uint32_t length;

	begin(NVSP_VERSION_5, 1);
	net_host.wire.deferred = true;
	length = net_guest_put_frame(0, &info, bytes);
	length += net_guest_put_frame(length, &info, bytes);
	net_guest.answer_id = 0;
	net_guest_send_data(8, &length, 1);
	rig_poll(net_guest_channel());
	cr_assert_eq(memory_wire_run(&net_host.wire, 1), 1);
	rig_poll(net_guest_channel());
	net_guest_take();
	cr_assert_eq(net_guest.answer_id, 0);
	net_guest_run();
	net_guest_take();
	cr_assert_eq(net_guest.answer_id, 8);
	net_guest_destroy();
}

Test(net_vsp, more_frames_than_can_be_under_way_wait_in_the_ring)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 60) };
	uint32_t length, count = 0;

	begin(NVSP_VERSION_5, 1);
	net_host.wire.deferred = true;
	length = net_guest_put_frame(0, &info, bytes);
	for (uint32_t i = 0; i < 400; i++) {
		if (i % 50 == 0)
			rig_poll(net_guest_channel());
		net_guest_send_data(100 + i, &length, 1);
	}
	rig_poll(net_guest_channel());
	cr_assert_gt(net(0)->in_flight, 200);
	cr_assert_leq(net(0)->in_flight, net_host.config.slot_count);
	for (uint32_t turn = 0; turn < 10; turn++) {
		net_guest_run();
		count += net_guest_take();
	}
	cr_assert_eq(net_host.wire.sent_count, 400);
	cr_assert_eq(count, 400);
	net_guest_destroy();
}

Test(net_vsp, a_large_frame_of_many_pieces)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 64000),
		.has = RNDIS_HAS_LSO,
		.lso = 1448 | 34u << 20 | RNDIS_LSO_V2 };
	uint32_t cuts[31], length;

	begin(NVSP_VERSION_6_1, 1);
	length = net_guest_put_frame(100, &info, bytes) + 100;
	cuts[0] = 100;
	for (uint32_t i = 0; i < ARRAY_SIZE(cuts); i++)
		cuts[i] = 100 + (length - 100) / ARRAY_SIZE(cuts) * (i + 1);
	cuts[30] = length;
	{
		struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET,
			.rndis_packet = { NVSP_CHANNEL_DATA, NVSP_NO_SECTION, 0 } };
		static uint64_t pfns[20];
		struct vmbus_gpa_range ranges[31];
		uint32_t at = 100;

		for (uint32_t i = 0; i < 20; i++)
			pfns[i] = GUEST_DATA_PAGE + i;
		for (uint32_t i = 0; i < 31; at = cuts[i++])
			ranges[i] = (struct vmbus_gpa_range){ cuts[i] - at, at % VMBUS_PAGE_SIZE,
				(uint32_t)vmbus_pages_spanned(at % VMBUS_PAGE_SIZE, cuts[i] - at),
				pfns + at / VMBUS_PAGE_SIZE };
		net_guest_send(4, &message, ranges, 31);
	}
	net_guest_run();
	cr_assert_eq(last_sent()->length, 64000);
	cr_assert_eq(last_sent()->header.segments, NET_SEGMENT_TCP4);
	cr_assert_eq(last_sent()->header.segment_size, 1448);
	cr_assert_eq(last_sent()->header.headers_length, 54);
	cr_assert_arr_eq(last_sent()->bytes + 54, bytes + 54, 64000 - 54);
	net_guest_destroy();
}

Test(net_vsp, a_tag_is_put_into_the_frame)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 300),
		.has = RNDIS_HAS_VLAN | RNDIS_HAS_CHECKSUM,
		.vlan = 5 | 0x123 << 4,
		.checksum = RNDIS_CHECKSUM_TCP | RNDIS_CHECKSUM_IPV4 };

	begin(NVSP_VERSION_5, 1);
	send_whole(&info);
	cr_assert_eq(last_sent()->length, 304);
	cr_assert_arr_eq(last_sent()->bytes, bytes, 12);
	cr_assert_arr_eq(last_sent()->bytes + 12, ((const uint8_t[]){ 0x81, 0, 0xA1, 0x23 }), 4);
	cr_assert_arr_eq(last_sent()->bytes + 200, bytes + 196, 104);
	cr_assert_eq(last_sent()->header.flags, NET_NEEDS_CHECKSUM);
	cr_assert_eq(last_sent()->header.checksum_start, 38);
	net_guest_destroy();
}

// What is wrong with it costs the frame, by cause, and not the channel.
Test(net_vsp, frames_that_lie_are_dropped_and_counted)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 100) };
	const struct net_drops *drops;
	uint8_t *message;

	begin(NVSP_VERSION_5, 1);
	drops = &net(0)->drops;
	message = rig.ram + GUEST_DATA_PAGE * VMBUS_PAGE_SIZE;
	for (uint32_t at = 0; at < 44; at += 4) {
		const uint32_t length = net_guest_put_frame(0, &info, bytes);
		const uint64_t before = net_host.wire.sent_count + drops->bad_message +
					drops->bad_length + drops->bad_headers;

		memset(message + at, 0xFF, 4);
		net_guest_send_data(at, &length, 1);
		net_guest_run();
		net_guest_take();
		cr_assert_eq(net_guest.answer_id, at);
		cr_assert_eq(net_host.wire.sent_count + drops->bad_message + drops->bad_length +
				     drops->bad_headers,
			before + 1, "word %u", at);
	}
	cr_assert_geq(drops->bad_message, 6);
	info.length = 13;
	send_whole(&info);
	cr_assert_eq(drops->bad_length, 1, "a runt");
	info.length = 1600;
	send_whole(&info);
	cr_assert_eq(drops->bad_length, 2, "a giant");
	info.length = 100;
	bytes[8] ^= 1;
	send_whole(&info);
	cr_assert_eq(drops->spoofed, 1);
	bytes[8] ^= 1;
	bytes[14] = 0x46; // headers beyond the frame's
	info.has = RNDIS_HAS_CHECKSUM;
	info.checksum = RNDIS_CHECKSUM_UDP;
	bytes[23] = 50;
	send_whole(&info);
	cr_assert_eq(drops->bad_headers, 1);
	net_guest_destroy();
}

Test(net_vsp, nine_messages_in_a_packet_are_one_too_many)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 60) };
	uint32_t length = 0;

	begin(NVSP_VERSION_5, 1);
	for (uint32_t i = 0; i < 9; i++)
		length += net_guest_put_frame(length, &info, bytes);
	net_guest_send_data(1, &length, 1);
	net_guest_run();
	cr_assert_eq(net_host.wire.sent_count, 8);
	cr_assert_eq(net(0)->drops.bad_message, 1);
	net_guest_destroy();
}

Test(net_vsp, sections_and_pages_that_are_not_there)
{
	static const struct {
		uint32_t section, size;
		uint64_t pfn;
	} rows[] = { { 21, 6144, 0 }, { 0, 6145, 0 }, { 0xFFFFFFFE, 100, 0 }, { 22, 0, 1 },
		{ NVSP_NO_SECTION, 0, 1ull << 40 } };

	begin(NVSP_VERSION_5, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET,
			.rndis_packet = { NVSP_CHANNEL_DATA, rows[i].section, rows[i].size } };
		const struct vmbus_gpa_range range = { 100, 0, 1, &rows[i].pfn };

		net_guest_send(40 + i, &message, &range, rows[i].pfn ? 1 : 0);
		net_guest_run();
		net_guest_take();
		cr_assert_eq(net_guest.answer_id, 40 + i);
		cr_assert_eq(net_guest.answer.rndis_packet_complete.status,
			NVSP_STATUS_INVALID_RNDIS_PACKET);
		cr_assert_eq(net(0)->drops.bad_memory, i + 1, "row %zu", i);
	}
	net_guest_destroy();
}

Test(net_vsp, a_wire_that_refuses_is_counted)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 100) };

	begin(NVSP_VERSION_5, 1);
	net_host.wire.refuse = true;
	send_whole(&info);
	cr_assert_eq(net(0)->drops.wire_refused, 1);
	cr_assert_eq(net(0)->sent, 0);
	net_guest_destroy();
}

// --- to the guest ---

// To the card.
static void make_received(uint32_t length)
{
	net_guest_make_tcp(bytes, length);
	memcpy(bytes, net_host.config.card.mac, 6);
	bytes[11] = 0x77;
}

static void receive(const struct net_header *header, uint32_t length)
{
	cr_assert(memory_wire_receive(&net_host.wire, header, bytes, length));
	net_guest_run();
	net_guest_take();
	net_guest_run();
}

Test(net_vsp, a_frame_comes_in)
{
	begin(NVSP_VERSION_5, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		make_received(60 + i);
		receive(&plain, 60 + i);
		cr_assert_eq(net_guest.frame_count, i + 1);
		cr_assert_eq(net_guest.frame.info.length, 60 + i);
		cr_assert_arr_eq(net_guest.frame.bytes, bytes, 60 + i);
		cr_assert_eq(net_guest.frame.info.has, 0);
	}
	cr_assert_eq(net(0)->received, 1000);
	net_guest_destroy();
}

Test(net_vsp, frames_that_come_together_are_one_packet)
{
	begin(NVSP_VERSION_5, 1);
	make_received(200);
	for (uint32_t i = 0; i < 20; i++)
		cr_assert(memory_wire_receive(&net_host.wire, &plain, bytes, 200));
	net_guest_run();
	cr_assert_eq(net_guest_take(), 2, "16 and 4");
	cr_assert_eq(net_guest.frame_count, 20);
	net_guest_destroy();
}

Test(net_vsp, a_guest_that_keeps_all_rooms_gets_no_more)
{
	uint32_t rooms;

	begin(NVSP_VERSION_5, 1);
	net_guest.keeps = true;
	make_received(200);
	rooms = net_host.wire.room_count;
	cr_assert_eq(rooms, net_guest.room_count - NET_CONTROL_ROOMS);
	for (uint32_t i = 0; i < rooms; i++)
		receive(&plain, 200);
	cr_assert_eq(net_guest.frame_count, rooms);
	cr_assert_not(memory_wire_receive(&net_host.wire, &plain, bytes, 200));
	net_guest_complete(net_guest.frame.transaction_id);
	net_guest_run();
	receive(&plain, 200);
	cr_assert_eq(net_guest.frame_count, rooms + 1);
	net_guest_destroy();
}

Test(net_vsp, a_completion_of_what_the_guest_does_not_have_ends_the_channel)
{
	static const uint64_t ids[] = { 0, 1, 2, 500, 1ull << 32 | 1, UINT64_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		begin(NVSP_VERSION_5, 1);
		net_guest_complete(ids[i]);
		cr_assert(failed(0), "id %zu", i);
		net_guest_destroy();
	}
	begin(NVSP_VERSION_5, 1);
	make_received(200);
	receive(&plain, 200);
	cr_assert_not(failed(0));
	net_guest_complete(net_guest.frame.transaction_id);
	cr_assert(failed(0), "twice");
	net_guest_destroy();
}

Test(net_vsp, a_ring_that_is_full_holds_the_rooms_back)
{
	begin(NVSP_VERSION_5, 1);
	net_guest.keeps = true;
	make_received(60);
	// Nobody takes anything: rooms wait for room in the ring.
	while (memory_wire_receive(&net_host.wire, &plain, bytes, 60))
		net_guest_run();
	cr_assert_gt(net(0)->state->rooms_waiting, 0);
	while (net_guest_take())
		net_guest_run();
	cr_assert_eq(net(0)->state->rooms_waiting, 0);
	cr_assert_eq(net_guest.frame_count, net_guest.room_count - NET_CONTROL_ROOMS);
	net_guest_destroy();
}

Test(net_vsp, the_filter_says_what_comes)
{
	static const uint8_t others[6] = { 2, 2, 2, 2, 2, 2 }, group[6] = { 1, 0, 0x5E, 0, 0, 1 },
			     all[6] = { 255, 255, 255, 255, 255, 255 };
	static const struct {
		uint32_t filter;
		bool own, others, group, all;
	} rows[] = {
		{ 0, false, false, false, false },
		{ NDIS_FILTER_DIRECTED, true, false, false, false },
		{ NDIS_FILTER_BROADCAST, false, false, false, true },
		{ NDIS_FILTER_ALL_MULTICAST, false, false, true, false },
		{ NDIS_FILTER_PROMISCUOUS, true, true, true, true },
	};

	begin(NVSP_VERSION_5, 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const uint32_t before = net_guest.frame_count;
		const uint32_t expected =
			rows[i].own + rows[i].others + rows[i].group + rows[i].all;

		net_guest_set(OID_GEN_CURRENT_PACKET_FILTER, &rows[i].filter, 4);
		make_received(100);
		receive(&plain, 100);
		memcpy(bytes, others, 6);
		receive(&plain, 100);
		memcpy(bytes, group, 6);
		receive(&plain, 100);
		memcpy(bytes, all, 6);
		receive(&plain, 100);
		cr_assert_eq(net_guest.frame_count - before, expected, "row %zu", i);
	}
	cr_assert_eq(net(0)->drops.unwanted, 4 + 3 + 3 + 3);
	net_guest_destroy();
}

Test(net_vsp, a_tag_is_told)
{
	begin(NVSP_VERSION_5, 1);
	make_received(200);
	memmove(bytes + 16, bytes + 12, 184);
	memcpy(bytes + 12, ((const uint8_t[]){ 0x81, 0, 0xA1, 0x23 }), 4);
	receive(&plain, 200);
	cr_assert_eq(net_guest.frame.info.length, 196);
	cr_assert_eq(net_guest.frame.info.has, RNDIS_HAS_VLAN);
	cr_assert_eq(net_guest.frame.info.vlan, 5 | 0x123 << 4);
	cr_assert_arr_eq(net_guest.frame.bytes, bytes, 12);
	cr_assert_arr_eq(net_guest.frame.bytes + 12, bytes + 16, 184);
	net_guest_destroy();
}

Test(net_vsp, what_is_unfinished_comes_to_who_takes_it)
{
	const struct net_header unfinished = { .flags = NET_NEEDS_CHECKSUM };
	const struct ndis_offload_parameters none = { .object = { NDIS_OBJECT_DEFAULT, 1, 20 },
		.tcp4 = NDIS_CHECKSUM_OFF };

	begin(NVSP_VERSION_5, 1);
	cr_assert_eq(net_host.wire.takes, NET_TAKES_UNFINISHED);
	make_received(200);
	receive(&unfinished, 200);
	cr_assert_eq(net_guest.frame.info.has, RNDIS_HAS_CHECKSUM);
	cr_assert_eq(net_guest.frame.info.checksum, RNDIS_CHECKSUM_TCP_GOOD);
	net_guest_set(OID_TCP_OFFLOAD_PARAMETERS, &none, 20);
	cr_assert_eq(net_host.wire.takes, 0);
	receive(&unfinished, 200);
	cr_assert_eq(net_guest.frame_count, 1);
	cr_assert_eq(net(0)->drops.unfinished, 1);
	net_guest_destroy();
}

Test(net_vsp, large_frames_come_to_a_guest_that_coalesces)
{
	const struct net_header large = {
		.flags = NET_NEEDS_CHECKSUM, .segments = NET_SEGMENT_TCP4, .segment_size = 1448
	};

	begin(NVSP_VERSION_6_1, 1);
	cr_assert_eq(net_host.wire.takes, NET_TAKES_UNFINISHED | NET_TAKES_LARGE);
	make_received(65000);
	receive(&large, 65000);
	cr_assert_eq(net_guest.frame.info.length, 65000);
	cr_assert_arr_eq(net_guest.frame.bytes, bytes, 65000);
	net_guest_destroy();
}

Test(net_vsp, a_small_receive_buffer_takes_no_large_frames)
{
	net_guest_create(1);
	net_host.gpadls[GUEST_RECEIVE_GPADL].byte_count = 16 * VMBUS_PAGE_SIZE;
	net_guest_initialize(NVSP_VERSION_6_1);
	cr_assert_eq(net_host.wire.takes, NET_TAKES_UNFINISHED);
	make_received(1514);
	receive(&plain, 1514);
	cr_assert_eq(net_guest.frame_count, 1);
	net_guest_destroy();
}

// --- queues ---

struct scaling {
	struct ndis_rss_parameters parameters;
	uint32_t table[NDIS_RSS_TABLE_MAX];
	uint8_t key[NDIS_RSS_KEY_SIZE];
};

static void set_scaling(uint32_t queues)
{
	struct scaling scaling = {
		.parameters = {
			.object = { NDIS_OBJECT_RSS_PARAMETERS, 2, sizeof(struct ndis_rss_parameters) },
			.hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4,
			.table_size = 64,
			.table_offset = offsetof(struct scaling, table),
			.key_size = NDIS_RSS_KEY_SIZE,
			.key_offset = offsetof(struct scaling, table) + 64,
		},
	};
	uint8_t message[sizeof(scaling)];

	for (uint32_t i = 0; i < 16; i++)
		scaling.table[i] = i % queues;
	memcpy(message, &scaling, sizeof(scaling));
	for (uint32_t i = 0; i < NDIS_RSS_KEY_SIZE; i++)
		message[scaling.parameters.key_offset + i] = (uint8_t)(i * 37 + 1);
	net_guest_set(OID_GEN_RECEIVE_SCALE_PARAMETERS, message,
		scaling.parameters.key_offset + NDIS_RSS_KEY_SIZE);
}

static void begin_queues(void)
{
	const struct nvsp_message message = { .type = NVSP_SUB_CHANNEL,
		.sub_channel = { NVSP_SUB_CHANNEL_ALLOCATE, 5 } };

	begin(NVSP_VERSION_5, 3);
	net_guest_ask(&message);
	cr_assert_eq(net_guest.answer.sub_channel_complete.status, NVSP_STATUS_SUCCESS);
	cr_assert_eq(net_guest.answer.sub_channel_complete.count, 2);
	net_guest_open_sub(1);
	net_guest_open_sub(2);
	net_guest_run();
	set_scaling(3);
}

Test(net_vsp, flows_are_spread_over_the_channels)
{
	uint32_t seen[3] = { 0 };

	begin_queues();
	for (uint32_t i = 0; i < 60; i++) {
		make_received(100);
		bytes[35] = (uint8_t)i; // the port
		receive(&plain, 100);
		cr_assert_eq(net_guest.frame.info.has, RNDIS_HAS_HASH);
		cr_assert_eq(net_guest.frame.info.hash_value % 16 % 3, net_guest.frame.channel);
		seen[net_guest.frame.channel]++;
	}
	for (uint32_t i = 0; i < 3; i++)
		cr_assert_gt(seen[i], 5);
	net_guest_destroy();
}

Test(net_vsp, frames_go_out_on_every_channel)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 100) };

	begin_queues();
	for (net_guest.at = 0; net_guest.at < 3; net_guest.at++)
		send_whole(&info);
	net_guest.at = 0;
	cr_assert_eq(net_host.wire.sent_count, 3);
	net_guest_destroy();
}

Test(net_vsp, a_sub_channel_that_goes_gives_its_rooms_back)
{
	begin_queues();
	net_guest.keeps = true;
	for (uint32_t i = 0; i < 60; i++) {
		make_received(100);
		bytes[35] = (uint8_t)i;
		receive(&plain, 100);
	}
	rig_close(&rig.channels[1]);
	rig_close(&rig.channels[2]);
	net_guest.frame_count = 0;
	for (uint32_t i = 0; i < 60; i++) {
		make_received(100);
		bytes[35] = (uint8_t)i;
		receive(&plain, 100);
		cr_assert_eq(net_guest.frame.channel, 0);
	}
	cr_assert_eq(net_guest.frame_count, 60);
	net_guest_destroy();
}

Test(net_vsp, a_sub_channel_cannot_complete_what_another_has)
{
	begin_queues();
	net_guest.keeps = true;
	net_guest.frame.channel = 1;
	for (uint32_t i = 0; net_guest.frame.channel != 0; i++) {
		make_received(100);
		bytes[35] = (uint8_t)i;
		receive(&plain, 100);
	}
	net_guest.at = 1;
	net_guest_complete(net_guest.frame.transaction_id);
	cr_assert(failed(1));
	cr_assert_not(failed(0));
	net_guest.at = 0;
	net_guest_destroy();
}

Test(net_vsp, only_frames_come_on_sub_channels)
{
	const struct nvsp_message message = { .type = NVSP_SEND_NDIS_VERSION };

	begin_queues();
	net_guest.at = 2;
	net_guest_send(1, &message, NULL, 0);
	cr_assert(failed(2));
	cr_assert_not(failed(0));
	net_guest.at = 0;
	net_guest_destroy();
}

// --- what is lent ---

static void revoke(uint32_t type)
{
	const struct nvsp_message message = { .type = type,
		.revoke = { type == NVSP_REVOKE_SEND_BUFFER ? NVSP_SEND_BUFFER_ID
							    : NVSP_RECEIVE_BUFFER_ID } };

	net_guest_ask(&message);
}

Test(net_vsp, buffers_are_lent_again_and_again)
{
	begin(NVSP_VERSION_5, 1);
	for (uint32_t i = 0; i < 20; i++) {
		revoke(NVSP_REVOKE_RECEIVE_BUFFER);
		revoke(NVSP_REVOKE_SEND_BUFFER);
		cr_assert_not(net_host.gpadls[GUEST_RECEIVE_GPADL].held);
		cr_assert_not(net_host.gpadls[GUEST_SEND_GPADL].held);
		cr_assert_not(memory_wire_receive(&net_host.wire, &plain, bytes, 100));
		net_guest_lend();
		make_received(100);
		receive(&plain, 100);
		cr_assert_eq(net_guest.frame_count, i + 1);
	}
	net_guest_destroy();
}

Test(net_vsp, a_send_buffer_that_is_revoked_in_use_is_given_back_after_that)
{
	struct rndis_frame info = { .length = net_guest_make_tcp(bytes, 100) };
	uint32_t length;

	begin(NVSP_VERSION_5, 1);
	net_host.wire.deferred = true;
	length = net_guest_put_frame(0, &info, bytes);
	net_guest_send_data(3, &length, 1);
	rig_poll(net_guest_channel());
	net_vsp_end_loan(net_guest_channel()->vsp, NET_SEND_BUFFER);
	cr_assert(net_host.gpadls[GUEST_SEND_GPADL].held);
	memory_wire_run(&net_host.wire, 1);
	cr_assert_not(net_host.gpadls[GUEST_SEND_GPADL].held);
	net_guest_destroy();
}

Test(net_vsp, a_receive_buffer_that_is_revoked_while_its_rooms_wait)
{
	begin(NVSP_VERSION_5, 1);
	net_guest.keeps = true;
	make_received(60);
	while (memory_wire_receive(&net_host.wire, &plain, bytes, 60))
		net_guest_run();
	net_vsp_end_loan(net_guest_channel()->vsp, NET_RECEIVE_BUFFER);
	cr_assert(net_host.gpadls[GUEST_RECEIVE_GPADL].held, "packets about it still wait");
	while (net_guest_take())
		net_guest_run();
	cr_assert_not(net_host.gpadls[GUEST_RECEIVE_GPADL].held);
	net_guest_destroy();
}

Test(net_vsp, what_cannot_be_lent_is_refused)
{
	struct nvsp_message message = { .type = NVSP_SEND_RECEIVE_BUFFER, .buffer = { 3, 0, 0 } };

	net_guest_create(1);
	net_guest_ask_version(NVSP_VERSION_5);
	net_guest_ask(&message); // no such GPADL
	cr_assert_eq(net_guest.answer.receive_buffer_complete.status, NVSP_STATUS_FAILURE);
	net_host.gpadls[GUEST_RECEIVE_GPADL].byte_count = VMBUS_PAGE_SIZE; // too small
	message.buffer.gpadl = GUEST_RECEIVE_GPADL;
	net_guest_ask(&message);
	cr_assert_eq(net_guest.answer.receive_buffer_complete.status, NVSP_STATUS_FAILURE);
	cr_assert_not(net_host.gpadls[GUEST_RECEIVE_GPADL].held);
	net_host.gpadls[GUEST_RECEIVE_GPADL].byte_count = GUEST_RECEIVE_PAGES * VMBUS_PAGE_SIZE;
	net_guest_lend();
	message.buffer.gpadl = GUEST_SEND_GPADL;
	net_guest_ask(&message); // there is one
	cr_assert_eq(net_guest.answer.receive_buffer_complete.status, NVSP_STATUS_FAILURE);
	net_guest_destroy();
}

Test(net_vsp, a_host_that_is_slow_to_say_what_is_lent)
{
	const struct nvsp_message lend = { .type = NVSP_SEND_RECEIVE_BUFFER,
		.buffer = { GUEST_RECEIVE_GPADL, 0, 0 } };
	const struct nvsp_message back = { .type = NVSP_REVOKE_RECEIVE_BUFFER };

	net_guest_create(1);
	net_guest_ask_version(NVSP_VERSION_5);
	net_host.slow = true;
	net_guest_send(1, &lend, NULL, 0);
	net_guest_run();
	cr_assert_not(vsp_idle(net_guest_channel()->vsp));
	net_guest_send(2, &back, NULL, 0);
	net_guest_run();
	net_host_lend();
	net_guest_run();
	net_guest_take();
	cr_assert_not(net_host.gpadls[GUEST_RECEIVE_GPADL].held);
	net_guest_send(3, &lend, NULL, 0); // and closes in the middle of it
	net_guest_run();
	cr_assert(net_host.loans[NET_RECEIVE_BUFFER].asked);
	net_guest_destroy();
}

// --- saving ---

Test(net_vsp, goes_on_elsewhere)
{
	struct rndis_frame info = { .length = 100 };

	begin_queues();
	for (uint32_t i = 0; i < 60; i++) {
		net_guest_make_tcp(bytes, 100);
		send_whole(&info);
		cr_assert(rig_move());
		make_received(100);
		bytes[35] = (uint8_t)i;
		net_guest_run(); // what was lent is lent again
		receive(&plain, 100);
		cr_assert_eq(net_guest.frame_count, i + 1);
		cr_assert(rig_move());
		net_guest_run();
	}
	cr_assert_eq(net(0)->sent, 60);
	net_guest_destroy();
}

Test(net_vsp, goes_on_elsewhere_with_rooms_that_the_guest_has_or_waits_for)
{
	uint32_t count = 0;

	begin(NVSP_VERSION_5, 1);
	net_guest.keeps = true;
	make_received(60);
	for (uint32_t i = 0; memory_wire_receive(&net_host.wire, &plain, bytes, 60); count++)
		if (++i < 490 || i % 3 == 0)
			net_guest_run();
	net_guest_run();
	cr_assert_gt(net(0)->state->rooms_waiting, 0);
	net_host.wire.takes = 77; // of another wire
	cr_assert(rig_move());
	net_guest.keeps = false;
	for (uint32_t i = 0; i < 100; i++) {
		net_guest_run();
		net_guest_take();
	}
	cr_assert_eq(net_guest.frame_count, count);
	cr_assert_eq(net_host.wire.takes, NET_TAKES_UNFINISHED);
	cr_assert_eq(net(0)->state->rooms_waiting, 0);
	cr_assert_eq(net_host.wire.room_count, net_guest.room_count - NET_CONTROL_ROOMS);
	net_guest_destroy();
}

// A form of which a byte is another: it is restored, or not, and then it serves or fails.
Test(net_vsp, a_form_that_lies_breaks_nothing)
{
	static const uint8_t lies[] = { 0xFF, 0x01, 0x80, 0x03 };
	static uint8_t form[16 << 10];
	struct vsp_rings rings;
	void *other;
	size_t size;

	begin(NVSP_VERSION_5, 1);
	net_guest.keeps = true;
	make_received(60);
	// The guest has some, and others wait for room.
	while (memory_wire_receive(&net_host.wire, &plain, bytes, 60))
		rig_poll(&rig.channels[0]);
	cr_assert_gt(net(0)->state->rooms_waiting, 0);
	vsp_pause(rig.channels[0].vsp);
	rig_poll(&rig.channels[0]);
	size = vsp_save(rig.channels[0].vsp, form, sizeof(form));
	cr_assert(size);
	other = rig.channels[0].vsp;
	rings = rig.channels[0].rings;
	rig.channels[0].vsp = NULL; // it is restored over itself
	// All of what there is once, and some of what there is many times.
	for (size_t at = 0; at < 2 * size; at += at < 1200 ? 1 : 41) {
		const uint8_t lie = lies[at / 2 % ARRAY_SIZE(lies)];
		struct vsp *restored;

		form[at / 2] ^= at % 2 ? lie : 0xFF;
		restored = vsp_restore(&net_vsp_class, other, &rings, &net_host.config, form, size);
		rig.channels[0].vsp = restored;
		if (restored) {
			rig_poll(&rig.channels[0]);
			net_host_lend();
			rig_poll(&rig.channels[0]);
			vsp_stop(restored);
			net_host_lend();
			cr_assert(vsp_idle(restored));
			rig.channels[0].vsp = NULL;
		}
		form[at / 2] ^= at % 2 ? lie : 0xFF;
	}
	rig.channels[0].vsp = other;
	rig.channels[0].stopped = true;
	net_guest_destroy();
}
