// SPDX-License-Identifier: BSD-2-Clause
// The client's channels and GPADLs: every message of the host and every request in every state.
#include "client_case.h"

#include "base/macros.h"

// A machine with its first channel in this state.
static struct vmbus_client_channel *channel_at(
	struct machine *machine, enum vmbus_client_channel_state state)
{
	struct vmbus_client_channel *channel = machine->channels;

	machine_at(machine, VMBUS_CLIENT_OFFERED, 0);
	if (state == VMBUS_CLIENT_CHANNEL_CLOSED)
		return channel;
	ask_open(machine);
	if (state == VMBUS_CLIENT_CHANNEL_ABANDONED || state == VMBUS_CLIENT_CHANNEL_UNWANTED)
		cr_assert_eq(vmbus_client_close(&machine->client, channel), VMBUS_CLIENT_OK);
	if (state == VMBUS_CLIENT_CHANNEL_OPEN || state == VMBUS_CLIENT_CHANNEL_UNWANTED)
		hear_words(machine, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, RELID, channel->open_id, 0);
	cr_assert_eq(channel->state, state);
	return channel;
}

// What a message does to a channel.
struct channel_row {
	enum vmbus_client_channel_state before;
	bool rescinded;
	enum vmbus_client_channel_state after;
	enum vmbus_client_event_type event;
	uint32_t then; // the type of the next post
};

static void check_channel_row(struct machine *machine, const struct channel_row *row)
{
	cr_assert_eq(machine->event.type, row->event, "state %d: event %d", row->before,
		machine->event.type);
	cr_assert_eq(machine->channels[0].state, row->after, "state %d: %d", row->before,
		machine->channels[0].state);
	cr_assert_eq(next_type(machine), row->then, "state %d: %u is posted", row->before,
		next_type(machine));
	drain(machine);
	cr_assert_neq(machine->channels[0].state, STATE(UNWANTED));
}

static void rescind(struct machine *machine)
{
	hear_words(machine, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, RELID, 0, 0);
}

Test(client_states, a_rescind_in_every_state_of_a_channel)
{
	static const struct channel_row rows[] = {
		{ STATE(CLOSED), false, STATE(CLOSED), EVENT(RESCINDED), 0 },
		{ STATE(OPENING), false, STATE(CLOSED), EVENT(RESCINDED), 0 },
		{ STATE(ABANDONED), false, STATE(CLOSED), EVENT(RESCINDED), 0 },
		{ STATE(UNWANTED), false, STATE(CLOSED), EVENT(RESCINDED), 0 },
		{ STATE(OPEN), false, STATE(OPEN), EVENT(RESCINDED), 0 },
	};
	struct machine machine;
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct vmbus_client_channel *channel = channel_at(&machine, rows[i].before);
		uint32_t id, old = channel->open_id;

		rescind(&machine);
		check_channel_row(&machine, &rows[i]);
		rescind(&machine);
		violated(&machine, VMBUS_CLIENT_VIOLATION_RESCINDED_TWICE);

		// Nothing can be begun on it; it is closed, and given back.
		cr_assert_eq(vmbus_client_open(&machine.client, channel,
				     &(struct vmbus_client_open){ .gpadl = 1 }),
			VMBUS_CLIENT_RESCINDED);
		cr_assert_eq(
			vmbus_client_modify(&machine.client, channel, 0), VMBUS_CLIENT_RESCINDED);
		cr_assert_eq(vmbus_client_gpadl_begin(&machine.client, channel, 1, &id),
			VMBUS_CLIENT_RESCINDED);
		if (rows[i].after == STATE(OPEN)) {
			cr_assert_eq(vmbus_client_release(&machine.client, channel),
				VMBUS_CLIENT_BAD_STATE);
			cr_assert_eq(vmbus_client_close(&machine.client, channel), VMBUS_CLIENT_OK);
			cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_CLOSE_CHANNEL);
			drain(&machine);
		}
		// A refusal that was on its way means nothing.
		hear_words(&machine, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, RELID, old,
			VMBUS_STATUS_UNSUCCESSFUL);
		cr_assert_eq(machine.event.type, EVENT(NOTHING));
		cr_assert_eq(vmbus_client_close(&machine.client, channel), VMBUS_CLIENT_OK);
		cr_assert_eq(next_type(&machine), 0);
		cr_assert_eq(vmbus_client_release(&machine.client, channel), VMBUS_CLIENT_OK);
		cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_RELID_RELEASED);
		drain(&machine);
		cr_assert_null(vmbus_client_find_channel(&machine.client, RELID));
		cr_assert_eq(machine.gpadls[0].state, VMBUS_CLIENT_GPADL_FREE);
		rescind(&machine);
		violated(&machine, VMBUS_CLIENT_VIOLATION_UNKNOWN_CHANNEL);
		cr_assert_eq(hear_offer(&machine, RELID, true), EVENT(OFFER));
		cr_assert_not(channel->rescinded);
	}
}

