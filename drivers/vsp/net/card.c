// SPDX-License-Identifier: BSD-2-Clause
// RNDIS' control messages: each has its handler; what is asked for and set is in card_oids.c.
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/card_internal.h"

#define HEADER ((uint32_t)sizeof(struct rndis_header))

bool net_card_init(struct net_card *card, const struct net_card_config *config)
{
	if (config->mtu < NET_MTU_MIN || config->mtu > NET_MTU_MAX || !config->queues ||
		config->queues > NET_QUEUES_MAX || (config->mac[0] & 1))
		return false;
	*card = (struct net_card){ .config = *config, .link = true };
	memcpy(card->mac, config->mac, sizeof(card->mac));
	return true;
}

// A message that is being handled: its body, behind the header, and the answer's.
struct exchange {
	const uint8_t *body;
	uint32_t length;
	uint8_t *answer;
};

// Each returns the length of the answer's body, 0 without an answer.

static uint32_t initialize(struct net_card *card, const struct exchange *exchange)
{
	struct rndis_initialize_complete complete = { .status = RNDIS_STATUS_SUCCESS,
		.major = RNDIS_MAJOR,
		.minor = RNDIS_MINOR,
		.device_flags = RNDIS_CONNECTIONLESS,
		.medium = RNDIS_MEDIUM_802_3,
		.max_packets = NET_MAX_MESSAGES,
		.max_transfer_size = NET_MESSAGE_MAX,
		.alignment_shift = NET_ALIGN_SHIFT };
	struct rndis_initialize asked;

	memcpy(&asked, exchange->body, sizeof(asked));
	complete.request_id = asked.request_id;
	if (asked.major != RNDIS_MAJOR)
		complete.status = RNDIS_STATUS_BAD_VERSION;
	card->initialized = complete.status == RNDIS_STATUS_SUCCESS;
	memcpy(exchange->answer, &complete, sizeof(complete));
	return sizeof(complete);
}

// As if it had never been initialized.
static void reset(struct net_card *card)
{
	card->filter = 0;
	card->offloads = 0;
	card->hash = 0;
	memcpy(card->mac, card->config.mac, sizeof(card->mac));
}

static uint32_t halt(struct net_card *card, const struct exchange *exchange)
{
	reset(card);
	card->initialized = false;
	return 0;
}

static uint32_t reset_all(struct net_card *card, const struct exchange *exchange)
{
	const struct rndis_reset_complete complete = { RNDIS_STATUS_SUCCESS, 1 };

	reset(card);
	memcpy(exchange->answer, &complete, sizeof(complete));
	return sizeof(complete);
}

static uint32_t keep_alive(struct net_card *card, const struct exchange *exchange)
{
	struct rndis_complete complete = { .status = RNDIS_STATUS_SUCCESS };

	memcpy(&complete.request_id, exchange->body, sizeof(complete.request_id));
	memcpy(exchange->answer, &complete, sizeof(complete));
	return sizeof(complete);
}

// Returns false if the buffer is not in the message. One of no bytes is nowhere.
static bool find_buffer(const struct exchange *exchange, const struct rndis_request *asked,
	struct net_oid_buffer *buffer)
{
	const uint32_t offset = asked->buffer_length ? asked->buffer_offset : 0;

	*buffer = (struct net_oid_buffer){ exchange->body + offset, asked->buffer_length };
	return offset <= exchange->length && asked->buffer_length <= exchange->length - offset &&
	       (!asked->buffer_length || offset >= sizeof(*asked));
}

static uint32_t query(struct net_card *card, const struct exchange *exchange)
{
	struct rndis_query_complete complete = { .status = RNDIS_STATUS_INVALID_DATA };
	uint8_t *to = exchange->answer + sizeof(complete);
	struct net_oid_buffer buffer;
	struct rndis_request asked;

	memcpy(&asked, exchange->body, sizeof(asked));
	complete.request_id = asked.request_id;
	card->counters.queries++;
	if (find_buffer(exchange, &asked, &buffer))
		complete.status =
			net_oid_query(card, asked.oid, &buffer, to, &complete.buffer_length);
	else
		card->counters.malformed++;
	if (complete.status != RNDIS_STATUS_SUCCESS)
		complete.buffer_length = 0;
	if (complete.buffer_length)
		complete.buffer_offset = sizeof(complete);
	memcpy(exchange->answer, &complete, sizeof(complete));
	return (uint32_t)sizeof(complete) + complete.buffer_length;
}

