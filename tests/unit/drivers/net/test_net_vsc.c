// SPDX-License-Identifier: BSD-2-Clause
// The network VSC against the real VSP, through real rings: everything that a host and a kernel
// mean well with.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/proto/nvsp.h"
#include "net_kernel.h"

enum { FRAMES = 40, ROOM = 128 << 10 };

static uint8_t *memory; // ROOM bytes, page-aligned
static uint8_t frame[NET_KERNEL_FRAME];
static struct lumen_net_frame frames[FRAMES];
static struct lumen_segment segments[FRAMES][LUMEN_NET_MAX_SEGMENTS];

static void create(void)
{
	net_host_create(1, 0);
	memory = aligned_alloc(4096, ROOM);
	memset(memory, 0xEE, ROOM);
	memset(frames, 0, sizeof(frames));
}

static void open_with(const struct lumen_net_config *config)
{
	const lumen_status status = net_kernel_open(config);

	cr_assert_eq(status, LUMEN_OK, "%x", status);
}

// A host has fewer rooms for frames that it puts together (test_net_vsc_pieces.c).
enum { OFFLOADS = LUMEN_NET_OFFLOADS & ~LUMEN_NET_COALESCED };

static void create_open(void)
{
	create();
	open_with(&(struct lumen_net_config){ .offloads = OFFLOADS });
}

static void destroy(void)
{
	cr_assert_eq(rig.gpadls, 0);
	rig_destroy();
	free(memory);
}

static void close_destroy(void)
{
	cr_assert_eq(lumen_net_status(net_kernel.net), LUMEN_OK, "%s",
		lumen_net_failure(net_kernel.net));
	lumen_net_close(net_kernel.net);
	destroy();
}

TestSuite(net_vsc_open, .init = create, .fini = destroy);
TestSuite(net_vsc, .init = create_open, .fini = close_destroy);

static const struct memory_wire_frame *last_sent(void)
{
	cr_assert_gt(net_host.wire.sent_count, 0);
	return memory_wire_sent(&net_host.wire, net_host.wire.sent_count - 1);
}

// A frame of `length` bytes in one segment, at `data`.
static struct lumen_net_frame *prepare(uint32_t index, uint8_t *data, uint32_t length)
{
	segments[index][0] = (struct lumen_segment){ .data = data, .length = length };
	frames[index] = (struct lumen_net_frame){
		.segments = segments[index], .segment_count = 1, .done = net_kernel_done
	};
	return &frames[index];
}

static void expect_sent(const uint8_t *bytes, uint32_t length)
{
	const uint32_t before = net_kernel.good;

	net_kernel_run();
	cr_assert_eq(net_kernel.good, before + 1);
	cr_assert_eq(last_sent()->length, length);
	cr_assert_arr_eq(last_sent()->bytes, bytes, length);
}

// --- opening ---

Test(net_vsc, what_a_card_is_like)
{
	const struct lumen_net_properties *info = lumen_net_info(net_kernel.net);

	cr_assert_null(lumen_net_find(NULL, 1));
	cr_assert_arr_eq(info->mac, net_host.config.card.mac, 6);
	cr_assert_eq(info->mtu, 1500);
	cr_assert_eq(info->offloads, OFFLOADS);
	cr_assert_eq(info->max_lso, LUMEN_NET_MAX_LSO);
	cr_assert_eq(info->max_copy, 1514);
	cr_assert_eq(info->depth, 64);
	cr_assert_eq(info->version, NVSP_VERSION_6_1);
	cr_assert_eq(info->bits_per_second, 10000000000ull);
	cr_assert(lumen_net_link(net_kernel.net));
	cr_assert_null(lumen_net_failure(net_kernel.net));
	cr_assert_eq(net_host.wire.takes, NET_TAKES_UNFINISHED);
}

Test(net_vsc_open, every_version_that_is_asked_for)
{
	static const uint32_t versions[] = { NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4,
		NVSP_VERSION_5, NVSP_VERSION_6, NVSP_VERSION_6_1 };

	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		open_with(&(struct lumen_net_config){
			.max_version = versions[i], .offloads = LUMEN_NET_OFFLOADS });
		cr_assert_eq(lumen_net_info(net_kernel.net)->version, versions[i]);
		cr_assert_eq(lumen_net_info(net_kernel.net)->offloads,
			LUMEN_NET_OFFLOADS &
				~(versions[i] > NVSP_VERSION_4 ? 0 : LUMEN_NET_SEND_UDP) &
				~(versions[i] >= NVSP_VERSION_6_1 ? 0 : LUMEN_NET_COALESCED));
		net_kernel_fill(frame, 500, (uint32_t)i);
		cr_assert_eq(lumen_net_send(net_kernel.net, prepare(0, frame, 500)), LUMEN_OK);
		expect_sent(frame, 500);
		lumen_net_close(net_kernel.net);
	}
}

