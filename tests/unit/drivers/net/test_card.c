// SPDX-License-Identifier: BSD-2-Clause
// The network card's control messages: what guests ask and set, and what breaks a rule. Messages
// lie in memory of just their length, so that ASan sees a byte too many.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/card.h"

static const struct net_card_config plain = { .mac = { 2, 0, 0, 0, 0, 7 },
	.mtu = 1500,
	.bits_per_second = 10000000000,
	.offloads = NET_OFFLOAD_SEND_CHECKSUM | NET_OFFLOAD_LSO | NET_OFFLOAD_RECEIVED,
	.queues = 4 };

static struct net_card card;
static uint8_t answer[NET_ANSWER_MAX];

static uint32_t say(const void *message, uint32_t length)
{
	uint8_t *copy = malloc(length), *to = malloc(NET_ANSWER_MAX);
	uint32_t answered;

	memcpy(copy, message, length);
	answered = net_card_answer(&card, copy, length, to);
	cr_assert(answered <= NET_ANSWER_MAX);
	memcpy(answer, to, answered);
	free(copy);
	free(to);
	return answered;
}

struct asked {
	struct rndis_header header;
	struct rndis_request request;
	uint8_t buffer[800];
};

// Returns the answer's length.
static uint32_t ask(uint32_t type, uint32_t oid, const void *buffer, uint32_t length)
{
	struct asked asked = { { type, 28 + length }, { 5, oid, length, length ? 20 : 0, 0 },
		{ 0 } };

	memcpy(asked.buffer, buffer, length);
	return say(&asked, asked.header.length);
}

struct told {
	struct rndis_header header;
	struct rndis_query_complete complete;
	uint8_t buffer[NET_ANSWER_MAX - 24];
};

// Returns the status.
static uint32_t query(uint32_t oid, const void *buffer, uint32_t length, struct told *told)
{
	const uint32_t answered = ask(RNDIS_QUERY, oid, buffer, length);

	memset(told, 0, sizeof(*told));
	memcpy(told, answer, answered);
	cr_assert_eq(told->header.type, RNDIS_QUERY_COMPLETE);
	cr_assert_eq(told->header.length, answered);
	cr_assert_eq(told->complete.request_id, 5);
	cr_assert_eq(answered, 24 + told->complete.buffer_length);
	cr_assert_eq(told->complete.buffer_offset, told->complete.buffer_length ? 16 : 0);
	return told->complete.status;
}

static uint32_t number(uint32_t oid)
{
	struct told told;
	uint32_t value;

	cr_assert_eq(query(oid, "", 0, &told), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(told.complete.buffer_length, 4);
	memcpy(&value, told.buffer, 4);
	return value;
}

static uint32_t set(uint32_t oid, const void *value, uint32_t length)
{
	struct rndis_complete complete;

	cr_assert_eq(ask(RNDIS_SET, oid, value, length), 16);
	memcpy(&complete, answer + 8, 8);
	cr_assert_eq(complete.request_id, 5);
	return complete.status;
}

static void initialize(void)
{
	const struct {
		struct rndis_header header;
		struct rndis_initialize initialize;
	} message = { { RNDIS_INITIALIZE, 24 }, { 1, 1, 0, 0x4000 } };
	struct rndis_initialize_complete complete;

	cr_assert_eq(say(&message, sizeof(message)), 52);
	memcpy(&complete, answer + 8, sizeof(complete));
	cr_assert_eq(complete.status, RNDIS_STATUS_SUCCESS);
	cr_assert_eq(complete.request_id, 1);
	cr_assert(complete.max_packets && complete.max_transfer_size > NET_LSO_MAX);
}

static void begin(void)
{
	cr_assert(net_card_init(&card, &plain));
	initialize();
}

Test(card, configurations)
{
	struct net_card_config bad[5] = { plain, plain, plain, plain, plain };

	bad[0].mtu = 67;
	bad[1].mtu = 9001;
	bad[2].queues = 0;
	bad[3].queues = 65;
	bad[4].mac[0] = 3;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_not(net_card_init(&card, &bad[i]), "row %zu", i);
}

Test(card, numbers)
{
	begin();
	cr_assert_eq(number(OID_GEN_MAXIMUM_FRAME_SIZE), 1500);
	cr_assert_eq(number(OID_GEN_MAXIMUM_TOTAL_SIZE), 1518);
	cr_assert_eq(number(OID_GEN_LINK_SPEED), 100000000);
	cr_assert_eq(number(OID_GEN_MEDIA_CONNECT_STATUS), NDIS_MEDIA_CONNECTED);
	card.link = false;
	cr_assert_eq(number(OID_GEN_MEDIA_CONNECT_STATUS), NDIS_MEDIA_DISCONNECTED);
	card.sent = 1ull << 32 | 17;
	cr_assert_eq(number(OID_GEN_XMIT_OK), 17);
	card.config.bits_per_second = UINT64_MAX;
	cr_assert_eq(number(OID_GEN_LINK_SPEED), UINT32_MAX);
}

// Each that the list has can be asked for or set, and nothing else can.
Test(card, the_list_is_right)
{
	struct told told, other;
	uint32_t oid, count;

	begin();
	cr_assert_eq(query(OID_GEN_SUPPORTED_LIST, "", 0, &told), RNDIS_STATUS_SUCCESS);
	count = told.complete.buffer_length / 4;
	cr_assert(count > 20);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&oid, told.buffer + 4 * i, 4);
		cr_assert(query(oid, "", 0, &other) == RNDIS_STATUS_SUCCESS ||
				  set(oid, "", 0) == RNDIS_STATUS_INVALID_LENGTH,
			"%x", oid);
	}
	cr_assert_eq(card.counters.malformed, 0);
	cr_assert_eq(query(0x00010118, "", 0, &told), RNDIS_STATUS_NOT_SUPPORTED);
	cr_assert_eq(set(0x00010118, "", 0), RNDIS_STATUS_NOT_SUPPORTED);
	cr_assert_eq(set(OID_GEN_LINK_SPEED, "1234", 4), RNDIS_STATUS_NOT_SUPPORTED);
}

