// SPDX-License-Identifier: BSD-2-Clause
// The interrupts of SINTs: priorities, masking by the processor, in-service bits with and without
// AutoEOI. A timer's message is the cause of each.
#include "tests/conformance/synthetic.h"

#define LOW	 0x41
#define MIDDLE	 0x61
#define HIGH	 0x81
#define LOW_SINT 4

static struct {
	bool in_service, low_requested;
	unsigned int order[4], count;
} seen;

static void cause(unsigned int timer, unsigned int sint, const struct synic_pages *synic)
{
	stimer_start(timer, STIMER_SINT(sint), STIMER_PAST);
	EXPECT(WAIT(slot_full(&synic->messages->sint_message[sint]), SLOW_MS),
		"no message has come at SINT%u", sint);
}

static void look_no_eoi(unsigned int vector)
{
	seen.in_service = in_service(vector);
}

static void look_and_eoi(unsigned int vector)
{
	seen.in_service = in_service(vector);
	seen.order[seen.count++ % 4] = vector;
	apic_eoi();
}

TEST(interrupt_in_service, "SynIC interrupts: are in service until the EOI", "SINTx Registers",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	interrupt_set_handler(LOW, look_and_eoi);
	sint_set(LOW_SINT, LOW, 0);
	cause(0, LOW_SINT, &synic);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, LOW), 1, "interrupts");
	EXPECT(seen.in_service, "the vector's bit in the ISR is not set in the handler");
	EXPECT(!in_service(LOW), "the vector's bit in the ISR is set after the EOI");
}

TEST(interrupt_auto_eoi, "SynIC interrupts: with AutoEOI are not in service", "SINTx Registers",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	if (has_hint(HV_HINT_DEPRECATE_AUTO_EOI))
		SKIP("the hypervisor deprecates AutoEOI");
	seen.in_service = true;
	interrupt_set_handler(LOW, look_no_eoi);
	sint_set(LOW_SINT, LOW, HV_SYNIC_SINT_AUTO_EOI);
	cause(0, LOW_SINT, &synic);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, LOW), 1, "interrupts");
	EXPECT(!seen.in_service, "the vector's bit in the ISR is set in the handler");
}

TEST(interrupt_auto_eoi_next, "SynIC interrupts: with AutoEOI need no EOI before the next",
	"SINTx Registers", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = &synic.messages->sint_message[LOW_SINT];

	if (has_hint(HV_HINT_DEPRECATE_AUTO_EOI))
		SKIP("the hypervisor deprecates AutoEOI");
	interrupt_set_handler(LOW, look_no_eoi);
	sint_set(LOW_SINT, LOW, HV_SYNIC_SINT_AUTO_EOI);
	for (unsigned int i = 1; i <= 5; i++) {
		cause(i % HV_SYNIC_STIMER_COUNT, LOW_SINT, &synic);
		interrupts_take();
		EXPECT_EQ(interrupt_count(0, LOW), i, "interrupts");
		slot_release(slot);
	}
}

TEST(interrupt_without_eoi, "SynIC interrupts: a missing EOI holds up the next", "SINTx Registers",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = &synic.messages->sint_message[LOW_SINT];

	interrupt_set_handler(LOW, look_no_eoi);
	sint_set(LOW_SINT, LOW, 0);
	cause(0, LOW_SINT, &synic);
	interrupts_take();
	slot_release(slot);
	cause(1, LOW_SINT, &synic);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, LOW), 1, "interrupts before the EOI");
	apic_eoi();
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, LOW), 2, "interrupts after the EOI");
	apic_eoi();
}