Test(client_states, an_open_result_in_every_state_of_a_channel)
{
	static const struct channel_row success[] = {
		{ STATE(CLOSED), false, STATE(CLOSED), EVENT(VIOLATION), 0 },
		{ STATE(OPENING), false, STATE(OPEN), EVENT(OPENED), 0 },
		{ STATE(ABANDONED), false, STATE(UNWANTED), EVENT(NOTHING), 0 },
		{ STATE(OPEN), false, STATE(OPEN), EVENT(VIOLATION), 0 },
		{ STATE(OPEN), true, STATE(OPEN), EVENT(VIOLATION), 0 },
		{ STATE(CLOSED), true, STATE(CLOSED), EVENT(NOTHING), 0 },
	};
	struct machine machine;
	uint32_t i, refused;

	for (i = 0; i < 2 * ARRAY_SIZE(success); i++) {
		struct channel_row row = success[i / 2];
		struct vmbus_client_channel *channel = channel_at(&machine, row.before);

		refused = i % 2 ? VMBUS_STATUS_UNSUCCESSFUL : 0;
		if (refused && row.event != EVENT(VIOLATION))
			row.after = STATE(CLOSED);
		if (row.rescinded)
			rescind(&machine);
		hear_words(&machine, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, RELID, channel->open_id + 1,
			0);
		if (!row.rescinded || row.before == STATE(OPEN))
			violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_OPENED);
		cr_assert_eq(channel->state, row.before);
		hear_words(&machine, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, RELID, channel->open_id,
			refused);
		if (row.after == STATE(UNWANTED)) {
			cr_assert_eq(channel->state, STATE(UNWANTED));
			row.after = STATE(CLOSED); // from when the post is made
			row.then = VMBUS_MESSAGE_CLOSE_CHANNEL;
			cr_assert_eq(next_type(&machine), row.then);
		}
		check_channel_row(&machine, &row);
		if (row.event == EVENT(OPENED)) {
			cr_assert_eq(machine.event.channel, channel);
			cr_assert_eq(machine.event.status, refused);
		}
	}
}

Test(client_states, requests_are_refused_in_the_wrong_state_of_a_channel)
{
	static const enum vmbus_client_channel_state not_closed[] = { STATE(OPENING),
		STATE(ABANDONED), STATE(UNWANTED), STATE(OPEN) };
	const struct vmbus_client_open open = { .gpadl = 1, .downstream_page = 2 };
	struct machine machine;
	uint32_t i;

	for (i = 0; i < 4; i++) {
		struct vmbus_client_channel *channel = channel_at(&machine, not_closed[i]);
		uint32_t queued = machine.client.posts_queued;

		cr_assert_eq(
			vmbus_client_open(&machine.client, channel, &open), VMBUS_CLIENT_BAD_STATE);
		cr_assert_eq(
			vmbus_client_release(&machine.client, channel), VMBUS_CLIENT_BAD_STATE);
		if (not_closed[i] != STATE(OPEN))
			cr_assert_eq(vmbus_client_modify(&machine.client, channel, 1),
				VMBUS_CLIENT_BAD_STATE);
		cr_assert_eq(machine.client.posts_queued, queued);
		cr_assert_eq(channel->state, not_closed[i]);
	}
	channel_at(&machine, STATE(CLOSED));
	cr_assert_eq(vmbus_client_open(&machine.client, machine.channels, &open),
		VMBUS_CLIENT_BAD_ARGUMENT); // no such GPADL
	cr_assert_eq(
		vmbus_client_close(&machine.client, &machine.channels[1]), VMBUS_CLIENT_BAD_STATE);
	cr_assert_eq(created_gpadl(&machine), 1);
	cr_assert_eq(hear_offer(&machine, 6, true), EVENT(OFFER));
	cr_assert_eq(vmbus_client_open(&machine.client, &machine.channels[1], &open),
		VMBUS_CLIENT_BAD_ARGUMENT); // another channel's GPADL
	cr_assert_eq(next_type(&machine), 0);
}

