// SPDX-License-Identifier: BSD-2-Clause
// What has brought down other implementations of this interface, or let a guest break out of its
// memory: each test is one such case, and is passed if the hypervisor refuses or ignores it and
// everything goes on. XSA-472 (timer messages without a SIM page; its other two cases are in
// test_reference_tsc.c) and XSA-475 (VP sets that say one thing and hold another) are Xen's;
// CVE-2021-30178 and CVE-2022-2153 (SynIC and timers before there is one) KVM's.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

#define VECTOR 0x51
#define SINT   3

static void expect_alive(void)
{
	uint64_t time = reference_time();

	pass_ms(5);
	EXPECT(reference_time() > time, "the reference counter stands still");
	expect_status(hv_result_status(hypercall(0xfffe, 0, 0)), HV_STATUS_INVALID_HYPERCALL_CODE,
		"a call of no code");
}

// --- timer messages without a place to go ---

static const struct {
	const char *name;
	hv_gpa (*gpa)(void); // NULL: SIMP is not even enabled
} no_page[] = {
	{ "no SIM page", NULL },
	{ "a SIM page where no memory is", gpa_unmapped },
	{ "a SIM page beyond the GPA space", gpa_beyond },
};

static bool no_page_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Regressions: XSA-472, timers and %s", no_page[row].name);
	return true;
}

TEST(timer_no_page, "do no harm", "Synthetic Timers", .privileges = NEEDS_STIMER, .rows = 3,
	.row_name = no_page_row_name)
{
	if (no_page[row].gpa)
		(void)try_wrmsr(HV_X64_MSR_SIMP, no_page[row].gpa() | HV_X64_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
	sint_set(SINT, VECTOR, 0);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_start(timer, STIMER_SINT(SINT), STIMER_PAST);
	pass_ms(QUIET_MS);
	wrmsr(HV_X64_MSR_EOM, 0);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_stop(timer);
	expect_alive();
}

TEST(synic_untouched, "Regressions: CVE-2021-30178, registers before anything is enabled",
	"SynIC Registers", .privileges = NEEDS_STIMER)
{
	for (uint32_t msr = HV_X64_MSR_SINT0; msr <= HV_X64_MSR_SINT15; msr++)
		(void)rdmsr(msr);
	for (uint32_t msr = HV_X64_MSR_STIMER0_CONFIG; msr <= HV_X64_MSR_STIMER3_COUNT; msr++)
		(void)rdmsr(msr);
	(void)rdmsr(HV_X64_MSR_EOM);
	wrmsr(HV_X64_MSR_EOM, 0);
	expect_alive();
}

static void timers_without_synic(void *argument)
{
	(void)argument;
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_start(timer, STIMER_SINT(SINT), STIMER_PAST);
	pass_ms(5);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_stop(timer);
}

TEST(synic_none, "Regressions: CVE-2022-2153, timers of VPs whose SynIC was never enabled",
	"Synthetic Timers", .privileges = NEEDS_STIMER)
{
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		vp_run(vp, timers_without_synic, NULL);
	expect_alive();
}

// --- timers with odd registers ---

static const uint8_t exceptions[] = { 0, 1, 2, 3, 8, 14, 15 };

static bool vector_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Regressions: direct timer with vector %u", exceptions[row]);
	return true;
}

// An interrupt with such a vector would look like an exception, and end the test.
TEST(timer_exception, "is refused or does nothing", "Direct Synthetic Timers",
	.privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT, .rows = ARRAY_SIZE(exceptions),
	.row_name = vector_row_name)
{
	wrmsr(HV_X64_MSR_STIMER0_COUNT, STIMER_PAST);
	interrupts_on();
	(void)try_wrmsr(HV_X64_MSR_STIMER0_CONFIG,
		STIMER_DIRECT(exceptions[row]) | HV_STIMER_CONFIG_ENABLE);
	pass_ms(QUIET_MS);
	interrupts_off();
	wrmsr(HV_X64_MSR_STIMER0_CONFIG, 0);
	EXPECT_EQ(interrupt_count(0, exceptions[row]), 0, "interrupts");
	expect_alive();
}

TEST(registers_ones, "Regressions: SINTs and timers written with all bits set",
	"SynIC Registers, Synthetic Timer Registers", .privileges = NEEDS_STIMER)
{
	for (uint32_t msr = HV_X64_MSR_SINT0; msr <= HV_X64_MSR_SINT15; msr++)
		(void)try_wrmsr(msr, UINT64_MAX);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		wrmsr(HV_X64_MSR_STIMERn_COUNT(timer), UINT64_MAX);
		(void)try_wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), UINT64_MAX);
	}
	pass_ms(5);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_stop(timer);
	expect_alive();
}

// --- pages under a hypervisor that is about to write to them ---

