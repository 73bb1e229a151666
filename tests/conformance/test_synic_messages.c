// SPDX-License-Identifier: BSD-2-Clause
// How messages arrive: the slot in the SIM page, the interrupt, the flag that says that more are
// queued, and the three things that bring the next one. The messages are those of synthetic timers,
// the only ones that a partition can cause without another partition; several timers that have
// expired queue for one SINT. The order among timers is not defined, so that no test asks for it.
#include "tests/conformance/synthetic.h"

#define VECTOR	     0x51
#define OTHER_VECTOR 0x61
#define SINT	     3

static void post(unsigned int timer, unsigned int sint)
{
	stimer_start(timer, STIMER_SINT(sint), STIMER_PAST);
}

static slot_t *slot_at(const struct synic_pages *synic, unsigned int sint)
{
	return &synic->messages->sint_message[sint];
}

static void expect_message(slot_t *slot)
{
	EXPECT(WAIT(slot_full(slot), SLOW_MS), "no message has come");
	EXPECT_EQ(slot->header.message_type, HvMessageTypeTimerExpired, "message type");
}

static void expect_quiet(slot_t *slot)
{
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(slot), "a message of type 0x%x has come", slot->header.message_type);
}

// A slot is taken by timer 0's message, and timer 1's is queued behind it.
static void make_queue(slot_t *slot)
{
	post(0, SINT);
	expect_message(slot);
	post(1, SINT);
	EXPECT(WAIT(slot->header.message_flags & HV_MESSAGE_FLAG_PENDING, SLOW_MS),
		"MessagePending is not set in the slot that is in use");
	EXPECT_EQ(timer_payload(slot).timer_index, 0, "timer of the message in the slot");
}

static bool sint_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "SynIC messages: SINT%u", row);
	return row > 0; // timers cannot send to SINT 0
}

TEST(message_slot, "its message is in its slot, with one interrupt", "SIM Page",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_SINT_COUNT, .row_name = sint_row_name)
{
	struct synic_pages synic = synic_enable();

	sint_set(row, VECTOR, 0);
	interrupts_on();
	post(0, row);
	expect_message(slot_at(&synic, row));
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "no interrupt has come");
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
	for (unsigned int i = 0; i < HV_SYNIC_SINT_COUNT; i++)
		EXPECT(i == row || !slot_full(slot_at(&synic, i)), "SINT%u has a message too", i);
}

TEST(message_header, "SynIC messages: the header of a timer's message", "HV_MESSAGE_HEADER",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	post(2, SINT);
	expect_message(slot);
	EXPECT_EQ(
		slot->header.payload_size, sizeof(struct hv_timer_message_payload), "payload size");
	EXPECT_EQ(slot->header.message_flags, 0, "message flags");
}

TEST(message_masked, "SynIC messages: to a masked SINT come without interrupt", "SynIC Messages",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	wrmsr(HV_X64_MSR_SINTn(SINT), HV_SYNIC_SINT_MASKED | VECTOR);
	interrupts_on();
	post(0, SINT);
	expect_message(slot_at(&synic, SINT));
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
}

TEST(message_polling, "SynIC messages: to a polled SINT come without interrupt", "SINTx Registers",
	.privileges = NEEDS_STIMER, .edx = HV_FEATURE_EDX_SINT_POLLING)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, HV_SYNIC_SINT_POLLING);
	interrupts_on();
	post(0, SINT);
	expect_message(slot_at(&synic, SINT));
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
}

TEST(message_no_interrupts, "SynIC messages: come while the VP has interrupts off",
	"SynIC Messages", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	stimer_start(0, STIMER_SINT(SINT), reference_time() + 2 * MS_100NS);
	expect_message(slot_at(&synic, SINT));
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts before they are on");
	EXPECT(WAIT(requested(VECTOR), SLOW_MS), "the vector's bit in the IRR is not set");
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
}

TEST(message_pending_flag, "SynIC messages: a slot in use gets MessagePending and is kept",
	"SynIC Messages, HV_MESSAGE_FLAGS", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	struct hv_timer_message_payload first, again;

	sint_set(SINT, VECTOR, 0);
	post(0, SINT);
	expect_message(slot);
	first = timer_payload(slot);
	post(1, SINT);
	EXPECT(WAIT(slot->header.message_flags & HV_MESSAGE_FLAG_PENDING, SLOW_MS),
		"MessagePending is not set");
	again = timer_payload(slot);
	EXPECT_EQ(again.timer_index, first.timer_index, "timer of the message in the slot");
	EXPECT_EQ(again.delivery_time, first.delivery_time, "its delivery time");
	EXPECT_EQ(slot->header.payload_size, sizeof(first), "its payload size");
}