Test(client_states, a_modify_is_answered_once)
{
	struct machine machine;
	struct vmbus_client_channel *channel = channel_at(&machine, STATE(OPEN));

	hear_words(&machine, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE, RELID, 0, 0);
	violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_MODIFIED);
	hear_words(&machine, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE, 6, 0, 0);
	violated(&machine, VMBUS_CLIENT_VIOLATION_UNKNOWN_CHANNEL);
	cr_assert_eq(vmbus_client_modify(&machine.client, channel, 1), VMBUS_CLIENT_OK);
	cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_MODIFY_CHANNEL);
	cr_assert_eq(vmbus_client_modify(&machine.client, channel, 2), VMBUS_CLIENT_BAD_STATE);
	drain(&machine);
	hear_words(&machine, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE, RELID, 77, 0);
	cr_assert_eq(machine.event.type, EVENT(MODIFIED));
	cr_assert_eq(machine.event.status, 77);
	cr_assert_eq(vmbus_client_modify(&machine.client, channel, 1), VMBUS_CLIENT_OK);
	drain(&machine);
	rescind(&machine);
	cr_assert_not(channel->moving);
	hear_words(&machine, VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE, RELID, 0, 0);
	cr_assert_eq(machine.event.type, EVENT(NOTHING));
}

// --- GPADLs ---

static uint32_t gpadl_at(struct machine *machine, enum vmbus_client_gpadl_state state)
{
	static const uint64_t pfns[30];
	struct vmbus_client *client = &machine->client;
	uint32_t id;

	machine_at(machine, VMBUS_CLIENT_OFFERED, 0);
	cr_assert_eq(vmbus_client_gpadl_begin(client, machine->channels, 30, &id), VMBUS_CLIENT_OK);
	cr_assert_eq(vmbus_client_gpadl_give(client, id, pfns, 30), 26);
	if (state != GPADL(GIVING))
		cr_assert_eq(vmbus_client_gpadl_give(client, id, pfns + 26, 30), 4);
	drain(machine);
	if (state == GPADL(ABANDONED) || state == GPADL(UNWANTED))
		cr_assert_eq(vmbus_client_gpadl_teardown(client, id), VMBUS_CLIENT_OK);
	if (state == GPADL(UNWANTED) || state == GPADL(CREATED) || state == GPADL(TEARING_DOWN))
		hear_words(machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, id, 0);
	if (state == GPADL(TEARING_DOWN)) {
		cr_assert_eq(vmbus_client_gpadl_teardown(client, id), VMBUS_CLIENT_OK);
		drain(machine);
	}
	cr_assert_eq(machine->gpadls[0].state, state);
	return id;
}

