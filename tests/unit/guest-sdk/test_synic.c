// SPDX-License-Identifier: BSD-2-Clause
// The SynIC: registers, and messages and event flags from pages that a hypervisor fills at the same
// time.
#include "machine.h"

#include "lumen/platform.h"
#include "lumen/synic.h"

static struct lumen_synic synic;
static struct hv_message taken[64];
static size_t taken_count;
static uint32_t flags[64];
static size_t flag_count;

static void take_message(void *context, const struct hv_message *message)
{
	cr_expect_eq(context, &synic);
	taken[taken_count++] = *message;
}

static void take_flag(void *context, uint32_t flag)
{
	cr_expect_eq(context, &synic);
	flags[flag_count++] = flag;
}

static const struct lumen_sint config = {
	.vector = 0x50, .message = take_message, .event = take_flag, .context = &synic
};

static void prepare(uint32_t features, uint32_t hints)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_SYNIC_REGS, features, hints);
	machine_set_msr(HV_X64_MSR_SCONTROL, 0x10);
	machine_set_msr(HV_X64_MSR_SIMP, 0x20);
	machine_set_msr(HV_X64_MSR_SIEFP, 0x40);
	machine_set_msr(HV_X64_MSR_EOM, 0);
	for (uint32_t sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		machine_set_msr(HV_X64_MSR_SINTn(sint), HV_SYNIC_SINT_MASKED);
}

static void start(void)
{
	prepare(0, 0);
	cr_assert_eq(lumen_synic_start(&synic), LUMEN_OK);
	cr_assert_eq(lumen_sint_enable(&synic, 2, &config), LUMEN_OK);
	machine_forget_writes();
}

static struct hv_message *slot(unsigned int sint)
{
	return &synic.messages->sint_message[sint];
}

// What a hypervisor does when it has a message for a free slot.
static void deliver(unsigned int sint, uint32_t type, bool more)
{
	struct hv_message *message = slot(sint);

	message->header.payload_size = 8;
	message->header.message_flags = more ? HV_MESSAGE_FLAG_PENDING : 0;
	message->payload64[0] = type * 3;
	message->header.message_type = type;
}

static size_t writes_of(uint32_t msr)
{
	size_t count = 0;

	for (size_t i = 0; i < machine_write_count; i++)
		count += machine_writes[i].msr == msr;
	return count;
}

Test(synic, pages_before_control_and_reserved_bits_preserved)
{
	prepare(0, 0);
	cr_assert_eq(lumen_synic_start(&synic), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_SIMP), (uintptr_t)synic.messages | 0x21);
	cr_expect_eq(machine_msr(HV_X64_MSR_SIEFP), (uintptr_t)synic.events | 0x41);
	cr_expect_eq(machine_msr(HV_X64_MSR_SCONTROL), 0x11);
	cr_expect_eq(machine_writes[machine_write_count - 1].msr, HV_X64_MSR_SCONTROL);
	cr_expect_eq(lumen_synic_start(&synic), LUMEN_BAD_STATE);
	cr_assert_eq(lumen_sint_enable(&synic, 2, &config), LUMEN_OK);
	lumen_synic_stop(&synic);
	cr_expect_eq(machine_msr(HV_X64_MSR_SIMP), 0x20);
	cr_expect_eq(machine_msr(HV_X64_MSR_SIEFP), 0x40);
	cr_expect_eq(machine_msr(HV_X64_MSR_SCONTROL), 0x10);
	cr_expect_eq(machine_msr(HV_X64_MSR_SINTn(2)), HV_SYNIC_SINT_MASKED);
	cr_expect_eq(machine_pages, 0);
	lumen_synic_stop(&synic); // nothing to do
}

Test(synic, errors)
{
	cr_expect_eq(lumen_synic_start(&synic), LUMEN_NO_HYPERVISOR);
	cr_expect_eq(lumen_sint_enable(&synic, 2, &config), LUMEN_BAD_STATE);
}

Test(synic, no_privilege)
{
	machine_set_hyperv(0, 0, 0);
	cr_expect_eq(lumen_synic_start(&synic), LUMEN_NO_PRIVILEGE);
}

