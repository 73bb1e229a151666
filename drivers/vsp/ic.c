// SPDX-License-Identifier: BSD-2-Clause
// See ic.h.
#include "drivers/vsp/ic.h"

#include <string.h>

#include "drivers/common/pipe.h"

const struct vsp_counter ic_counters[] = {
	{ "questions", offsetof(struct ic_vsp, questions) },
	{ "answers", offsetof(struct ic_vsp, answers) },
	{ "late", offsetof(struct ic_vsp, late) },
	{ "expired", offsetof(struct ic_vsp, expired) },
	{ "stray", offsetof(struct ic_vsp, stray) },
	{ NULL, 0 },
};

// The instance, the message to the guest, whose body is aligned, the packet from it, the words.
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

size_t ic_size(const void *config, bool sub)
{
	const struct ic_config *of = config;

	return align(sizeof(struct ic_vsp)) + align(FRAME_SHIFT + message_room(of->component)) +
	       IC_PACKET_MAX + of->component->words_max;
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
	ic->words = (char *)vsp->buffer + IC_PACKET_MAX;
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

	memset(body, 0, ic->component->body_max);
	size = ic->component->question(ic, body);
	if (size == IC_NOT_YET)
		return;
	ic->due = false;
	if (!size) {
		if (ic->component->series)
			ic->vsp.own_flags |= IC_ANSWERED;
		return;
	}
	ic->questions++;
	ic->step++;
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

// A series that could not even send its next question, as the ring is full, ends here.
static void end_exchange(struct ic_vsp *ic, uint32_t status)
{
	ic->state = IC_READY;
	ic->status = status;
	if (ic->result == IC_STATUS_OK)
		ic->result = status;
	ic->due = ic->component->series && !ic->out_waits;
	if (!ic->due)
		ic->vsp.own_flags |= IC_ANSWERED;
}

static void end_silence(struct ic_vsp *ic)
{
	if (ic->component->silent_late && ic->late_row >= ic->component->silent_late)
		ic->vsp.own_flags |= IC_BACK;
	ic->late_row = 0;
}

// An answer that makes no sense is one that has failed.
static void take_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	const struct ic_component *component = ic->component;
	uint32_t status = message->header.status;

	ic->answers++;
	if (status != IC_STATUS_OK)
		ic->refusal = status;
	if (status == IC_STATUS_OK && component->answer && !component->answer(ic, message)) {
		ic->vsp.counters.malformed++;
		status = IC_STATUS_FAIL;
	}
	end_silence(ic);
	if (component->lasting)
		ic->waited = 0;
	end_exchange(ic, status);
}

// What still waits for room has no answer yet.
static bool answers(
	const struct ic_vsp *ic, const struct ic_header *header, enum ic_message_type type)
{
	return !ic->out_waits && ic_is_response(header, type, ic->transaction_id);
}

// Late, or once more. Ids come round: half of them are the past.
static bool answers_the_past(const struct ic_vsp *ic, const struct ic_header *header)
{
	const uint8_t heard = (uint8_t)(ic->transaction_id - ic->out_waits);
	const uint8_t age = (uint8_t)(heard - header->transaction_id);

	return ic->state >= IC_READY && age <= INT8_MAX &&
	       ic_is_response(header, ic->component->type, header->transaction_id);
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
	if (ic->state == IC_AGREE && answers(ic, &message.header, IC_MESSAGE_NEGOTIATE))
		take_versions(ic, &message);
	else if (ic->state == IC_WAITING && answers(ic, &message.header, ic->component->type))
		take_answer(ic, &message);
	else if (answers_the_past(ic, &message.header))
		ic->stray++;
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

bool ic_begin(struct ic_vsp *ic, const struct ic_order *order)
{
	if (ic->state != IC_READY || ic->due || ic->vsp.failure || ic->vsp.stopped ||
		order->words_length > ic->component->words_max)
		return false;
	if (order->words_length)
		memcpy(ic->words, order->words, order->words_length);
	ic->words_length = order->words_length;
	ic->argument = order->argument;
	ic->patience = order->patience;
	ic->step = ic->waited = 0;
	ic->result = ic->refusal = IC_STATUS_OK;
	ic->due = true;
	return true;
}

bool ic_ask(struct ic_vsp *ic, uint32_t argument)
{
	return ic_begin(ic, &(const struct ic_order){ .argument = argument });
}

void ic_cancel(struct ic_vsp *ic)
{
	if (!ic_asked(ic))
		return;
	if (ic->patience > IC_UNDO_TICKS)
		ic->patience = IC_UNDO_TICKS;
	ic->waited = 0;
	ic->vsp.own_flags |= IC_LATE;
	end_exchange(ic, IC_STATUS_TIMEOUT);
}

bool ic_asked(const struct ic_vsp *ic)
{
	return ic->due || ic->state == IC_WAITING;
}

uint32_t ic_status(const struct ic_vsp *ic)
{
	return ic->result;
}

bool ic_refused(const struct ic_vsp *ic)
{
	return ic->result != IC_STATUS_OK && ic->result == ic->refusal;
}

// --- for rows ---

bool ic_tick(struct vsp *vsp)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;

	if (ic_ask(ic, ic->argument) || ic->state != IC_WAITING)
		return true;
	ic->late++;
	if (ic->late_row < UINT8_MAX && ++ic->late_row == ic->component->silent_late)
		vsp->own_flags |= IC_SILENT;
	return true;
}

