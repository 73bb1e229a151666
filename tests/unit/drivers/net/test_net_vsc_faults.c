// SPDX-License-Identifier: BSD-2-Clause
// The network VSC against hosts that are slow, gone, refuse, or break the protocol: each costs at
// most the card, every frame ends once, and no memory is lost.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/rndis.h"
#include "drivers/proto/nvsp.h"
#include "net_kernel.h"

enum { RECEIVE_GPADL = 1, BUFFER = 128 * 4096 };

static uint8_t bytes[2048];
static struct lumen_net_frame frames[8];
static struct lumen_segment segment = { .data = bytes, .length = 60 };

static void create(void)
{
	net_host_create(1, 0);
	memset(frames, 0, sizeof(frames));
}

static void create_open(void)
{
	create();
	cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ .depth = 4 }), LUMEN_OK);
	net_kernel_run();
}

static void destroy(void)
{
	rig_free_pages();
	rig_destroy();
}

TestSuite(net_vsc_faults_open, .init = create, .fini = destroy);
TestSuite(net_vsc_faults, .init = create_open, .fini = destroy);

static void send_all(void)
{
	net_kernel_fill(bytes, 60, 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(frames); i++) {
		frames[i] = (struct lumen_net_frame){
			.segments = &segment, .segment_count = 1, .done = net_kernel_done
		};
		cr_assert_eq(lumen_net_send(net_kernel.net, &frames[i]), LUMEN_OK);
	}
}

// The card has failed, and closes.
static void expect_failed(lumen_status status)
{
	const uint32_t changes = *lumen_net_changes(net_kernel.net);

	cr_assert_eq(
		lumen_net_status(net_kernel.net), status, "%s", lumen_net_failure(net_kernel.net));
	cr_assert_gt(changes, 0, "who sleeps is woken");
	cr_assert_eq(net_kernel.done, ARRAY_SIZE(frames));
	for (uint32_t i = 0; i < ARRAY_SIZE(frames); i++)
		cr_assert(frames[i].status == status || frames[i].status == LUMEN_OK ||
			  frames[i].status == LUMEN_IO_ERROR);
	cr_assert_eq(lumen_net_send(net_kernel.net, &frames[0]), status);
	cr_assert_eq(lumen_net_send_copy(net_kernel.net, bytes, 60), status);
	cr_assert_eq(lumen_net_set_filter(net_kernel.net, 0), status);
	cr_assert_not(lumen_net_poll(net_kernel.net));
	lumen_net_close(net_kernel.net);
	cr_assert_eq(rig.pages, 0);
	cr_assert_eq(net_kernel.done, ARRAY_SIZE(frames));
}

// --- a host that lies ---

static uint8_t *receive_buffer(void)
{
	return rig_memory_at(net_host.gpadls[RECEIVE_GPADL].pfns[0] << VMBUS_PAGE_SHIFT);
}

static void say_ranges(
	uint16_t set, uint32_t type, const struct vmbus_transfer_range *ranges, uint32_t count)
{
	const struct vmbus_transfer_header header = { set, 0, count };
	const struct vmbus_piece pieces[] = { { &header, sizeof(header) },
		{ ranges, count * (uint32_t)sizeof(*ranges) } };
	const struct nvsp_message message = { .type = type };
	const struct vmbus_piece payload = { &message, 8 };

	rig_write(&rig.channels[0].host, &(struct vmbus_packet_out){
						 .type = VMBUS_PACKET_TRANSFER_PAGES,
						 .flags = 1,
						 .transaction_id = 77,
						 .header = pieces,
						 .header_count = 2,
						 .payload = &payload,
						 .payload_count = 1,
					 });
}

static void say_range(uint32_t length, uint32_t offset)
{
	const struct vmbus_transfer_range range = { length, offset };

	say_ranges(NVSP_RECEIVE_BUFFER_ID, NVSP_SEND_RNDIS_PACKET, &range, 1);
}

static void complete(uint64_t id, uint32_t type, uint32_t length)
{
	const struct nvsp_message message = { .type = type,
		.rndis_packet_complete = { NVSP_STATUS_SUCCESS } };

	cr_assert(rig_say(&rig.channels[0].host, VMBUS_PACKET_COMPLETION, id, &message, length));
}

static void lie_about_id(void)
{
	complete(rig.channels[0].sent_id ^ 1ull << 32, NVSP_SEND_RNDIS_PACKET_COMPLETE, 8);
}

static void lie_about_slot(void)
{
	complete(rig.channels[0].sent_id | 0x1000, NVSP_SEND_RNDIS_PACKET_COMPLETE, 8);
}

static void answer_no_question(void)
{
	complete(1ull << 32 | 4, NVSP_SEND_RNDIS_PACKET_COMPLETE, 8);
}

