// SPDX-License-Identifier: BSD-2-Clause
// A client alone with a host that a test plays: brought to a state, told messages, asked what it
// posts.
#pragma once

#include <criterion/criterion.h>
#include <string.h>

#include "vmbus/client.h"
#include "vmbus/packet.h"

#define CHANNELS 3u
#define GPADLS	 4u

struct machine {
	struct vmbus_client client;
	struct vmbus_client_channel channels[CHANNELS];
	struct vmbus_client_gpadl gpadls[GPADLS];
	struct vmbus_client_event event; // the last one
};

static inline void machine_init(struct machine *machine)
{
	const struct vmbus_client_config config = { machine->channels, CHANNELS, machine->gpadls,
		GPADLS };

	memset(machine, 0xA5, sizeof(*machine));
	vmbus_client_init(&machine->client, &config);
}

#define STATE(name) VMBUS_CLIENT_CHANNEL_##name
#define EVENT(name) VMBUS_CLIENT_EVENT_##name
#define GPADL(name) VMBUS_CLIENT_GPADL_##name

static inline void drain(struct machine *machine)
{
	while (vmbus_client_next_post(&machine->client))
		vmbus_client_posted(&machine->client);
}

// The type of the next post; 0 if there is none.
static inline uint32_t next_type(struct machine *machine)
{
	const struct vmbus_client_post *post = vmbus_client_next_post(&machine->client);

	return post ? post->message.header.type : 0;
}

static inline enum vmbus_client_event_type hear(
	struct machine *machine, const union vmbus_message *message)
{
	machine->event = vmbus_client_message(
		&machine->client, message, vmbus_message_info(message->header.type)->size);
	return machine->event.type;
}

// A message of up to four words behind its header.
static inline enum vmbus_client_event_type hear_words(
	struct machine *machine, uint32_t type, uint32_t a, uint32_t b, uint32_t c)
{
	union vmbus_message message = { .header.type = type };
	const uint32_t words[] = { a, b, c };

	memcpy(message.bytes + 8, words, sizeof(words));
	return hear(machine, &message);
}

static inline enum vmbus_client_event_type hear_version(
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

static inline enum vmbus_client_event_type hear_offer(
	struct machine *machine, uint32_t relid, bool dedicated)
{
	union vmbus_message message = { .offer_channel = {
						.header.type = VMBUS_MESSAGE_OFFER_CHANNEL,
						.relid = relid,
						.is_dedicated_interrupt = dedicated,
					} };

	return hear(machine, &message);
}

static inline void violated(struct machine *machine, enum vmbus_client_violation reason)
{
	cr_assert_eq(machine->event.type, VMBUS_CLIENT_EVENT_VIOLATION);
	cr_assert_eq(machine->event.reason, reason, "%s instead of %s",
		vmbus_client_violation_name(machine->event.reason),
		vmbus_client_violation_name(reason));
	cr_assert_gt(machine->client.violations[reason], 0);
}

// A fresh machine in this state of its connection, with nothing to post.
static inline void machine_at(
	struct machine *machine, enum vmbus_client_state state, uint32_t version)
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
static inline uint32_t created_gpadl(struct machine *machine)
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

static inline void ask_open(struct machine *machine)
{
	const struct vmbus_client_open open = {
		.gpadl = created_gpadl(machine),
		.downstream_page = 2,
	};

	cr_assert_eq(
		vmbus_client_open(&machine->client, machine->channels, &open), VMBUS_CLIENT_OK);
	drain(machine);
}
