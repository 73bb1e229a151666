// SPDX-License-Identifier: BSD-2-Clause
// The shutdown component's VSP, through real rings, with guests that do as they should and others.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/shutdown.h"
#include "drivers/vsp/shutdown.h"

enum { PAGES = 3 };

static _Alignas(4096) uint8_t memory[2][PAGES][4096];
static void *pages[2][PAGES];
static struct shutdown_vsp vsp;
static struct vmbus_ring_writer to_host;
static struct vmbus_ring_reader from_host;

// The guest's copy of the last message.
static _Alignas(8) uint8_t packet[4096];
static struct pipe_header pipe_header;
static struct ic_header header;
static const uint8_t *body;

static void open_pages(uint32_t out_pages)
{
	memset(memory, 0, sizeof(memory));
	for (int i = 0; i < 2 * PAGES; i++)
		pages[i / PAGES][i % PAGES] = memory[i / PAGES][i % PAGES];
	cr_assert_eq(vmbus_ring_writer_init(&to_host, pages[0], PAGES), VMBUS_RING_OK);
	cr_assert_eq(vmbus_ring_reader_init(&from_host, pages[1], out_pages), VMBUS_RING_OK);
	shutdown_vsp_open(&vsp, pages[0], PAGES, pages[1], out_pages);
}

static bool receive(void)
{
	struct vmbus_packet in;

	if (vmbus_ring_read(&from_host, packet, sizeof(packet), &in) != VMBUS_RING_OK)
		return false;
	vmbus_ring_reader_commit(&from_host);
	cr_assert_eq(in.type, VMBUS_PACKET_IN_BAND);
	memcpy(&pipe_header, in.payload, sizeof(pipe_header));
	memcpy(&header, in.payload + sizeof(pipe_header), sizeof(header));
	body = in.payload + sizeof(pipe_header) + sizeof(header);
	cr_assert_eq(pipe_header.type, PIPE_TYPE_DATA);
	cr_assert_eq(pipe_header.size, sizeof(header) + header.size);
	cr_assert_leq(sizeof(pipe_header) + pipe_header.size, in.payload_length);
	cr_assert_eq(header.flags, IC_FLAG_TRANSACTION | IC_FLAG_REQUEST);
	return true;
}

static void send(uint16_t type, const void *payload, uint32_t length)
{
	const struct vmbus_piece pieces[] = {
		{ &pipe_header, sizeof(pipe_header) },
		{ &header, sizeof(header) },
		{ payload, length },
	};
	const struct vmbus_packet_out out = {
		.type = type,
		.payload = pieces,
		.payload_count = 3,
	};

	cr_assert_eq(vmbus_ring_write(&to_host, &out), VMBUS_RING_OK);
	vmbus_ring_writer_commit(&to_host);
}

// Sends a message back as a response with this body.
static void respond(const void *payload, uint32_t length)
{
	header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	header.size = (uint16_t)length;
	pipe_header.size = (uint32_t)sizeof(header) + length;
	send(VMBUS_PACKET_IN_BAND, payload, length);
}

struct picked {
	struct ic_negotiate counts;
	struct ic_version framework, message;
};

static const struct picked newest = { { 1, 1, 0 }, { 3, 0 }, { 3, 2 } };

static void pick(const struct picked *picked)
{
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_SIGNAL);
	cr_assert(receive());
	respond(picked, sizeof(*picked));
}

static void open_ready(void)
{
	open_pages(PAGES);
	pick(&newest);
	cr_assert_eq(shutdown_vsp_poll(&vsp), 0);
}

// The guest has the request in its hands.
static void open_asked(void)
{
	open_ready();
	cr_assert(shutdown_vsp_request(&vsp));
	shutdown_vsp_poll(&vsp);
	cr_assert(receive());
}

static void expect_failure(const char *reason)
{
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_FAILED);
	cr_assert_str_eq(shutdown_vsp_failure(&vsp), reason);
	cr_assert_not(shutdown_vsp_request(&vsp));
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_FAILED);
}

Test(shutdown_vsp, versions_are_offered_first)
{
	struct ic_negotiate counts;
	struct ic_version versions[6];

	open_pages(PAGES);
	cr_assert_not(shutdown_vsp_request(&vsp));
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_SIGNAL);
	cr_assert(receive());
	cr_assert_eq(header.type, IC_MESSAGE_NEGOTIATE);
	cr_assert_eq(header.size, sizeof(counts) + sizeof(versions));
	memcpy(&counts, body, sizeof(counts));
	memcpy(versions, body + sizeof(counts), sizeof(versions));
	cr_assert_eq(counts.framework_count, 2);
	cr_assert_eq(counts.message_count, 4);
	cr_assert_eq(versions[1].major, 3);
	cr_assert_eq(versions[5].major, 3);
	cr_assert_eq(versions[5].minor, 2);
	cr_assert_eq(shutdown_vsp_poll(&vsp), 0);
	cr_assert_not(receive());
	cr_assert_not(shutdown_vsp_request(&vsp));
}

