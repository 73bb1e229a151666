// SPDX-License-Identifier: BSD-2-Clause
// The key-value pair component's VSP: what the guest is asked for each order, and guests that
// answer late, never, twice, or with garbage.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/common/utf16.h"
#include "drivers/proto/kvp.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

static const struct ic_version current = { 4, 0 };
static union {
	struct kvp_header header;
	struct kvp_get_set pair;
	struct kvp_enumerate each;
	struct kvp_delete name;
	struct kvp_addresses addresses;
} heard;

static void begin(void)
{
	ic_guest_agree(&kvp_component, current);
	cr_assert_eq(vsp_poll(vsp()), 0);
}

static bool order(uint32_t argument, const char *words, uint32_t length)
{
	return ic_begin(ic(), &(struct ic_order){ argument, 3, words, length });
}

#define ORDER(operation, pool, words) order(KVP_ORDER(operation, pool), words, sizeof(words))

static bool listen(size_t size)
{
	vsp_poll(vsp());
	if (!receive())
		return false;
	cr_assert_eq(header.type, IC_MESSAGE_KVP);
	cr_assert_eq(header.size, size);
	memcpy(&heard, body, size);
	return true;
}

// The guest answers, and the order is over.
static void ends_with(uint32_t status, uint32_t length)
{
	header.status = status;
	respond(&heard, length);
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_not(ic_asked(ic()));
}

static bool says(const uint16_t *text, uint32_t units, const char *expected)
{
	char utf8[4096];

	return utf16_to_utf8(utf8, sizeof(utf8), text, units) && !strcmp(utf8, expected);
}

Test(kvp, a_pair_is_set)
{
	begin();
	cr_assert(ORDER(KVP_SET, KVP_POOL_EXTERNAL, "colour\0gr\xc3\xbcn \xf0\x9f\x8c\xb1"));
	move();
	cr_assert(listen(sizeof(heard.pair)));
	move();
	cr_assert_eq(heard.header.operation, KVP_SET);
	cr_assert_eq(heard.header.pool, KVP_POOL_EXTERNAL);
	cr_assert_eq(heard.pair.pair.type, KVP_TYPE_TEXT);
	cr_assert_eq(heard.pair.pair.key_size, 14);
	cr_assert_eq(heard.pair.pair.value_size, 16);
	cr_assert(says(heard.pair.pair.key, KVP_KEY_UNITS, "colour"));
	cr_assert(says(heard.pair.pair.value, KVP_VALUE_UNITS, "gr\xc3\xbcn \xf0\x9f\x8c\xb1"));
	ends_with(0, sizeof(heard.pair));
	cr_assert_eq(ic_status(ic()), IC_STATUS_OK);
	cr_assert_eq(ic_guest_pairs, 0);
}

Test(kvp, a_pair_is_read_and_removed)
{
	begin();
	cr_assert(ORDER(KVP_GET, KVP_POOL_GUEST, "name"));
	cr_assert(listen(sizeof(heard.pair)));
	utf16_from_utf8(heard.pair.pair.value, KVP_VALUE_UNITS, "value");
	ends_with(0, sizeof(heard.pair));
	cr_assert_eq(ic_guest_pairs, 1);
	cr_assert_str_eq(ic_guest_pair, "1 name value");

	cr_assert(ORDER(KVP_DELETE, KVP_POOL_GUEST, "name"));
	cr_assert(listen(sizeof(heard.name)));
	cr_assert_eq(heard.header.pool, KVP_POOL_GUEST);
	cr_assert(says(heard.name.key, KVP_KEY_UNITS, "name"));
	ends_with(IC_STATUS_FAIL, sizeof(heard.name));
	cr_assert_eq(ic_status(ic()), IC_STATUS_FAIL);
}

// Answers so many questions of a pool, then says that there are no more. Returns the pool.
static uint8_t tell_pool(uint32_t count)
{
	uint8_t pool = 0;

	for (uint32_t i = 0; i <= count; i++) {
		cr_assert(listen(sizeof(heard.each)));
		cr_assert_eq(heard.header.operation, KVP_ENUMERATE);
		cr_assert_eq(heard.each.index, i);
		cr_assert(!i || heard.header.pool == pool);
		pool = heard.header.pool;
		utf16_from_utf8(heard.each.pair.key, KVP_KEY_UNITS, "OSName");
		utf16_from_utf8(heard.each.pair.value, KVP_VALUE_UNITS, "Debian");
		header.status = i < count ? IC_STATUS_OK : IC_STATUS_NO_MORE;
		respond(&heard, sizeof(heard.each));
		move();
	}
	return pool;
}

