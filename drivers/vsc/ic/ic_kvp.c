// SPDX-License-Identifier: BSD-2-Clause
// The key-value component's VSC: texts in UTF-16 become texts in UTF-8, and the kernel's answer the
// host's.
#include "base/macros.h"
#include "drivers/common/utf16.h"
#include "drivers/proto/kvp.h"
#include "drivers/vsc/ic/ic_vsc.h"

_Static_assert(LUMEN_KVP_KEY_SIZE == (KVP_KEY_UNITS - 1) * 3 + 1, "key");
_Static_assert(LUMEN_KVP_VALUE_SIZE == (KVP_VALUE_UNITS - 1) * 3 + 1, "value");
_Static_assert(LUMEN_KVP_AUTO_INTERNAL == (enum lumen_kvp_pool)KVP_POOL_AUTO_INTERNAL, "pools");
_Static_assert(LUMEN_IC_NO_MORE == IC_STATUS_NO_MORE, "answers");
_Static_assert(LUMEN_IC_NOT_SUPPORTED == IC_STATUS_NOT_SUPPORTED, "answers");

// The component's state: what the kernel is called with.
struct kvp_texts {
	char key[LUMEN_KVP_KEY_SIZE];
	char value[LUMEN_KVP_VALUE_SIZE];
};

static struct kvp_texts *kvp_texts(struct lumen_ic *ic)
{
	return (void *)ic->state;
}

// --- from the host ---

// `size` is the host's, of a text in `units` units.
static bool kvp_take_text(
	char *to, uint32_t room, const uint16_t *from, uint32_t units, uint32_t size)
{
	return size % 2 == 0 && size / 2 <= units && utf16_to_utf8(to, room, from, size / 2);
}

static bool kvp_take_key(struct lumen_ic *ic, const uint16_t *key, uint32_t size)
{
	struct kvp_texts *texts = kvp_texts(ic);

	return kvp_take_text(texts->key, sizeof(texts->key), key, KVP_KEY_UNITS, size);
}

static void kvp_put_decimal(char *to, uint64_t number)
{
	char digits[20], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memcpy(to, at, (size_t)(digits + sizeof(digits) - at));
	to[digits + sizeof(digits) - at] = 0;
}

static bool kvp_take_value(struct lumen_ic *ic, const struct kvp_pair *pair)
{
	struct kvp_texts *texts = kvp_texts(ic);
	uint32_t number32;
	uint64_t number;

	switch (pair->type) {
	case KVP_TYPE_TEXT:
		return kvp_take_text(texts->value, sizeof(texts->value), pair->value,
			KVP_VALUE_UNITS, pair->value_size);
	case KVP_TYPE_U32:
		memcpy(&number32, pair->value, sizeof(number32));
		kvp_put_decimal(texts->value, number32);
		return true;
	case KVP_TYPE_U64:
		memcpy(&number, pair->value, sizeof(number));
		kvp_put_decimal(texts->value, number);
		return true;
	default:
		return false;
	}
}

// --- to the host ---

static uint32_t kvp_put_value(struct kvp_texts *texts, struct kvp_pair *pair)
{
	texts->value[sizeof(texts->value) - 1] = 0;
	pair->type = KVP_TYPE_TEXT;
	pair->value_size = utf16_from_utf8(pair->value, KVP_VALUE_UNITS, texts->value);
	return pair->value_size ? IC_STATUS_OK : IC_STATUS_FAIL;
}

static uint32_t kvp_put_pair(struct kvp_texts *texts, struct kvp_pair *pair)
{
	texts->key[sizeof(texts->key) - 1] = 0;
	pair->key_size = utf16_from_utf8(pair->key, KVP_KEY_UNITS, texts->key);
	return pair->key_size ? kvp_put_value(texts, pair) : IC_STATUS_FAIL;
}

// --- operations: `body` is the message, long enough and aligned to 4 ---