static uint32_t newest;

// A host that knows no version above `newest`.
static void ask_for_less(struct lumen_channel *channel, struct vmbus_packet_out *packet)
{
	static struct nvsp_message message;
	static struct vmbus_piece piece = { &message, NVSP_MESSAGE_SIZE };

	memcpy(&message, packet->payload[0].data, 8);
	if (message.type != NVSP_INIT || message.init.version <= newest)
		return;
	message.init.version = 0x70000;
	packet->payload = &piece;
}

Test(net_vsc_open, every_version_of_a_host)
{
	static const uint32_t versions[] = { NVSP_VERSION_1, NVSP_VERSION_2, NVSP_VERSION_4,
		NVSP_VERSION_5, NVSP_VERSION_6, NVSP_VERSION_6_1 };

	rig.on_send = ask_for_less;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		newest = versions[i];
		open_with(&(struct lumen_net_config){ .polled = i % 2 });
		cr_assert_eq(lumen_net_info(net_kernel.net)->version, newest);
		lumen_net_close(net_kernel.net);
	}
	newest = 1;
	cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ 0 }), LUMEN_REFUSED);
}

Test(net_vsc_open, bad_configurations)
{
	static const struct lumen_net_config bad[] = {
		{ .depth = LUMEN_NET_MAX_DEPTH + 1 },
		{ .mtu = LUMEN_NET_MAX_MTU + 1 },
		{ .mtu = 67 },
		{ .offloads = LUMEN_NET_OFFLOADS + 1 },
		{ .receive_buffer_pages = 15 },
		{ .receive_buffer_pages = 4097 },
		{ .send_pages = 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(net_kernel_open(&bad[i]), LUMEN_BAD_ARGUMENT, "%zu", i);
	cr_assert_eq(lumen_net_open(NULL, &bad[0], &net_kernel.net), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(
		lumen_net_open(lumen_net_find(NULL, 0), NULL, &net_kernel.net), LUMEN_BAD_ARGUMENT);
}

Test(net_vsc_open, without_memory)
{
	const struct lumen_net_config config = { 0 };

	open_with(&config);
	lumen_net_close(net_kernel.net);
	for (uint32_t last = rig.allocations, i = 1; i <= last; i++) {
		rig.allocations = 0;
		rig.fail_alloc = i;
		cr_assert_eq(net_kernel_open(&config), LUMEN_NO_MEMORY, "%u", i);
		cr_assert_eq(rig.pages, 0);
		cr_assert_eq(rig.gpadls, 0);
	}
}

Test(net_vsc_open, what_the_host_refuses)
{
	const struct lumen_net_config config = { 0 };

	rig.open_status = LUMEN_REFUSED;
	cr_assert_eq(net_kernel_open(&config), LUMEN_REFUSED);
	rig.gpadl_status = LUMEN_BUSY;
	cr_assert_eq(net_kernel_open(&config), LUMEN_BUSY);
	net_host.config.card.mtu = 9000; // seven rooms: too few
	cr_assert_eq(net_kernel_open(
			     &(struct lumen_net_config){ .mtu = 9000, .receive_buffer_pages = 16 }),
		LUMEN_REFUSED);
	cr_assert_eq(rig.pages, 0);
}

Test(net_vsc_open, a_card_without_offloads)
{
	net_host.config.card.offloads = 0;
	open_with(&(struct lumen_net_config){ .offloads = LUMEN_NET_OFFLOADS });
	cr_assert_eq(lumen_net_info(net_kernel.net)->offloads, 0);
	cr_assert_eq(lumen_net_info(net_kernel.net)->max_lso, 0);
	net_kernel_fill(frame, 60, 1);
	prepare(0, frame, 60)->flags = LUMEN_NET_SUM_IPV4;
	cr_assert_eq(lumen_net_send(net_kernel.net, &frames[0]), LUMEN_NOT_SUPPORTED);
	lumen_net_close(net_kernel.net);
}

Test(net_vsc_open, an_mtu_is_the_smaller_one)
{
	net_host.config.card.mtu = 1000;
	open_with(&(struct lumen_net_config){ .mtu = 1500 });
	cr_assert_eq(lumen_net_info(net_kernel.net)->mtu, 1000);
	lumen_net_close(net_kernel.net);
	net_host.config.card.mtu = 9000;
	open_with(&(struct lumen_net_config){ .mtu = 1600 });
	cr_assert_eq(lumen_net_info(net_kernel.net)->mtu, 1600);
	lumen_net_close(net_kernel.net);
}

Test(net_vsc_open, again_and_again)
{
	for (uint32_t i = 0; i < 20; i++) {
		open_with(&(struct lumen_net_config){ .depth = 1 + i * 7, .polled = i % 2 });
		cr_assert_eq(lumen_net_info(net_kernel.net)->depth, 1 + i * 7);
		net_kernel_fill(frame, 1514, i);
		lumen_net_send(net_kernel.net, prepare(0, frame, 1514));
		expect_sent(frame, 1514);
		cr_assert(net_kernel_comes(frame, 1514)); // and is not for us
		lumen_net_close(net_kernel.net);
		cr_assert_eq(net_host.wire.room_count, 0);
	}
}

// --- out ---

Test(net_vsc, copies_of_all_lengths)
{
	for (uint32_t length = LUMEN_NET_HEADER; length <= 1514; length++) {
		net_kernel_fill(frame, length, length);
		cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, length), LUMEN_OK);
		memset(frame, 0, length); // it is ours again
		net_kernel_run();
		net_kernel_fill(frame, length, length);
		cr_assert_eq(net_host.wire.sent_count, length - LUMEN_NET_HEADER + 1);
		cr_assert_eq(last_sent()->length, length);
		cr_assert_arr_eq(last_sent()->bytes, frame, length);
	}
	cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, 13), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, 1515), LUMEN_BAD_ARGUMENT);
}