static uint32_t set(struct net_card *card, const struct exchange *exchange)
{
	struct rndis_complete complete = { .status = RNDIS_STATUS_INVALID_DATA };
	struct net_oid_buffer buffer;
	struct rndis_request asked;

	memcpy(&asked, exchange->body, sizeof(asked));
	complete.request_id = asked.request_id;
	card->counters.sets++;
	if (find_buffer(exchange, &asked, &buffer))
		complete.status = net_oid_set(card, asked.oid, &buffer);
	else
		card->counters.malformed++;
	memcpy(exchange->answer, &complete, sizeof(complete));
	return sizeof(complete);
}

static const struct {
	uint32_t (*handle)(struct net_card *card, const struct exchange *exchange);
	uint32_t min_body;
	bool before; // also before RNDIS_INITIALIZE
} handlers[] = {
	[RNDIS_INITIALIZE] = { initialize, sizeof(struct rndis_initialize), true },
	[RNDIS_HALT] = { halt, 0, true },
	[RNDIS_QUERY] = { query, sizeof(struct rndis_request), false },
	[RNDIS_SET] = { set, sizeof(struct rndis_request), false },
	[RNDIS_RESET] = { reset_all, 0, false },
	[RNDIS_KEEP_ALIVE] = { keep_alive, sizeof(uint32_t), true },
};

uint32_t net_card_answer(
	struct net_card *card, const uint8_t *message, uint32_t length, uint8_t *answer)
{
	struct rndis_header header = { 0 }, answered;
	struct exchange exchange = { .body = message + HEADER, .answer = answer + HEADER };

	if (length >= HEADER)
		memcpy(&header, message, HEADER);
	if (header.length < HEADER || header.length > length ||
		header.type >= ARRAY_SIZE(handlers) || !handlers[header.type].handle ||
		header.length - HEADER < handlers[header.type].min_body ||
		!(handlers[header.type].before || card->initialized)) {
		card->counters.malformed++;
		return 0;
	}
	exchange.length = header.length - HEADER;
	answered.type = header.type | RNDIS_COMPLETE;
	answered.length = handlers[header.type].handle(card, &exchange);
	if (!answered.length)
		return 0;
	answered.length += HEADER;
	memcpy(answer, &answered, HEADER);
	return answered.length;
}

uint32_t net_card_set_link(struct net_card *card, bool link, uint8_t *message)
{
	const struct rndis_header header = { RNDIS_INDICATE_STATUS,
		HEADER + sizeof(struct rndis_indicate_status) };
	const struct rndis_indicate_status indication = {
		.status = link ? RNDIS_STATUS_MEDIA_CONNECT : RNDIS_STATUS_MEDIA_DISCONNECT
	};
	const bool told = card->link == link;

	card->link = link;
	if (!card->initialized || told)
		return 0;
	memcpy(message, &header, HEADER);
	memcpy(message + HEADER, &indication, sizeof(indication));
	return header.length;
}

// --- saving ---

void net_card_save(const struct net_card *card, struct net_card_form *form)
{
	*form = (struct net_card_form){
		.sent = card->sent,
		.received = card->received,
		.no_buffer = card->no_buffer,
		.counters = card->counters,
		.filter = card->filter,
		.offloads = card->offloads,
		.hash = card->hash,
		.table_entries = card->table_entries,
		.initialized = card->initialized,
		.link = card->link,
	};
	memcpy(form->table, card->table, sizeof(form->table));
	memcpy(form->key, card->key, sizeof(form->key));
	memcpy(form->mac, card->mac, sizeof(form->mac));
}

bool net_card_restore(struct net_card *card, const struct net_card_form *form)
{
	if (form->offloads & ~card->config.offloads || form->table_entries > NDIS_RSS_TABLE_MAX ||
		(form->hash && !form->table_entries) || form->initialized > 1 || form->link > 1)
		return false;
	for (uint32_t i = 0; i < form->table_entries; i++)
		if (form->table[i] >= card->config.queues)
			return false;
	card->sent = form->sent;
	card->received = form->received;
	card->no_buffer = form->no_buffer;
	card->counters = form->counters;
	card->filter = form->filter;
	card->offloads = form->offloads;
	card->hash = form->hash;
	card->table_entries = form->table_entries;
	card->initialized = form->initialized;
	card->link = form->link;
	memcpy(card->table, form->table, sizeof(card->table));
	memcpy(card->key, form->key, sizeof(card->key));
	memcpy(card->mac, form->mac, sizeof(card->mac));
	return true;
}
