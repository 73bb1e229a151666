// SPDX-License-Identifier: BSD-2-Clause
// The key-value pair component: reads and changes the guest's pools, and its network addresses. An
// order's argument is KVP_ORDER(); its words are a key and a value, or an adapter and the lists of
// struct kvp_addresses, of which the addresses may be "dhcp". An order to enumerate is one for all
// the pools that have something to tell.
#include "drivers/proto/kvp.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/utf16.h"
#include "drivers/vsp/ic/backend.h"
#include "drivers/vsp/ic/components.h"

enum {
	PAIRS_MAX = 64,			  // of a pool that are asked for
	TEXT_MAX = KVP_ADDRESS_UNITS * 3, // bytes: three of UTF-8 for a unit at most
	WORDS_MAX = 4096,
};

static const struct ic_version versions[] = KVP_VERSIONS;

static uint16_t refuse(struct ic_vsp *ic, uint32_t status)
{
	ic->result = status;
	return 0;
}

// A text of the guest's: it has to end within the units that it may have.
struct text {
	const char *key; // NULL: it is one itself
	size_t offset;	 // in the message
	uint32_t units;
};

static bool take_text(const struct ic_message *message, const struct text *text, char *to)
{
	return text->offset + text->units * 2 <= message->header.size &&
	       utf16_to_utf8(to, TEXT_MAX, message->body + text->offset, text->units);
}

static bool tell(struct ic_vsp *ic, const struct ic_message *message, uint32_t pool,
	const char *key, const struct text *value)
{
	char text[TEXT_MAX];

	if (!take_text(message, value, text))
		return false;
	ic->host->pair(ic->host->context, pool, key, text);
	return true;
}

// --- one pair ---

static uint16_t pair_question(struct ic_vsp *ic, void *body)
{
	struct kvp_get_set *message = body;
	struct kvp_pair *pair = &message->pair;

	pair->key_size = utf16_from_utf8(pair->key, KVP_KEY_UNITS, ic_word(ic, 0));
	pair->value_size = utf16_from_utf8(pair->value, KVP_VALUE_UNITS, ic_word(ic, 1));
	pair->type = KVP_TYPE_TEXT;
	return pair->key_size && pair->value_size ? sizeof(*message)
						  : refuse(ic, IC_STATUS_INVALID);
}

static uint16_t delete_question(struct ic_vsp *ic, void *body)
{
	struct kvp_delete *message = body;

	message->key_size = utf16_from_utf8(message->key, KVP_KEY_UNITS, ic_word(ic, 0));
	return message->key_size ? sizeof(*message) : refuse(ic, IC_STATUS_INVALID);
}

static bool get_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	static const struct text value = { NULL, offsetof(struct kvp_get_set, pair.value),
		KVP_VALUE_UNITS };

	return tell(ic, message, ic->argument >> KVP_POOL_SHIFT, ic_word(ic, 0), &value);
}

// --- all pairs ---

static const uint8_t pools[] = { KVP_POOL_AUTO, KVP_POOL_GUEST, KVP_POOL_EXTERNAL };

enum { POOLS = ARRAY_SIZE(pools) };

// The component remembers how far it is: PAIRS_MAX for each pool.
static uint16_t enumerate_question(struct ic_vsp *ic, void *body)
{
	struct kvp_enumerate *message = body;

	if (!ic->step)
		ic->memory = 0;
	else if (ic->status == IC_STATUS_OK)
		ic->memory++;
	else if (ic->status == IC_STATUS_NO_MORE)
		ic->memory += PAIRS_MAX - ic->memory % PAIRS_MAX;
	else
		return 0;
	ic->result = IC_STATUS_OK;
	if (ic->memory >= POOLS * PAIRS_MAX)
		return 0;
	message->header.pool = pools[ic->memory / PAIRS_MAX];
	message->index = ic->memory % PAIRS_MAX;
	return sizeof(*message);
}

static bool enumerate_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	static const struct text name = { NULL, offsetof(struct kvp_enumerate, pair.key),
		KVP_KEY_UNITS };
	static const struct text value = { NULL, offsetof(struct kvp_enumerate, pair.value),
		KVP_VALUE_UNITS };
	char key[TEXT_MAX];

	return ic->memory < POOLS * PAIRS_MAX && take_text(message, &name, key) &&
	       tell(ic, message, pools[ic->memory / PAIRS_MAX], key, &value);
}