Test(client_states, answers_in_every_state_of_a_gpadl)
{
	static const struct {
		enum vmbus_client_gpadl_state before, created, refused, torndown;
	} rows[] = {
		{ GPADL(GIVING), GPADL(GIVING), GPADL(FREE), GPADL(GIVING) },
		{ GPADL(CREATING), GPADL(CREATED), GPADL(FREE), GPADL(CREATING) },
		{ GPADL(ABANDONED), GPADL(UNWANTED), GPADL(FREE), GPADL(ABANDONED) },
		{ GPADL(UNWANTED), GPADL(UNWANTED), GPADL(UNWANTED), GPADL(UNWANTED) },
		{ GPADL(CREATED), GPADL(CREATED), GPADL(CREATED), GPADL(CREATED) },
		{ GPADL(TEARING_DOWN), GPADL(TEARING_DOWN), GPADL(TEARING_DOWN), GPADL(FREE) },
	};
	struct machine machine;
	uint32_t i, id;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		id = gpadl_at(&machine, rows[i].before);
		hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, id, 0);
		cr_assert_eq(machine.gpadls[0].state, rows[i].created, "row %u", i);
		if (rows[i].before == rows[i].created)
			violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_CREATED);

		id = gpadl_at(&machine, rows[i].before);
		hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, id, 1);
		cr_assert_eq(machine.gpadls[0].state, rows[i].refused, "row %u", i);
		if (rows[i].before == rows[i].refused)
			violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_CREATED);
		else
			cr_assert_eq(machine.event.status, 1);

		id = gpadl_at(&machine, rows[i].before);
		hear_words(&machine, VMBUS_MESSAGE_GPADL_TORNDOWN, id, 0, 0);
		cr_assert_eq(machine.gpadls[0].state, rows[i].torndown, "row %u", i);
		if (rows[i].torndown == GPADL(FREE))
			cr_assert_eq(machine.event.type, EVENT(GPADL_TORNDOWN));
		else
			violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_TORNDOWN);

		// And of another channel, and of none.
		id = gpadl_at(&machine, rows[i].before);
		hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, 6, id, 0);
		violated(&machine, VMBUS_CLIENT_VIOLATION_GPADL_WRONG_CHANNEL);
		hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, id + 1, 0);
		violated(&machine, VMBUS_CLIENT_VIOLATION_UNKNOWN_GPADL);
		hear_words(&machine, VMBUS_MESSAGE_GPADL_TORNDOWN, id + 1, 0, 0);
		violated(&machine, VMBUS_CLIENT_VIOLATION_UNKNOWN_GPADL);
		cr_assert_eq(machine.gpadls[0].state, rows[i].before);
	}
}

Test(client_states, teardown_in_every_state_of_a_gpadl)
{
	static const struct {
		enum vmbus_client_gpadl_state before, after;
		uint32_t then;
	} rows[] = {
		{ GPADL(GIVING), GPADL(ABANDONED), 0 },
		{ GPADL(CREATING), GPADL(ABANDONED), 0 },
		{ GPADL(ABANDONED), GPADL(ABANDONED), 0 },
		{ GPADL(UNWANTED), GPADL(UNWANTED), VMBUS_MESSAGE_GPADL_TEARDOWN },
		{ GPADL(CREATED), GPADL(TEARING_DOWN), VMBUS_MESSAGE_GPADL_TEARDOWN },
		{ GPADL(TEARING_DOWN), GPADL(TEARING_DOWN), 0 },
	};
	struct machine machine;
	uint32_t i, id;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		id = gpadl_at(&machine, rows[i].before);
		cr_assert_eq(vmbus_client_gpadl_teardown(&machine.client, id), VMBUS_CLIENT_OK);
		cr_assert_eq(machine.gpadls[0].state, rows[i].after, "row %u", i);
		cr_assert_eq(next_type(&machine), rows[i].then, "row %u", i);
		drain(&machine);
		cr_assert_eq(next_type(&machine), 0);
		if (rows[i].then)
			cr_assert_eq(machine.gpadls[0].state, GPADL(TEARING_DOWN));
	}
	cr_assert_eq(vmbus_client_gpadl_teardown(&machine.client, 99), VMBUS_CLIENT_BAD_ARGUMENT);
	// One that the host has not heard of.
	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	vmbus_client_gpadl_begin(&machine.client, machine.channels, 1, &id);
	cr_assert_eq(vmbus_client_gpadl_teardown(&machine.client, id), VMBUS_CLIENT_OK);
	cr_assert_eq(machine.gpadls[0].state, GPADL(FREE));
}

// What is queued of a GPADL is withdrawn with it, unless the host has heard of it; the rest stays.
Test(client_states, a_gpadl_that_was_not_posted_is_withdrawn)
{
	static const uint64_t pfns[60];
	struct machine machine;
	struct vmbus_client *client = &machine.client;
	uint32_t ids[2], posted, i;

	for (posted = 0; posted < 2; posted++) {
		machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
		for (i = 0; i < 2; i++) {
			vmbus_client_gpadl_begin(client, machine.channels, 30, &ids[i]);
			cr_assert_eq(vmbus_client_gpadl_give(client, ids[i], pfns, 30), 26);
		}
		cr_assert_eq(vmbus_client_gpadl_give(client, ids[0], pfns, 4), 4);
		cr_assert_eq(client->posts_queued, 3);
		if (posted)
			vmbus_client_posted(client);
		// An answer before the question.
		if (!posted) {
			hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, ids[0], 0);
			cr_assert_eq(machine.event.type, VMBUS_CLIENT_EVENT_VIOLATION);
		}
		cr_assert_eq(vmbus_client_gpadl_teardown(client, ids[0]), VMBUS_CLIENT_OK);
		cr_assert_eq(machine.gpadls[0].state, posted ? GPADL(ABANDONED) : GPADL(FREE));
		cr_assert_eq(client->posts_queued, posted ? 2 : 1);
		cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_GPADL_HEADER);
		cr_assert_eq(vmbus_client_next_post(client)->message.gpadl_header.gpadl, ids[1]);
	}
}