Test(synic, no_memory)
{
	for (unsigned int left = 0; left < 2; left++) {
		prepare(0, 0);
		machine_pages_left = left;
		cr_expect_eq(lumen_synic_start(&synic), LUMEN_NO_MEMORY);
		cr_expect_eq(machine_pages, 0);
		cr_expect_null(synic.messages);
	}
	cr_expect_eq(machine_write_count, 0);
}

Test(sint, arguments)
{
	static const struct lumen_sint exception = { .vector = 15 };

	start();
	cr_expect_eq(lumen_sint_enable(&synic, 16, &config), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_sint_enable(&synic, 2, &config), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_sint_enable(&synic, 3, &exception), LUMEN_BAD_ARGUMENT);
	cr_expect(machine_interrupts);
}

static uint64_t sint_of(bool auto_eoi, uint8_t vector)
{
	struct lumen_sint one = { .vector = vector, .auto_eoi = auto_eoi };

	cr_assert_eq(lumen_synic_start(&synic), LUMEN_OK);
	cr_assert_eq(lumen_sint_enable(&synic, 5, &one), LUMEN_OK);
	return machine_msr(HV_X64_MSR_SINTn(5));
}

Test(sint, vector)
{
	prepare(0, 0);
	cr_expect_eq(sint_of(false, 0x99), 0x99);
}

Test(sint, auto_eoi)
{
	prepare(0, 0);
	cr_expect_eq(sint_of(true, 0x99), 0x99 | HV_SYNIC_SINT_AUTO_EOI);
}

Test(sint, auto_eoi_is_deprecated)
{
	prepare(0, HV_HINT_DEPRECATE_AUTO_EOI);
	cr_expect_eq(sint_of(true, 0x99), 0x99);
}

Test(sint, polled)
{
	prepare(HV_FEATURE_EDX_SINT_POLLING, 0);
	cr_expect_eq(sint_of(false, 0) & ~HV_SYNIC_SINT_VECTOR_MASK, HV_SYNIC_SINT_POLLING);
}

// Not masked all the same, with a vector that is allowed: masked SINTs get nothing.
Test(sint, polled_where_that_is_not_offered)
{
	prepare(0, 0);
	cr_expect_eq(sint_of(false, 0), LUMEN_SINT_QUIET_VECTOR);
}

Test(message, is_copied_and_its_slot_freed)
{
	start();
	cr_expect_not(lumen_sint_handle(&synic, 2));
	deliver(2, 7, false);
	cr_expect(lumen_sint_handle(&synic, 2));
	cr_assert_eq(taken_count, 1);
	cr_expect_eq(taken[0].header.message_type, 7);
	cr_expect_eq(taken[0].payload64[0], 21);
	cr_expect_eq(slot(2)->header.message_type, HvMessageTypeNone);
	cr_expect_eq(machine_write_count, 0, "nothing is queued: no EOM, no intercept");
}

static unsigned int queued;

// TLFS: EOM: the next one is put in the slot.
static void next_message(uint32_t msr, uint64_t *value)
{
	(void)value;
	if (msr != HV_X64_MSR_EOM || !queued)
		return;
	cr_expect_eq(
		slot(2)->header.message_type, HvMessageTypeNone, "EOM before the slot is free");
	queued--;
	deliver(2, 100 - queued, queued);
}

Test(message, queue_is_drained_in_order)
{
	start();
	queued = 5;
	machine_on_write = next_message;
	deliver(2, 94, true);
	cr_expect(lumen_sint_handle(&synic, 2));
	cr_assert_eq(taken_count, 6);
	cr_expect_eq(taken[0].header.message_type, 94);
	for (size_t i = 1; i < 6; i++)
		cr_expect_eq(taken[i].header.message_type, 95 + i);
	cr_expect_eq(writes_of(HV_X64_MSR_EOM), 5);
}

// The hypervisor queues a message for the slot while the one in it is being read: it sets the flag
// in a slot that is full. Here: by the time that the handler of another SINT runs.
static void set_pending(void *context, const struct hv_message *message)
{
	(void)context;
	(void)message;
	slot(2)->header.message_flags |= HV_MESSAGE_FLAG_PENDING;
	queued = 1;
}

