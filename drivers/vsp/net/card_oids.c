// SPDX-License-Identifier: BSD-2-Clause
// What the guest asks the card and sets: a table of the objects that guests ask for. Any other one
// is not supported, and the guest goes on without.
#include <string.h>

#include "base/macros.h"
#include "drivers/vsp/net/card_internal.h"

// --- numbers ---

static uint32_t frame_size(const struct net_card *card)
{
	return card->config.mtu;
}

static uint32_t total_size(const struct net_card *card)
{
	return card->config.mtu + NET_FRAME_HEADER;
}

static uint32_t link_speed(const struct net_card *card)
{
	const uint64_t speed = card->config.bits_per_second / 100;

	return speed < UINT32_MAX ? (uint32_t)speed : UINT32_MAX;
}

static uint32_t link_state(const struct net_card *card)
{
	return card->link ? NDIS_MEDIA_CONNECTED : NDIS_MEDIA_DISCONNECTED;
}

static uint32_t packet_filter(const struct net_card *card)
{
	return card->filter;
}

static uint32_t zero(
	const struct net_card *card) // status: ready; medium: 802.3; MAC options; errors
{
	return 0;
}

static uint32_t list_size(const struct net_card *card)
{
	return 32; // the filter is all or nothing, so any number is right
}

static uint32_t frames_sent(const struct net_card *card)
{
	return (uint32_t)card->sent;
}

static uint32_t frames_received(const struct net_card *card)
{
	return (uint32_t)card->received;
}

static uint32_t frames_without_buffer(const struct net_card *card)
{
	return (uint32_t)card->no_buffer;
}

// --- structures ---

static uint32_t permanent_address(
	const struct net_card *card, const struct net_oid_buffer *asked, uint8_t *to)
{
	memcpy(to, card->config.mac, sizeof(card->config.mac));
	return sizeof(card->config.mac);
}

static uint32_t current_address(
	const struct net_card *card, const struct net_oid_buffer *asked, uint8_t *to)
{
	memcpy(to, card->mac, sizeof(card->mac));
	return sizeof(card->mac);
}

static uint32_t description(
	const struct net_card *card, const struct net_oid_buffer *asked, uint8_t *to)
{
	static const char text[] = "Lumen network";

	memcpy(to, text, sizeof(text));
	return sizeof(text);
}

// Without scaling there is nothing to know of it. Guests without sub-channels ask, too.
static uint32_t rss_capabilities(
	const struct net_card *card, const struct net_oid_buffer *asked, uint8_t *to)
{
	const struct ndis_rss_capabilities capabilities = {
		.object = { NDIS_OBJECT_RSS_CAPABILITIES, 2, NDIS_RSS_CAPABILITIES_SIZE_2 },
		.flags = NDIS_HASH_TOEPLITZ | NDIS_RSS_CAPS_TCP_IPV4 | NDIS_RSS_CAPS_TCP_IPV6 |
			 NDIS_RSS_CAPS_MSI | NDIS_RSS_CAPS_ISR | NDIS_RSS_CAPS_DPC,
		.messages = card->config.queues,
		.queues = card->config.queues,
		.table_entries = NDIS_RSS_TABLE_MAX,
	};

	if (card->config.queues == 1)
		return 0;
	memcpy(to, &capabilities, NDIS_RSS_CAPABILITIES_SIZE_2);
	return NDIS_RSS_CAPABILITIES_SIZE_2;
}

// A guest asks with the header of the revision that it knows, and gets no later one.
static uint32_t offload_size(const struct net_oid_buffer *asked, struct ndis_object *object)
{
	static const uint16_t sizes[] = { NDIS_OFFLOAD_SIZE_1, NDIS_OFFLOAD_SIZE_2,
		NDIS_OFFLOAD_SIZE_3 };
	uint32_t revision = 1;

	if (asked->length >= sizeof(*object)) {
		memcpy(object, asked->bytes, sizeof(*object));
		if (object->type != NDIS_OBJECT_OFFLOAD)
			return 0;
		revision =
			object->revision < ARRAY_SIZE(sizes) ? object->revision : ARRAY_SIZE(sizes);
	}
	if (!revision)
		return 0;
	*object =
		(struct ndis_object){ NDIS_OBJECT_OFFLOAD, (uint8_t)revision, sizes[revision - 1] };
	return object->size;
}