Test(client_states, gpadl_ids_do_not_come_back)
{
	uint32_t ids[GPADLS], id, i;
	struct machine machine;
	uint64_t pfn = 1;

	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	machine.client.last_gpadl = UINT32_MAX - 2;
	for (i = 0; i < GPADLS; i++)
		cr_assert_eq(
			vmbus_client_gpadl_begin(&machine.client, machine.channels, 1, &ids[i]),
			VMBUS_CLIENT_OK);
	cr_assert_eq(ids[1], UINT32_MAX);
	cr_assert_eq(ids[2], 1); // 0 is none
	cr_assert_eq(vmbus_client_gpadl_begin(&machine.client, machine.channels, 1, &id),
		VMBUS_CLIENT_NO_SLOT);
	cr_assert_eq(vmbus_client_gpadl_teardown(&machine.client, ids[0]), VMBUS_CLIENT_OK);
	machine.client.last_gpadl = UINT32_MAX - 1; // and those that are in use are left out
	cr_assert_eq(vmbus_client_gpadl_begin(&machine.client, machine.channels, 1, &id),
		VMBUS_CLIENT_OK);
	cr_assert_eq(id, 3);
	cr_assert_eq(vmbus_client_gpadl_begin(&machine.client, machine.channels, 0, &id),
		VMBUS_CLIENT_BAD_ARGUMENT);
	cr_assert_eq(vmbus_client_gpadl_begin(&machine.client, machine.channels,
			     VMBUS_CLIENT_GPADL_PAGES_MAX + 1, &id),
		VMBUS_CLIENT_BAD_ARGUMENT);
	cr_assert_eq(vmbus_client_gpadl_give(&machine.client, 77, &pfn, 1), 0);
	cr_assert_eq(vmbus_client_gpadl_give(&machine.client, id, &pfn, 0), 0);
	cr_assert_eq(vmbus_client_gpadl_give(&machine.client, id, &pfn, 1), 1);
	cr_assert_eq(vmbus_client_gpadl_give(&machine.client, id, &pfn, 1), 0);
}

// Bodies are counted from 1, as Linux does.
Test(client_states, a_large_gpadl_is_told_in_parts)
{
	static const uint64_t pfns[100] = { [25] = 1, 2, [53] = 3, 4, [99] = 5 };
	static const uint32_t lengths[] = { 236, 240, 240, 160 };
	struct vmbus_gpa_range_header range;
	struct machine machine;
	uint32_t id, i, done = 0;

	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	vmbus_client_gpadl_begin(&machine.client, machine.channels, 100, &id);
	while (done < 100)
		done += vmbus_client_gpadl_give(&machine.client, id, pfns + done, 100 - done);
	for (i = 0; i < 4; i++) {
		const struct vmbus_client_post *post = vmbus_client_next_post(&machine.client);
		const uint64_t *pages = (const void *)(post->message.bytes + 16);

		cr_assert_eq(post->length, lengths[i]);
		if (i) {
			cr_assert_eq(post->message.header.type, VMBUS_MESSAGE_GPADL_BODY);
			cr_assert_eq(post->message.gpadl_body.message_number, i);
			cr_assert_eq(post->message.gpadl_body.gpadl, id);
			cr_assert_eq(pages[0], i == 1 ? 2 : i == 2 ? 4 : 0);
		} else {
			cr_assert_eq(post->message.gpadl_header.length, 8 + 100 * 8);
			cr_assert_eq(post->message.gpadl_header.range_count, 1);
			memcpy(&range, post->message.bytes + 20, sizeof(range));
			cr_assert_eq(range.byte_count, 100 * 4096);
			cr_assert_eq(range.byte_offset, 0);
		}
		vmbus_client_posted(&machine.client);
	}
	cr_assert_eq(next_type(&machine), 0);
}