Test(message, pending_flag_that_comes_late)
{
	static const struct lumen_sint other = { .vector = 0x51, .message = set_pending };

	start();
	cr_assert_eq(lumen_sint_enable(&synic, 1, &other), LUMEN_OK);
	machine_on_write = next_message;
	deliver(1, 5, false);
	deliver(2, 6, false);
	cr_expect(lumen_synic_poll(&synic));
	cr_expect_eq(taken_count, 2);
	cr_expect_eq(writes_of(HV_X64_MSR_EOM), 1);
}

// The host cannot make a handler read more than there is.
Test(message, size_that_is_not_true)
{
	start();
	deliver(2, 7, false);
	slot(2)->header.payload_size = 255;
	lumen_sint_handle(&synic, 2);
	cr_expect_eq(taken[0].header.payload_size, HV_MESSAGE_PAYLOAD_BYTE_COUNT);
}

Test(message, without_handler_is_dropped)
{
	static const struct lumen_sint none = { .vector = 0x52 };

	start();
	cr_assert_eq(lumen_sint_enable(&synic, 4, &none), LUMEN_OK);
	deliver(4, 7, true);
	synic.events->sint_event_flags[4].flags[3] = 0x10;
	cr_expect(lumen_sint_handle(&synic, 4));
	cr_expect_eq(slot(4)->header.message_type, HvMessageTypeNone);
	cr_expect_eq(writes_of(HV_X64_MSR_EOM), 1);
	cr_expect_eq(synic.events->sint_event_flags[4].flags[3], 0);
}

static void take_down(void *context, const struct hv_message *message)
{
	(void)message;
	taken_count++;
	lumen_sint_disable(context, 6);
}

Test(message, handler_takes_the_sint_down)
{
	static const struct lumen_sint one = {
		.vector = 0x53, .message = take_down, .context = &synic
	};

	start();
	cr_assert_eq(lumen_sint_enable(&synic, 6, &one), LUMEN_OK);
	deliver(6, 7, false);
	cr_expect(lumen_sint_handle(&synic, 6));
	deliver(6, 8, false);
	cr_expect_not(lumen_sint_handle(&synic, 6));
	cr_expect_eq(taken_count, 1);
	cr_expect_eq(machine_msr(HV_X64_MSR_SINTn(6)), HV_SYNIC_SINT_MASKED);
}

Test(event, flags_in_order_and_cleared)
{
	static const uint32_t wanted[] = { 0, 63, 64, 700, 2047 };
	struct hv_synic_event_flags *page;

	start();
	page = &synic.events->sint_event_flags[2];
	for (size_t i = 0; i < 5; i++)
		page->flags[wanted[i] / 64] |= 1ull << wanted[i] % 64;
	cr_expect(lumen_sint_handle(&synic, 2));
	cr_assert_eq(flag_count, 5);
	cr_expect_arr_eq(flags, wanted, sizeof(wanted));
	cr_expect_not(lumen_sint_handle(&synic, 2));
	cr_expect_eq(flag_count, 5);
}

// One that is set while its word is being handled is for the next time, and is not lost.
static void take_and_set(void *context, uint32_t flag)
{
	(void)context;
	if (!flag_count)
		synic.events->sint_event_flags[7].flags[0] |= 1;
	flags[flag_count++] = flag;
}

Test(event, set_again_meanwhile)
{
	static const struct lumen_sint one = { .vector = 0x54, .event = take_and_set };

	start();
	cr_assert_eq(lumen_sint_enable(&synic, 7, &one), LUMEN_OK);
	synic.events->sint_event_flags[7].flags[0] = 3;
	cr_expect(lumen_sint_handle(&synic, 7));
	cr_expect_eq(flag_count, 2);
	cr_expect(lumen_sint_handle(&synic, 7));
	cr_expect_eq(flag_count, 3);
	cr_expect_eq(flags[2], 0);
	cr_expect_not(lumen_sint_handle(&synic, 7));
}

Test(poll, default_wait_takes_what_is_there)
{
	uint32_t word = 5;

	cr_expect_not(lumen_synic_poll_this());
	start();
	deliver(2, 7, false);
	lumen_wait(&word, 4, UINT64_MAX); // is not 4: no waiting
	cr_expect_eq(taken_count, 0);
	lumen_wait(&word, 5, UINT64_MAX);
	cr_expect_eq(taken_count, 1);
	lumen_wait(&word, 5, UINT64_MAX); // returns all the same
	lumen_synic_stop(&synic);
	cr_expect_not(lumen_synic_poll_this());
}