Test(card, offloads_are_told_by_revision)
{
	static const struct {
		uint8_t revision;
		uint32_t size;
	} rows[] = { { 1, 112 }, { 2, 148 }, { 3, 156 }, { 9, 156 }, { 0, 0 } };
	struct ndis_offload offload;
	struct told told;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct ndis_object asked = { NDIS_OBJECT_OFFLOAD, rows[i].revision, 156 };
		uint32_t status = query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, &asked, 4, &told);

		cr_assert_eq(
			status, rows[i].size ? RNDIS_STATUS_SUCCESS : RNDIS_STATUS_NOT_SUPPORTED);
		cr_assert_eq(told.complete.buffer_length, rows[i].size);
		if (!rows[i].size)
			continue;
		memcpy(&offload, told.buffer, rows[i].size);
		cr_assert_eq(offload.object.size, rows[i].size);
		cr_assert_eq(offload.checksums_4.send & 0x114, 0x114);
		cr_assert_eq(offload.checksums_6.send & 0x51, 0x51);
		cr_assert_eq(offload.lso_4.encapsulation, NDIS_ENCAPSULATION_8023);
	}
	card.config.offloads = 0;
	cr_assert_eq(
		query(OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, "", 0, &told), RNDIS_STATUS_SUCCESS);
	for (uint32_t i = 4; i < 112; i++)
		cr_assert_eq(told.buffer[i], 0);
}

Test(card, offloads_are_set)
{
	struct ndis_offload_parameters wanted = { .object = { NDIS_OBJECT_DEFAULT, 1, 20 },
		.tcp4 = NDIS_CHECKSUM_BOTH,
		.lso_4 = NDIS_ON };

	begin();
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 20), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(card.offloads, plain.offloads);
	wanted.lso_4 = NDIS_OFF;
	wanted.tcp4 = NDIS_CHECKSUM_SAME;
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 20), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(card.offloads, NET_OFFLOAD_SEND_CHECKSUM | NET_OFFLOAD_RECEIVED);
	wanted.udp6 = NDIS_CHECKSUM_OFF;
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 20), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(card.offloads, 0);
	wanted.udp6 = 5;
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 20), RNDIS_STATUS_INVALID_DATA);
	wanted.udp6 = 0;
	wanted.lso_6 = 3;
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 20), RNDIS_STATUS_INVALID_DATA);
	wanted.lso_6 = NDIS_ON;
	card.config.offloads = 0;
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 20), RNDIS_STATUS_NOT_SUPPORTED);
	cr_assert_eq(set(OID_TCP_OFFLOAD_PARAMETERS, &wanted, 19), RNDIS_STATUS_INVALID_LENGTH);
	cr_assert_eq(card.offloads, 0);
}

struct scaling {
	struct ndis_rss_parameters parameters;
	uint32_t table[NDIS_RSS_TABLE_MAX];
	uint8_t key[NDIS_RSS_KEY_SIZE];
};

static struct scaling scaling(void)
{
	struct scaling all = { .parameters = { .object = { NDIS_OBJECT_RSS_PARAMETERS, 2, 40 },
				       .hash = NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4,
				       .table_size = 512,
				       .table_offset = 40,
				       .key_size = 40,
				       .key_offset = 552 } };

	for (uint32_t i = 0; i < ARRAY_SIZE(all.table); i++)
		all.table[i] = i % plain.queues;
	memset(all.key, 0x6d, sizeof(all.key));
	return all;
}

