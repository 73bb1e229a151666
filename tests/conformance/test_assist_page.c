// SPDX-License-Identifier: BSD-2-Clause
// VP assist page and EOI assist. While the page is enabled the hypervisor may say in it that an
// interrupt needs no EOI; the tests end every interrupt as the TLFS recommends, and ask that no
// interrupt is lost or comes too early for it. When an offer must not be made is tested exactly;
// that it is made at all, with one interrupt and nothing else to do, once in some tries.
#include "tests/conformance/synthetic.h"

#define LOW  0x41
#define HIGH 0x81

#define NEEDS_ASSIST HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS

static volatile uint32_t *assist; // of VP 0
static unsigned int with_eoi, without_eoi;

static volatile uint32_t *assist_enable(void)
{
	volatile uint32_t *page = page_get();

	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
	return page;
}

// TLFS: EOI Assist, the recommended code.
static void assisted_eoi(unsigned int vector)
{
	bool no_eoi;

	__asm__ volatile("btrl $0, %0" : "+m"(*assist), "=@ccc"(no_eoi));
	if (no_eoi)
		without_eoi++;
	else
		wrmsr(HV_X64_MSR_EOI, 0);
	with_eoi += !no_eoi;
	(void)vector;
}

static void take_self_ipi(unsigned int vector)
{
	unsigned int count = interrupt_count(0, vector);

	self_ipi(vector);
	interrupts_on();
	EXPECT(WAIT(interrupt_count(0, vector) > count, SLOW_MS),
		"interrupt 0x%x has not come, after %u with and %u without EOI", vector, with_eoi,
		without_eoi);
	interrupts_off();
}

static void start(void)
{
	with_eoi = without_eoi = 0;
	assist = assist_enable();
	interrupt_set_handler(LOW, assisted_eoi);
	interrupt_set_handler(HIGH, assisted_eoi);
}

TEST(assist_reset, "VP assist page: disabled until the register is written",
	"Virtual Processor Assist Page", .privileges = NEEDS_ASSIST)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_VP_ASSIST_PAGE), 0, "its register");
}

TEST(assist_register, "VP assist page: the register reads as it was written",
	"Virtual Processor Assist Page", .privileges = NEEDS_ASSIST)
{
	volatile uint32_t *page = assist_enable();

	EXPECT_EQ(rdmsr(HV_X64_MSR_VP_ASSIST_PAGE), gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE,
		"the register");
	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
	EXPECT_EQ(rdmsr(HV_X64_MSR_VP_ASSIST_PAGE), 0, "the register, cleared");
}

TEST(assist_writable, "VP assist page: can be read and written", "Virtual Processor Assist Page",
	.privileges = NEEDS_ASSIST)
{
	volatile uint32_t *page = assist_enable();

	EXPECT_EQ(page[0], 0, "EOI assist field at first");
	page[1000] = 0x5a5a5a5a;
	EXPECT_EQ(page[1000], 0x5a5a5a5a, "a word written to the page");
	page[1000] = 0;
}

TEST(assist_overlay, "VP assist page: gives back the memory that it covers", "GPA Overlay Pages",
	.privileges = NEEDS_ASSIST)
{
	volatile uint64_t *memory = page_get();

	for (unsigned int i = 0; i < 512; i++)
		memory[i] = 0xa0a0a0a000000000 + i;
	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, gpa_of((void *)memory) | HV_X64_MSR_PAGE_ENABLE);
	memory[9] = 1;
	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
	for (unsigned int i = 0; i < 512; i++)
		EXPECT_EQ(memory[i], 0xa0a0a0a000000000 + i, "the memory below, afterwards");
}

static void assist_on_vp1(void *argument)
{
	volatile uint32_t *page;

	(void)argument;
	EXPECT_EQ(rdmsr(HV_X64_MSR_VP_ASSIST_PAGE), 0, "the register of VP 1");
	page = assist_enable();
	page[500] = 1;
}

TEST(assist_per_vp, "VP assist page: each VP has its own", "Virtual Processor Assist Page",
	.privileges = NEEDS_ASSIST, .vps = 2)
{
	volatile uint32_t *page = assist_enable();

	page[500] = 0;
	vp_run(1, assist_on_vp1, NULL);
	EXPECT_EQ(page[500], 0, "a word of VP 0's page");
	EXPECT_EQ(rdmsr(HV_X64_MSR_VP_ASSIST_PAGE), gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE,
		"the register of VP 0");
}

TEST(assist_every, "EOI assist: interrupts keep coming, with or without EOI", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	for (unsigned int i = 0; i < 20; i++)
		take_self_ipi(LOW);
	EXPECT_EQ(interrupt_count(0, LOW), 20, "interrupts");
	test_note("%u of 20 interrupts needed no EOI", without_eoi);
}