bool ic_expire(struct vsp *vsp)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;

	if (!ic_asked(ic) || !ic->patience)
		return false;
	if (++ic->waited < ic->patience)
		return true;
	ic->expired++;
	ic_cancel(ic);
	return ic_asked(ic);
}

const char *ic_word(const struct ic_vsp *ic, unsigned index)
{
	const char *word = ic->words, *end = ic->words + ic->words_length;

	for (; index && word < end; index--)
		word += strlen(word) + 1;
	return word < end ? word : "";
}

// --- saving ---

struct ic_form {
	uint64_t memory;
	uint32_t state; // enum ic_state
	uint32_t status, result, argument, step, patience, waited;
	uint32_t words_length; // which follow
	struct ic_dialect dialect;
	uint32_t refusal;
	uint8_t transaction_id, due, late_row;
	uint8_t rsvd_z[1];
};
_Static_assert(sizeof(struct ic_form) == 56, "no padding");

void ic_save(const struct vsp *vsp, struct vsp_writer *to)
{
	const struct ic_vsp *ic = (const struct ic_vsp *)vsp;
	const struct ic_form form = {
		.memory = ic->memory,
		.state = ic->state,
		.status = ic->status,
		.result = ic->result,
		.argument = ic->argument,
		.step = ic->step,
		.patience = ic->patience,
		.waited = ic->waited,
		.words_length = ic->words_length,
		.dialect = ic->dialect,
		.refusal = ic->refusal,
		.transaction_id = ic->transaction_id,
		.due = ic->due,
		.late_row = ic->late_row,
	};

	vsp_write(to, &form, sizeof(form));
	vsp_write(to, ic->words, ic->words_length);
}

static bool is_sensible(const struct ic_component *component, const struct ic_form *form)
{
	return form->state <= IC_WAITING && form->due <= 1 &&
	       form->words_length <= component->words_max;
}

bool ic_restore(struct vsp *vsp, struct vsp_reader *from)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;
	struct ic_form form;

	if (!vsp_read(from, &form, sizeof(form)) || !is_sensible(ic->component, &form))
		return false;
	ic->memory = form.memory;
	ic->state = (enum ic_state)form.state;
	ic->status = form.status;
	ic->result = form.result;
	ic->argument = form.argument;
	ic->step = form.step;
	ic->patience = form.patience;
	ic->waited = form.waited;
	ic->words_length = form.words_length;
	ic->dialect = form.dialect;
	ic->refusal = form.refusal;
	ic->transaction_id = form.transaction_id;
	ic->due = form.due;
	ic->late_row = form.late_row;
	return vsp_read(from, ic->words, ic->words_length) &&
	       (!ic->words_length || !ic->words[ic->words_length - 1]);
}

struct vsp_out *ic_restore_out(struct vsp *vsp, const struct vsp_out *saved)
{
	struct ic_vsp *ic = (struct ic_vsp *)vsp;

	if (ic->out_waits || saved->type != VMBUS_PACKET_IN_BAND ||
		saved->length > message_room(ic->component) || saved->header_length)
		return NULL;
	ic->out_waits = true;
	return &ic->out;
}