static uint32_t offload_capabilities(
	const struct net_card *card, const struct net_oid_buffer *asked, uint8_t *to)
{
	const uint32_t has = card->config.offloads;
	const uint32_t both = NDIS_CHECKSUM_IP_OPTIONS | NDIS_CHECKSUM_TCP_OPTIONS |
			      NDIS_CHECKSUM_TCP | NDIS_CHECKSUM_UDP;
	const uint32_t send = has & NET_OFFLOAD_SEND_CHECKSUM ? both : 0;
	const uint32_t received = has & NET_OFFLOAD_RECEIVED ? both : 0;
	struct ndis_offload offload = { .object = { 0 } };
	const uint32_t size = offload_size(asked, &offload.object);

	offload.checksums_4 = (struct ndis_checksums){ send ? NDIS_ENCAPSULATION_8023 : 0,
		send ? send | NDIS_CHECKSUM_IPV4 : 0, received ? NDIS_ENCAPSULATION_8023 : 0,
		received ? received | NDIS_CHECKSUM_IPV4 : 0 };
	offload.checksums_6 = (struct ndis_checksums){ send ? NDIS_ENCAPSULATION_8023 : 0, send,
		received ? NDIS_ENCAPSULATION_8023 : 0, received };
	if (has & NET_OFFLOAD_LSO) {
		offload.lso_4 = (struct ndis_lso){ NDIS_ENCAPSULATION_8023, NET_LSO_MAX, 2 };
		offload.lso_6 = offload.lso_4;
		offload.lso_6_flags = NDIS_LSO_IP6_EXTENSIONS | NDIS_LSO_IP6_TCP_OPTIONS;
	}
	offload.rsc_4 = offload.rsc_6 = has & NET_OFFLOAD_COALESCE ? 1 : 0;
	memcpy(to, &offload, size);
	return size;
}

// --- what is set ---

static uint32_t set_filter(struct net_card *card, const struct net_oid_buffer *value)
{
	if (value->length < sizeof(card->filter))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&card->filter, value->bytes, sizeof(card->filter));
	return RNDIS_STATUS_SUCCESS;
}

// The bytes of struct ndis_offload_parameters, and what their values turn on; the others say
// nothing to us.
static const struct setting {
	size_t at;
	uint32_t of;	    // NET_OFFLOAD_*: what it is about
	uint32_t values[5]; // by enum ndis_checksum_setting or ndis_setting
	uint8_t count;	    // of them
} settings[] = {
#define CHECKSUM(field)                                                                            \
	{                                                                                          \
		offsetof(struct ndis_offload_parameters, field),                                   \
			NET_OFFLOAD_SEND_CHECKSUM | NET_OFFLOAD_RECEIVED,                          \
			{ 0, 0, NET_OFFLOAD_SEND_CHECKSUM, NET_OFFLOAD_RECEIVED,                   \
				NET_OFFLOAD_SEND_CHECKSUM | NET_OFFLOAD_RECEIVED },                \
			NDIS_CHECKSUM_BOTH + 1                                                     \
	}
#define SWITCH(field, what)                                                                        \
	{                                                                                          \
		offsetof(struct ndis_offload_parameters, field), what, { 0, 0, what }, NDIS_ON + 1 \
	}
	CHECKSUM(ipv4),
	CHECKSUM(tcp4),
	CHECKSUM(udp4),
	CHECKSUM(tcp6),
	CHECKSUM(udp6),
	SWITCH(lso_4, NET_OFFLOAD_LSO),
	SWITCH(lso_6, NET_OFFLOAD_LSO),
	SWITCH(rsc_4, NET_OFFLOAD_COALESCE),
	SWITCH(rsc_6, NET_OFFLOAD_COALESCE),
#undef CHECKSUM
#undef SWITCH
};

// What a guest wants on, for all protocols together: the data path looks at each frame anyway. One
// of an older revision says nothing of what came later.
static uint32_t set_offloads(struct net_card *card, const struct net_oid_buffer *value)
{
	struct ndis_offload_parameters wanted = { .object = { 0 } };
	uint32_t about = 0, on = 0;

	if (value->length < NDIS_OFFLOAD_PARAMETERS_SIZE_1)
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&wanted, value->bytes,
		value->length < sizeof(wanted) ? value->length : sizeof(wanted));
	if (wanted.object.type != NDIS_OBJECT_DEFAULT)
		return RNDIS_STATUS_INVALID_DATA;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		const uint8_t value_of = ((const uint8_t *)&wanted)[settings[i].at];

		if (value_of >= settings[i].count)
			return RNDIS_STATUS_INVALID_DATA;
		if (value_of) {
			about |= settings[i].of;
			on |= settings[i].values[value_of];
		}
	}
	if (on & ~card->config.offloads)
		return RNDIS_STATUS_NOT_SUPPORTED;
	card->offloads = (card->offloads & ~about) | on;
	return RNDIS_STATUS_SUCCESS;
}