TEST(message_eom, "SynIC messages: EOM brings the next one, with an interrupt", "EOM Register",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	make_queue(slot);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts before EOM");
	slot->header.message_type = HvMessageTypeNone;
	wrmsr(HV_X64_MSR_EOM, 0);
	expect_message(slot);
	EXPECT_EQ(timer_payload(slot).timer_index, 1, "timer of the second message");
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 2, "interrupts after EOM");
}

static slot_t *handler_slot;

static void release_and_eoi(unsigned int vector)
{
	handler_slot->header.message_type = HvMessageTypeNone;
	(void)vector;
	apic_eoi();
}

// TLFS: Recommended Message Handling has no EOM.
TEST(message_eoi, "SynIC messages: the APIC's EOI brings the next one", "SynIC Messages",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	handler_slot = slot_at(&synic, SINT);
	interrupt_set_handler(VECTOR, release_and_eoi);
	sint_set(SINT, VECTOR, 0);
	make_queue(handler_slot);
	interrupts_on();
	EXPECT(WAIT(interrupt_count(0, VECTOR) == 2, SLOW_MS), "%u interrupts instead of 2",
		interrupt_count(0, VECTOR));
	interrupts_off();
}

TEST(message_eom_busy, "SynIC messages: EOM leaves a slot that is in use alone", "EOM Register",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	make_queue(slot);
	for (int i = 0; i < 5; i++)
		wrmsr(HV_X64_MSR_EOM, 0);
	pass_ms(QUIET_MS);
	EXPECT_EQ(timer_payload(slot).timer_index, 0, "timer of the message in the slot");
	EXPECT(slot->header.message_flags & HV_MESSAGE_FLAG_PENDING, "MessagePending is clear");
	slot_release(slot);
	expect_message(slot);
	EXPECT_EQ(timer_payload(slot).timer_index, 1, "timer of the second message");
}

TEST(message_queue_all, "SynIC messages: all that queue for a SINT arrive, each once",
	"SynIC Messages", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	unsigned int seen = 0;

	sint_set(SINT, VECTOR, 0);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		post(timer, SINT);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		uint32_t index;

		expect_message(slot);
		index = timer_payload(slot).timer_index;
		EXPECT(index < HV_SYNIC_STIMER_COUNT && !(seen & 1u << index),
			"timer %u again, or none at all", index);
		seen |= 1u << index;
		// The flag may be set a moment after the message is there: EOM in any case.
		slot->header.message_type = HvMessageTypeNone;
		wrmsr(HV_X64_MSR_EOM, 0);
	}
	expect_quiet(slot);
}

TEST(message_last, "SynIC messages: the last one has no MessagePending", "HV_MESSAGE_FLAGS",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	make_queue(slot);
	slot_release(slot);
	expect_message(slot);
	EXPECT_EQ(slot->header.message_flags & HV_MESSAGE_FLAG_PENDING, 0, "MessagePending");
}

TEST(message_independent, "SynIC messages: a SINT in use does not hold up another",
	"SynIC Messages", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	sint_set(SINT + 1, OTHER_VECTOR, 0);
	make_queue(slot_at(&synic, SINT));
	post(2, SINT + 1);
	expect_message(slot_at(&synic, SINT + 1));
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, OTHER_VECTOR), 1, "interrupts of the other SINT");
}

TEST(message_drain_masked, "SynIC messages: EOM drains a SINT that has been masked", "EOM Register",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	make_queue(slot);
	interrupts_take();
	wrmsr(HV_X64_MSR_SINTn(SINT), HV_SYNIC_SINT_MASKED | VECTOR);
	slot_release(slot);
	expect_message(slot);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts, all from before the mask");
}

TEST(message_page_off, "SynIC messages: wait while the SIM page is disabled", "SynIC Messages",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	uint64_t simp = rdmsr(HV_X64_MSR_SIMP);

	sint_set(SINT, VECTOR, 0);
	wrmsr(HV_X64_MSR_SIMP, 0);
	interrupts_on();
	post(0, SINT);
	expect_quiet(slot);
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts without a page");
	wrmsr(HV_X64_MSR_SIMP, simp);
	wrmsr(HV_X64_MSR_EOM, 0);
	expect_message(slot);
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "no interrupt has come");
	interrupts_off();
}

TEST(message_synic_off, "SynIC messages: none come while SCONTROL.Enable is clear",
	"SCONTROL Register", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	wrmsr(HV_X64_MSR_SCONTROL, 0);
	interrupts_on();
	post(0, SINT);
	expect_quiet(slot_at(&synic, SINT));
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
	stimer_stop(0);
}

