// SPDX-License-Identifier: BSD-2-Clause
// See ic.h.
#include "drivers/vsp/ic.h"

#include <string.h>

#include "drivers/common/pipe.h"

const struct vsp_counter ic_counters[] = {
	{ "questions", offsetof(struct ic_vsp, questions) },
	{ "answers", offsetof(struct ic_vsp, answers) },
	{ "late", offsetof(struct ic_vsp, late) },
	{ NULL, 0 },
};

// The instance, the message to the guest, whose body is aligned, the packet from it.
enum { FRAME_SHIFT = VSP_ALIGNMENT - sizeof(struct ic_frame) % VSP_ALIGNMENT };

static size_t align(size_t size)
{
	return (size + VSP_ALIGNMENT - 1) & ~(size_t)(VSP_ALIGNMENT - 1);
}

static size_t message_room(const struct ic_component *component)
{
	const size_t body = component->body_max > sizeof(struct ic_offer) ? component->body_max
									  : sizeof(struct ic_offer);

	return sizeof(struct ic_frame) + body;
}

size_t ic_size(const void *config)
{
	const struct ic_config *of = config;

	return align(sizeof(struct ic_vsp)) + align(FRAME_SHIFT + message_room(of->component)) +
	       IC_PACKET_MAX;
}

void ic_open(struct vsp *vsp, const void *config)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;
	const struct ic_config *of = config;
	uint8_t *messages = (uint8_t *)vsp + align(sizeof(*ic));

	ic->component = of->component;
	ic->host = of->host;
	ic->argument = of->argument;
	ic->message = (struct ic_frame *)(messages + FRAME_SHIFT);
	ic->out.payload = ic->message;
	ic->out.type = VMBUS_PACKET_IN_BAND;
	vsp->buffer = messages + align(FRAME_SHIFT + message_room(ic->component));
	vsp->buffer_size = IC_PACKET_MAX;
}

// --- to the guest ---

// The body is in place.
static void send(struct ic_vsp *ic, enum ic_message_type type, uint16_t size, enum ic_state next)
{
	*ic->message = ic_request(&ic->dialect, type, ++ic->transaction_id, size);
	ic->out.length = (uint32_t)sizeof(*ic->message) + size;
	ic->state = next;
	ic->out_waits = !vsp_send(&ic->vsp, &ic->out);
}

static void send_versions(struct ic_vsp *ic)
{
	struct ic_offer offer;
	const uint16_t size = ic_offer(&offer, &ic->component->versions);

	memcpy(ic->message + 1, &offer, size);
	send(ic, IC_MESSAGE_NEGOTIATE, size, IC_AGREE);
}

static void send_question(struct ic_vsp *ic)
{
	void *body = ic->message + 1;
	uint16_t size;

	ic->due = false;
	memset(body, 0, ic->component->body_max);
	size = ic->component->question(ic, body);
	if (!size)
		return;
	ic->questions++;
	send(ic, ic->component->type, size, IC_WAITING);
}

void ic_kick(struct vsp *vsp)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;

	if (vsp->failure || vsp->paused || ic->out_waits)
		return;
	if (ic->state == IC_OFFER)
		send_versions(ic);
	else if (ic->state == IC_READY && ic->due)
		send_question(ic);
}

void ic_sent(struct vsp *vsp, struct vsp_out *out)
{
	((struct ic_vsp *)vsp)->out_waits = false;
}

// --- from the guest ---

static void take_versions(struct ic_vsp *ic, const struct ic_message *message)
{
	switch (ic_take_choice(message, &ic->component->versions, &ic->dialect)) {
	case IC_AGREED:
		ic->state = IC_READY;
		ic->due = ic->component->ask_at_once;
		break;
	case IC_CUT_SHORT:
		vsp_fail(&ic->vsp, "the guest's versions are cut short");
		break;
	default:
		vsp_fail(&ic->vsp, "the guest knows none of the versions");
		break;
	}
}

// An answer that makes no sense is one that has failed.
static void take_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	const struct ic_component *component = ic->component;

	ic->answers++;
	ic->state = IC_READY;
	ic->status = message->header.status;
	if (ic->status == IC_STATUS_OK && component->answer && !component->answer(ic, message)) {
		ic->vsp.counters.malformed++;
		ic->status = IC_STATUS_FAIL;
	}
	ic->vsp.own_flags |= IC_ANSWERED;
}

static const char *take_message(struct ic_vsp *ic)
{
	const struct vmbus_packet *packet = &ic->vsp.packet;
	struct pipe_message pipe;
	struct ic_message message;

	if (packet->type != VMBUS_PACKET_IN_BAND ||
		!pipe_parse(packet->payload, packet->payload_length, &pipe) ||
		!ic_parse(pipe.bytes, pipe.length, &message))
		return "a malformed message";
	if (ic->state == IC_AGREE &&
		ic_is_response(&message.header, IC_MESSAGE_NEGOTIATE, ic->transaction_id))
		take_versions(ic, &message);
	else if (ic->state == IC_WAITING &&
		 ic_is_response(&message.header, ic->component->type, ic->transaction_id))
		take_answer(ic, &message);
	else
		return "a message that answers nothing";
	return NULL;
}

uint32_t ic_packet(struct vsp *vsp)
{
	const char *wrong = take_message((struct ic_vsp *)vsp);

	if (wrong) {
		vsp->counters.malformed++;
		vsp_fail(vsp, wrong);
	}
	return 1;
}

// --- for the embedder ---

bool ic_ask(struct ic_vsp *ic, uint32_t argument)
{
	if (ic->state != IC_READY || ic->due || ic->vsp.failure || ic->vsp.stopped)
		return false;
	ic->argument = argument;
	ic->due = true;
	return true;
}

bool ic_asked(const struct ic_vsp *ic)
{
	return ic->due || ic->state == IC_WAITING;
}

uint32_t ic_status(const struct ic_vsp *ic)
{
	return ic->status;
}

void ic_tick(struct vsp *vsp)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;

	if (!ic_ask(ic, ic->argument) && ic->state == IC_WAITING)
		ic->late++;
}

// --- saving ---

struct ic_form {
	uint64_t memory;
	uint32_t state; // enum ic_state
	uint32_t status, argument;
	struct ic_dialect dialect;
	uint8_t transaction_id, due;
	uint8_t rsvd_z[2];
};
_Static_assert(sizeof(struct ic_form) == 32, "no padding");

void ic_save(const struct vsp *vsp, struct vsp_writer *to)
{
	const struct ic_vsp *ic = (const struct ic_vsp *)vsp;
	const struct ic_form form = {
		.memory = ic->memory,
		.state = ic->state,
		.status = ic->status,
		.argument = ic->argument,
		.dialect = ic->dialect,
		.transaction_id = ic->transaction_id,
		.due = ic->due,
	};

	vsp_write(to, &form, sizeof(form));
}

bool ic_restore(struct vsp *vsp, struct vsp_reader *from)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;
	struct ic_form form;

	if (!vsp_read(from, &form, sizeof(form)) || form.state > IC_WAITING || form.due > 1)
		return false;
	ic->memory = form.memory;
	ic->state = (enum ic_state)form.state;
	ic->status = form.status;
	ic->argument = form.argument;
	ic->dialect = form.dialect;
	ic->transaction_id = form.transaction_id;
	ic->due = form.due;
	return true;
}

struct vsp_out *ic_restore_out(struct vsp *vsp, uint16_t type, uint32_t length)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;

	if (ic->out_waits || type != VMBUS_PACKET_IN_BAND || length > message_room(ic->component))
		return NULL;
	ic->out_waits = true;
	return &ic->out;
}