// Finds `size` bytes at `offset` of a value. Returns NULL if they are not in it.
static const uint8_t *part(const struct net_oid_buffer *value, uint32_t offset, uint32_t size)
{
	return offset <= value->length && size <= value->length - offset ? value->bytes + offset
									 : NULL;
}

static bool take_table(struct net_card *to, const struct net_oid_buffer *value,
	const struct ndis_rss_parameters *asked)
{
	const uint8_t *table = part(value, asked->table_offset, asked->table_size);
	const uint32_t entries = asked->table_size / 4;

	if (!table || !entries || entries > NDIS_RSS_TABLE_MAX || asked->table_size % 4)
		return false;
	for (uint32_t i = 0; i < entries; i++) {
		uint32_t queue;

		memcpy(&queue, table + 4 * i, 4);
		if (queue >= to->config.queues)
			return false;
		to->table[i] = (uint8_t)queue;
	}
	to->table_entries = entries;
	return true;
}

static bool take_key(struct net_card *to, const struct net_oid_buffer *value,
	const struct ndis_rss_parameters *asked)
{
	const uint8_t *key = part(value, asked->key_offset, asked->key_size);

	if (!key || asked->key_size != sizeof(to->key))
		return false;
	memcpy(to->key, key, sizeof(to->key));
	return true;
}

// All of it, or nothing.
static uint32_t set_rss(struct net_card *card, const struct net_oid_buffer *value)
{
	struct ndis_rss_parameters asked;
	struct net_card changed = *card;

	if (value->length < sizeof(asked))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&asked, value->bytes, sizeof(asked));
	if (asked.object.type != NDIS_OBJECT_RSS_PARAMETERS)
		return RNDIS_STATUS_INVALID_DATA;
	if (!(asked.flags & NDIS_RSS_SAME_HASH))
		changed.hash = asked.hash;
	if ((!(asked.flags & NDIS_RSS_SAME_TABLE) && !take_table(&changed, value, &asked)) ||
		(!(asked.flags & NDIS_RSS_SAME_KEY) && !take_key(&changed, value, &asked)))
		return RNDIS_STATUS_INVALID_DATA;
	if (asked.flags & NDIS_RSS_DISABLE)
		changed.hash = 0;
	if (changed.hash && (!(changed.hash & NDIS_HASH_TOEPLITZ) || !changed.table_entries))
		return RNDIS_STATUS_INVALID_DATA;
	*card = changed;
	return RNDIS_STATUS_SUCCESS;
}

// --- OID_GEN_RNDIS_CONFIG_PARAMETER ---

// Returns whether UTF-16 text is this ASCII text.
static bool is_text(const uint8_t *text, uint32_t size, const char *ascii)
{
	if (size != 2 * strlen(ascii))
		return false;
	for (uint32_t i = 0; i < size; i += 2)
		if (text[i] != (uint8_t)ascii[i / 2] || text[i + 1])
			return false;
	return true;
}

// Returns the value of a hexadecimal digit in UTF-16, or 16.
static uint32_t digit(const uint8_t *text)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = text[1] || !text[0] ? NULL : strchr(digits, text[0]);

	return at ? (uint32_t)(at - digits) & 15 : 16;
}

static bool take_address(uint8_t *mac, const uint8_t *text, uint32_t size)
{
	uint8_t any = 0;

	if (size != 24)
		return false;
	for (uint32_t i = 0; i < 6; i++) {
		const uint32_t high = digit(text + 4 * i), low = digit(text + 4 * i + 2);

		if (high > 15 || low > 15)
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		any |= mac[i];
	}
	return any && !(mac[0] & 1); // one station's
}

static uint32_t set_parameter(struct net_card *card, const struct net_oid_buffer *value)
{
	struct ndis_parameter parameter;
	const uint8_t *name, *text;
	uint8_t mac[6];

	if (value->length < sizeof(parameter))
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(&parameter, value->bytes, sizeof(parameter));
	name = part(value, parameter.name_offset, parameter.name_size);
	text = part(value, parameter.value_offset, parameter.value_size);
	if (!name || !text)
		return RNDIS_STATUS_INVALID_DATA;
	if (!is_text(name, parameter.name_size, "NetworkAddress"))
		return RNDIS_STATUS_NOT_SUPPORTED;
	if (parameter.type != NDIS_PARAMETER_TEXT || !take_address(mac, text, parameter.value_size))
		return RNDIS_STATUS_INVALID_DATA;
	memcpy(card->mac, mac, sizeof(card->mac));
	return RNDIS_STATUS_SUCCESS;
}

// --- the table ---

