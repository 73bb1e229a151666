// SPDX-License-Identifier: BSD-2-Clause
// The client: back to back with the server through every row of the message table; and alone, its
// connection and its queue.
#include "client_case.h"
#include "rig.h"

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
		case VMBUS_ACTION_SOCKET:
			cr_assert_eq(action.socket.service.data1, 77);
			cr_assert(vmbus_server_answer_socket(
				&pair->rig->server, action.socket.id, true));
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

// A socket that nobody listens for.
static void ask_for_socket(struct pair *pair)
{
	struct vmbus_client *client = &pair->machine.client;
	struct vmbus_client_socket socket = { .service.data1 = 77, .guest.data1 = 88 };

	if (client->version < VMBUS_VERSION_4_0) {
		cr_assert_eq(vmbus_client_connect_socket(client, &socket), VMBUS_CLIENT_TOO_OLD);
		return;
	}
	cr_assert_eq(vmbus_client_connect_socket(client, &socket), VMBUS_CLIENT_OK);
	converse(pair);
	cr_assert_eq(socket.refused, client->version >= VMBUS_VERSION_4_1);
	cr_assert_null(vmbus_client_take_socket(client, &socket.service, &socket));
	vmbus_client_forget_socket(client, &socket);
	cr_assert_null(client->sockets);
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
	ask_for_socket(pair);
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
	       type == VMBUS_MESSAGE_MODIFY_CONNECTION ||
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
	drain(&machine);
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
	drain(&machine);
	vmbus_client_gpadl_teardown(client, id);
	hear_words(&machine, VMBUS_MESSAGE_GPADL_CREATED, 6, id, 0);
	cr_assert_eq(vmbus_client_unload(client), VMBUS_CLIENT_OK);
	// An answer before the question.
	hear_words(&machine, VMBUS_MESSAGE_UNLOAD_COMPLETE, 0, 0, 0);
	violated(&machine, VMBUS_CLIENT_VIOLATION_UNEXPECTED_UNLOADED);
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

// --- sockets ---

static void hear_socket_offer(struct machine *machine, uint32_t relid, uint32_t service,
	uint32_t instance, bool from_host)
{
	const struct vmbus_socket_parameters parameters = { .from_host = from_host };
	union vmbus_message message = { .offer_channel = {
						.header.type = VMBUS_MESSAGE_OFFER_CHANNEL,
						.interface_type.data1 = service,
						.interface_instance.data1 = instance,
						.flags = VMBUS_OFFER_TLNPI_PROVIDER,
						.relid = relid,
						.is_dedicated_interrupt = 1,
					} };

	memcpy(message.offer_channel.user_defined, &parameters, sizeof(parameters));
	cr_assert_eq(hear(machine, &message), EVENT(OFFER));
}

static void hear_socket_result(
	struct machine *machine, uint32_t service, uint32_t guest, uint32_t status)
{
	const union vmbus_message message = { .tl_connect_result = {
						      .header.type =
							      VMBUS_MESSAGE_TL_CONNECT_RESULT,
						      .endpoint_id.data1 = guest,
						      .service_id.data1 = service,
						      .status = status,
					      } };

	cr_assert_eq(hear(machine, &message), EVENT(NOTHING));
}

// Which of the two it is counts, and each is taken once; what has no such flag is no socket.
Test(client, offers_of_sockets)
{
	const struct vmbus_guid service = { .data1 = 77 };
	struct vmbus_client_socket socket = { .service = service, .guest.data1 = 88 };
	struct machine machine;
	struct vmbus_client *client = &machine.client;

	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	memset(machine.channels, 0, sizeof(machine.channels));
	hear_socket_offer(&machine, 1, 77, 88, true);
	hear_socket_offer(&machine, 2, 77, 89, false); // nobody has asked for it
	cr_assert_null(vmbus_client_take_socket(client, &service, &socket));
	cr_assert_eq(vmbus_client_take_socket(client, &service, NULL), &machine.channels[0]);
	cr_assert_null(vmbus_client_take_socket(client, &service, NULL));
	hear_socket_offer(&machine, 3, 77, 88, false);
	cr_assert_null(vmbus_client_take_socket(client, &socket.guest, &socket));
	cr_assert_eq(vmbus_client_take_socket(client, &service, &socket), &machine.channels[2]);
	cr_assert_null(vmbus_client_take_socket(client, &service, &socket));
	machine.channels[2].taken = false;
	machine.channels[2].rescinded = true;
	cr_assert_null(vmbus_client_take_socket(client, &service, &socket));
	machine.channels[2].rescinded = false;
	machine.channels[2].offer.flags = VMBUS_OFFER_NAMED_PIPE_MODE;
	cr_assert_null(vmbus_client_take_socket(client, &service, &socket));
}

Test(client, results_of_sockets)
{
	struct vmbus_client_socket sockets[3];
	struct machine machine;
	struct vmbus_client *client = &machine.client;

	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	hear_socket_result(&machine, 77, 1, VMBUS_STATUS_CONNECTION_REFUSED);
	for (uint32_t i = 0; i < 3; i++) {
		sockets[i] = (struct vmbus_client_socket){ .service.data1 = 77, .guest.data1 = i };
		cr_assert_eq(vmbus_client_connect_socket(client, &sockets[i]), VMBUS_CLIENT_OK);
	}
	drain(&machine);
	hear_socket_result(&machine, 77, 0, VMBUS_STATUS_SUCCESS);
	hear_socket_result(&machine, 78, 0, VMBUS_STATUS_CONNECTION_REFUSED);
	hear_socket_result(&machine, 77, 1, VMBUS_STATUS_CONNECTION_REFUSED);
	hear_socket_result(&machine, 77, 1, VMBUS_STATUS_SUCCESS);
	vmbus_client_forget_socket(client, &sockets[2]);
	hear_socket_result(&machine, 77, 2, VMBUS_STATUS_CONNECTION_REFUSED); // late
	cr_assert(!sockets[0].refused && sockets[1].refused && !sockets[2].refused);
	vmbus_client_forget_socket(client, &sockets[2]);
	vmbus_client_forget_socket(client, &sockets[0]);
	vmbus_client_forget_socket(client, &sockets[1]);
	cr_assert_null(client->sockets);
}

Test(client, a_socket_waits_for_its_turn)
{
	struct vmbus_client_socket socket = { .service.data1 = 77 };
	struct machine machine;

	machine_at(&machine, VMBUS_CLIENT_CONTACTING, 0);
	cr_assert_eq(vmbus_client_connect_socket(&machine.client, &socket), VMBUS_CLIENT_BAD_STATE);
	machine_at(&machine, VMBUS_CLIENT_OFFERED, 0);
	for (uint32_t i = 0; i < VMBUS_CLIENT_POSTS; i++)
		cr_assert_eq(vmbus_client_connect_socket(&machine.client,
				     &(struct vmbus_client_socket){ .service.data1 = i }),
			VMBUS_CLIENT_OK);
	cr_assert_eq(vmbus_client_connect_socket(&machine.client, &socket), VMBUS_CLIENT_BUSY);
}