// From 6144 bytes on they are not copied.
Test(net_vsc_open, frames_of_all_lengths)
{
	net_host.config.card.mtu = 9000;
	open_with(&(struct lumen_net_config){ .mtu = 9000 });
	cr_assert_lt(lumen_net_info(net_kernel.net)->max_copy, 6144);
	for (uint32_t length = LUMEN_NET_HEADER; length <= 9014; length += length < 5900 ? 7 : 1) {
		uint8_t *data = memory + length * 13 % 5000;

		net_kernel_fill(data, length, length);
		cr_assert_eq(lumen_net_send(net_kernel.net, prepare(0, data, length)), LUMEN_OK);
		expect_sent(data, length);
	}
	cr_assert_eq(rig.channels[0].sent_gpa >> 12 != 0, true, "the last one was not copied");
	lumen_net_close(net_kernel.net);
}

// Segments of `step` bytes, each 40 more bytes apart.
static struct lumen_net_frame *scatter(const uint8_t *from, uint32_t length, uint32_t step)
{
	struct lumen_net_frame *of = prepare(0, memory, length);
	uint32_t at = 17;

	of->segment_count = 0;
	for (uint32_t done = 0; done < length; done += step) {
		const uint32_t part = length - done < step ? length - done : step;

		memcpy(memory + at, from + done, part);
		segments[0][of->segment_count++] =
			(struct lumen_segment){ .data = memory + at, .length = part };
		at += part + 40;
	}
	return of;
}

Test(net_vsc_open, scatter_gather)
{
	net_host.config.card.mtu = 9000;
	open_with(&(struct lumen_net_config){ .mtu = 9000 });
	for (uint32_t length = 14; length <= 9014; length += 321) {
		for (uint32_t parts = 1; parts <= LUMEN_NET_MAX_SEGMENTS; parts += 3) {
			net_kernel_fill(frame, length, parts);
			cr_assert_eq(lumen_net_send(net_kernel.net,
					     scatter(frame, length, (length + parts - 1) / parts)),
				LUMEN_OK);
			expect_sent(frame, length);
		}
	}
	lumen_net_close(net_kernel.net);
}

// It cannot be copied, as nobody knows where it is.
Test(net_vsc, memory_by_its_guest_physical_address)
{
	net_kernel_fill(memory + 4000, 600, 3);
	prepare(0, NULL, 600);
	segments[0][0].gpa = lumen_gpa(memory + 4000);
	cr_assert_eq(lumen_net_send(net_kernel.net, &frames[0]), LUMEN_OK);
	expect_sent(memory + 4000, 600);
}

