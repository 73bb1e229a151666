// SPDX-License-Identifier: BSD-2-Clause
// See shutdown.h.
#include "drivers/vsp/shutdown.h"

#include <string.h>

static const struct ic_version frameworks[] = { { 1, 0 }, { 3, 0 } };
static const struct ic_version messages[] = { { 1, 0 }, { 3, 0 }, { 3, 1 }, { 3, 2 } };

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

// What follows the header of a message.
struct body {
	const void *data;
	uint32_t length;
};

static void fail(struct shutdown_vsp *vsp, const char *reason)
{
	if (!vsp->failure)
		vsp->failure = reason;
}

void shutdown_vsp_open(struct shutdown_vsp *vsp, void *const *in_pages, uint32_t in_page_count,
	void *const *out_pages, uint32_t out_page_count)
{
	enum vmbus_ring_status status;

	memset(vsp, 0, sizeof(*vsp));
	status = vmbus_ring_reader_init(&vsp->reader, in_pages, in_page_count);
	if (status == VMBUS_RING_OK)
		status = vmbus_ring_writer_init(&vsp->writer, out_pages, out_page_count);
	if (status != VMBUS_RING_OK)
		fail(vsp, vmbus_ring_status_name(status));
}

// --- to the guest ---

// Returns the flags that follow; moves on to `next` if the message is in the ring.
static uint32_t send(struct shutdown_vsp *vsp, uint16_t type, const struct body *body,
	enum shutdown_vsp_state next)
{
	const struct ic_header header = {
		.framework = vsp->framework,
		.type = type,
		.message = vsp->message,
		.size = (uint16_t)body->length,
		.transaction_id = (uint8_t)(vsp->transaction_id + 1),
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
	};
	const struct ic_pipe_header pipe = { IC_PIPE_DATA, sizeof(header) + body->length };
	const struct vmbus_piece pieces[] = {
		{ &pipe, sizeof(pipe) },
		{ &header, sizeof(header) },
		{ body->data, body->length },
	};
	const struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_IN_BAND,
		.payload = pieces,
		.payload_count = COUNT(pieces),
	};
	enum vmbus_ring_status status = vmbus_ring_write(&vsp->writer, &out);

	if (status == VMBUS_RING_FULL)
		return vmbus_ring_writer_wait(
			       &vsp->writer, vmbus_ring_packet_room(0, sizeof(pipe) + pipe.size))
			       ? SHUTDOWN_VSP_AGAIN
			       : 0;
	if (status != VMBUS_RING_OK) {
		fail(vsp, vmbus_ring_status_name(status));
		return 0;
	}
	vsp->transaction_id++;
	vsp->state = next;
	return vmbus_ring_writer_commit(&vsp->writer) ? SHUTDOWN_VSP_SIGNAL : 0;
}

static uint32_t send_versions(struct shutdown_vsp *vsp)
{
	struct {
		struct ic_negotiate counts;
		struct ic_version frameworks[COUNT(frameworks)], messages[COUNT(messages)];
	} all = { .counts = { COUNT(frameworks), COUNT(messages), 0 } };

	memcpy(all.frameworks, frameworks, sizeof(frameworks));
	memcpy(all.messages, messages, sizeof(messages));
	return send(
		vsp, IC_MESSAGE_NEGOTIATE, &(struct body){ &all, sizeof(all) }, SHUTDOWN_VSP_AGREE);
}

static uint32_t send_request(struct shutdown_vsp *vsp)
{
	const struct ic_shutdown request = { .reason = IC_SHUTDOWN_REASON_PLANNED };

	return send(vsp, IC_MESSAGE_SHUTDOWN, &(struct body){ &request, sizeof(request) },
		SHUTDOWN_VSP_WAITING);
}

// --- from the guest ---

static bool is_among(const struct ic_version *list, uint32_t count, struct ic_version version)
{
	for (uint32_t i = 0; i < count; i++)
		if (list[i].major == version.major && list[i].minor == version.minor)
			return true;
	return false;
}

static void take_versions(struct shutdown_vsp *vsp, const struct body *body)
{
	struct {
		struct ic_negotiate counts;
		struct ic_version framework, message;
	} picked;

	if (body->length < sizeof(picked)) {
		fail(vsp, "the guest's versions are cut short");
		return;
	}
	memcpy(&picked, body->data, sizeof(picked));
	if (picked.counts.framework_count != 1 || picked.counts.message_count != 1 ||
		!is_among(frameworks, COUNT(frameworks), picked.framework) ||
		!is_among(messages, COUNT(messages), picked.message)) {
		fail(vsp, "the guest knows none of the versions");
		return;
	}
	vsp->framework = picked.framework;
	vsp->message = picked.message;
	vsp->state = SHUTDOWN_VSP_READY;
}