TEST(assist_offered, "EOI assist: is offered for a single edge-triggered interrupt", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	for (unsigned int i = 0; i < 50 && !without_eoi; i++)
		take_self_ipi(LOW);
	EXPECT(without_eoi, "none of %u interrupts was without EOI", with_eoi);
}

TEST(assist_lower_after, "EOI assist: a lower interrupt comes after one without EOI", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	for (unsigned int i = 0; i < 10; i++) {
		take_self_ipi(HIGH);
		take_self_ipi(LOW);
	}
	EXPECT(!in_service(HIGH) && !in_service(LOW), "a vector is still in service");
}

static uint32_t assist_with_lower_pending;

static void request_lower(unsigned int vector)
{
	self_ipi(LOW);
	assist_with_lower_pending |= *assist;
	assisted_eoi(vector);
}

TEST(assist_withdrawn, "EOI assist: is withdrawn when a lower interrupt is requested", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	assist_with_lower_pending = 0;
	interrupt_set_handler(HIGH, request_lower);
	for (unsigned int i = 1; i <= 10; i++) {
		take_self_ipi(HIGH);
		interrupts_on();
		EXPECT(WAIT(interrupt_count(0, LOW) == i, SLOW_MS),
			"the lower interrupt has not come");
		interrupts_off();
	}
	EXPECT_EQ(assist_with_lower_pending & HV_APIC_ASSIST_NO_EOI, 0,
		"\"No EOI required\" with a lower interrupt pending");
}

TEST(assist_lower_pending, "EOI assist: is not offered with a lower interrupt pending",
	"EOI Assist", .privileges = NEEDS_ASSIST)
{
	start();
	for (unsigned int i = 1; i <= 10; i++) {
		self_ipi(LOW);
		self_ipi(HIGH);
		interrupts_on();
		EXPECT(WAIT(interrupt_count(0, LOW) == i && interrupt_count(0, HIGH) == i, SLOW_MS),
			"%u higher and %u lower interrupts instead of %u each",
			interrupt_count(0, HIGH), interrupt_count(0, LOW), i);
		interrupts_off();
	}
	EXPECT(with_eoi >= 10, "%u of 20 interrupts had an EOI: the higher ones must have",
		with_eoi);
}

static void nest(unsigned int vector)
{
	unsigned int count = interrupt_count(0, HIGH);

	self_ipi(HIGH);
	interrupts_on();
	(void)WAIT(interrupt_count(0, HIGH) > count, SLOW_MS);
	interrupts_off();
	assisted_eoi(vector);
}

TEST(assist_nested, "EOI assist: nested interrupts all get their end", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	interrupt_set_handler(LOW, nest);
	for (unsigned int i = 0; i < 10; i++)
		take_self_ipi(LOW);
	EXPECT_EQ(interrupt_count(0, HIGH), 10, "nested interrupts");
	EXPECT(!in_service(HIGH) && !in_service(LOW), "a vector is still in service");
}

static void conventional_eoi(unsigned int vector)
{
	(void)vector;
	wrmsr(HV_X64_MSR_EOI, 0);
}

TEST(assist_conventional, "EOI assist: a conventional EOI works all the same", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	interrupt_set_handler(LOW, conventional_eoi);
	for (unsigned int i = 0; i < 10; i++)
		take_self_ipi(LOW);
	EXPECT(!in_service(LOW), "the vector is still in service");
	interrupt_set_handler(LOW, assisted_eoi);
	for (unsigned int i = 0; i < 10; i++)
		take_self_ipi(LOW);
	EXPECT(!in_service(LOW), "the vector is still in service");
}

static void disable_inside(unsigned int vector)
{
	bool no_eoi = *assist & HV_APIC_ASSIST_NO_EOI;

	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
	wrmsr(HV_X64_MSR_EOI, 0);
	without_eoi += no_eoi;
	(void)vector;
}

TEST(assist_disabled_inside, "EOI assist: disabled while an interrupt is in service", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	for (unsigned int i = 0; i < 5; i++) {
		start();
		interrupt_set_handler(LOW, disable_inside);
		take_self_ipi(LOW);
		EXPECT(!in_service(LOW), "the vector is still in service");
		take_self_ipi(HIGH);
		EXPECT(!in_service(HIGH), "the next vector is still in service");
	}
}

static void enable_inside(unsigned int vector)
{
	wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, gpa_of((void *)assist) | HV_X64_MSR_PAGE_ENABLE);
	assisted_eoi(vector);
}

TEST(assist_enabled_inside, "EOI assist: enabled while an interrupt is in service", "EOI Assist",
	.privileges = NEEDS_ASSIST)
{
	start();
	for (unsigned int i = 0; i < 5; i++) {
		wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
		interrupt_set_handler(LOW, enable_inside);
		take_self_ipi(LOW);
		EXPECT(!in_service(LOW), "the vector is still in service");
		take_self_ipi(HIGH);
		EXPECT(!in_service(HIGH), "the next vector is still in service");
	}
}
