// SPDX-License-Identifier: BSD-2-Clause
// The heartbeat component's VSP: a guest that lives, one that does not, and one that lies.
#include <criterion/criterion.h>
#include <string.h>

#include "drivers/proto/heartbeat.h"
#include "drivers/vsp/ic/components.h"
#include "ic_guest.h"

static struct heartbeat_message heard;

static void listen(void)
{
	cr_assert(receive());
	cr_assert_eq(header.type, IC_MESSAGE_HEARTBEAT);
	cr_assert_eq(header.size, sizeof(heard));
	memcpy(&heard, body, sizeof(heard));
}

Test(heartbeat, a_guest_is_asked_at_once_and_at_each_tick)
{
	ic_guest_agree(&heartbeat_component, (struct ic_version){ 3, 0 });
	for (uint64_t beat = 0; beat < 5; beat++) {
		cr_assert(vsp_poll(vsp()) & VSP_SIGNAL);
		listen();
		cr_assert_eq(heard.sequence, beat);
		heard.sequence++;
		respond(&heard, sizeof(heard));
		cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
		cr_assert_eq(ic_status(ic()), IC_STATUS_OK);
		cr_assert_eq(vsp_poll(vsp()), 0, "not before the next tick");
		move();
		vsp_tick(vsp());
	}
	cr_assert_eq(ic()->answers, 5);
	cr_assert_eq(ic()->late, 0);
}

Test(heartbeat, a_guest_that_does_not_answer_is_counted_and_asked_once)
{
	ic_guest_agree(&heartbeat_component, (struct ic_version){ 1, 0 });
	vsp_poll(vsp());
	listen();
	for (int tick = 1; tick <= 3; tick++) {
		vsp_tick(vsp());
		cr_assert_eq(vsp_poll(vsp()), 0);
		cr_assert_eq(ic()->late, tick);
	}
	cr_assert_not(receive());
	heard.sequence++;
	respond(&heard, sizeof(heard)); // late, and that is no fault
	cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
	vsp_tick(vsp());
	vsp_poll(vsp());
	listen();
	cr_assert_eq(heard.sequence, 1);
}

Test(heartbeat, an_answer_that_is_none_fails_its_exchange)
{
	ic_guest_agree(&heartbeat_component, (struct ic_version){ 3, 0 });
	for (int round = 0; round < 2; round++) {
		vsp_poll(vsp());
		listen();
		cr_assert_eq(heard.sequence, 0);
		respond(&heard, round ? sizeof(heard) : 7); // not counted on, or cut short
		cr_assert(vsp_poll(vsp()) & IC_ANSWERED);
		cr_assert_eq(ic_status(ic()), IC_STATUS_FAIL);
		vsp_tick(vsp());
	}
	cr_assert_eq(vsp()->counters.malformed, 2);
	cr_assert_null(vsp_failure(vsp()));
}
