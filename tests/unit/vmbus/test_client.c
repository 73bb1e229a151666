// SPDX-License-Identifier: BSD-2-Clause
// The client: back to back with the server through every row of the message table, and alone with a
// host that says anything in every state.
#include <criterion/criterion.h>
#include <string.h>

#include "rig.h"
#include "vmbus/client.h"

#define CHANNELS 3u
#define GPADLS	 4u

struct machine {
	struct vmbus_client client;
	struct vmbus_client_channel channels[CHANNELS];
	struct vmbus_client_gpadl gpadls[GPADLS];
	struct vmbus_client_event event; // the last one
};

static void machine_init(struct machine *machine)
{
	const struct vmbus_client_config config = { machine->channels, CHANNELS, machine->gpadls,
		GPADLS };

	memset(machine, 0xA5, sizeof(*machine));
	vmbus_client_init(&machine->client, &config);
}

// --- back to back ---

struct pair {
	struct rig *rig;
	struct machine machine;
	bool seen[VMBUS_MESSAGE_TYPE_COUNT];
	uint32_t opens, closes, moved_to;
};

static void take_actions(struct pair *pair)
{
	struct vmbus_action action;

	while (vmbus_server_next_action(&pair->rig->server, &action)) {
		switch (action.type) {
		case VMBUS_ACTION_OPEN:
			pair->opens++;
			vmbus_server_open_complete(&pair->rig->server, action.relid, true);
			break;
		case VMBUS_ACTION_CLOSE:
			pair->closes++;
			vmbus_server_close_complete(&pair->rig->server, action.relid);
			break;
		case VMBUS_ACTION_MODIFY:
			pair->moved_to = action.target_vp;
			break;
		case VMBUS_ACTION_VIOLATION:
			cr_assert_fail("the guest: %s, message %u",
				vmbus_violation_name(action.violation.reason),
				action.violation.message_type);
			break;
		default:
			break;
		}
	}
}

// Carries messages both ways until there are none.
static void converse(struct pair *pair)
{
	struct vmbus_client *client = &pair->machine.client;
	const struct vmbus_client_post *to_host;
	const struct vmbus_post *to_guest;

	for (;;) {
		to_host = vmbus_client_next_post(client);
		to_guest = vmbus_server_next_post(&pair->rig->server);
		if (to_host) {
			pair->seen[to_host->message.header.type] = true;
			cr_assert(vmbus_server_message(&pair->rig->server, to_host->connection_id,
				&to_host->message, to_host->length));
			vmbus_client_posted(client);
			take_actions(pair);
		} else if (to_guest) {
			pair->seen[to_guest->bytes[0]] = true;
			pair->machine.event =
				vmbus_client_message(client, to_guest->bytes, to_guest->length);
			cr_assert_neq(pair->machine.event.type, VMBUS_CLIENT_EVENT_VIOLATION,
				"the host: %s",
				vmbus_client_violation_name(pair->machine.event.reason));
			vmbus_server_posted(&pair->rig->server);
		} else {
			return;
		}
	}
}

static void pair_init(struct pair *pair, uint32_t host_version)
{
	struct vmbus_server_config config;

	memset(pair, 0, sizeof(*pair));
	pair->rig = rig_new();
	config = rig_config(pair->rig);
	config.max_version = host_version;
	cr_assert(vmbus_server_init(&pair->rig->server, &config));
	machine_init(&pair->machine);
}

static uint32_t give_gpadl(struct pair *pair, uint32_t count, uint64_t first)
{
	struct vmbus_client *client = &pair->machine.client;
	uint64_t pfns[RIG_PAGES];
	uint32_t id = 0, done = 0, i;

	for (i = 0; i < count; i++)
		pfns[i] = first + i;
	cr_assert_eq(vmbus_client_gpadl_begin(client, pair->machine.channels, count, &id),
		VMBUS_CLIENT_OK);
	while (done < count) {
		done += vmbus_client_gpadl_give(client, id, pfns + done, count - done);
		converse(pair);
	}
	return id;
}

