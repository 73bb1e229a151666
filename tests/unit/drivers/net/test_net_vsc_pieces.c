// SPDX-License-Identifier: BSD-2-Clause
// The network VSC and frames that a host has put together of several TCP segments: in one piece, by
// the VSP; in several, by a host that does as Hyper-V does; and pieces that make no frame, each of
// which costs that frame and nothing else.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/rndis.h"
#include "drivers/proto/nvsp.h"
#include "net_kernel.h"

enum { RECEIVE_GPADL = 1, WANTED = LUMEN_NET_RECEIVED | LUMEN_NET_COALESCED };
enum { PIECE = RNDIS_ID_PIECE, FIRST = PIECE | RNDIS_ID_FIRST, LAST = PIECE | RNDIS_ID_LAST };

static uint8_t bytes[NET_KERNEL_FRAME];
static struct vmbus_transfer_range ranges[LUMEN_NET_MAX_PIECES + 8];
static uint32_t range_count, used; // bytes of the receive buffer
static uint64_t capabilities;	   // that the host was told

static void note_capabilities(struct lumen_channel *channel, const struct vmbus_packet_out *packet)
{
	struct nvsp_message message = { 0 };

	(void)packet;
	memcpy(&message, channel->sent, channel->sent_length);
	if (message.type == NVSP_SEND_NDIS_CONFIG)
		capabilities = message.ndis_config.capabilities;
}

static void begin(uint32_t offloads, uint32_t version)
{
	net_host_create(1, 0);
	rig.on_sent = note_capabilities;
	range_count = used = 0;
	net_kernel_fill(bytes, sizeof(bytes), 0);
	cr_assert_eq(net_kernel_open(&(struct lumen_net_config){
			     .offloads = offloads, .max_version = version }),
		LUMEN_OK);
	net_kernel_run();
}

static void begin_coalesced(void)
{
	begin(WANTED, 0);
	rig_take_over(&rig.channels[0]);
}

static void end(void)
{
	cr_assert_eq(lumen_net_status(net_kernel.net), LUMEN_OK, "%s",
		lumen_net_failure(net_kernel.net));
	lumen_net_close(net_kernel.net);
	rig_free_pages();
	rig_destroy();
}

TestSuite(net_vsc_pieces, .init = begin_coalesced, .fini = end);

static struct lumen_net_counters counters(void)
{
	struct lumen_net_counters now;

	lumen_net_statistics(net_kernel.net, &now);
	return now;
}

// --- what is agreed on ---

Test(net_vsc_coalesced, the_vsp_gives_large_frames_in_one_piece)
{
	const struct net_header large = {
		.flags = NET_NEEDS_CHECKSUM, .segments = NET_SEGMENT_TCP4, .segment_size = 1448
	};

	begin(WANTED, 0);
	cr_assert(capabilities & NVSP_CAPABILITY_RSC);
	cr_assert_eq(lumen_net_info(net_kernel.net)->offloads, WANTED);
	cr_assert(net_host.wire.takes & NET_TAKES_LARGE);
	memcpy(bytes, net_host.config.card.mac, 6);
	cr_assert(memory_wire_receive(&net_host.wire, &large, bytes, 65000));
	net_kernel_run();
	cr_assert_eq(net_kernel.received, 1);
	cr_assert_eq(net_kernel.last.size, 65000);
	cr_assert_eq(net_kernel.last.length, 65000);
	cr_assert_eq(net_kernel.last.more_count, 0);
	cr_assert_arr_eq(net_kernel.bytes, bytes, 65000);
	end();
}

Test(net_vsc_coalesced, who_does_not_want_it_is_given_none)
{
	static const struct {
		uint32_t offloads, version;
	} rows[] = {
		{ 0, 0 },
		{ LUMEN_NET_RECEIVED, 0 },
		{ LUMEN_NET_COALESCED, 0 }, // checksums nobody has looked at are none
		{ WANTED, NVSP_VERSION_6 },
		{ WANTED, NVSP_VERSION_1 },
	};

	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++) {
		capabilities = 0;
		begin(rows[i].offloads, rows[i].version);
		cr_assert_not(capabilities & NVSP_CAPABILITY_RSC);
		cr_assert_not(lumen_net_info(net_kernel.net)->offloads & LUMEN_NET_COALESCED);
		cr_assert_not(net_host.wire.takes & NET_TAKES_LARGE);
		end();
	}
}