static void answer_twice(void)
{
	complete(rig.channels[0].sent_id, NVSP_SEND_RNDIS_PACKET_COMPLETE, 8);
	complete(rig.channels[0].sent_id, NVSP_SEND_RNDIS_PACKET_COMPLETE, 8);
}

static void answer_something_else(void)
{
	complete(rig.channels[0].sent_id, NVSP_INIT_COMPLETE, 8);
}

static void answer_nothing(void)
{
	complete(rig.channels[0].sent_id, NVSP_SEND_RNDIS_PACKET_COMPLETE, 0);
}

static void another_buffer(void)
{
	const struct vmbus_transfer_range range = { 100, 0 };

	say_ranges(NVSP_RECEIVE_BUFFER_ID + 1, NVSP_SEND_RNDIS_PACKET, &range, 1);
}

static void another_message(void)
{
	const struct vmbus_transfer_range range = { 100, 0 };

	say_ranges(NVSP_RECEIVE_BUFFER_ID, NVSP_SEND_SEND_BUFFER, &range, 1);
}

static void behind_the_buffer(void)
{
	say_range(64, BUFFER - 63);
}

static void a_range_that_wraps(void)
{
	say_range(0xFFFFFFF0, 64);
}

static void a_last_range_that_wraps(void)
{
	const struct vmbus_transfer_range ranges[] = { { 64, 0 }, { 64, 0xFFFFFFFF } };

	say_ranges(NVSP_RECEIVE_BUFFER_ID, NVSP_SEND_RNDIS_PACKET, ranges, 2);
}

static void no_header(void)
{
	say_range(7, 0);
}

static void pages_of_its_own(void)
{
	const struct vmbus_gpa_direct_header direct = { 0, 1 };
	const struct vmbus_gpa_range_header range = { 8, 0 };
	const uint64_t pfn = 1;
	const struct vmbus_piece header[] = { { &direct, 8 }, { &range, 8 }, { &pfn, 8 } };

	rig_write(&rig.channels[0].host, &(struct vmbus_packet_out){
						 .type = VMBUS_PACKET_GPA_DIRECT,
						 .header = header,
						 .header_count = 3,
					 });
}

static void say_one_more(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	(void)packet;
	rig_say(&channel->host, VMBUS_PACKET_IN_BAND, 0, "12345678", 8);
}

static void news_without_end(void)
{
	rig.on_receive = say_one_more;
	say_one_more(&rig.channels[0], NULL);
}

static void say_one_more_batch(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	(void)channel;
	(void)packet;
	say_ranges(NVSP_RECEIVE_BUFFER_ID, NVSP_SEND_RNDIS_PACKET, NULL, 0);
}

static void batches_without_frames(void)
{
	rig.on_receive = say_one_more_batch;
	say_one_more_batch(NULL, NULL);
}

static void (*const lies[])(void) = { lie_about_id, lie_about_slot, answer_no_question,
	answer_twice, answer_something_else, answer_nothing, another_buffer, another_message,
	behind_the_buffer, a_range_that_wraps, a_last_range_that_wraps, no_header, pages_of_its_own,
	news_without_end, batches_without_frames };

Test(net_vsc_faults_open, hosts_that_lie)
{
	for (size_t i = 0; i < 2 * ARRAY_SIZE(lies); i++) {
		rig.interrupts = i % 2;
		rig.on_receive = NULL;
		cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ .depth = 4 }), LUMEN_OK);
		net_kernel_run();
		rig_take_over(&rig.channels[0]);
		send_all();
		lies[i / 2]();
		rig_run();
		lumen_net_poll(net_kernel.net);
		cr_assert_eq(net_kernel.received, 0);
		expect_failed(LUMEN_BAD_HOST);
	}
}

// A word of a message in the receive buffer, and what it says.
Test(net_vsc_faults_open, frames_that_lie)
{
	static const struct {
		uint32_t at, value;
	} patches[] = {
		{ 4, 7 },   // the message is shorter than its header
		{ 4, 43 },  // than a frame's
		{ 4, 201 }, // longer than the range
		{ 4, 0xFFFFFFFF },
		{ 8, 0 },	   // the data are in the header,
		{ 8, 0xFFFFFFFF }, // nowhere,
		{ 8, 150 },	   // or behind the end
		{ 12, 0 },
		{ 12, 200 },
		{ 12, 0xFFFFFFFF },
		{ 20, 4 },	    // out-of-band data
		{ 28, 0xFFFFFFF0 }, // the information is nowhere
		{ 32, 0xFFFFFFF0 },
		{ 32, 15 }, // or half an element
		{ 44, 0 },  // an element of no length
		{ 44, 0xFFFFFFF0 },
		{ 52, 0xFFFFFFFF },
	};

	for (size_t i = 0; i < ARRAY_SIZE(patches); i++) {
		struct rndis_frame head = { .length = 140, .has = RNDIS_HAS_VLAN };

		cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ .depth = 4 }), LUMEN_OK);
		net_kernel_run();
		rig_take_over(&rig.channels[0]);
		send_all();
		cr_assert_eq(rndis_put_frame(receive_buffer(), &head), 60);
		say_range(200, 0);
		rig_run();
		cr_assert_eq(net_kernel.received, 1, "%s", lumen_net_failure(net_kernel.net));
		memcpy(receive_buffer() + patches[i].at, &patches[i].value, 4);
		say_range(200, 0);
		rig_run();
		cr_assert_eq(net_kernel.received, 1, "%zu", i);
		expect_failed(LUMEN_BAD_HOST);
	}
}