Test(kvp, all_pools_are_read)
{
	begin();
	cr_assert(order(KVP_ORDER(KVP_ENUMERATE, 0), NULL, 0));
	cr_assert_eq(tell_pool(10), KVP_POOL_AUTO);
	cr_assert_str_eq(ic_guest_pair, "2 OSName Debian");
	cr_assert_eq(tell_pool(1), KVP_POOL_GUEST);
	cr_assert_str_eq(ic_guest_pair, "1 OSName Debian");
	cr_assert_eq(tell_pool(0), KVP_POOL_EXTERNAL);
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_eq(ic_status(ic()), IC_STATUS_OK);
	cr_assert_eq(ic_guest_pairs, 11);
	cr_assert_not(ic_asked(ic()));
}

Test(kvp, a_guest_without_an_end_is_asked_so_often)
{
	unsigned questions = 0;

	begin();
	cr_assert(order(KVP_ORDER(KVP_ENUMERATE, 0), NULL, 0));
	while (listen(sizeof(heard.each))) {
		respond(&heard, sizeof(heard.each));
		questions++;
	}
	cr_assert_eq(questions, 3 * 64);
	cr_assert_not(ic_asked(ic()));
}

Test(kvp, addresses_are_set_and_read)
{
	struct kvp_addresses *told = &heard.addresses;

	begin();
	cr_assert(ORDER(KVP_SET_ADDRESSES, 0,
		"{guid}\0fe80::1;fe80::2\0"
		"64;64\0fe80::9\0"));
	cr_assert(listen(sizeof(*told)));
	cr_assert_eq(told->operation, KVP_SET_ADDRESSES);
	cr_assert_eq(told->family, KVP_FAMILY_IPV6);
	cr_assert_eq(told->dhcp, 0);
	cr_assert(says(told->adapter, KVP_ADAPTER_UNITS, "{guid}"));
	cr_assert(says(told->addresses, KVP_ADDRESS_UNITS, "fe80::1;fe80::2"));
	cr_assert(says(told->gateways, KVP_GATEWAY_UNITS, "fe80::9"));
	cr_assert(says(told->name_servers, KVP_ADDRESS_UNITS, ""));
	ends_with(0, sizeof(*told));

	cr_assert(ORDER(KVP_SET_ADDRESSES, 0, "{guid}\0dhcp"));
	cr_assert(listen(sizeof(*told)));
	cr_assert_eq(told->dhcp, 1);
	ends_with(0, sizeof(*told));

	cr_assert(ORDER(KVP_GET_ADDRESSES, KVP_POOL_AUTO, "{guid}"));
	cr_assert(listen(sizeof(*told)));
	utf16_from_utf8(told->name_servers, KVP_ADDRESS_UNITS, "10.0.0.1");
	ends_with(0, sizeof(*told));
	cr_assert_eq(ic_guest_pairs, 4);
	cr_assert_str_eq(ic_guest_pair, "2 name-servers 10.0.0.1");
}

Test(kvp, an_old_guest_is_not_asked_for_addresses)
{
	ic_guest_agree(&kvp_component, (struct ic_version){ 3, 0 });
	vsp_poll(vsp());
	cr_assert(ORDER(KVP_GET_ADDRESSES, 0, "x"));
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_eq(ic_status(ic()), IC_STATUS_NOT_SUPPORTED);
	cr_assert_not(receive());
}

Test(kvp, words_that_cannot_be_said_are_not)
{
	char key[2 * KVP_KEY_UNITS], text[5000];

	begin();
	memset(key, 'k', sizeof(key));
	key[KVP_KEY_UNITS] = 0;
	for (int i = 0; i < 3; i++) {
		cr_assert(i == 0   ? order(KVP_DELETE, key, KVP_KEY_UNITS + 1)
			  : i == 1 ? ORDER(KVP_SET, 0, "key\0\xc0\x80")
				   : ORDER(KVP_SET, 0, "\xed\xa0\x80\0v"));
		cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
		cr_assert_eq(ic_status(ic()), IC_STATUS_INVALID);
		cr_assert_not(receive());
	}
	key[KVP_KEY_UNITS - 1] = 0;
	cr_assert(order(KVP_DELETE, key, KVP_KEY_UNITS));
	cr_assert(listen(sizeof(heard.name)));
	ends_with(0, 0);
	memset(text, 0, sizeof(text));
	cr_assert_not(order(KVP_DELETE, text, sizeof(text)), "there is no room for it");
}

