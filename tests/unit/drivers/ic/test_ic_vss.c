// SPDX-License-Identifier: BSD-2-Clause
// The backup component's VSC: freeze and thaw, in turn; and a kernel that is let go whatever the
// host does. With it, what the components share that are taken in lumen_ic_poll().
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/vss.h"
#include "ic_host.h"

#define REQUEST (IC_FLAG_TRANSACTION | IC_FLAG_REQUEST)

static const struct vmbus_guid guid = VSS_GUID;
static const struct ic_version versions[] = VSS_VERSIONS;
static struct lumen_ic *ic;
static uint32_t frozen, thawed, asked;
static lumen_ic_answer answer;
static bool polls_itself, rescinds;

static lumen_ic_answer freeze(void *context)
{
	cr_assert_eq(context, &frozen);
	frozen++;
	if (polls_itself)
		cr_assert_not(lumen_ic_poll(ic)); // as another thread may, meanwhile
	rig.channels[0].rescinded = rescinds;
	return answer;
}

static lumen_ic_answer thaw(void *context)
{
	cr_assert_eq(context, &frozen);
	thawed++;
	return answer;
}

static lumen_ic_answer hot_backup(void *context)
{
	cr_assert_eq(context, &frozen);
	asked++;
	return answer;
}

static const struct lumen_vss_handlers handlers = { freeze, thaw, hot_backup, &frozen };

static void open_it(void)
{
	frozen = thawed = asked = 0;
	answer = LUMEN_IC_DONE;
	ic_host_create(&guid);
	cr_assert_eq(lumen_vss_open(NULL, &handlers, &ic), LUMEN_OK);
	ic_host_negotiate(versions, 3);
	cr_assert(lumen_ic_poll(ic));
	cr_assert_eq(ic_host.sent, 1);
}

static void close_it(void)
{
	lumen_ic_close(ic);
	cr_assert_eq(rig.pages, 0);
}

static void post(uint8_t operation)
{
	const struct vss_message message = { .operation = operation, .flags = 0xffffffff };

	ic_host_message(IC_MESSAGE_VSS, REQUEST, &message, sizeof(message));
}

static uint32_t ask(uint8_t operation)
{
	const uint32_t sent = ic_host.sent;

	post(operation);
	cr_assert_eq(ic_host.sent, sent);
	cr_assert(lumen_ic_poll(ic));
	cr_assert_eq(ic_host.sent, sent + 1);
	return ic_host.header.status;
}

static uint32_t flags(void)
{
	uint32_t value;

	memcpy(&value, ic_host.body + offsetof(struct vss_message, flags), sizeof(value));
	return value;
}

Test(vss, a_kernel_is_frozen_and_thawed)
{
	open_it();
	cr_assert_eq(ask(VSS_HOT_BACKUP), IC_STATUS_OK);
	cr_assert_eq(flags(), VSS_NO_AUTO_RECOVERY);
	cr_assert_eq(ask(VSS_GET_DM_INFO), IC_STATUS_OK);
	cr_assert_eq(flags(), 0);
	for (uint32_t round = 1; round <= 2; round++) {
		cr_assert_eq(ask(VSS_FREEZE), IC_STATUS_OK);
		cr_assert_eq(frozen, round);
		cr_assert_eq(thawed, round - 1);
		cr_assert_eq(ask(VSS_THAW), IC_STATUS_OK);
		cr_assert_eq(thawed, round);
	}
	cr_assert_eq(ask(VSS_BACKUP_COMPLETE), IC_STATUS_OK);
	cr_assert_eq(asked, 1);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
	cr_assert_eq(thawed, 2);
}

Test(vss, out_of_turn_is_refused_and_counted)
{
	open_it();
	cr_assert_eq(ask(VSS_THAW), IC_STATUS_OK); // of what it has no answer to
	cr_assert_eq(ask(VSS_FREEZE), IC_STATUS_OK);
	cr_assert_eq(ask(VSS_FREEZE), IC_STATUS_FAIL);
	cr_assert_eq(frozen, 1);
	cr_assert_eq(thawed, 0);
	cr_assert_eq(ask(VSS_AUTO_RECOVER + 1), IC_STATUS_FAIL);
	cr_assert_eq(ask(0xff), IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 3);
	close_it();
	cr_assert_eq(thawed, 1);
}