TEST(message_page_moved, "SynIC messages: go to where the SIM page is now", "SIMP Register",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	volatile struct hv_message_page *moved = page_get();

	sint_set(SINT, VECTOR, 0);
	wrmsr(HV_X64_MSR_SIMP, gpa_of((void *)moved) | HV_X64_MSR_PAGE_ENABLE);
	post(0, SINT);
	expect_message(&moved->sint_message[SINT]);
	EXPECT(!slot_full(slot_at(&synic, SINT)), "memory at the old place has been written");
}

TEST(message_new_vector, "SynIC messages: use the SINT's vector of the moment", "SINTx Registers",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	make_queue(slot);
	interrupts_take();
	sint_set(SINT, OTHER_VECTOR, 0);
	slot_release(slot);
	expect_message(slot);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts with the old vector");
	EXPECT_EQ(interrupt_count(0, OTHER_VECTOR), 1, "interrupts with the new vector");
}

TEST(message_shared_vector, "SynIC messages: two SINTs may share a vector", "SINTx Registers",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	sint_set(SINT + 1, VECTOR, 0);
	for (unsigned int i = 0; i < 2; i++) {
		post(i, SINT + i);
		expect_message(slot_at(&synic, SINT + i));
		interrupts_take();
		EXPECT_EQ(interrupt_count(0, VECTOR), i + 1, "interrupts");
	}
}

TEST(message_shared_mask, "SynIC messages: masking one SINT leaves another's vector alone",
	"SINTx Registers", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	sint_set(SINT + 1, VECTOR, 0);
	wrmsr(HV_X64_MSR_SINTn(SINT), HV_SYNIC_SINT_MASKED | VECTOR);
	post(0, SINT + 1);
	expect_message(slot_at(&synic, SINT + 1));
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
}

struct two_vps {
	struct synic_pages pages;
	bool ready, stop;
};

static void receive_on_vp1(void *argument)
{
	struct two_vps *two = argument;

	two->pages = synic_enable();
	sint_set(SINT, OTHER_VECTOR, 0);
	interrupts_on();
	__atomic_store_n(&two->ready, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&two->stop, __ATOMIC_SEQ_CST))
		__builtin_ia32_pause();
	interrupts_off();
}

TEST(message_own_vp, "SynIC messages: come to the VP that they are for", "SynIC Messages",
	.privileges = NEEDS_STIMER, .vps = 2)
{
	static struct two_vps two;
	struct synic_pages synic = synic_enable();

	two = (struct two_vps){ 0 };
	sint_set(SINT, VECTOR, 0);
	vp_start(1, receive_on_vp1, &two);
	EXPECT(WAIT(__atomic_load_n(&two.ready, __ATOMIC_SEQ_CST), SLOW_MS), "VP 1 is not ready");
	interrupts_on();
	post(0, SINT);
	expect_message(slot_at(&synic, SINT));
	EXPECT(WAIT(interrupt_count(0, VECTOR), SLOW_MS), "no interrupt has come");
	interrupts_off();
	__atomic_store_n(&two.stop, true, __ATOMIC_SEQ_CST);
	vp_wait(1);
	EXPECT(!slot_full(slot_at(&two.pages, SINT)), "VP 1 has got a message");
	EXPECT_EQ(interrupt_count(1, VECTOR) + interrupt_count(1, OTHER_VECTOR), 0,
		"interrupts on VP 1");
	EXPECT_EQ(interrupt_count(0, OTHER_VECTOR), 0, "interrupts with VP 1's vector on VP 0");
}

static void post_and_take(void *argument)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	unsigned int vp = this_vp();

	(void)argument;
	sint_set(SINT, VECTOR + vp, 0);
	interrupts_on();
	for (unsigned int i = 0; i < 10; i++) {
		post(i % HV_SYNIC_STIMER_COUNT, SINT);
		expect_message(slot);
		EXPECT_EQ(timer_payload(slot).timer_index, i % HV_SYNIC_STIMER_COUNT, "timer");
		slot_release(slot);
		EXPECT(WAIT(interrupt_count(vp, VECTOR + vp) == i + 1, SLOW_MS),
			"VP %u has got %u interrupts instead of %u", vp,
			interrupt_count(vp, VECTOR + vp), i + 1);
	}
	interrupts_off();
}

TEST(message_all_vps, "SynIC messages: VPs do not disturb each other", "SynIC Messages",
	.privileges = NEEDS_STIMER, .vps = 2)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, post_and_take, NULL);
	post_and_take(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}