Test(shutdown_vsp, a_guest_is_asked_and_agrees)
{
	struct shutdown_message request;

	open_ready();
	for (int turn = 0; turn < 3; turn++) {
		cr_assert(shutdown_vsp_request(&vsp));
		cr_assert_not(shutdown_vsp_request(&vsp));
		cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_SIGNAL);
		cr_assert_not(shutdown_vsp_request(&vsp));
		cr_assert(receive());
		cr_assert_eq(header.type, IC_MESSAGE_SHUTDOWN);
		cr_assert_eq(header.size, sizeof(request));
		cr_assert_eq(header.framework.major, 3);
		cr_assert_eq(header.message.minor, 2);
		memcpy(&request, body, sizeof(request));
		cr_assert_eq(request.reason, SHUTDOWN_REASON_PLANNED);
		cr_assert_eq(request.flags, 0);
		respond(&request, sizeof(request));
		cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_ANSWERED);
		cr_assert_eq(shutdown_vsp_status(&vsp), IC_STATUS_OK);
	}
}

Test(shutdown_vsp, a_guest_may_refuse)
{
	open_asked();
	header.status = 0x80004005;
	respond(NULL, 0);
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_ANSWERED);
	cr_assert_eq(shutdown_vsp_status(&vsp), 0x80004005);
	cr_assert(shutdown_vsp_request(&vsp));
}

Test(shutdown_vsp, the_request_waits_for_room)
{
	open_pages(2); // one page of data: one request fills it
	pick(&newest);
	cr_assert_eq(shutdown_vsp_poll(&vsp), 0);
	cr_assert(shutdown_vsp_request(&vsp));
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_SIGNAL);
	// The answer comes before the request is given back.
	header = (struct ic_header){ .type = IC_MESSAGE_SHUTDOWN, .transaction_id = 2 };
	respond(NULL, 0);
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_ANSWERED);
	cr_assert(shutdown_vsp_request(&vsp));
	cr_assert_eq(shutdown_vsp_poll(&vsp), 0);
	cr_assert_eq(vsp.state, SHUTDOWN_VSP_ASK);
	cr_assert(receive());
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_SIGNAL);
	cr_assert(receive());
	cr_assert_eq(header.transaction_id, 3);
}

Test(shutdown_vsp, versions_that_were_not_offered_fail_the_channel)
{
	static const struct picked wrong[] = {
		{ { 0, 0, 0 }, { 3, 0 }, { 3, 2 } },
		{ { 1, 2, 0 }, { 3, 0 }, { 3, 2 } },
		{ { 1, 1, 0 }, { 2, 0 }, { 3, 2 } },
		{ { 1, 1, 0 }, { 3, 0 }, { 3, 3 } },
	};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		open_pages(PAGES);
		pick(&wrong[i]);
		expect_failure("the guest knows none of the versions");
	}
	open_pages(PAGES);
	shutdown_vsp_poll(&vsp);
	cr_assert(receive());
	respond(&newest, sizeof(newest) - 1);
	expect_failure("the guest's versions are cut short");
}

Test(shutdown_vsp, messages_that_answer_nothing_fail_the_channel)
{
	static const char reason[] = "a message that answers nothing";

	open_pages(PAGES);
	pick(&newest);
	respond(&newest, sizeof(newest)); // twice
	expect_failure(reason);

	open_ready();
	header.transaction_id = 2;
	header.type = IC_MESSAGE_SHUTDOWN;
	respond(NULL, 0);
	expect_failure(reason);

	open_asked();
	header.transaction_id++;
	respond(NULL, 0);
	expect_failure(reason);

	open_asked();
	pipe_header.size = sizeof(header);
	header.size = 0;
	send(VMBUS_PACKET_IN_BAND, NULL, 0); // a request, not a response
	expect_failure(reason);
}

Test(shutdown_vsp, malformed_messages_fail_the_channel)
{
	static const struct {
		uint32_t type, size;
		uint16_t body;
	} wrong[] = {
		{ 2, sizeof(struct ic_header), 0 },
		{ PIPE_TYPE_DATA, sizeof(struct ic_header) - 1, 0 },
		{ PIPE_TYPE_DATA, sizeof(struct ic_header), 1 },
		{ PIPE_TYPE_DATA, sizeof(struct ic_header) + 5, 5 }, // beyond the packet
		{ PIPE_TYPE_DATA, UINT32_MAX, UINT16_MAX },
	};

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		open_ready();
		pipe_header = (struct pipe_header){ wrong[i].type, wrong[i].size };
		header.size = wrong[i].body;
		send(VMBUS_PACKET_IN_BAND, NULL, 0);
		expect_failure("a malformed message");
	}
	open_ready();
	respond(NULL, 0);
	open_ready();
	send(VMBUS_PACKET_COMPLETION, NULL, 0);
	expect_failure("a malformed message");
}

Test(shutdown_vsp, unusable_rings_fail_the_channel)
{
	struct vmbus_ring_control *control = (struct vmbus_ring_control *)memory[0][0];

	open_pages(PAGES);
	shutdown_vsp_open(&vsp, pages[0], 1, pages[1], PAGES);
	cr_assert_eq(shutdown_vsp_poll(&vsp), SHUTDOWN_VSP_FAILED);
	open_ready();
	control->in = 0x12345;
	expect_failure(vmbus_ring_status_name(VMBUS_RING_BAD_IN_INDEX));
}