Test(vss, what_linux_does_not_do_either_is_not_supported)
{
	open_it();
	cr_assert_eq(ask(VSS_CREATE), IC_STATUS_NOT_SUPPORTED);
	cr_assert_eq(ask(VSS_DELETE), IC_STATUS_NOT_SUPPORTED);
	cr_assert_eq(ask(VSS_AUTO_RECOVER), IC_STATUS_NOT_SUPPORTED);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
}

Test(vss, a_freeze_that_failed_needs_no_thaw)
{
	open_it();
	answer = LUMEN_IC_FAILED;
	cr_assert_eq(ask(VSS_FREEZE), IC_STATUS_FAIL);
	cr_assert_eq(ask(VSS_HOT_BACKUP), IC_STATUS_FAIL);
	cr_assert_eq(lumen_ic_bad_messages(ic), 0);
	close_it();
	cr_assert_eq(thawed, 0);
}

Test(vss, a_message_cut_short_is_refused)
{
	const struct vss_message message = { .operation = VSS_HOT_BACKUP };

	open_it();
	ic_host_message(IC_MESSAGE_VSS, REQUEST, &message, 11); // no room for the flags
	lumen_ic_poll(ic);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	ic_host_message(IC_MESSAGE_VSS, REQUEST, &message, 7);
	lumen_ic_poll(ic);
	cr_assert_eq(ic_host.header.status, IC_STATUS_FAIL);
	cr_assert_eq(asked, 0);
	cr_assert_eq(lumen_ic_bad_messages(ic), 2);
	close_it();
}

Test(vss, a_host_that_begins_anew_thaws)
{
	open_it();
	ask(VSS_FREEZE);
	ic_host_negotiate(versions, 3);
	cr_assert(lumen_ic_poll(ic));
	cr_assert_eq(thawed, 1);
	cr_assert_eq(ask(VSS_FREEZE), IC_STATUS_OK);
	close_it();
	cr_assert_eq(thawed, 2);
}

Test(vss, a_host_that_is_gone_thaws_once)
{
	open_it();
	ask(VSS_FREEZE);
	rig.channels[0].rescinded = true;
	ic_host_signal();
	cr_assert_eq(thawed, 0); // not in the handler
	cr_assert_not(lumen_ic_poll(ic));
	cr_assert_not(lumen_ic_poll(ic));
	cr_assert_eq(lumen_ic_status(ic), LUMEN_RESCINDED);
	cr_assert_eq(thawed, 1);
	close_it();
	cr_assert_eq(thawed, 1);
}

Test(vss, a_host_that_goes_while_the_kernel_freezes_thaws_it)
{
	open_it();
	rescinds = true;
	post(VSS_FREEZE);
	lumen_ic_poll(ic);
	cr_assert_eq(frozen, 1);
	cr_assert_eq(thawed, 1);
	cr_assert_eq(ic_host.sent, 1);
	close_it();
	cr_assert_eq(thawed, 1);
}

Test(polled, one_who_polls_while_another_is_at_it_finds_nothing)
{
	open_it();
	polls_itself = true;
	cr_assert_eq(ask(VSS_FREEZE), IC_STATUS_OK);
	cr_assert_eq(frozen, 1);
	cr_assert_eq(ask(VSS_THAW), IC_STATUS_OK); // and signals come again
	close_it();
}

Test(polled, there_is_no_sleep_while_something_waits)
{
	open_it();
	lumen_ic_wait(ic, 0);
	cr_assert_eq(rig.slept, 1);
	post(VSS_HOT_BACKUP);
	lumen_ic_wait(ic, 0);
	cr_assert_eq(rig.slept, 1);
	cr_assert(lumen_ic_poll(ic));
	lumen_ic_wait(ic, 0);
	cr_assert_eq(rig.slept, 2);
	cr_assert_not(lumen_ic_poll(ic));
	close_it();
}

Test(polled, an_answer_waits_for_room)
{
	open_it();
	rig.full = true;
	post(VSS_FREEZE);
	lumen_ic_poll(ic);
	lumen_ic_poll(ic);
	cr_assert_eq(frozen, 1);
	cr_assert_eq(ic_host.sent, 1);
	rig.full = false;
	ic_host_signal();
	lumen_ic_poll(ic);
	cr_assert_eq(ic_host.sent, 2);
	cr_assert_eq(frozen, 1);
	close_it();
}