// A number, or what writes a structure (0 bytes: not supported), or what is set; or two of them.
static const struct oid {
	uint32_t oid;
	uint32_t (*number)(const struct net_card *card);
	uint32_t (*get)(
		const struct net_card *card, const struct net_oid_buffer *asked, uint8_t *to);
	uint32_t (*set)(struct net_card *card, const struct net_oid_buffer *value);
} oids[] = {
	{ OID_GEN_HARDWARE_STATUS, zero, NULL, NULL },
	{ OID_GEN_MEDIA_SUPPORTED, zero, NULL, NULL },
	{ OID_GEN_MEDIA_IN_USE, zero, NULL, NULL },
	{ OID_GEN_MAXIMUM_LOOKAHEAD, total_size, NULL, NULL },
	{ OID_GEN_MAXIMUM_FRAME_SIZE, frame_size, NULL, NULL },
	{ OID_GEN_LINK_SPEED, link_speed, NULL, NULL },
	{ OID_GEN_VENDOR_ID, zero, NULL, NULL },
	{ OID_GEN_VENDOR_DESCRIPTION, NULL, description, NULL },
	{ OID_GEN_CURRENT_PACKET_FILTER, packet_filter, NULL, set_filter },
	{ OID_GEN_MAXIMUM_TOTAL_SIZE, total_size, NULL, NULL },
	{ OID_GEN_MAC_OPTIONS, zero, NULL, NULL },
	{ OID_GEN_MEDIA_CONNECT_STATUS, link_state, NULL, NULL },
	{ OID_GEN_RECEIVE_SCALE_CAPABILITIES, NULL, rss_capabilities, NULL },
	{ OID_GEN_RECEIVE_SCALE_PARAMETERS, NULL, NULL, set_rss },
	{ OID_GEN_RNDIS_CONFIG_PARAMETER, NULL, NULL, set_parameter },
	{ OID_GEN_XMIT_OK, frames_sent, NULL, NULL },
	{ OID_GEN_RCV_OK, frames_received, NULL, NULL },
	{ OID_GEN_XMIT_ERROR, zero, NULL, NULL },
	{ OID_GEN_RCV_ERROR, zero, NULL, NULL },
	{ OID_GEN_RCV_NO_BUFFER, frames_without_buffer, NULL, NULL },
	{ OID_802_3_PERMANENT_ADDRESS, NULL, permanent_address, NULL },
	{ OID_802_3_CURRENT_ADDRESS, NULL, current_address, NULL },
	{ OID_802_3_MAXIMUM_LIST_SIZE, list_size, NULL, NULL },
	{ OID_TCP_OFFLOAD_PARAMETERS, NULL, NULL, set_offloads },
	{ OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES, NULL, offload_capabilities, NULL },
};
_Static_assert(4 * (ARRAY_SIZE(oids) + 1) <= NET_OID_MAX, "the list of them fits");
_Static_assert(sizeof(struct ndis_offload) <= NET_OID_MAX, "offloads fit");

static const struct oid *find(uint32_t oid)
{
	for (size_t i = 0; i < ARRAY_SIZE(oids); i++)
		if (oids[i].oid == oid)
			return &oids[i];
	return NULL;
}

static uint32_t list_all(uint8_t *to)
{
	const uint32_t list = OID_GEN_SUPPORTED_LIST;

	memcpy(to, &list, 4);
	for (size_t i = 0; i < ARRAY_SIZE(oids); i++)
		memcpy(to + 4 * (i + 1), &oids[i].oid, 4);
	return 4 * (ARRAY_SIZE(oids) + 1);
}

uint32_t net_oid_query(struct net_card *card, uint32_t oid, const struct net_oid_buffer *asked,
	uint8_t *to, uint32_t *length)
{
	const struct oid *row = find(oid);
	uint32_t number;

	if (oid == OID_GEN_SUPPORTED_LIST) {
		*length = list_all(to);
	} else if (row && row->number) {
		number = row->number(card);
		memcpy(to, &number, sizeof(number));
		*length = sizeof(number);
	} else if (row && row->get) {
		*length = row->get(card, asked, to);
	}
	if (*length)
		return RNDIS_STATUS_SUCCESS;
	card->counters.refused++;
	return RNDIS_STATUS_NOT_SUPPORTED;
}

uint32_t net_oid_set(struct net_card *card, uint32_t oid, const struct net_oid_buffer *value)
{
	const struct oid *row = find(oid);
	const uint32_t status =
		row && row->set ? row->set(card, value) : RNDIS_STATUS_NOT_SUPPORTED;

	card->counters.refused += status != RNDIS_STATUS_SUCCESS;
	return status;
}