Test(card, scaling_is_set_whole_or_not_at_all)
{
	static const struct {
		size_t at, size;
		uint32_t value, status;
	} rows[] = {
		{ offsetof(struct scaling, parameters.object.type), 1, 0x88,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.table_size), 2, 516,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.table_size), 2, 510,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.table_size), 2, 0,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.table_offset), 4, 81,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.table_offset), 4, UINT32_MAX,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.key_size), 2, 39, RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.key_offset), 4, 553,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.hash), 4, NDIS_HASH_IPV4,
			RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, table[127]), 4, 4, RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, table[0]), 4, 0x100, RNDIS_STATUS_INVALID_DATA },
		{ offsetof(struct scaling, parameters.object.revision), 1, 2,
			RNDIS_STATUS_SUCCESS },
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scaling all = scaling();
		const struct net_card before = card;

		memcpy((char *)&all + rows[i].at, &rows[i].value, rows[i].size);
		cr_assert_eq(set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &all, sizeof(all)),
			rows[i].status, "row %zu", i);
		if (rows[i].status)
			cr_assert(card.hash == before.hash &&
				  !memcmp(card.table, before.table, sizeof(card.table)));
	}
	cr_assert(card.hash == (NDIS_HASH_TOEPLITZ | NDIS_HASH_TCP_IPV4) &&
		  card.table_entries == 128);
	cr_assert(card.table[126] == 2 && card.key[39] == 0x6d);
	struct ndis_rss_parameters off = { .object = { NDIS_OBJECT_RSS_PARAMETERS, 2, 40 },
		.flags = NDIS_RSS_SAME_HASH | NDIS_RSS_SAME_TABLE | NDIS_RSS_SAME_KEY |
			 NDIS_RSS_DISABLE };
	cr_assert_eq(set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &off, 40), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(card.hash, 0);
	cr_assert_eq(set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &off, 39), RNDIS_STATUS_INVALID_LENGTH);
}

static uint32_t set_text(const char *name, uint32_t type, const char *value)
{
	const uint32_t name_size = 2 * (uint32_t)strlen(name),
		       value_size = 2 * (uint32_t)strlen(value);
	struct {
		struct ndis_parameter parameter;
		uint8_t text[200];
	} all = { { 20, name_size, type, 20 + name_size, value_size }, { 0 } };

	for (uint32_t i = 0; name[i]; i++)
		all.text[2 * i] = (uint8_t)name[i];
	for (uint32_t i = 0; value[i]; i++)
		all.text[name_size + 2 * i] = (uint8_t)value[i];
	return set(OID_GEN_RNDIS_CONFIG_PARAMETER, &all, 20 + name_size + value_size);
}

Test(card, the_address_is_set)
{
	static const uint8_t wanted[6] = { 0x02, 0xab, 0xcd, 0xef, 0x01, 0x23 };
	static const struct {
		const char *name;
		uint32_t type;
		const char *value;
		uint32_t status;
	} rows[] = {
		{ "NetworkAddresses", 2, "02abcdef0123", RNDIS_STATUS_NOT_SUPPORTED },
		{ "networkAddress", 2, "02abcdef0123", RNDIS_STATUS_NOT_SUPPORTED },
		{ "NetworkAddress", 0, "02abcdef0123", RNDIS_STATUS_INVALID_DATA },
		{ "NetworkAddress", 2, "02abcdef012", RNDIS_STATUS_INVALID_DATA },
		{ "NetworkAddress", 2, "02abcdef012g", RNDIS_STATUS_INVALID_DATA },
		{ "NetworkAddress", 2, "03abcdef0123", RNDIS_STATUS_INVALID_DATA }, // a group's
		{ "NetworkAddress", 2, "000000000000", RNDIS_STATUS_INVALID_DATA },
		{ "NetworkAddress", 2, "", RNDIS_STATUS_INVALID_DATA },
		{ "NetworkAddress", 2, "02aBCDEF0123", RNDIS_STATUS_SUCCESS },
	};
	const struct ndis_parameter lies[] = { { UINT32_MAX, 28, 2, 20, 24 },
		{ 20, UINT32_MAX, 2, 20, 24 }, { 20, 0, 2, 21, 0 }, { 20, 0, 2, 20, 1 } };

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_assert(!memcmp(card.mac, plain.mac, 6));
		cr_assert_eq(set_text(rows[i].name, rows[i].type, rows[i].value), rows[i].status,
			"row %zu", i);
	}
	cr_assert(!memcmp(card.mac, wanted, 6));
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		cr_assert_eq(set(OID_GEN_RNDIS_CONFIG_PARAMETER, &lies[i], 20),
			RNDIS_STATUS_INVALID_DATA);
}