Test(net_vsc, frames_that_cannot_be)
{
	struct lumen_net_frame *of = prepare(0, memory, 60);

	of->segment_count = LUMEN_NET_MAX_SEGMENTS + 1;
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	of->segment_count = 0;
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	of->segment_count = 2; // of which the second is empty
	segments[0][1].length = 0;
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_net_send(net_kernel.net, prepare(0, memory, 13)), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(lumen_net_send(net_kernel.net, prepare(0, memory, 1515)), LUMEN_BAD_ARGUMENT);
	prepare(0, memory, 60)->flags = 0x20;
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	prepare(0, memory, 60)->flags = LUMEN_NET_SUM_TCP; // its header is nowhere
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	of->transport = 60;
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	of->segment_size = 1;
	of->transport = 14;
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_BAD_ARGUMENT);
	cr_assert_eq(net_kernel.done, 0);
}

// --- offloads ---

static void make_tcp(uint8_t *to, uint32_t length, bool is_6)
{
	const uint32_t ip = is_6 ? 40 : 20;

	net_kernel_fill(to, length, 9);
	memset(to + 14, 0, ip + 20);
	memcpy(to + 12, is_6 ? (uint8_t[]){ 0x86, 0xDD } : (uint8_t[]){ 0x08, 0x00 }, 2);
	to[14] = is_6 ? 0x60 : 0x45;
	to[is_6 ? 20 : 23] = 6;
	to[is_6 ? 18 : 16] = (uint8_t)((length - 14 - (is_6 ? 40 : 0)) >> 8);
	to[is_6 ? 19 : 17] = (uint8_t)(length - 14 - (is_6 ? 40 : 0));
	to[14 + ip + 12] = 0x50;
}

Test(net_vsc, checksums_are_asked_for)
{
	for (uint32_t is_6 = 0; is_6 < 2; is_6++) {
		struct lumen_net_frame *of = prepare(0, memory, 700);

		make_tcp(memory, 700, is_6);
		of->flags = LUMEN_NET_SUM_TCP | (is_6 ? LUMEN_NET_IPV6 : LUMEN_NET_SUM_IPV4);
		of->transport = is_6 ? 54 : 34;
		cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_OK);
		net_kernel_run();
		cr_assert_eq(last_sent()->header.flags, NET_NEEDS_CHECKSUM);
		cr_assert_eq(last_sent()->header.checksum_start, of->transport);
		cr_assert_eq(last_sent()->header.checksum_offset, 16);
		cr_assert_eq(!last_sent()->bytes[24], is_6, "IPv4's sum has been filled in");
	}
	cr_assert_eq(net_host.wire.sent_count, 2);
}

Test(net_vsc, large_segments)
{
	for (uint32_t is_6 = 0; is_6 < 2; is_6++) {
		const uint32_t length = is_6 ? 65535 : 40000;
		struct lumen_net_frame *of = prepare(0, memory + 77, length);

		make_tcp(memory + 77, length, is_6);
		of->segment_size = 1400;
		of->transport = is_6 ? 54 : 34;
		of->flags = LUMEN_NET_SUM_TCP | (is_6 ? LUMEN_NET_IPV6 : 0);
		cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_OK);
		net_kernel_run();
		cr_assert_eq(
			last_sent()->header.segments, is_6 ? NET_SEGMENT_TCP6 : NET_SEGMENT_TCP4);
		cr_assert_eq(last_sent()->header.segment_size, 1400);
		cr_assert_eq(last_sent()->length, length);
		cr_assert_arr_eq(last_sent()->bytes + 100, memory + 177, length - 100);
	}
	cr_assert_eq(net_kernel.good, 2);
}