Test(net_vsc_coalesced, a_host_that_does_not_coalesce)
{
	net_host_create(1, 0);
	net_host.config.card.offloads &= ~NET_OFFLOAD_COALESCE;
	cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ .offloads = WANTED }), LUMEN_OK);
	cr_assert_eq(lumen_net_info(net_kernel.net)->offloads, LUMEN_NET_RECEIVED);
	end();
}

// --- pieces ---

// The next message of the packet, with the next `length` bytes of those at `from`.
static void put(uint32_t flags, const uint8_t *from, uint32_t length)
{
	struct rndis_frame frame = { .length = length,
		.has = RNDIS_HAS_ID,
		.id = { .version = 1, .flags = (uint8_t)flags, .id = 7 } };
	uint8_t *to = rig_memory_at(net_host.gpadls[RECEIVE_GPADL].pfns[0] << VMBUS_PAGE_SHIFT);
	uint32_t head;

	if (flags & RNDIS_ID_FIRST) {
		frame.has |= RNDIS_HAS_CHECKSUM | RNDIS_HAS_VLAN;
		frame.checksum = RNDIS_CHECKSUM_TCP_GOOD;
		frame.vlan = rndis_vlan_of_tag(5);
	}
	to += used;
	head = rndis_put_frame(to, &frame);
	memcpy(to + head, from, length);
	ranges[range_count++] = (struct vmbus_transfer_range){ head + length, used };
	used += (head + length + 7) & ~7u;
}

static void deliver(void)
{
	const struct vmbus_transfer_header header = { NVSP_RECEIVE_BUFFER_ID, 0, range_count };
	const struct vmbus_piece pieces[] = { { &header, sizeof(header) },
		{ ranges, range_count * (uint32_t)sizeof(*ranges) } };
	const struct nvsp_message message = { .type = NVSP_SEND_RNDIS_PACKET };
	const struct vmbus_piece payload = { &message, NVSP_MESSAGE_SIZE_6_1 };

	cr_assert(rig_write(&rig.channels[0].host, &(struct vmbus_packet_out){
							   .type = VMBUS_PACKET_TRANSFER_PAGES,
							   .flags = 1,
							   .transaction_id = 77,
							   .header = pieces,
							   .header_count = 2,
							   .payload = &payload,
							   .payload_count = 1,
						   }));
	range_count = used = 0;
	net_kernel_run();
}

// All frames of the packet are dropped but for the last, which is whole.
static void expect_dropped(uint32_t dropped)
{
	put(0, bytes, 100);
	deliver();
	cr_assert_eq(net_kernel.received, 1);
	cr_assert_eq(net_kernel.last.size, 100);
	cr_assert_eq(counters().dropped, dropped);
	cr_assert_eq(counters().received_bytes, 100);
}

Test(net_vsc_pieces, a_frame_of_three)
{
	put(FIRST, bytes, 1514);
	put(PIECE, bytes + 1514, 1460);
	put(LAST, bytes + 2974, 1);
	deliver();
	cr_assert_eq(net_kernel.received, 1);
	cr_assert_eq(net_kernel.last.length, 1514);
	cr_assert_eq(net_kernel.last.size, 2975);
	cr_assert_eq(net_kernel.last.more_count, 2);
	cr_assert_arr_eq(net_kernel.bytes, bytes, 2975);
	cr_assert_eq(net_kernel.last.flags, LUMEN_NET_GOOD_TCP | LUMEN_NET_HAS_VLAN);
	cr_assert_eq(net_kernel.last.vlan, 5);
	cr_assert_eq(counters().received_bytes, 2975);
	cr_assert_eq(counters().dropped, 0);
}

