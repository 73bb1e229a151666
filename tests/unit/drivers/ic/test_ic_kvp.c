// SPDX-License-Identifier: BSD-2-Clause
// The key-value component's VSC: what the host asks reaches the kernel as text, in lumen_ic_poll()
// and not before, and what is no text does not.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/common/utf16.h"
#include "drivers/proto/kvp.h"
#include "ic_host.h"

#define REQUEST (IC_FLAG_TRANSACTION | IC_FLAG_REQUEST)

static const struct vmbus_guid guid = KVP_GUID;
static const struct ic_version versions[] = KVP_VERSIONS;
static struct lumen_ic *ic;

// What the kernel was called with last, and how often; and what it says.
static struct {
	uint32_t calls, index;
	enum lumen_kvp_pool pool;
	char key[LUMEN_KVP_KEY_SIZE], value[LUMEN_KVP_VALUE_SIZE];
	lumen_ic_answer answer;
} kernel;

static void note(void *context, enum lumen_kvp_pool pool, const char *key)
{
	cr_assert_eq(context, &kernel);
	kernel.calls++;
	kernel.pool = pool;
	if (key)
		strcpy(kernel.key, key);
}

static lumen_ic_answer get(void *context, enum lumen_kvp_pool pool, const char *key, char *value)
{
	note(context, pool, key);
	strcpy(value, kernel.value);
	return kernel.answer;
}

static lumen_ic_answer set(
	void *context, enum lumen_kvp_pool pool, const char *key, const char *value)
{
	note(context, pool, key);
	strcpy(kernel.value, value);
	return kernel.answer;
}

static lumen_ic_answer take_out(void *context, enum lumen_kvp_pool pool, const char *key)
{
	note(context, pool, key);
	return kernel.answer;
}

static lumen_ic_answer enumerate(
	void *context, enum lumen_kvp_pool pool, uint32_t index, char *key, char *value)
{
	note(context, pool, NULL);
	kernel.index = index;
	strcpy(key, kernel.key);
	strcpy(value, kernel.value);
	return kernel.answer;
}

static const struct lumen_kvp_handlers all = { get, set, take_out, enumerate, &kernel };

static void open_with(const struct lumen_kvp_handlers *handlers)
{
	memset(&kernel, 0, sizeof(kernel));
	ic_host_create(&guid);
	cr_assert_eq(lumen_kvp_open(NULL, handlers, &ic), LUMEN_OK);
	ic_host_negotiate(versions, 3);
	cr_assert(lumen_ic_poll(ic));
	cr_assert_eq(ic_host.sent, 1);
}

static void close_it(void)
{
	lumen_ic_close(ic);
	cr_assert_eq(rig.pages, 0);
}

// --- the host's messages ---

static union {
	struct kvp_header header;
	struct kvp_get_set get_set;
	struct kvp_enumerate enumerate;
	struct kvp_delete delete;
} message;

static void prepare(
	enum kvp_operation operation, enum kvp_pool pool, const char *key, const char *value)
{
	memset(&message, 0xff, sizeof(message)); // nothing ends by chance
	message.header = (struct kvp_header){ operation, pool, 0 };
	message.get_set.pair.type = KVP_TYPE_TEXT;
	message.get_set.pair.key_size =
		utf16_from_utf8(message.get_set.pair.key, KVP_KEY_UNITS, key);
	message.get_set.pair.value_size =
		utf16_from_utf8(message.get_set.pair.value, KVP_VALUE_UNITS, value);
}

static uint32_t ask_size(uint16_t size)
{
	const uint32_t sent = ic_host.sent;

	ic_host_message(IC_MESSAGE_KVP, REQUEST, &message, size);
	cr_assert_eq(ic_host.sent, sent); // not in the handler
	cr_assert(lumen_ic_poll(ic));
	cr_assert_eq(ic_host.sent, sent + 1);
	cr_assert_eq(ic_host.header.size, size);
	return ic_host.header.status;
}

static uint32_t ask(void)
{
	return ask_size(sizeof(message));
}

static void check_refused(void)
{
	const uint32_t bad = lumen_ic_bad_messages(ic), calls = kernel.calls;

	cr_expect_eq(ask(), IC_STATUS_FAIL);
	cr_expect_eq(lumen_ic_bad_messages(ic), bad + 1);
	cr_expect_eq(kernel.calls, calls);
}

// The pair in the response.
static void check_pair(uint32_t offset, const char *key, const char *value)
{
	char text[LUMEN_KVP_VALUE_SIZE];
	struct kvp_pair pair;

	memcpy(&pair, ic_host.body + offset, sizeof(pair));
	cr_assert_eq(pair.type, KVP_TYPE_TEXT);
	cr_assert(utf16_to_utf8(text, sizeof(text), pair.key, pair.key_size / 2));
	cr_assert_str_eq(text, key);
	cr_assert(utf16_to_utf8(text, sizeof(text), pair.value, pair.value_size / 2));
	cr_assert_str_eq(text, value);
}

Test(kvp, a_value_is_read)
{
	open_with(&all);
	prepare(KVP_GET, KVP_POOL_GUEST, "name", "");
	message.get_set.pair.value_size = UINT32_MAX; // is the guest's to fill in
	strcpy(kernel.value, "gr\xc3\xb6\xc3\x9f"
			     "e");
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_str_eq(kernel.key, "name");
	cr_assert_eq(kernel.pool, LUMEN_KVP_GUEST);
	check_pair(4, "name",
		"gr\xc3\xb6\xc3\x9f"
		"e");
	kernel.answer = LUMEN_IC_NO_MORE;
	cr_assert_eq(ask(), IC_STATUS_NO_MORE);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
}