// --- addresses ---

static const struct text lists[] = {
	{ "addresses", offsetof(struct kvp_addresses, addresses), KVP_ADDRESS_UNITS },
	{ "netmasks", offsetof(struct kvp_addresses, netmasks), KVP_ADDRESS_UNITS },
	{ "gateways", offsetof(struct kvp_addresses, gateways), KVP_GATEWAY_UNITS },
	{ "name-servers", offsetof(struct kvp_addresses, name_servers), KVP_ADDRESS_UNITS },
};

enum { LISTS = ARRAY_SIZE(lists) };

static bool put_lists(struct ic_vsp *ic, struct kvp_addresses *message)
{
	const char *addresses = ic_word(ic, 1);
	bool fits = true;

	message->dhcp = !strcmp(addresses, "dhcp");
	if (message->dhcp)
		return true;
	message->family = strchr(addresses, ':') ? KVP_FAMILY_IPV6 : KVP_FAMILY_IPV4;
	for (unsigned i = 0; i < LISTS; i++)
		fits &= !!utf16_from_utf8((uint16_t *)((uint8_t *)message + lists[i].offset),
			lists[i].units, ic_word(ic, i + 1));
	return fits;
}

static uint16_t addresses_question(struct ic_vsp *ic, void *body)
{
	struct kvp_addresses *message = body;

	if (ic->dialect.message.major < KVP_ADDRESSES_MAJOR)
		return refuse(ic, IC_STATUS_NOT_SUPPORTED);
	if (!utf16_from_utf8(message->adapter, KVP_ADAPTER_UNITS, ic_word(ic, 0)) ||
		!put_lists(ic, message))
		return refuse(ic, IC_STATUS_INVALID);
	return sizeof(*message);
}

static bool addresses_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	bool good = true;

	for (unsigned i = 0; i < LISTS && good; i++)
		good = tell(ic, message, ic->argument >> KVP_POOL_SHIFT, lists[i].key, &lists[i]);
	return good;
}

// --- operations ---

static const struct operation {
	uint16_t (*question)(struct ic_vsp *ic, void *body);
	bool (*answer)(struct ic_vsp *ic, const struct ic_message *message);
	bool repeated;
} operations[] = {
	[KVP_GET] = { pair_question, get_answer, false },
	[KVP_SET] = { pair_question, NULL, false },
	[KVP_DELETE] = { delete_question, NULL, false },
	[KVP_ENUMERATE] = { enumerate_question, enumerate_answer, true },
	[KVP_GET_ADDRESSES] = { addresses_question, addresses_answer, false },
	[KVP_SET_ADDRESSES] = { addresses_question, NULL, false },
};

// NULL: a saved form may say anything.
static const struct operation *operation_of(const struct ic_vsp *ic)
{
	const uint32_t operation = ic->argument & KVP_OPERATION_MASK;

	return operation < ARRAY_SIZE(operations) ? &operations[operation] : NULL;
}

static uint16_t kvp_question(struct ic_vsp *ic, void *body)
{
	const struct operation *operation = operation_of(ic);
	struct kvp_header *header = body;

	if (!operation || (ic->step && !operation->repeated))
		return 0;
	header->operation = ic->argument & KVP_OPERATION_MASK;
	header->pool = (uint8_t)(ic->argument >> KVP_POOL_SHIFT);
	return operation->question(ic, body);
}

static bool kvp_answer(struct ic_vsp *ic, const struct ic_message *message)
{
	const struct operation *operation = operation_of(ic);

	return operation && (!operation->answer || operation->answer(ic, message));
}

const struct ic_component kvp_component = {
	.class = { IC_CLASS("kvp", KVP_GUID), IC_ORDERED },
	.type = IC_MESSAGE_KVP,
	.versions = { versions, ARRAY_SIZE(versions) },
	.body_max = sizeof(struct kvp_addresses),
	.words_max = WORDS_MAX,
	.series = true,
	.question = kvp_question,
	.answer = kvp_answer,
};