// The most pieces that there can be: 31 ranges, each with a page more than its bytes fill.
Test(net_vsc, a_large_segment_in_the_most_pieces)
{
	static uint8_t *pieces[LUMEN_NET_MAX_SEGMENTS];
	struct lumen_net_frame *of = prepare(0, NULL, 1);
	const uint32_t length = 65100, step = length / LUMEN_NET_MAX_SEGMENTS;

	make_tcp(frame, length, false);
	for (uint32_t i = 0; i < LUMEN_NET_MAX_SEGMENTS; i++) {
		pieces[i] = memory + i * 4096 + 4096 - 4 - (i & 3);
		memcpy(pieces[i], frame + i * step, step);
		segments[0][i] = (struct lumen_segment){ .data = pieces[i], .length = step };
	}
	of->segment_count = LUMEN_NET_MAX_SEGMENTS;
	of->segment_size = 1000;
	of->transport = 34;
	cr_assert_eq(step * LUMEN_NET_MAX_SEGMENTS, length);
	cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_OK);
	net_kernel_run();
	cr_assert_eq(last_sent()->length, length);
	cr_assert_arr_eq(last_sent()->bytes + 100, frame + 100, length - 100);
}

Test(net_vsc, tags)
{
	const uint16_t tci = 5 << 13 | 1 << 12 | 0x123;

	net_kernel_fill(memory, 100, 5);
	prepare(0, memory, 100)->flags = LUMEN_NET_TAG;
	frames[0].vlan = tci;
	cr_assert_eq(lumen_net_send(net_kernel.net, &frames[0]), LUMEN_OK);
	net_kernel_run();
	cr_assert_eq(last_sent()->length, 104);
	cr_assert_arr_eq(last_sent()->bytes + 12, ((uint8_t[]){ 0x81, 0, tci >> 8, tci & 255 }), 4);
	memcpy(frame, last_sent()->bytes, 104);
	memset(frame, 0xFF, 6);
	cr_assert(net_kernel_comes(frame, 104));
	net_kernel_run();
	cr_assert_eq(net_kernel.last.flags, LUMEN_NET_HAS_VLAN);
	cr_assert_eq(net_kernel.last.vlan, tci);
	cr_assert_eq(net_kernel.last.length, 100);
	cr_assert_arr_eq(net_kernel.bytes + 12, memory + 12, 88);
}

Test(net_vsc, received_checksums)
{
	const struct net_header good = { .flags = NET_CHECKSUM_GOOD };

	make_tcp(frame, 300, false);
	memset(frame, 0xFF, 6);
	cr_assert(memory_wire_receive(&net_host.wire, &good, frame, 300));
	net_kernel_run();
	cr_assert_eq(net_kernel.last.flags, LUMEN_NET_GOOD_TCP);
	cr_assert(net_kernel_comes(frame, 300));
	net_kernel_run();
	cr_assert_eq(net_kernel.last.flags, 0);
	cr_assert_eq(net_kernel.received, 2);
}

// --- in ---

Test(net_vsc_open, receives_all_lengths)
{
	net_host.config.card.mtu = 9000;
	open_with(&(struct lumen_net_config){ .mtu = 9000 });
	for (uint32_t length = 14; length <= 9014; length += length < 1600 ? 1 : 7) {
		net_kernel_fill(frame, length, length);
		memset(frame, 0xFF, 6);
		cr_assert(net_kernel_comes(frame, length));
		net_kernel_run();
		cr_assert_eq(net_kernel.last.length, length);
		cr_assert_arr_eq(net_kernel.bytes, frame, length);
	}
	lumen_net_close(net_kernel.net);
}

static uint32_t expected;

static void expect_next(const struct lumen_net_received *received)
{
	const uint32_t length = 60 + expected % 1400;

	net_kernel_fill(frame, length, expected++);
	memset(frame, 0xFF, 6);
	cr_assert_eq(received->length, length);
	cr_assert_arr_eq(net_kernel.bytes, frame, length);
}

// More than there are rooms for, in bursts, and all in order.
Test(net_vsc, receives_in_bursts)
{
	uint32_t sent = 0;

	expected = 0;
	net_kernel.on_receive = expect_next;
	for (uint32_t burst = 1; burst < 60; burst++) {
		for (uint32_t i = 0; i < burst * 5; i++) {
			const uint32_t length = 60 + sent % 1400;

			net_kernel_fill(frame, length, sent);
			memset(frame, 0xFF, 6);
			if (!net_kernel_comes(frame, length))
				break;
			sent++;
		}
		net_kernel_run();
		cr_assert_eq(net_kernel.received, sent);
	}
	cr_assert_gt(sent, 5000);
	net_kernel.on_receive = NULL;
}