// Neither costs more than the frame.
Test(net_vsc_faults, frames_that_are_too_short_or_too_long)
{
	static const uint32_t lengths[] = { 1, 13, 14, 1518, 1519, 4000 };
	struct lumen_net_counters statistics;

	rig_take_over(&rig.channels[0]);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct rndis_frame head = { .length = lengths[i] };
		const uint32_t size = rndis_put_frame(receive_buffer() + BUFFER - 5000, &head);

		say_range(size + lengths[i], BUFFER - 5000);
		rig_run();
	}
	lumen_net_statistics(net_kernel.net, &statistics);
	cr_assert_eq(statistics.received, 2);
	cr_assert_eq(statistics.dropped, 4);
	cr_assert_eq(net_kernel.received, 2);
	cr_assert_eq(lumen_net_status(net_kernel.net), LUMEN_OK);
	lumen_net_close(net_kernel.net);
}

Test(net_vsc_faults, what_the_host_does_not_take)
{
	struct lumen_net_counters statistics;

	net_host.wire.refuse = true;
	rig_take_over(&rig.channels[0]);
	send_all();
	for (uint32_t i = 0; i < 4; i++) {
		const struct nvsp_message refusal = { .type = NVSP_SEND_RNDIS_PACKET_COMPLETE,
			.rndis_packet_complete = { NVSP_STATUS_FAILURE } };

		cr_assert(rig_say(&rig.channels[0].host, VMBUS_PACKET_COMPLETION, 1ull << 32 | i,
			&refusal, 8));
	}
	rig_run();
	cr_assert_eq(net_kernel.done, 4);
	cr_assert_eq(frames[0].status, LUMEN_IO_ERROR);
	lumen_net_statistics(net_kernel.net, &statistics);
	cr_assert_eq(statistics.refused, 4);
	cr_assert_eq(statistics.sent, 0);
	lumen_net_close(net_kernel.net);
	cr_assert_eq(net_kernel.done, 8);
}

// --- a host that lies while the card is opened ---

static struct {
	uint32_t type; // of the message
	uint32_t at, value;
} patch;

static void change_answer(struct lumen_channel *channel, struct vmbus_packet *packet)
{
	uint8_t *message = (uint8_t *)(uintptr_t)packet->payload;
	uint32_t type;

	(void)channel;
	if (packet->type == VMBUS_PACKET_TRANSFER_PAGES)
		message = receive_buffer() + packet->transfer_ranges[0].byte_offset;
	memcpy(&type, message, 4);
	if (type == patch.type)
		memcpy(message + patch.at, &patch.value, 4);
}