static void take_answer(struct shutdown_vsp *vsp, const struct body *body)
{
	(void)body;
	vsp->state = SHUTDOWN_VSP_READY;
}

// What is expected in a state, and what is done with it.
static const struct expectation {
	enum shutdown_vsp_state state;
	uint16_t type;
	void (*take)(struct shutdown_vsp *vsp, const struct body *body);
	uint32_t flags; // for the embedder
} expectations[] = {
	{ SHUTDOWN_VSP_AGREE, IC_MESSAGE_NEGOTIATE, take_versions, 0 },
	{ SHUTDOWN_VSP_WAITING, IC_MESSAGE_SHUTDOWN, take_answer, SHUTDOWN_VSP_ANSWERED },
};

static bool is_answer(const struct shutdown_vsp *vsp, const struct ic_header *header)
{
	const uint8_t flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;

	return (header->flags & flags) == flags && header->transaction_id == vsp->transaction_id;
}

static uint32_t take_message(
	struct shutdown_vsp *vsp, const struct ic_header *header, const struct body *body)
{
	for (unsigned int i = 0; i < COUNT(expectations); i++) {
		const struct expectation *expected = &expectations[i];

		if (expected->state != vsp->state || expected->type != header->type ||
			!is_answer(vsp, header))
			continue;
		vsp->status = header->status;
		expected->take(vsp, body);
		return expected->flags;
	}
	fail(vsp, "a message that answers nothing");
	return 0;
}

static uint32_t take_packet(struct shutdown_vsp *vsp, const struct vmbus_packet *packet)
{
	const uint32_t headers = sizeof(struct ic_pipe_header) + sizeof(struct ic_header);
	struct ic_pipe_header pipe;
	struct ic_header header;

	if (packet->type == VMBUS_PACKET_IN_BAND && packet->payload_length >= headers) {
		memcpy(&pipe, packet->payload, sizeof(pipe));
		memcpy(&header, packet->payload + sizeof(pipe), sizeof(header));
		if (pipe.type == IC_PIPE_DATA &&
			pipe.size <= packet->payload_length - sizeof(pipe) &&
			pipe.size >= sizeof(header) && header.size <= pipe.size - sizeof(header))
			return take_message(vsp, &header,
				&(struct body){ packet->payload + headers, header.size });
	}
	fail(vsp, "a malformed message");
	return 0;
}

static uint32_t receive(struct shutdown_vsp *vsp)
{
	enum vmbus_ring_status status = VMBUS_RING_EMPTY;
	struct vmbus_packet packet;
	uint32_t flags = 0;

	do {
		vmbus_ring_reader_mask(&vsp->reader);
		while (!vsp->failure && (status = vmbus_ring_read(&vsp->reader, vsp->packet,
						 sizeof(vsp->packet), &packet)) == VMBUS_RING_OK)
			flags |= take_packet(vsp, &packet);
		if (vmbus_ring_reader_commit(&vsp->reader))
			flags |= SHUTDOWN_VSP_SIGNAL;
	} while (!vsp->failure && vmbus_ring_reader_unmask(&vsp->reader));
	if (status != VMBUS_RING_OK && status != VMBUS_RING_EMPTY)
		fail(vsp, vmbus_ring_status_name(status));
	return flags;
}

uint32_t shutdown_vsp_poll(struct shutdown_vsp *vsp)
{
	uint32_t flags = vsp->failure ? 0 : receive(vsp);

	if (!vsp->failure && vsp->state == SHUTDOWN_VSP_OFFER)
		flags |= send_versions(vsp);
	else if (!vsp->failure && vsp->state == SHUTDOWN_VSP_ASK)
		flags |= send_request(vsp);
	return vsp->failure ? SHUTDOWN_VSP_FAILED : flags;
}

bool shutdown_vsp_request(struct shutdown_vsp *vsp)
{
	if (vsp->state != SHUTDOWN_VSP_READY || vsp->failure)
		return false;
	vsp->state = SHUTDOWN_VSP_ASK;
	return true;
}

uint32_t shutdown_vsp_status(const struct shutdown_vsp *vsp)
{
	return vsp->status;
}

const char *shutdown_vsp_failure(const struct shutdown_vsp *vsp)
{
	return vsp->failure;
}