Test(net_vsc, what_the_filter_lets_through)
{
	static const uint8_t other[6] = { 2, 9, 9, 9, 9, 9 }, group[6] = { 1, 0, 0x5E, 0, 0, 1 };
	const struct {
		uint32_t filter, mine, others, groups, all;
	} cases[] = {
		{ LUMEN_NET_DIRECTED, 1, 0, 0, 0 },
		{ LUMEN_NET_BROADCAST, 0, 0, 0, 1 },
		{ LUMEN_NET_MULTICAST, 0, 0, 1, 0 },
		{ LUMEN_NET_PROMISCUOUS, 1, 1, 1, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(lumen_net_set_filter(net_kernel.net, cases[i].filter), LUMEN_OK);
		net_kernel_fill(frame, 60, 0);
		net_kernel_run(); // rooms for the wire
		for (uint32_t kind = 0; kind < 4; kind++) {
			const uint32_t wanted[] = { cases[i].mine, cases[i].others, cases[i].groups,
				cases[i].all };
			const uint8_t *const to[] = { net_host.config.card.mac, other, group,
				(const uint8_t[]){ 255, 255, 255, 255, 255, 255 } };
			const uint32_t before = net_kernel.received;

			memcpy(frame, to[kind], 6);
			cr_assert(net_kernel_comes(frame, 60));
			net_kernel_run();
			cr_assert_eq(net_kernel.received - before, wanted[kind], "%zu %u", i, kind);
		}
	}
}

Test(net_vsc, the_link_goes_and_comes)
{
	const uint32_t *changes = lumen_net_changes(net_kernel.net);

	for (uint32_t i = 0; i < 20; i++) {
		net_vsp_set_link(rig.channels[0].vsp, i % 2);
		net_kernel_run();
		cr_assert_eq(lumen_net_link(net_kernel.net), i % 2);
		cr_assert_eq(*changes, i + 1);
	}
}

// --- both ways ---

Test(net_vsc, answers_from_within_receive)
{
	net_kernel.echoes = true;
	for (uint32_t i = 0; i < 100; i++) {
		net_kernel_fill(frame, 100 + i, i);
		memset(frame, 0xFF, 6);
		cr_assert(net_kernel_comes(frame, 100 + i));
		net_kernel_run();
		cr_assert_eq(net_host.wire.sent_count, i + 1);
		cr_assert_arr_eq(last_sent()->bytes, frame, 100 + i);
	}
}

static void send_again(struct lumen_net_frame *of)
{
	if (++net_kernel.done < 100)
		cr_assert_eq(lumen_net_send(net_kernel.net, of), LUMEN_OK);
}

Test(net_vsc, sends_from_within_done)
{
	net_kernel_fill(memory, 60, 1);
	prepare(0, memory, 60)->done = send_again;
	cr_assert_eq(lumen_net_send(net_kernel.net, &frames[0]), LUMEN_OK);
	net_kernel_run();
	cr_assert_eq(net_kernel.done, 100);
	cr_assert_eq(net_host.wire.sent_count, 100);
}

static void send_all(void)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
		net_kernel_fill(memory + i * 2048, 1000, i);
		cr_assert_eq(lumen_net_queue(net_kernel.net, prepare(i, memory + i * 2048, 1000)),
			LUMEN_OK);
	}
	lumen_net_kick(net_kernel.net);
}

static void expect_all(void)
{
	cr_assert_eq(net_kernel.good, FRAMES);
	cr_assert_eq(net_host.wire.sent_count, FRAMES);
	for (uint32_t i = FRAMES - MEMORY_WIRE_SENT; i < FRAMES; i++)
		cr_assert_arr_eq(
			memory_wire_sent(&net_host.wire, i)->bytes, memory + i * 2048, 1000);
}

Test(net_vsc_open, more_than_the_depth)
{
	open_with(&(struct lumen_net_config){ .depth = 3 });
	net_host.wire.deferred = true;
	send_all();
	cr_assert_eq(lumen_net_send_copy(net_kernel.net, memory, 60), LUMEN_BUSY);
	rig.complete = 1;
	net_kernel_run();
	expect_all();
	lumen_net_close(net_kernel.net);
}

Test(net_vsc, one_signal_for_a_batch)
{
	const uint32_t flushes = rig.channels[0].flushes;

	send_all();
	cr_assert_eq(rig.channels[0].flushes, flushes + 1);
	lumen_net_kick(net_kernel.net);
	cr_assert_eq(rig.channels[0].flushes, flushes + 1);
	net_kernel_run();
	expect_all();
}