Test(net_vsc_faults_open, answers_that_lie)
{
	static const struct {
		uint32_t type, at, value;
		lumen_status status;
	} cases[] = {
		{ NVSP_INIT_COMPLETE, 0, 9, LUMEN_BAD_HOST },
		// It is asked for an older one, and does not answer a second time.
		{ NVSP_INIT_COMPLETE, 12, NVSP_STATUS_FAILURE, LUMEN_TIMED_OUT },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 0, 0, LUMEN_BAD_HOST },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 4, NVSP_STATUS_FAILURE, LUMEN_REFUSED },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 8, 0, LUMEN_BAD_HOST },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 8, 2, LUMEN_BAD_HOST },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 12, 8, LUMEN_BAD_HOST },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 16, 0xFFFFFFFF, LUMEN_BAD_HOST },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 20, 0, LUMEN_BAD_HOST },
		{ NVSP_SEND_RECEIVE_BUFFER_COMPLETE, 20, 0xFFFFFFFF, LUMEN_BAD_HOST },
		{ NVSP_SEND_SEND_BUFFER_COMPLETE, 4, NVSP_STATUS_FAILURE, LUMEN_REFUSED },
		{ NVSP_SEND_SEND_BUFFER_COMPLETE, 8, 0, LUMEN_BAD_HOST },
		{ NVSP_SEND_SEND_BUFFER_COMPLETE, 8, 511, LUMEN_BAD_HOST },
		{ NVSP_SEND_SEND_BUFFER_COMPLETE, 8, 0xFFFFFFFF, LUMEN_BAD_HOST },
		{ NVSP_SEND_RNDIS_PACKET_COMPLETE, 0, 0, LUMEN_BAD_HOST },
		{ NVSP_SEND_RNDIS_PACKET_COMPLETE, 4, NVSP_STATUS_FAILURE, LUMEN_REFUSED },
		{ RNDIS_INITIALIZE_COMPLETE, 4, 4, LUMEN_BAD_HOST },
		{ RNDIS_INITIALIZE_COMPLETE, 4, 20, LUMEN_BAD_HOST },
		{ RNDIS_INITIALIZE_COMPLETE, 8, 0x12345678, LUMEN_TIMED_OUT },
		{ RNDIS_INITIALIZE_COMPLETE, 12, RNDIS_STATUS_FAILURE, LUMEN_REFUSED },
		{ RNDIS_INITIALIZE_COMPLETE, 28, 1, LUMEN_REFUSED },
		{ RNDIS_QUERY_COMPLETE, 4, 12, LUMEN_BAD_HOST },
		{ RNDIS_QUERY_COMPLETE, 12, RNDIS_STATUS_FAILURE, LUMEN_REFUSED },
		{ RNDIS_QUERY_COMPLETE, 16, 0xFFFFFFFF, LUMEN_BAD_HOST },
		{ RNDIS_QUERY_COMPLETE, 20, 0, LUMEN_BAD_HOST },
		{ RNDIS_QUERY_COMPLETE, 20, 0xFFFFFFFF, LUMEN_BAD_HOST },
		{ RNDIS_SET_COMPLETE, 4, 12, LUMEN_BAD_HOST },
		{ RNDIS_SET_COMPLETE, 0, RNDIS_RESET_COMPLETE, LUMEN_TIMED_OUT },
		{ RNDIS_SET_COMPLETE, 12, RNDIS_STATUS_FAILURE, LUMEN_REFUSED },
	};

	rig.hostile = true;
	rig.on_receive = change_answer;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		lumen_status status;

		patch.type = cases[i].type;
		patch.at = cases[i].at;
		patch.value = cases[i].value;
		status = net_kernel_open(&(struct lumen_net_config){ .depth = 4 });
		cr_assert_eq(status, cases[i].status, "%zu: %x", i, status);
		cr_assert_eq(rig.pages, 0);
		cr_assert_eq(rig.gpadls, 0);
	}
}

// Fewer frames at once, then: the section behind theirs is for control messages (which this host,
// who has smaller ones, does not find).
Test(net_vsc_faults_open, larger_sections_than_others_have)
{
	struct nvsp_message message;

	rig.on_receive = change_answer;
	patch.type = NVSP_SEND_SEND_BUFFER_COMPLETE;
	patch.at = 8;
	patch.value = 100000;
	cr_assert_eq(net_kernel_open(&(struct lumen_net_config){ .depth = 64 }), LUMEN_TIMED_OUT);
	memcpy(&message, rig.channels[0].sent, sizeof(message));
	cr_assert_eq(message.type, NVSP_SEND_RNDIS_PACKET);
	cr_assert_eq(message.rndis_packet.section, 3);
}

// --- a host that is slow, or gone ---

static uint32_t each_moment(uint32_t *word, lumen_status expected)
{
	for (uint32_t i = 1;; i++) {
		lumen_status status;

		create();
		*word = i;
		status = net_kernel_open(&(struct lumen_net_config){ .timeout_ns = 1000 });
		if (status == LUMEN_OK) {
			lumen_net_close(net_kernel.net);
			return i;
		}
		cr_assert_eq(status, expected, "%u: %x", i, status);
		cr_assert_eq(rig.pages, 0);
	}
}

Test(net_vsc_faults_open, it_stops_answering)
{
	cr_assert_gt(each_moment(&rig.mute_after, LUMEN_TIMED_OUT), 8);
}

Test(net_vsc_faults_open, it_takes_the_card_away)
{
	cr_assert_gt(each_moment(&rig.rescind_after, LUMEN_RESCINDED), 8);
}

Test(net_vsc_faults, it_takes_the_card_away_from_under_frames)
{
	send_all();
	rig_rescind();
	expect_failed(LUMEN_RESCINDED);
}

Test(net_vsc_faults, it_keeps_the_buffers)
{
	rig.keeps_gpadls = true;
	lumen_net_close(net_kernel.net);
	cr_assert_gt(rig.pages, 0);
	rig.gpadls = 0;
}

Test(net_vsc_faults, a_broken_ring)
{
	rig.hostile = true;
	send_all();
	rig_take_over(&rig.channels[0]);
	rig_control(&rig.channels[0], true)->in = 0x12345;
	lumen_net_poll(net_kernel.net);
	expect_failed(LUMEN_BAD_HOST);
}
