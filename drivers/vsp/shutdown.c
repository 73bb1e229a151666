// SPDX-License-Identifier: BSD-2-Clause
// See shutdown.h.
#include "drivers/vsp/shutdown.h"

#include <string.h>

#include "drivers/common/pipe.h"
#include "drivers/proto/shutdown.h"

static const struct ic_version message_versions[] = SHUTDOWN_VERSIONS;

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct ic_versions messages = { message_versions, COUNT(message_versions) };

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
static uint32_t send(struct shutdown_vsp *vsp, enum ic_message_type type, const void *body,
	uint16_t size, enum shutdown_vsp_state next)
{
	const struct ic_frame frame =
		ic_request(&vsp->dialect, type, (uint8_t)(vsp->transaction_id + 1), size);
	const struct vmbus_piece pieces[] = { { &frame, sizeof(frame) }, { body, size } };
	const struct vmbus_packet_out out = {
		.type = VMBUS_PACKET_IN_BAND,
		.payload = pieces,
		.payload_count = COUNT(pieces),
	};
	enum vmbus_ring_status status = vmbus_ring_write(&vsp->writer, &out);

	if (status == VMBUS_RING_FULL)
		return vmbus_ring_writer_wait(
			       &vsp->writer, vmbus_ring_packet_room(0, sizeof(frame) + size))
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
	struct ic_offer offer;
	const uint16_t size = ic_offer(&offer, &messages);

	return send(vsp, IC_MESSAGE_NEGOTIATE, &offer, size, SHUTDOWN_VSP_AGREE);
}

static uint32_t send_request(struct shutdown_vsp *vsp)
{
	const struct shutdown_message request = { .reason = SHUTDOWN_REASON_PLANNED };

	return send(vsp, IC_MESSAGE_SHUTDOWN, &request, sizeof(request), SHUTDOWN_VSP_WAITING);
}

// --- from the guest ---

static void take_versions(struct shutdown_vsp *vsp, const struct ic_message *message)
{
	switch (ic_take_choice(message, &messages, &vsp->dialect)) {
	case IC_AGREED:
		vsp->state = SHUTDOWN_VSP_READY;
		break;
	case IC_CUT_SHORT:
		fail(vsp, "the guest's versions are cut short");
		break;
	default:
		fail(vsp, "the guest knows none of the versions");
		break;
	}
}

static void take_answer(struct shutdown_vsp *vsp, const struct ic_message *message)
{
	(void)message;
	vsp->state = SHUTDOWN_VSP_READY;
}

// What is expected in a state, and what is done with it.
static const struct expectation {
	enum shutdown_vsp_state state;
	enum ic_message_type type;
	void (*take)(struct shutdown_vsp *vsp, const struct ic_message *message);
	uint32_t flags; // for the embedder
} expectations[] = {
	{ SHUTDOWN_VSP_AGREE, IC_MESSAGE_NEGOTIATE, take_versions, 0 },
	{ SHUTDOWN_VSP_WAITING, IC_MESSAGE_SHUTDOWN, take_answer, SHUTDOWN_VSP_ANSWERED },
};

static uint32_t take_message(struct shutdown_vsp *vsp, const struct ic_message *message)
{
	for (unsigned int i = 0; i < COUNT(expectations); i++) {
		const struct expectation *expected = &expectations[i];

		if (expected->state != vsp->state ||
			!ic_is_response(&message->header, expected->type, vsp->transaction_id))
			continue;
		vsp->status = message->header.status;
		expected->take(vsp, message);
		return expected->flags;
	}
	fail(vsp, "a message that answers nothing");
	return 0;
}

static uint32_t take_packet(struct shutdown_vsp *vsp, const struct vmbus_packet *packet)
{
	struct pipe_message pipe;
	struct ic_message message;

	if (packet->type == VMBUS_PACKET_IN_BAND &&
		pipe_parse(packet->payload, packet->payload_length, &pipe) &&
		ic_parse(pipe.bytes, pipe.length, &message))
		return take_message(vsp, &message);
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