static uint32_t kvp_get(struct lumen_ic *ic, enum lumen_kvp_pool pool, void *body)
{
	const struct lumen_kvp_handlers *handlers = ic->handlers;
	struct kvp_texts *texts = kvp_texts(ic);
	struct kvp_pair *pair = &((struct kvp_get_set *)body)->pair;
	lumen_ic_answer answer;

	if (!kvp_take_key(ic, pair->key, pair->key_size))
		return ic_refuse(ic);
	if (!handlers->get)
		return IC_STATUS_NOT_SUPPORTED;
	texts->value[0] = 0;
	answer = handlers->get(handlers->context, pool, texts->key, texts->value);
	return answer == LUMEN_IC_DONE ? kvp_put_value(texts, pair) : answer;
}

static uint32_t kvp_set(struct lumen_ic *ic, enum lumen_kvp_pool pool, void *body)
{
	const struct lumen_kvp_handlers *handlers = ic->handlers;
	const struct kvp_texts *texts = kvp_texts(ic);
	const struct kvp_pair *pair = &((const struct kvp_get_set *)body)->pair;

	if (!kvp_take_key(ic, pair->key, pair->key_size) || !kvp_take_value(ic, pair))
		return ic_refuse(ic);
	if (!handlers->set)
		return IC_STATUS_NOT_SUPPORTED;
	return handlers->set(handlers->context, pool, texts->key, texts->value);
}

static uint32_t kvp_delete(struct lumen_ic *ic, enum lumen_kvp_pool pool, void *body)
{
	const struct lumen_kvp_handlers *handlers = ic->handlers;
	const struct kvp_delete *message = body;

	if (!kvp_take_key(ic, message->key, message->key_size))
		return ic_refuse(ic);
	if (!handlers->remove)
		return IC_STATUS_NOT_SUPPORTED;
	return handlers->remove(handlers->context, pool, kvp_texts(ic)->key);
}

static uint32_t kvp_enumerate(struct lumen_ic *ic, enum lumen_kvp_pool pool, void *body)
{
	const struct lumen_kvp_handlers *handlers = ic->handlers;
	struct kvp_texts *texts = kvp_texts(ic);
	struct kvp_enumerate *message = body;
	lumen_ic_answer answer;

	if (!handlers->enumerate)
		return IC_STATUS_NOT_SUPPORTED;
	texts->key[0] = texts->value[0] = 0;
	answer = handlers->enumerate(
		handlers->context, pool, message->index, texts->key, texts->value);
	return answer == LUMEN_IC_DONE ? kvp_put_pair(texts, &message->pair) : answer;
}

static const struct {
	uint32_t size; // of the message
	uint32_t (*take)(struct lumen_ic *ic, enum lumen_kvp_pool pool, void *body);
} kvp_operations[] = {
	[KVP_GET] = { sizeof(struct kvp_get_set), kvp_get },
	[KVP_SET] = { sizeof(struct kvp_get_set), kvp_set },
	[KVP_DELETE] = { sizeof(struct kvp_delete), kvp_delete },
	[KVP_ENUMERATE] = { sizeof(struct kvp_enumerate), kvp_enumerate },
	[KVP_SET_ADDRESSES] = { 0, NULL }, // nor KVP_GET_ADDRESSES: the SDK knows of no network
};

static uint32_t kvp_take(
	struct lumen_ic *ic, uint8_t *body, uint32_t body_size, struct ic_event *event)
{
	struct kvp_header header;

	(void)event;
	memcpy(&header, body, sizeof(header));
	if (header.operation >= ARRAY_SIZE(kvp_operations) ||
		header.pool > KVP_POOL_AUTO_INTERNAL ||
		body_size < kvp_operations[header.operation].size)
		return ic_refuse(ic);
	if (!kvp_operations[header.operation].take)
		return IC_STATUS_NOT_SUPPORTED;
	return kvp_operations[header.operation].take(ic, (enum lumen_kvp_pool)header.pool, body);
}

lumen_status lumen_kvp_open(struct lumen_vmbus *bus, const struct lumen_kvp_handlers *handlers,
	struct lumen_ic **ic_out)
{
	static const struct ic_version versions[] = KVP_VERSIONS;
	static const struct ic_component component = {
		.type = KVP_GUID,
		.message = IC_MESSAGE_KVP,
		.versions = { versions, ARRAY_SIZE(versions) },
		.size = sizeof(struct kvp_header),
		.state_size = sizeof(struct kvp_texts),
		.polled = true,
		.take = kvp_take,
	};

	return ic_open(bus, &component, handlers, ic_out);
}
