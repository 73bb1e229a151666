// SPDX-License-Identifier: BSD-2-Clause
// The backup component's VSP: freeze and thaw, and guests that cannot, will not, or do it too late.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/vss.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

static struct vss_message heard;

static void order(uint32_t operation)
{
	cr_assert(ic_begin(ic(), &(struct ic_order){ .argument = operation, .patience = 2 }));
}

static void begin(uint32_t operation)
{
	ic_guest_agree(&vss_component, (struct ic_version){ 5, 0 });
	vsp_poll(vsp());
	order(operation);
}

static void listen(uint8_t operation)
{
	vsp_poll(vsp());
	cr_assert(receive());
	cr_assert_eq(header.type, IC_MESSAGE_VSS);
	cr_assert_eq(header.size, sizeof(heard));
	memcpy(&heard, body, sizeof(heard));
	cr_assert_eq(heard.operation, operation);
}

static void answer(uint32_t status)
{
	header.status = status;
	respond(&heard, sizeof(heard));
	move();
}

static void ends(uint32_t status)
{
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	cr_assert_eq(ic_status(ic()), status);
	cr_assert_not(ic_asked(ic()));
	cr_assert_not(receive());
}

Test(vss, a_guest_is_frozen_and_thawed)
{
	begin(VSS_FREEZE);
	move();
	listen(VSS_HOT_BACKUP);
	answer(IC_STATUS_OK);
	listen(VSS_FREEZE);
	answer(IC_STATUS_OK);
	ends(IC_STATUS_OK);
	order(VSS_THAW);
	listen(VSS_THAW);
	answer(IC_STATUS_OK);
	ends(IC_STATUS_OK);
}

Test(vss, a_guest_that_cannot_be_copied_is_not_frozen)
{
	begin(VSS_FREEZE);
	listen(VSS_HOT_BACKUP);
	answer(IC_STATUS_NOT_SUPPORTED);
	ends(IC_STATUS_NOT_SUPPORTED);
}

Test(vss, a_guest_that_has_not_frozen_is_thawed)
{
	begin(VSS_FREEZE);
	listen(VSS_HOT_BACKUP);
	answer(IC_STATUS_OK);
	listen(VSS_FREEZE);
	answer(IC_STATUS_FAIL);
	listen(VSS_THAW);
	answer(IC_STATUS_OK);
	ends(IC_STATUS_FAIL);
	cr_assert(ic_refused(ic()), "it is the guest who failed, wherever its answer was heard");
}

Test(vss, a_guest_that_freezes_too_late_is_thawed)
{
	struct ic_header late;

	begin(VSS_FREEZE);
	listen(VSS_HOT_BACKUP);
	answer(IC_STATUS_OK);
	listen(VSS_FREEZE);
	late = header;
	vsp_tick(vsp());
	move();
	vsp_tick(vsp());
	listen(VSS_THAW);
	header = late;
	answer(IC_STATUS_OK);
	vsp_poll(vsp());
	cr_assert_eq(ic()->stray, 1);
	cr_assert(ic_asked(ic()), "it is to thaw");
	header.transaction_id++;
	answer(IC_STATUS_OK);
	ends(IC_STATUS_TIMEOUT);
}

Test(vss, what_is_given_up_is_thawed)
{
	begin(VSS_FREEZE);
	ic()->patience = 86400;
	listen(VSS_HOT_BACKUP);
	answer(IC_STATUS_OK);
	listen(VSS_FREEZE);
	ic_cancel(ic());
	cr_assert(vsp_poll(vsp()) & IC_LATE, "who waits is told so, before it is over");
	cr_assert(ic_asked(ic()));
	listen(VSS_THAW);
	move();
	for (unsigned tick = 0; tick < IC_UNDO_TICKS; tick++)
		cr_assert(vsp_tick(vsp()));
	ends(IC_STATUS_TIMEOUT);
	ic_cancel(ic()); // of nothing
	cr_assert_eq(vsp_poll(vsp()), 0);
}

Test(vss, what_is_given_up_before_the_freeze_needs_no_thaw)
{
	begin(VSS_FREEZE);
	listen(VSS_HOT_BACKUP);
	ic_cancel(ic());
	ends(IC_STATUS_TIMEOUT);
	order(VSS_THAW);
	listen(VSS_THAW);
	answer(IC_STATUS_OK);
	ends(IC_STATUS_OK);
}

Test(vss, a_guest_that_never_answers_ends_the_order)
{
	begin(VSS_FREEZE);
	listen(VSS_HOT_BACKUP);
	vsp_tick(vsp());
	vsp_tick(vsp());
	ends(IC_STATUS_TIMEOUT);
	order(VSS_THAW);
	listen(VSS_THAW);
	vsp_tick(vsp());
	vsp_tick(vsp());
	ends(IC_STATUS_TIMEOUT);
}

// Whoever has ordered it has been told that it did not come about: then it must not.
Test(vss, the_order_has_a_deadline_and_not_each_answer)
{
	begin(VSS_FREEZE);
	listen(VSS_HOT_BACKUP);
	vsp_tick(vsp());
	answer(IC_STATUS_OK);
	listen(VSS_FREEZE);
	vsp_tick(vsp());
	cr_assert(vsp_poll(vsp()) & IC_LATE, "at once, and not when it has thawed");
	cr_assert_eq(ic_status(ic()), IC_STATUS_TIMEOUT);
	move();
	listen(VSS_THAW);
	cr_assert_not(ic_begin(ic(), &(struct ic_order){ .argument = VSS_FREEZE, .patience = 2 }));
	vsp_tick(vsp());
	cr_assert(ic_asked(ic()), "to thaw has its own time");
	answer(IC_STATUS_OK);
	ends(IC_STATUS_TIMEOUT);
}
