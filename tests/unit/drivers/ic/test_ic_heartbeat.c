// SPDX-License-Identifier: BSD-2-Clause
// The heartbeat component's VSC: each beat comes back with the next number.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/heartbeat.h"
#include "ic_host.h"

#define REQUEST (IC_FLAG_TRANSACTION | IC_FLAG_REQUEST)

static const struct vmbus_guid guid = HEARTBEAT_GUID;
static const struct ic_version versions[] = HEARTBEAT_VERSIONS;
static struct lumen_ic *ic;

static void open_it(void)
{
	ic_host_create(&guid);
	cr_assert_eq(lumen_heartbeat_open(NULL, &ic), LUMEN_OK);
}

static void close_it(void)
{
	lumen_ic_close(ic);
	cr_assert_eq(rig.pages, 0);
}

static void beat(uint64_t sequence, uint16_t size)
{
	const struct heartbeat_message message = { .sequence = sequence };

	ic_host_message(IC_MESSAGE_HEARTBEAT, REQUEST, &message, size);
}

static uint64_t answer(void)
{
	uint64_t sequence;

	memcpy(&sequence, ic_host.body, sizeof(sequence));
	return sequence;
}

Test(heartbeat, a_beat_comes_back_with_the_next_number)
{
	open_it();
	ic_host_negotiate(versions, 2);
	beat(41, sizeof(struct heartbeat_message));
	cr_assert_eq(ic_host.header.status, IC_STATUS_OK);
	cr_assert_eq(ic_host.header.size, sizeof(struct heartbeat_message));
	cr_assert_eq(answer(), 42);
	beat(UINT64_MAX, 8);
	cr_assert_eq(answer(), 0);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
}

Test(heartbeat, a_beat_too_short_or_too_early_is_refused)
{
	open_it();
	beat(1, 40);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ic_host_negotiate(versions, 2);
	beat(1, 7);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 2);
	close_it();
}