Test(kvp, a_value_is_written)
{
	const uint64_t number = 18446744073709551615ull;

	open_with(&all);
	prepare(KVP_SET, KVP_POOL_EXTERNAL, "colour", "blue");
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_str_eq(kernel.key, "colour");
	cr_assert_str_eq(kernel.value, "blue");
	memcpy(message.get_set.pair.value, &number, sizeof(number));
	message.get_set.pair.type = KVP_TYPE_U64;
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_str_eq(kernel.value, "18446744073709551615");
	message.get_set.pair.type = KVP_TYPE_U32;
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_str_eq(kernel.value, "4294967295");
	memset(message.get_set.pair.value, 0, 4);
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_str_eq(kernel.value, "0");
	kernel.answer = LUMEN_IC_FULL;
	cr_assert_eq(ask(), LUMEN_IC_FULL);
	close_it();
}

Test(kvp, a_pair_is_taken_out)
{
	open_with(&all);
	memset(&message, 0xff, sizeof(message));
	message.header = (struct kvp_header){ KVP_DELETE, KVP_POOL_EXTERNAL, 0 };
	message.delete.key_size = utf16_from_utf8(message.delete.key, KVP_KEY_UNITS, "old");
	cr_assert_eq(ask_size(sizeof(struct kvp_delete)), IC_STATUS_OK);
	cr_assert_str_eq(kernel.key, "old");
	cr_assert_eq(ask_size(sizeof(struct kvp_delete) - 1), IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 1);
	close_it();
}

Test(kvp, pairs_are_told_one_after_the_other)
{
	open_with(&all);
	prepare(KVP_ENUMERATE, KVP_POOL_AUTO, "", "");
	message.enumerate.index = 7;
	strcpy(kernel.key, "OSName");
	strcpy(kernel.value, "Mine");
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_eq(kernel.index, 7);
	cr_assert_eq(kernel.pool, LUMEN_KVP_AUTO);
	check_pair(8, "OSName", "Mine");
	kernel.answer = LUMEN_IC_NO_MORE;
	cr_assert_eq(ask(), IC_STATUS_NO_MORE);
	close_it();
}

Test(kvp, what_the_kernel_cannot_say_is_a_failure_and_not_the_hosts)
{
	open_with(&all);
	prepare(KVP_GET, KVP_POOL_GUEST, "name", "");
	strcpy(kernel.value, "\xff");
	cr_assert_eq(ask(), IC_STATUS_FAIL);
	memset(kernel.value, 'x', KVP_VALUE_UNITS); // one more than fits
	kernel.value[KVP_VALUE_UNITS] = 0;
	cr_assert_eq(ask(), IC_STATUS_FAIL);
	kernel.value[KVP_VALUE_UNITS - 1] = 0;
	cr_assert_eq(ask(), IC_STATUS_OK);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
}

Test(kvp, what_the_kernel_has_no_function_for_is_not_supported)
{
	static const struct lumen_kvp_handlers none = { 0 };

	open_with(&none);
	for (uint8_t operation = 0; operation < KVP_SET_ADDRESSES + 1; operation++) {
		prepare((enum kvp_operation)operation, KVP_POOL_EXTERNAL, "a", "b");
		if (operation == KVP_DELETE)
			message.delete.key_size = utf16_from_utf8(message.delete.key, 2, "a");
		cr_assert_eq(ask(), IC_STATUS_NOT_SUPPORTED, "%u", operation);
	}
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
}

Test(kvp, a_text_without_end_or_too_long_is_refused)
{
	open_with(&all);
	prepare(KVP_GET, KVP_POOL_GUEST, "name", "");
	for (uint32_t size = 0; size < 10; size++) {
		message.get_set.pair.key_size = size;
		check_refused();
	}
	message.get_set.pair.key_size = sizeof(message.get_set.pair.key) + 2;
	check_refused();
	memset(message.get_set.pair.key, 'x', sizeof(message.get_set.pair.key));
	message.get_set.pair.key_size = sizeof(message.get_set.pair.key);
	check_refused();
	prepare(KVP_SET, KVP_POOL_GUEST, "name", "value");
	message.get_set.pair.value_size -= 2;
	check_refused();
	message.get_set.pair.value_size = sizeof(message.get_set.pair.value) + 2;
	check_refused();
	memset(message.get_set.pair.value, 'x', sizeof(message.get_set.pair.value));
	message.get_set.pair.value_size = sizeof(message.get_set.pair.value);
	check_refused();
	close_it();
}

Test(kvp, what_is_no_operation_pool_type_or_is_cut_short_is_refused)
{
	open_with(&all);
	prepare(KVP_SET, KVP_POOL_GUEST, "name", "value");
	message.get_set.pair.type = 2;
	check_refused();
	message.header.operation = KVP_SET_ADDRESSES + 1;
	check_refused();
	prepare(KVP_SET, KVP_POOL_AUTO_INTERNAL + 1, "name", "value");
	check_refused();
	prepare(KVP_SET, KVP_POOL_GUEST, "name", "value");
	cr_assert_eq(ask_size(3), IC_STATUS_FAIL);
	cr_assert_eq(ask_size(sizeof(struct kvp_get_set) - 1), IC_STATUS_FAIL);
	message.header.operation = KVP_ENUMERATE;
	cr_assert_eq(ask_size(sizeof(struct kvp_enumerate) - 1), IC_STATUS_FAIL);
	cr_assert_eq(kernel.calls, 0);
	cr_assert_eq(lumen_ic_bad_messages(ic), 6);
	close_it();
}