TEST(page_moves_under_timer, "Regressions: messages never reach the memory below a page",
	"GPA Overlay Pages", .privileges = NEEDS_STIMER)
{
	volatile uint64_t *pages[2] = { page_get(), page_get() };

	for (unsigned int i = 0; i < 512; i++)
		pages[0][i] = pages[1][i] = 0x9999000000000000 + i;
	wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_start(
			timer, STIMER_SINT(timer + 1) | HV_STIMER_CONFIG_PERIODIC, 2 * MS_100NS);
	for (unsigned int i = 0; i < 60; i++) {
		volatile struct hv_message_page *page = (void *)pages[i % 2];

		wrmsr(HV_X64_MSR_SIMP, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
		for (unsigned int sint = 1; sint <= HV_SYNIC_STIMER_COUNT; sint++)
			page->sint_message[sint].header.message_type = HvMessageTypeNone;
		wrmsr(HV_X64_MSR_EOM, 0);
		pass_ms(1);
	}
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		stimer_stop(timer);
	wrmsr(HV_X64_MSR_SIMP, 0);
	for (unsigned int i = 0; i < 512; i++) {
		EXPECT_EQ(pages[0][i], 0x9999000000000000 + i, "memory below the first place");
		EXPECT_EQ(pages[1][i], 0x9999000000000000 + i, "memory below the second place");
	}
}

TEST(pages_overlap, "Regressions: messages with SIM and SIEF page at one address",
	"SIM Page, SIEF Page", .privileges = NEEDS_STIMER)
{
	volatile uint64_t *page = page_get();

	for (unsigned int i = 0; i < 512; i++)
		page[i] = 0xaaaa000000000000 + i;
	wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
	wrmsr(HV_X64_MSR_SIMP, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_SIEFP, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
	stimer_start(0, STIMER_SINT(SINT), STIMER_PAST);
	pass_ms(QUIET_MS);
	wrmsr(HV_X64_MSR_SIEFP, 0);
	wrmsr(HV_X64_MSR_EOM, 0);
	((volatile struct hv_message_page *)page)->sint_message[SINT].header.message_type =
		HvMessageTypeNone;
	wrmsr(HV_X64_MSR_SIMP, 0);
	for (unsigned int i = 0; i < 512; i++)
		EXPECT_EQ(page[i], 0xaaaa000000000000 + i, "the memory below");
	expect_alive();
}

// --- flushes with sets and lists that lie ---

#define NEEDS_FLUSH_EX (HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH | HV_HINT_EX_PROCESSOR_MASKS)

static const struct {
	const char *name;
	uint64_t valid;
	uint32_t banks; // said in the control word
	bool good;
} sets[] = {
	{ "two banks said, one there", 3, 1, false },
	{ "64 banks said, one there", UINT64_MAX, 1, false },
	{ "one bank said, none there", 1, 0, false },
	{ "no bank said, one there", 0, 1, false },
	{ "one bank said, 1,023 there", 1, 1023, false },
	{ "bank 63 alone", 1ull << 63, 1, true },
	{ "all 64 banks", UINT64_MAX, 64, true },
	{ "none at all", 0, 0, true },
};

static bool set_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Regressions: XSA-475, flush of a set, %s", sets[row].name);
	return true;
}

TEST(flush_sets, "gets its status, and all goes on", "HV_VP_SET", .hints = NEEDS_FLUSH_EX,
	.rows = ARRAY_SIZE(sets), .row_name = set_row_name)
{
	struct {
		struct hv_input_flush_virtual_address_space_ex fixed;
		uint64_t banks[64];
	} *in = page_get();
	hv_status status;

	in->fixed.flags = HV_FLUSH_ALL_VIRTUAL_ADDRESS_SPACES;
	in->fixed.processor_set.format = HV_VP_SET_SPARSE_4K;
	in->fixed.processor_set.valid_bank_mask = sets[row].valid;
	for (unsigned int i = 0; i < 64; i++)
		in->banks[i] = UINT64_MAX;
	status = hv_result_status(
		hypercall(hv_call_control(HvCallFlushVirtualAddressSpaceEx, sets[row].banks, 0, 0),
			gpa_of(in), 0));
	EXPECT((status == HV_STATUS_SUCCESS) == sets[row].good, "the call says %s",
		status_name(status));
	expect_alive();
}

static const struct {
	const char *name;
	uint32_t count, start;
} lists[] = {
	{ "4,095 ranges", 4095, 0 },
	{ "the last of 4,095 ranges", 4095, 4094 },
	{ "510 ranges, one too many for the page", 510, 0 },
};

static bool list_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Regressions: flush of a list of %s", lists[row].name);
	return true;
}

TEST(flush_lists, "is refused: it spans pages", "Alignment Requirements",
	.hints = HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH, .rows = ARRAY_SIZE(lists),
	.row_name = list_row_name)
{
	struct hv_input_flush_virtual_address_list *in = page_get();
	uint64_t control = hv_call_control(
		HvCallFlushVirtualAddressList, 0, lists[row].count, lists[row].start);

	in->flags = HV_FLUSH_ALL_PROCESSORS;
	expect_status(hv_result_status(hypercall(control, gpa_of(in), 0)),
		HV_STATUS_INVALID_ALIGNMENT, "the call");
	expect_alive();
}

static void flush_others_list(void *argument)
{
	struct {
		struct hv_input_flush_virtual_address_list fixed;
		uint64_t list[400];
	} *in = argument;

	for (unsigned int i = 0; i < 30; i++)
		expect_status(hv_result_status(hypercall(
				      hv_call_control(HvCallFlushVirtualAddressList, 0, 400, 0),
				      gpa_of(in), 0)),
			HV_STATUS_SUCCESS, "the flush");
}

TEST(flush_long_lists, "Regressions: all VPs flush long lists at once",
	"HvCallFlushVirtualAddressList", .hints = HV_HINT_HYPERCALL_FOR_REMOTE_FLUSH, .vps = 2)
{
	struct hv_input_flush_virtual_address_list *in = page_get();

	in->flags = HV_FLUSH_ALL_PROCESSORS;
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, flush_others_list, in);
	flush_others_list(in);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}