// All that a guest ever says, and all that it is ever told.
static void tell_the_whole_story(struct pair *pair)
{
	static const struct vmbus_offer offer = { .interface_type = { .data1 = 1 } };
	struct vmbus_client *client = &pair->machine.client;
	struct vmbus_client_channel *channel = pair->machine.channels;
	struct vmbus_client_open open = { .downstream_page = 20, .target_vp = 1 };
	uint32_t relid = vmbus_server_offer(&pair->rig->server, &offer);

	cr_assert_eq(vmbus_client_connect(client, 0, 2), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(client->state, VMBUS_CLIENT_CONNECTED);
	cr_assert_eq(pair->machine.event.type, VMBUS_CLIENT_EVENT_CONNECTED);
	cr_assert_eq(vmbus_client_request_offers(client), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(client->state, VMBUS_CLIENT_OFFERED);
	cr_assert_eq(channel->offer.relid, relid);

	open.gpadl = give_gpadl(pair, 60, 2); // a header and two bodies
	cr_assert_eq(pair->machine.event.type, VMBUS_CLIENT_EVENT_GPADL_CREATED);
	cr_assert_eq(pair->machine.event.gpadl, open.gpadl);
	cr_assert_eq(pair->rig->gpadls[0].words[60], 61);
	cr_assert_eq(vmbus_client_open(client, channel, &open), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(channel->state, VMBUS_CLIENT_CHANNEL_OPEN);
	cr_assert_eq(pair->machine.event.channel, channel);
	cr_assert_eq(pair->rig->channels[0].target_vp, 1);
	if (client->version >= VMBUS_VERSION_4_1) {
		cr_assert_eq(vmbus_client_modify(client, channel, 3), VMBUS_CLIENT_OK);
		converse(pair);
		cr_assert_eq(pair->moved_to, 3);
		cr_assert_not(channel->moving);
	} else {
		cr_assert_eq(vmbus_client_modify(client, channel, 3), VMBUS_CLIENT_TOO_OLD);
	}
	cr_assert_eq(vmbus_client_close(client, channel), VMBUS_CLIENT_OK);
	cr_assert_eq(vmbus_client_gpadl_teardown(client, open.gpadl), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(pair->machine.event.type, VMBUS_CLIENT_EVENT_GPADL_TORNDOWN);
	cr_assert_null(vmbus_client_find_gpadl(client, open.gpadl));

	vmbus_server_rescind(&pair->rig->server, relid);
	converse(pair);
	cr_assert(channel->rescinded);
	cr_assert_eq(vmbus_client_release(client, channel), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(pair->rig->channels[0].state, VMBUS_CHANNEL_FREE);
	cr_assert_eq(vmbus_client_unload(client), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(pair->machine.event.type, VMBUS_CLIENT_EVENT_DISCONNECTED);
	cr_assert(vmbus_server_idle(&pair->rig->server));
	cr_assert_eq(pair->rig->words_out, 0);
}

static const uint32_t versions[] = { VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
	VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1, VMBUS_VERSION_5_2,
	VMBUS_VERSION_5_3 };
#define VERSION_COUNT 8u

// Messages of things that this guest does not do, and the answers to them.
static bool never_said(uint32_t type)
{
	return type == VMBUS_MESSAGE_OPEN_RESERVED_CHANNEL ||
	       type == VMBUS_MESSAGE_CLOSE_RESERVED_CHANNEL ||
	       type == VMBUS_MESSAGE_CLOSE_RESERVED_RESPONSE ||
	       type == VMBUS_MESSAGE_TL_CONNECT_REQUEST ||
	       type == VMBUS_MESSAGE_TL_CONNECT_RESULT || type == VMBUS_MESSAGE_MODIFY_CONNECTION ||
	       type == VMBUS_MESSAGE_MODIFY_CONNECTION_RESPONSE;
}

Test(client, every_row_of_the_table_is_said_and_understood)
{
	struct pair pair;
	uint32_t i, type;

	for (i = 0; i < VERSION_COUNT; i++) {
		pair_init(&pair, versions[i]);
		tell_the_whole_story(&pair);
		cr_assert_eq(pair.opens, 1);
		cr_assert_eq(pair.closes, 1);
		for (type = 0; type < VMBUS_MESSAGE_TYPE_COUNT; type++) {
			const struct vmbus_message_info *info = vmbus_message_info(type);
			bool expected =
				info && !never_said(type) && info->oldest_version <= versions[i];

			cr_assert_eq(pair.seen[type], expected, "type %u, version %x", type,
				versions[i]);
		}
	}
}

Test(client, the_story_can_be_told_again)
{
	struct pair pair;
	uint32_t i;

	pair_init(&pair, VMBUS_VERSION_5_3);
	for (i = 0; i < 10; i++)
		tell_the_whole_story(&pair);
}

// --- alone ---

static void drain(struct machine *machine)
{
	while (vmbus_client_next_post(&machine->client))
		vmbus_client_posted(&machine->client);
}

// The type of the next post; 0 if there is none.
static uint32_t next_type(struct machine *machine)
{
	const struct vmbus_client_post *post = vmbus_client_next_post(&machine->client);

	return post ? post->message.header.type : 0;
}

static enum vmbus_client_event_type hear(
	struct machine *machine, const union vmbus_message *message)
{
	machine->event = vmbus_client_message(
		&machine->client, message, vmbus_message_info(message->header.type)->size);
	return machine->event.type;
}

// A message of up to four words behind its header.
static enum vmbus_client_event_type hear_words(
	struct machine *machine, uint32_t type, uint32_t a, uint32_t b, uint32_t c)
{
	union vmbus_message message = { .header.type = type };
	const uint32_t words[] = { a, b, c };

	memcpy(message.bytes + 8, words, sizeof(words));
	return hear(machine, &message);
}

static enum vmbus_client_event_type hear_version(
	struct machine *machine, bool supported, uint8_t state, uint32_t last)
{
	union vmbus_message message = { .version_response = {
						.header.type = VMBUS_MESSAGE_VERSION_RESPONSE,
						.version_supported = supported,
						.connection_state = state,
						.selected_version = last,
					} };

	return hear(machine, &message);
}

static enum vmbus_client_event_type hear_offer(
	struct machine *machine, uint32_t relid, bool dedicated)
{
	union vmbus_message message = { .offer_channel = {
						.header.type = VMBUS_MESSAGE_OFFER_CHANNEL,
						.relid = relid,
						.is_dedicated_interrupt = dedicated,
					} };

	return hear(machine, &message);
}

static void violated(struct machine *machine, enum vmbus_client_violation reason)
{
	cr_assert_eq(machine->event.type, VMBUS_CLIENT_EVENT_VIOLATION);
	cr_assert_eq(machine->event.reason, reason, "%s instead of %s",
		vmbus_client_violation_name(machine->event.reason),
		vmbus_client_violation_name(reason));
	cr_assert_gt(machine->client.violations[reason], 0);
}

// A fresh machine in this state of its connection, with nothing to post.
static void machine_at(struct machine *machine, enum vmbus_client_state state, uint32_t version)
{
	struct vmbus_client *client = &machine->client;

	machine_init(machine);
	if (state == VMBUS_CLIENT_DISCONNECTED)
		return;
	cr_assert_eq(vmbus_client_connect(client, version, 0), VMBUS_CLIENT_OK);
	drain(machine);
	if (state == VMBUS_CLIENT_CONTACTING)
		return;
	cr_assert_eq(hear_version(machine, true, 0, 4), VMBUS_CLIENT_EVENT_CONNECTED);
	if (state == VMBUS_CLIENT_CONNECTED)
		return;
	cr_assert_eq(vmbus_client_request_offers(client), VMBUS_CLIENT_OK);
	drain(machine);
	if (state == VMBUS_CLIENT_REQUESTING)
		return;
	cr_assert_eq(hear_offer(machine, 5, true), VMBUS_CLIENT_EVENT_OFFER);
	hear_words(machine, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED, 0, 0, 0);
	cr_assert_eq(machine->event.type, VMBUS_CLIENT_EVENT_DELIVERED);
	if (state == VMBUS_CLIENT_UNLOADING)
		cr_assert_eq(vmbus_client_unload(client), VMBUS_CLIENT_OK);
	drain(machine);
}

#define RELID 5u

// Makes a created GPADL of the channel.
static uint32_t created_gpadl(struct machine *machine)
{
	static const uint64_t pfns[4] = { 1, 2, 3, 4 };
	struct vmbus_client *client = &machine->client;
	uint32_t id;

	cr_assert_eq(vmbus_client_gpadl_begin(client, machine->channels, 4, &id), VMBUS_CLIENT_OK);
	cr_assert_eq(vmbus_client_gpadl_give(client, id, pfns, 4), 4);
	drain(machine);
	hear_words(machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, id, 0);
	cr_assert_eq(machine->event.type, VMBUS_CLIENT_EVENT_GPADL_CREATED);
	return id;
}

static void ask_open(struct machine *machine)
{
	const struct vmbus_client_open open = {
		.gpadl = created_gpadl(machine),
		.downstream_page = 2,
	};

	cr_assert_eq(
		vmbus_client_open(&machine->client, machine->channels, &open), VMBUS_CLIENT_OK);
	drain(machine);
}

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

#define STATE(name) VMBUS_CLIENT_CHANNEL_##name
#define EVENT(name) VMBUS_CLIENT_EVENT_##name

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

Test(client, a_rescind_in_every_state_of_a_channel)
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

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
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

Test(client, an_open_result_in_every_state_of_a_channel)
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

	for (i = 0; i < 2 * sizeof(success) / sizeof(success[0]); i++) {
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

Test(client, requests_are_refused_in_the_wrong_state_of_a_channel)
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
	cr_assert_eq(next_type(&machine), 0);
}

Test(client, a_modify_is_answered_once)
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

#define GPADL(name) VMBUS_CLIENT_GPADL_##name

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
	if (state == GPADL(ABANDONED) || state == GPADL(UNWANTED))
		cr_assert_eq(vmbus_client_gpadl_teardown(client, id), VMBUS_CLIENT_OK);
	drain(machine);
	if (state == GPADL(UNWANTED) || state == GPADL(CREATED) || state == GPADL(TEARING_DOWN))
		hear_words(machine, VMBUS_MESSAGE_GPADL_CREATED, RELID, id, 0);
	if (state == GPADL(TEARING_DOWN)) {
		cr_assert_eq(vmbus_client_gpadl_teardown(client, id), VMBUS_CLIENT_OK);
		drain(machine);
	}
	cr_assert_eq(machine->gpadls[0].state, state);
	return id;
}

Test(client, answers_in_every_state_of_a_gpadl)
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

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
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

Test(client, teardown_in_every_state_of_a_gpadl)
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

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
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

Test(client, gpadl_ids_do_not_come_back)
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

// --- the connection ---

Test(client, messages_in_every_state_of_the_connection)
{
	enum { RESPONSE, OFFER, DELIVERED, RESCIND, UNLOADED, MESSAGES };
	static const enum vmbus_client_event_type rows[][MESSAGES] = {
		[VMBUS_CLIENT_DISCONNECTED] = { EVENT(VIOLATION), EVENT(VIOLATION),
			EVENT(VIOLATION), EVENT(VIOLATION), EVENT(VIOLATION) },
		[VMBUS_CLIENT_CONTACTING] = { EVENT(CONNECTED), EVENT(VIOLATION), EVENT(VIOLATION),
			EVENT(VIOLATION), EVENT(VIOLATION) },
		[VMBUS_CLIENT_CONNECTED] = { EVENT(VIOLATION), EVENT(VIOLATION), EVENT(VIOLATION),
			EVENT(VIOLATION), EVENT(VIOLATION) },
		[VMBUS_CLIENT_REQUESTING] = { EVENT(VIOLATION), EVENT(OFFER), EVENT(DELIVERED),
			EVENT(VIOLATION), EVENT(VIOLATION) },
		[VMBUS_CLIENT_OFFERED] = { EVENT(VIOLATION), EVENT(OFFER), EVENT(VIOLATION),
			EVENT(RESCINDED), EVENT(VIOLATION) },
		[VMBUS_CLIENT_UNLOADING] = { EVENT(NOTHING), EVENT(NOTHING), EVENT(NOTHING),
			EVENT(NOTHING), EVENT(DISCONNECTED) },
	};
	struct machine machine;
	uint32_t state;

	for (state = 0; state <= VMBUS_CLIENT_UNLOADING; state++) {
		machine_at(&machine, state, 0);
		cr_assert_eq(hear_version(&machine, true, 0, 4), rows[state][RESPONSE]);
		machine_at(&machine, state, 0);
		cr_assert_eq(hear_offer(&machine, 9, true), rows[state][OFFER]);
		machine_at(&machine, state, 0);
		cr_assert_eq(hear_words(&machine, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED, 0, 0, 0),
			rows[state][DELIVERED]);
		machine_at(&machine, state, 0);
		cr_assert_eq(hear_words(&machine, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, RELID, 0, 0),
			rows[state][RESCIND]);
		machine_at(&machine, state, 0);
		cr_assert_eq(hear_words(&machine, VMBUS_MESSAGE_UNLOAD_COMPLETE, 0, 0, 0),
			rows[state][UNLOADED]);
	}
}

Test(client, requests_are_refused_in_the_wrong_state_of_the_connection)
{
	struct machine machine;
	uint32_t state, id;

	for (state = 0; state <= VMBUS_CLIENT_UNLOADING; state++) {
		bool usable = state >= VMBUS_CLIENT_CONNECTED && state < VMBUS_CLIENT_UNLOADING;

		machine_at(&machine, state, 0);
		cr_assert_eq(vmbus_client_connect(&machine.client, 0, 0),
			state == VMBUS_CLIENT_DISCONNECTED ? VMBUS_CLIENT_OK
							   : VMBUS_CLIENT_BAD_STATE);
		machine_at(&machine, state, 0);
		cr_assert_eq(vmbus_client_request_offers(&machine.client),
			state == VMBUS_CLIENT_CONNECTED ? VMBUS_CLIENT_OK : VMBUS_CLIENT_BAD_STATE);
		machine_at(&machine, state, 0);
		cr_assert_eq(vmbus_client_unload(&machine.client),
			usable ? VMBUS_CLIENT_OK : VMBUS_CLIENT_BAD_STATE);
		machine_at(&machine, state, 0);
		cr_assert_not(vmbus_client_contact_undeliverable(&machine.client));
		cr_assert_eq(machine.client.state, state);
		if (state == VMBUS_CLIENT_OFFERED)
			continue;
		cr_assert_eq(vmbus_client_gpadl_begin(&machine.client, machine.channels, 1, &id),
			VMBUS_CLIENT_BAD_STATE);
		cr_assert_eq(vmbus_client_close(&machine.client, machine.channels),
			VMBUS_CLIENT_BAD_STATE);
		cr_assert_eq(vmbus_client_release(&machine.client, machine.channels),
			VMBUS_CLIENT_BAD_STATE);
	}
}

Test(client, versions_go_down_as_the_host_refuses)
{
	struct machine machine;
	uint32_t i;

	machine_init(&machine);
	cr_assert_eq(vmbus_client_connect(&machine.client, VMBUS_VERSION_2_4 - 1, 0),
		VMBUS_CLIENT_BAD_ARGUMENT);
	cr_assert_eq(machine.client.state, VMBUS_CLIENT_DISCONNECTED);
	cr_assert_eq(vmbus_client_connect(&machine.client, UINT32_MAX, 3), VMBUS_CLIENT_OK);
	for (i = VERSION_COUNT; i-- > 0;) {
		const struct vmbus_client_post *post = vmbus_client_next_post(&machine.client);
		const struct vmbus_initiate_contact *contact = &post->message.initiate_contact;
		bool is_new = versions[i] >= VMBUS_VERSION_5_0;

		cr_assert_eq(contact->version, versions[i]);
		cr_assert_eq(contact->target_vp, 3);
		cr_assert_eq(post->connection_id, is_new ? 4 : 1);
		cr_assert_eq(contact->interrupt_page, is_new ? VMBUS_SINT : 0);
		// An answer to what was not asked yet.
		cr_assert_eq(hear_version(&machine, true, 0, 1), EVENT(VIOLATION));
		vmbus_client_posted(&machine.client);
		cr_assert_eq(
			hear_version(&machine, false, 0, 0), i ? EVENT(NOTHING) : EVENT(REFUSED));
	}
	cr_assert_eq(machine.client.state, VMBUS_CLIENT_DISCONNECTED);
	// The same for contacts that cannot be posted.
	cr_assert_eq(vmbus_client_connect(&machine.client, 0, 0), VMBUS_CLIENT_OK);
	for (i = VERSION_COUNT - 1; i > 0; i--)
		cr_assert(vmbus_client_contact_undeliverable(&machine.client));
	cr_assert_not(vmbus_client_contact_undeliverable(&machine.client));
	cr_assert_eq(machine.client.state, VMBUS_CLIENT_DISCONNECTED);
	cr_assert_eq(next_type(&machine), 0);
}

Test(client, the_host_names_the_connection_from_5_0_on)
{
	struct machine machine;
	uint32_t i;

	for (i = 0; i < VERSION_COUNT; i++) {
		machine_at(&machine, VMBUS_CLIENT_CONTACTING, versions[i]);
		cr_assert_eq(hear_version(&machine, true, 0, 1234), EVENT(CONNECTED));
		cr_assert_eq(vmbus_client_request_offers(&machine.client), VMBUS_CLIENT_OK);
		cr_assert_eq(vmbus_client_next_post(&machine.client)->connection_id,
			versions[i] >= VMBUS_VERSION_5_0 ? 1234 : 1);
		machine_at(&machine, VMBUS_CLIENT_CONTACTING, versions[i]);
		cr_assert_eq(hear_version(&machine, true, 1, 1234), EVENT(REFUSED));
		cr_assert_eq(next_type(&machine), 0);
	}
}

Test(client, offers_are_checked)
{
	struct machine machine;

	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	hear_offer(&machine, 0, true);
	violated(&machine, VMBUS_CLIENT_VIOLATION_BAD_OFFER);
	hear_offer(&machine, 2048, true);
	violated(&machine, VMBUS_CLIENT_VIOLATION_BAD_OFFER);
	hear_offer(&machine, 2047, false);
	violated(&machine, VMBUS_CLIENT_VIOLATION_BAD_OFFER);
	hear_offer(&machine, RELID, true);
	violated(&machine, VMBUS_CLIENT_VIOLATION_DUPLICATE_OFFER);
	cr_assert_eq(hear_offer(&machine, 2047, true), EVENT(OFFER));
	cr_assert_eq(machine.event.channel, &machine.channels[1]);
	cr_assert_eq(hear_offer(&machine, 1, true), EVENT(OFFER));
	hear_offer(&machine, 2, true);
	violated(&machine, VMBUS_CLIENT_VIOLATION_TOO_MANY_OFFERS);
}

// The door: each type that must not pass it, at each version.
Test(client, messages_are_checked_at_the_door)
{
	uint8_t bytes[VMBUS_MESSAGE_MAX + 1] = { 0 };
	struct machine machine;
	uint32_t i, type, length;

	for (i = 0; i < VERSION_COUNT; i++) {
		machine_at(&machine, VMBUS_CLIENT_OFFERED, versions[i]);
		for (type = 0; type < VMBUS_MESSAGE_TYPE_COUNT + 2; type++) {
			const struct vmbus_message_info *info = vmbus_message_info(type);

			bytes[0] = (uint8_t)type;
			machine.event =
				vmbus_client_message(&machine.client, bytes, info ? info->size : 8);
			if (!info)
				violated(&machine, VMBUS_CLIENT_VIOLATION_UNKNOWN_MESSAGE);
			else if (info->direction == VMBUS_TO_HOST)
				violated(&machine, VMBUS_CLIENT_VIOLATION_WRONG_DIRECTION);
			else if (info->oldest_version > versions[i])
				violated(&machine, VMBUS_CLIENT_VIOLATION_TOO_NEW);
			else if (never_said(type))
				violated(&machine, VMBUS_CLIENT_VIOLATION_UNSUPPORTED);
			if (!info || info->direction == VMBUS_TO_HOST ||
				info->oldest_version > versions[i])
				continue;
			for (length = 0; length < info->size; length++) {
				machine.event =
					vmbus_client_message(&machine.client, bytes, length);
				violated(&machine, VMBUS_CLIENT_VIOLATION_SHORT_MESSAGE);
			}
			machine.event = vmbus_client_message(&machine.client, bytes, 241);
			violated(&machine, VMBUS_CLIENT_VIOLATION_LONG_MESSAGE);
		}
		cr_assert_eq(machine.client.state, VMBUS_CLIENT_OFFERED);
		cr_assert_eq(machine.channels[0].state, STATE(CLOSED));
	}
	machine_at(&machine, VMBUS_CLIENT_CONTACTING, 0);
	hear_offer(&machine, 1, true);
	violated(&machine, VMBUS_CLIENT_VIOLATION_NOT_CONNECTED);
}

// --- the queue ---

static void fill_queue(struct machine *machine)
{
	uint32_t i;

	for (i = machine->client.posts_queued; i < VMBUS_CLIENT_POSTS; i++)
		cr_assert_eq(vmbus_client_modify(&machine->client, machine->channels, 0),
			VMBUS_CLIENT_OK);
}

// Version 5.2, where a modify has no answer, so that many can be asked.
static void machine_with_open_channel(struct machine *machine)
{
	machine_at(machine, VMBUS_CLIENT_OFFERED, VMBUS_VERSION_5_2);
	ask_open(machine);
	hear_words(machine, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT, RELID, 1, 0);
	cr_assert_eq(hear_offer(machine, 6, true), EVENT(OFFER));
}

Test(client, nothing_is_asked_when_the_queue_is_full)
{
	struct vmbus_client_channel *open, *other;
	const struct vmbus_client_open again = { .gpadl = 2 };
	struct machine machine;
	struct vmbus_client *client = &machine.client;
	uint64_t pfn = 1;
	uint32_t id;

	machine_with_open_channel(&machine);
	open = &machine.channels[0];
	other = &machine.channels[1];
	cr_assert_eq(vmbus_client_gpadl_begin(client, other, 1, &id), VMBUS_CLIENT_OK);
	cr_assert_eq(vmbus_client_gpadl_give(client, id, &pfn, 1), 1);
	drain(&machine);
	hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, 6, id, 0);
	cr_assert_eq(vmbus_client_gpadl_begin(client, other, 1, &id), VMBUS_CLIENT_OK);

	fill_queue(&machine);
	cr_assert_eq(vmbus_client_modify(client, open, 0), VMBUS_CLIENT_BUSY);
	cr_assert_eq(vmbus_client_close(client, open), VMBUS_CLIENT_BUSY);
	cr_assert_eq(vmbus_client_open(client, other, &again), VMBUS_CLIENT_BUSY);
	cr_assert_eq(vmbus_client_gpadl_give(client, id, &pfn, 1), 0);
	cr_assert_eq(vmbus_client_gpadl_teardown(client, 2), VMBUS_CLIENT_BUSY);
	cr_assert_eq(vmbus_client_unload(client), VMBUS_CLIENT_BUSY);
	hear_words(&machine, VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER, 6, 0, 0);
	cr_assert_eq(vmbus_client_release(client, other), VMBUS_CLIENT_BUSY);
	cr_assert_eq(open->state, STATE(OPEN));
	cr_assert_eq(other->state, STATE(CLOSED));
	cr_assert_eq(machine.gpadls[1].state, GPADL(CREATED));
	cr_assert_eq(machine.gpadls[2].state, GPADL(GIVING));
	cr_assert_eq(client->posts_queued, VMBUS_CLIENT_POSTS);
	drain(&machine);
	cr_assert_eq(vmbus_client_close(client, open), VMBUS_CLIENT_OK);
	cr_assert_eq(vmbus_client_release(client, other), VMBUS_CLIENT_OK);
	cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_CLOSE_CHANNEL);
}

// What the host causes waits for its turn, and never needs room that is not there.
Test(client, unwanted_things_are_ended_behind_what_was_asked)
{
	struct machine machine;
	struct vmbus_client *client = &machine.client;
	uint32_t id;
	uint64_t pfn = 1;

	machine_with_open_channel(&machine);
	cr_assert_eq(
		vmbus_client_gpadl_begin(client, &machine.channels[1], 1, &id), VMBUS_CLIENT_OK);
	vmbus_client_gpadl_give(client, id, &pfn, 1);
	cr_assert_eq(vmbus_client_gpadl_teardown(client, id), VMBUS_CLIENT_OK);
	fill_queue(&machine);
	hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, 6, id, 0);
	cr_assert_eq(machine.gpadls[1].state, GPADL(UNWANTED));
	for (uint32_t i = 0; i < VMBUS_CLIENT_POSTS; i++) {
		cr_assert_neq(next_type(&machine), VMBUS_MESSAGE_GPADL_TEARDOWN);
		vmbus_client_posted(client);
	}
	cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_GPADL_TEARDOWN);
	cr_assert_eq(machine.gpadls[1].state, GPADL(TEARING_DOWN));
	drain(&machine);
	vmbus_client_posted(client); // of nothing
	cr_assert_eq(client->posts_queued, 0);
	// After an unload nothing is ended any more.
	vmbus_client_gpadl_begin(client, &machine.channels[1], 1, &id);
	vmbus_client_gpadl_give(client, id, &pfn, 1);
	vmbus_client_gpadl_teardown(client, id);
	hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, 6, id, 0);
	cr_assert_eq(vmbus_client_unload(client), VMBUS_CLIENT_OK);
	// An answer before the question.
	hear_words(&machine, VMBUS_MESSAGE_UNLOAD_COMPLETE, 0, 0, 0);
	violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_UNLOADED);
	vmbus_client_posted(client); // GPADL_HEADER
	cr_assert_eq(next_type(&machine), VMBUS_MESSAGE_UNLOAD);
	vmbus_client_posted(client);
	cr_assert_eq(next_type(&machine), 0);
	hear_words(&machine, VMBUS_MESSAGE_UNLOAD_COMPLETE, 0, 0, 0);
	cr_assert_eq(machine.event.type, EVENT(DISCONNECTED));
	cr_assert_null(vmbus_client_find_channel(client, RELID));
	cr_assert_null(vmbus_client_find_gpadl(client, id));
}

Test(client, violations_have_names)
{
	uint32_t i;

	for (i = 0; i < VMBUS_CLIENT_VIOLATION_COUNT; i++)
		cr_assert_neq(vmbus_client_violation_name(i)[0], 0);
	cr_assert_str_eq(vmbus_client_violation_name(i), "unknown");
}