Test(net_vsc_pieces, a_frame_of_one)
{
	put(FIRST | LAST, bytes, 60);
	deliver();
	cr_assert_eq(net_kernel.received, 1);
	cr_assert_eq(net_kernel.last.more_count, 0);
	cr_assert_arr_eq(net_kernel.bytes, bytes, 60);
}

static void count_and_check(const struct lumen_net_received *frame)
{
	cr_assert_eq(frame->size, net_kernel.received == 2 ? 100 : 2000);
}

Test(net_vsc_pieces, several_frames_in_a_packet)
{
	net_kernel.on_receive = count_and_check;
	put(FIRST, bytes, 1000);
	put(LAST, bytes + 1000, 1000);
	put(0, bytes, 100);
	put(FIRST, bytes, 1999);
	put(LAST, bytes + 1999, 1);
	deliver();
	cr_assert_eq(net_kernel.received, 3);
}

Test(net_vsc_pieces, as_many_and_as_long_as_may_be)
{
	const uint32_t each = LUMEN_NET_MAX_RECEIVED / LUMEN_NET_MAX_PIECES;
	const uint32_t rest = LUMEN_NET_MAX_RECEIVED - each * (LUMEN_NET_MAX_PIECES - 1);

	for (uint32_t turn = 0; turn < 3; turn++) {
		for (uint32_t i = 0; i < LUMEN_NET_MAX_PIECES - 1; i++)
			put(i ? PIECE : FIRST, bytes + i * each, each);
		put(LAST, bytes + LUMEN_NET_MAX_RECEIVED - rest, rest);
		deliver();
		cr_assert_eq(net_kernel.received, turn + 1);
		cr_assert_eq(net_kernel.last.size, LUMEN_NET_MAX_RECEIVED);
		cr_assert_arr_eq(net_kernel.bytes, bytes, LUMEN_NET_MAX_RECEIVED);
	}
}

// --- pieces that make no frame ---

Test(net_vsc_pieces, one_too_many)
{
	for (uint32_t i = 0; i < LUMEN_NET_MAX_PIECES; i++)
		put(i ? PIECE : FIRST, bytes, 20);
	put(LAST, bytes, 20);
	expect_dropped(1);
}

Test(net_vsc_pieces, too_long)
{
	put(FIRST, bytes, 60000);
	put(LAST, bytes, LUMEN_NET_MAX_RECEIVED - 60000 + 1);
	expect_dropped(1);
}

Test(net_vsc_pieces, the_first_too_long)
{
	put(FIRST, bytes, LUMEN_NET_MAX_RECEIVED + 1);
	put(LAST, bytes, 10); // of nothing
	expect_dropped(2);
}

Test(net_vsc_pieces, no_first)
{
	put(LAST, bytes, 100);
	put(PIECE, bytes, 100);
	expect_dropped(2);
}

Test(net_vsc_pieces, no_last)
{
	put(FIRST, bytes, 100);
	put(PIECE, bytes, 100);
	deliver();
	cr_assert_eq(counters().dropped, 1);
	put(LAST, bytes, 100); // in the next packet: its memory is the host's again
	expect_dropped(2);
}

Test(net_vsc_pieces, two_firsts)
{
	put(FIRST, bytes, 100);
	put(FIRST | LAST, bytes, 100);
	deliver();
	cr_assert_eq(net_kernel.received, 1);
	cr_assert_eq(net_kernel.last.size, 100);
	cr_assert_eq(counters().dropped, 1);
}

Test(net_vsc_pieces, a_first_without_room_for_a_header)
{
	put(FIRST, bytes, LUMEN_NET_HEADER - 1);
	put(LAST, bytes, 100);
	expect_dropped(1);
}

Test(net_vsc_pieces, one_that_nobody_wants)
{
	lumen_net_close(net_kernel.net);
	rig_free_pages();
	rig_destroy();
	begin(LUMEN_NET_RECEIVED, 0);
	rig_take_over(&rig.channels[0]);
	put(FIRST, bytes, 100);
	put(LAST, bytes, 100);
	expect_dropped(2);
}