Test(kvp, texts_without_an_end_and_cut_answers_fail_their_exchange)
{
	begin();
	for (int i = 0; i < 4; i++) {
		cr_assert(ORDER(KVP_GET, 0, "k"));
		cr_assert(listen(sizeof(heard.pair)));
		memset(heard.pair.pair.value,
			i == 1	 ? 0xd8
			: i == 2 ? 0xdc
				 : 'x',
			sizeof(heard.pair.pair.value));
		ends_with(0, i == 3 ? sizeof(heard.pair) - 1 : sizeof(heard.pair));
		cr_assert_eq(ic_status(ic()), IC_STATUS_FAIL);
		cr_assert_eq(vsp()->counters.malformed, (uint64_t)i + 1);
	}
	cr_assert_eq(ic_guest_pairs, 0);
	cr_assert_null(vsp_failure(vsp()));
}

static bool tick(unsigned count)
{
	bool more = true;

	while (count--)
		more = vsp_tick(vsp());
	return more;
}

Test(kvp, a_guest_that_does_not_answer_has_a_deadline)
{
	begin();
	cr_assert_not(vsp_tick(vsp()), "no ticks while nobody waits");
	cr_assert(ORDER(KVP_SET, 0, "a\0b"));
	cr_assert(listen(sizeof(heard.pair)));
	cr_assert(tick(2));
	move();
	cr_assert_not(vsp_poll(vsp()) & IC_ANSWERED);
	vsp_tick(vsp());
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_eq(ic_status(ic()), IC_STATUS_TIMEOUT);
	cr_assert_eq(ic()->expired, 1);
	cr_assert_not(ic_asked(ic()));
}

Test(kvp, late_answers_and_second_ones_are_counted)
{
	struct ic_header late;

	begin();
	cr_assert(ORDER(KVP_SET, 0, "a\0b"));
	cr_assert(listen(sizeof(heard.pair)));
	late = header;
	tick(3);
	vsp_poll(vsp());
	cr_assert(ORDER(KVP_SET, 0, "c\0d"));
	cr_assert(listen(sizeof(heard.pair)));
	for (int i = 0; i < 2; i++) {
		const struct ic_header now = header;

		header = late;
		respond(&heard, sizeof(heard.pair));
		cr_assert_not(vsp_poll(vsp()) & IC_ANSWERED);
		cr_assert(ic_asked(ic()));
		header = now;
	}
	ends_with(0, sizeof(heard.pair));
	cr_assert_eq(ic_status(ic()), IC_STATUS_OK);
	respond(&heard, sizeof(heard.pair)); // twice
	cr_assert_eq(vsp_poll(vsp()), 0);
	cr_assert_eq(ic()->stray, 3);
	cr_assert_null(vsp_failure(vsp()));
}

// The ring is full, and stays so: each order ends in time.
Test(kvp, a_guest_that_does_not_read_hangs_nobody)
{
	begin();
	for (int i = 0; i < 6; i++) {
		cr_assert(order(KVP_ORDER(KVP_ENUMERATE, 0), NULL, 0));
		vsp_poll(vsp());
		tick(3);
		vsp_poll(vsp());
		cr_assert_not(ic_asked(ic()), "order %d", i);
		cr_assert_eq(ic_status(ic()), IC_STATUS_TIMEOUT);
	}
	cr_assert(ic()->out_waits);
}

// Each answer comes in time, and there are more and more of them.
Test(kvp, a_guest_that_is_slow_all_the_time_has_a_deadline)
{
	unsigned questions = 0;

	begin();
	cr_assert(order(KVP_ORDER(KVP_ENUMERATE, 0), NULL, 0));
	while (ic_asked(ic()) && listen(sizeof(heard.each))) {
		cr_assert_leq(++questions, 3);
		vsp_tick(vsp());
		header.status = IC_STATUS_OK;
		respond(&heard, sizeof(heard.each));
	}
	cr_assert_eq(ic_status(ic()), IC_STATUS_TIMEOUT);
	cr_assert_eq(questions, 3);
	cr_assert_eq(ic_guest_pairs, 2, "what has been told is told");
}

// What is in no ring yet cannot have been answered.
Test(kvp, a_guest_that_answers_what_it_cannot_have_read_loses_the_channel)
{
	begin();
	while (!ic()->out_waits) {
		cr_assert(order(KVP_ORDER(KVP_GET, 0), "a\0", 3));
		vsp_poll(vsp());
		tick(3);
		vsp_poll(vsp());
	}
	cr_assert(order(KVP_ORDER(KVP_GET, 0), "a\0", 3));
	header.type = IC_MESSAGE_KVP;
	header.transaction_id = ic()->transaction_id;
	header.status = IC_STATUS_OK;
	respond(&heard, sizeof(heard.pair));
	cr_assert(vsp_poll(vsp()) & VSP_FAILED);
	cr_assert_str_eq(vsp_failure(vsp()), "a message that answers nothing");
}