TEST(interrupt_priority, "SynIC interrupts: the higher vector is taken first", "SynIC Messages",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	seen.count = 0;
	interrupt_set_handler(LOW, look_and_eoi);
	interrupt_set_handler(MIDDLE, look_and_eoi);
	interrupt_set_handler(HIGH, look_and_eoi);
	sint_set(LOW_SINT, LOW, 0);
	sint_set(LOW_SINT + 1, HIGH, 0);
	sint_set(LOW_SINT + 2, MIDDLE, 0);
	for (unsigned int i = 0; i < 3; i++)
		cause(i, LOW_SINT + i, &synic);
	interrupts_on();
	EXPECT(WAIT(seen.count == 3, SLOW_MS), "%u interrupts instead of 3", seen.count);
	interrupts_off();
	EXPECT_EQ(seen.order[0], HIGH, "the first vector");
	EXPECT_EQ(seen.order[1], MIDDLE, "the second vector");
	EXPECT_EQ(seen.order[2], LOW, "the third vector");
}

static void allow_nesting(unsigned int vector)
{
	interrupts_on();
	for (int i = 0; i < 100; i++)
		__builtin_ia32_pause();
	interrupts_off();
	seen.order[seen.count++ % 4] = vector;
	apic_eoi();
}

TEST(interrupt_nesting, "SynIC interrupts: a lower vector waits for the higher one's EOI",
	"SynIC Messages", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	seen.count = 0;
	interrupt_set_handler(LOW, look_and_eoi);
	interrupt_set_handler(HIGH, allow_nesting);
	sint_set(LOW_SINT, LOW, 0);
	sint_set(LOW_SINT + 1, HIGH, 0);
	cause(0, LOW_SINT, &synic);
	cause(1, LOW_SINT + 1, &synic);
	interrupts_on();
	EXPECT(WAIT(seen.count == 2, SLOW_MS), "%u interrupts instead of 2", seen.count);
	interrupts_off();
	EXPECT_EQ(seen.order[0], HIGH, "what ended first");
}

TEST(interrupt_tpr, "SynIC interrupts: wait while the task priority is as high", "SynIC Messages",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(LOW_SINT, MIDDLE, 0);
	sint_set(LOW_SINT + 1, HIGH, 0);
	apic_write(APIC_PAGE_TPR, MIDDLE & 0xf0);
	interrupts_on();
	cause(0, LOW_SINT, &synic);
	cause(1, LOW_SINT + 1, &synic);
	EXPECT(WAIT(interrupt_count(0, HIGH), SLOW_MS), "the interrupt above the TPR is missing");
	pass_ms(QUIET_MS);
	EXPECT_EQ(interrupt_count(0, MIDDLE), 0, "interrupts of the TPR's priority");
	apic_write(APIC_PAGE_TPR, 0);
	EXPECT(WAIT(interrupt_count(0, MIDDLE), SLOW_MS), "the interrupt is lost");
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, MIDDLE) + interrupt_count(0, HIGH), 2, "interrupts");
}

TEST(interrupt_lost, "SynIC interrupts: are lost while the APIC is software-disabled",
	"SynIC Messages", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	uint32_t svr = apic_read(APIC_PAGE_SVR);

	sint_set(LOW_SINT, LOW, 0);
	apic_write(APIC_PAGE_SVR, svr & ~0x100u);
	cause(0, LOW_SINT, &synic);
	apic_write(APIC_PAGE_SVR, svr);
	interrupts_on();
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, LOW), 0, "interrupts");
}

static struct synic_pages halted_pages;

TEST(interrupt_wakes, "SynIC interrupts: wake a VP from HLT", "SynIC Messages",
	.privileges = NEEDS_STIMER)
{
	halted_pages = synic_enable();
	sint_set(LOW_SINT, LOW, 0);
	for (unsigned int i = 0; i < 5; i++) {
		stimer_start(0, STIMER_SINT(LOW_SINT), reference_time() + 5 * MS_100NS);
		while (interrupt_count(0, LOW) == i)
			halt_once();
		slot_release(&halted_pages.messages->sint_message[LOW_SINT]);
	}
	EXPECT_EQ(interrupt_count(0, LOW), 5, "interrupts");
}