Test(net_vsc_open, more_than_the_ring_has_room_for)
{
	open_with(&(struct lumen_net_config){ .depth = 100, .send_pages = 2, .receive_pages = 1 });
	for (uint32_t round = 0; round < 5; round++) {
		net_kernel.good = net_host.wire.sent_count = 0;
		send_all();
		for (uint32_t i = 0; i < 200; i++)
			lumen_net_send_copy(net_kernel.net, memory, 60);
		net_kernel_run();
		cr_assert_geq(net_host.wire.sent_count, FRAMES);
		cr_assert_eq(net_kernel.good, FRAMES);
	}
	lumen_net_close(net_kernel.net);
}

// There is no room to say that frames are taken: it is said later.
Test(net_vsc, a_full_ring_while_frames_come)
{
	net_kernel_fill(frame, 60, 1);
	memset(frame, 0xFF, 6);
	rig.full = true;
	cr_assert_eq(lumen_net_send(net_kernel.net, prepare(0, memory, 60)), LUMEN_OK);
	cr_assert_eq(lumen_net_send_copy(net_kernel.net, memory, 60), LUMEN_BUSY);
	for (uint32_t i = 0; i < 200; i++) {
		net_kernel_comes(frame, 60);
		rig_run();
	}
	cr_assert_eq(net_kernel.received, 200);
	cr_assert_lt(net_host.wire.room_count, 200);
	rig.full = false;
	net_kernel_fill(memory, 60, 1);
	net_kernel_run();
	cr_assert_eq(net_kernel.good, 1);
	cr_assert_gt(net_host.wire.room_count, 300);
}

// The ids of batches that cannot be given back are as many as there is memory for; then the others
// stay in the ring.
Test(net_vsc_open, more_batches_than_can_be_remembered)
{
	open_with(&(struct lumen_net_config){ .receive_buffer_pages = 512, .send_pages = 2 });
	net_kernel_fill(frame, 60, 1);
	memset(frame, 0xFF, 6);
	rig.full = true;
	for (uint32_t i = 0; i < 400; i++) {
		cr_assert(net_kernel_comes(frame, 60));
		rig_run();
	}
	cr_assert_eq(net_kernel.received, 256);
	rig.full = false;
	net_kernel_run();
	cr_assert_eq(net_kernel.received, 400);
	cr_assert_gt(net_host.wire.room_count, 400);
	lumen_net_close(net_kernel.net);
}

Test(net_vsc, statistics)
{
	struct lumen_net_counters statistics;

	send_all();
	net_kernel_run();
	net_kernel_fill(frame, 60, 1);
	memset(frame, 0xFF, 6);
	for (uint32_t i = 0; i < 7; i++)
		cr_assert(net_kernel_comes(frame, 60 + i));
	net_kernel_run();
	lumen_net_statistics(net_kernel.net, &statistics);
	cr_assert_eq(statistics.sent, FRAMES);
	cr_assert_eq(statistics.sent_bytes, FRAMES * 1000);
	cr_assert_eq(statistics.received, 7);
	cr_assert_eq(statistics.received_bytes, 7 * 60 + 21);
	cr_assert_eq(statistics.refused, 0);
	cr_assert_eq(statistics.dropped, 0);
}

// The VSP goes on elsewhere before and after each of its polls.
Test(net_vsc_open, moves_in_the_middle)
{
	rig.moves = true;
	open_with(&(struct lumen_net_config){ .depth = 5 });
	for (uint32_t round = 0; round < 3; round++) {
		net_kernel.good = net_host.wire.sent_count = 0;
		net_host.wire.deferred = round % 2;
		rig.complete = 3;
		send_all();
		net_kernel_run();
		expect_all();
		net_kernel_fill(frame, 800, round);
		memset(frame, 0xFF, 6);
		rig_poll(&rig.channels[0]); // the wire has rooms again
		for (uint32_t i = 0; i < 50; i++)
			cr_assert(net_kernel_comes(frame, 800));
		net_kernel_run();
		cr_assert_eq(net_kernel.received, 50 * (round + 1));
		cr_assert_arr_eq(net_kernel.bytes, frame, 800);
	}
	cr_assert_gt(rig.moved, 20);
	cr_assert_eq(lumen_net_set_filter(net_kernel.net, LUMEN_NET_DIRECTED), LUMEN_OK);
	lumen_net_close(net_kernel.net);
}