Test(card, halt_and_reset_forget)
{
	const struct rndis_header halt = { RNDIS_HALT, 8 }, reset = { RNDIS_RESET, 8 };
	const uint32_t filter = NDIS_FILTER_DIRECTED | NDIS_FILTER_BROADCAST;
	struct told told;

	begin();
	cr_assert_eq(set(OID_GEN_CURRENT_PACKET_FILTER, &filter, 4), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(number(OID_GEN_CURRENT_PACKET_FILTER), filter);
	cr_assert_eq(say(&reset, 8), 16);
	cr_assert_eq(card.filter, 0);
	cr_assert(card.initialized);
	cr_assert_eq(set(OID_GEN_CURRENT_PACKET_FILTER, &filter, 4), RNDIS_STATUS_SUCCESS);
	cr_assert_eq(say(&halt, 8), 0);
	cr_assert_eq(card.filter, 0);
	cr_assert_eq(
		ask(RNDIS_QUERY, OID_GEN_LINK_SPEED, "", 0), 0, "before it is initialized again");
	cr_assert_eq(say(&reset, 8), 0);
	initialize();
	cr_assert_eq(query(OID_GEN_LINK_SPEED, "", 0, &told), RNDIS_STATUS_SUCCESS);
}

Test(card, the_link_is_told_once)
{
	uint8_t message[NET_ANSWER_MAX];
	struct rndis_indicate_status indication;

	cr_assert(net_card_init(&card, &plain));
	cr_assert_eq(net_card_set_link(&card, false, message), 0);
	initialize();
	cr_assert_eq(net_card_set_link(&card, true, message), 20);
	memcpy(&indication, message + 8, sizeof(indication));
	cr_assert_eq(indication.status, RNDIS_STATUS_MEDIA_CONNECT);
	cr_assert_eq(net_card_set_link(&card, true, message), 0);
	cr_assert_eq(net_card_set_link(&card, false, message), 20);
}

Test(card, what_breaks_a_rule_is_counted)
{
	struct asked asked = { { RNDIS_QUERY, 28 + 8 }, { 5, OID_GEN_LINK_SPEED, 8, 20, 0 },
		{ 0 } };
	const struct rndis_header rows[] = { { 0, 36 }, { RNDIS_PACKET, 36 }, { 9, 36 },
		{ 0x80000004, 36 }, { UINT32_MAX, 36 }, { RNDIS_QUERY, 7 }, { RNDIS_QUERY, 27 },
		{ RNDIS_QUERY, 37 }, { RNDIS_QUERY, UINT32_MAX }, { RNDIS_SET, 27 },
		{ RNDIS_INITIALIZE, 23 }, { RNDIS_KEEP_ALIVE, 11 } };
	struct told told;

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		asked.header = rows[i];
		cr_assert_eq(say(&asked, 36), 0, "row %zu", i);
		cr_assert_eq(card.counters.malformed, i + 1);
	}
	for (uint32_t length = 0; length < 28; length++)
		cr_assert_eq(say(&(struct asked){ { RNDIS_QUERY, length }, asked.request, { 0 } },
				     length),
			0);
	asked.header = (struct rndis_header){ RNDIS_QUERY, 36 };
	for (int i = 0; i < 4; i++) {
		static const struct {
			uint32_t length, offset;
		} buffers[] = { { 9, 20 }, { 8, 21 }, { 8, 19 }, { UINT32_MAX, 20 } };

		asked.request.buffer_length = buffers[i].length;
		asked.request.buffer_offset = buffers[i].offset;
		cr_assert_eq(say(&asked, 36), 24);
		memcpy(&told, answer, 24);
		cr_assert_eq(told.complete.status, RNDIS_STATUS_INVALID_DATA);
	}
}

Test(card, anything)
{
	static const uint32_t types[] = { 2, 3, 4, 5, 5, 5, 6, 8 };

	srand(1);
	begin();
	for (int i = 0; i < 200000; i++) {
		struct scaling all = scaling();
		struct asked asked = { { types[rand() % 8], 0 }, { .oid = 0, .buffer_offset = 20 },
			{ 0 } };
		static const uint32_t oids[] = { OID_GEN_RECEIVE_SCALE_PARAMETERS,
			OID_TCP_OFFLOAD_PARAMETERS, OID_GEN_RNDIS_CONFIG_PARAMETER,
			OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES };
		uint32_t length;

		asked.request.oid = oids[rand() % 4];
		memcpy(asked.buffer, &all, sizeof(all));
		asked.request.buffer_length = (uint32_t)rand() % sizeof(all);
		length = 28 + asked.request.buffer_length;
		asked.header.length = length;
		for (int j = rand() % 5; j > 0; j--)
			((uint8_t *)&asked)[(uint32_t)rand() % (rand() % 2 ? 68 : length)] =
				(uint8_t)rand();
		say(&asked, length);
		if (!card.initialized)
			initialize();
		cr_assert(!card.hash || card.table_entries);
	}
}