// Its host has not said yet what the buffers are: nothing is read until then.
Test(net_vsc, a_frame_right_behind_a_move)
{
	uint32_t (*const backend)(uint32_t count) = rig.backend;

	net_kernel_fill(frame, 100, 3);
	cr_assert_eq(lumen_net_send_copy(net_kernel.net, frame, 100), LUMEN_OK);
	rig.backend = NULL;
	cr_assert(rig_move());
	rig_poll(&rig.channels[0]);
	rig.backend = backend;
	net_kernel_run();
	cr_assert_eq(net_host.wire.sent_count, 1);
	cr_assert_arr_eq(last_sent()->bytes, frame, 100);
}

// --- polled ---

Test(net_vsc_open, without_interrupts)
{
	rig.interrupts = false;
	open_with(&(struct lumen_net_config){ 0 });
	send_all();
	net_kernel_run();
	expect_all();
	lumen_net_close(net_kernel.net);
}

Test(net_vsc_open, a_polled_card_calls_nobody_but_in_polls)
{
	open_with(&(struct lumen_net_config){ .polled = true });
	net_kernel_run();
	net_kernel_fill(frame, 60, 1);
	memset(frame, 0xFF, 6);
	cr_assert(net_kernel_comes(frame, 60));
	send_all();
	while (rig_run())
		;
	cr_assert_eq(net_kernel.received + net_kernel.done, 0);
	lumen_net_wait(net_kernel.net, UINT64_MAX); // returns at once
	cr_assert(lumen_net_poll(net_kernel.net));
	cr_assert_eq(net_kernel.received, 1);
	cr_assert_eq(net_kernel.good, FRAMES);
	cr_assert_not(lumen_net_poll(net_kernel.net));
	lumen_net_close(net_kernel.net);
}

// Who has something else for the thread wakes it, also before it sleeps; once.
Test(net_vsc_open, a_polled_card_is_woken)
{
	uint32_t slept;

	open_with(&(struct lumen_net_config){ .polled = true });
	while (lumen_net_poll(net_kernel.net))
		;
	slept = rig.slept;
	lumen_net_wake(net_kernel.net);
	lumen_net_wait(net_kernel.net, UINT64_MAX);
	cr_assert_eq(rig.slept, slept);
	cr_assert_not(lumen_net_poll(net_kernel.net));
	lumen_net_wait(net_kernel.net, UINT64_MAX);
	cr_assert_eq(rig.slept, slept + 1);
	lumen_net_close(net_kernel.net);
}

Test(net_vsc_open, a_poll_is_bounded)
{
	uint32_t polls = 0;

	open_with(&(struct lumen_net_config){ .polled = true, .receive_buffer_pages = 512 });
	net_kernel_run();
	net_kernel_fill(frame, 60, 1);
	memset(frame, 0xFF, 6);
	for (uint32_t i = 0; i < 300; i++) { // each in a packet of its own
		cr_assert(net_kernel_comes(frame, 60));
		rig_run();
	}
	for (uint32_t before; (before = net_kernel.received) < 300; polls++) {
		cr_assert(lumen_net_poll(net_kernel.net));
		cr_assert_leq(net_kernel.received - before, 64);
	}
	cr_assert_geq(polls, 5);
	while (lumen_net_poll(net_kernel.net))
		;
	cr_assert(net_kernel_comes(frame, 60)); // signals are on again
	rig_run();
	cr_assert(lumen_net_poll(net_kernel.net));
	cr_assert_eq(net_kernel.received, 301);
	lumen_net_close(net_kernel.net);
}

// --- the end ---

Test(net_vsc_open, closes_while_frames_are_under_way)
{
	open_with(&(struct lumen_net_config){ .depth = 10 });
	net_host.wire.deferred = true;
	rig.complete = 2;
	send_all();
	lumen_net_close(net_kernel.net);
	cr_assert_eq(net_kernel.done, FRAMES);
	cr_assert_eq(net_kernel.good, 10);
	for (uint32_t i = 10; i < FRAMES; i++)
		cr_assert_eq(frames[i].status, LUMEN_CANCELLED);
}

Test(net_vsc_open, closes_without_the_host)
{
	open_with(&(struct lumen_net_config){ .depth = 10, .timeout_ns = 1000 });
	rig.mute = true;
	send_all();
	lumen_net_close(net_kernel.net);
	cr_assert_eq(net_kernel.done, FRAMES);
	cr_assert_eq(net_kernel.good, 0);
}
