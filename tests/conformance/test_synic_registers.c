// SPDX-License-Identifier: BSD-2-Clause
// The registers of the SynIC: what they hold after reset, what can be written to them, that each VP
// has its own, and that the two page registers place pages over memory without touching it. None of
// these tests lets a message or an event arrive.
//
// The masked reset value of a SINT has vector 0, which an unmasked SINT must not have: writing the
// reset value back is allowed, "valid values for vector" notwithstanding.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

#define VECTOR 0x51

static bool sint_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "SynIC registers: SINT%u", row);
	return true;
}

static const struct {
	uint32_t msr;
	const char *name;
} page_registers[] = {
	{ HV_X64_MSR_SIMP, "SIMP" },
	{ HV_X64_MSR_SIEFP, "SIEFP" },
};

static bool page_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "SynIC registers: %s", page_registers[row].name);
	return true;
}

TEST(sversion, "SynIC registers: SVERSION says version 1", "SVERSION Register",
	.privileges = NEEDS_SYNIC)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_SVERSION) & UINT32_MAX, HV_SYNIC_VERSION, "SVERSION bits 31:0");
	expect_wrmsr_gp(HV_X64_MSR_SVERSION, HV_SYNIC_VERSION);
}

TEST(scontrol_reset, "SynIC registers: SCONTROL is 0 until it is written", "SCONTROL Register",
	.privileges = NEEDS_SYNIC)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_SCONTROL), 0, "SCONTROL");
}

TEST(scontrol_enable, "SynIC registers: SCONTROL.Enable is set and cleared", "SCONTROL Register",
	.privileges = NEEDS_SYNIC)
{
	for (int i = 0; i < 2; i++) {
		wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
		EXPECT_EQ(rdmsr(HV_X64_MSR_SCONTROL), HV_SYNIC_CONTROL_ENABLE, "SCONTROL");
		wrmsr(HV_X64_MSR_SCONTROL, 0);
		EXPECT_EQ(rdmsr(HV_X64_MSR_SCONTROL), 0, "SCONTROL");
	}
}

TEST(sint_reset, "masked after reset", "SINTx Registers", .privileges = NEEDS_SYNIC,
	.rows = HV_SYNIC_SINT_COUNT, .row_name = sint_row_name)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_SINTn(row)), HV_SYNIC_SINT_MASKED, "its value");
}

TEST(sint_vectors, "takes vectors 16 to 255 and no others", "SINTx Registers",
	.privileges = NEEDS_SYNIC, .rows = HV_SYNIC_SINT_COUNT, .row_name = sint_row_name)
{
	uint32_t msr = HV_X64_MSR_SINTn(row);

	for (unsigned int vector = 16; vector < 256; vector += vector == 16 ? 1 : 238) {
		wrmsr(msr, vector);
		EXPECT_EQ(rdmsr(msr), vector, "the register");
	}
	for (unsigned int vector = 0; vector < 16; vector += 5)
		expect_wrmsr_gp(msr, vector);
	EXPECT_EQ(rdmsr(msr), 255, "the register after faulting writes");
	wrmsr(msr, HV_SYNIC_SINT_MASKED);
	EXPECT_EQ(rdmsr(msr), HV_SYNIC_SINT_MASKED, "its reset value, written back");
}

TEST(sint_bits, "SynIC registers: a SINT keeps Masked, AutoEOI and Polling", "SINTx Registers",
	.privileges = NEEDS_SYNIC)
{
	static const uint64_t bits[] = { 0, HV_SYNIC_SINT_MASKED, HV_SYNIC_SINT_AUTO_EOI,
		HV_SYNIC_SINT_POLLING, HV_SYNIC_SINT_MASKED | HV_SYNIC_SINT_AUTO_EOI };

	for (unsigned int i = 0; i < ARRAY_SIZE(bits); i++) {
		if (bits[i] & HV_SYNIC_SINT_POLLING && !has_edx(HV_FEATURE_EDX_SINT_POLLING))
			continue;
		wrmsr(HV_X64_MSR_SINTn(3), VECTOR | bits[i]);
		EXPECT_EQ(rdmsr(HV_X64_MSR_SINTn(3)), VECTOR | bits[i], "SINT3");
	}
}

TEST(page_reset, "disabled until it is written", "SIMP Register, SIEFP Register",
	.privileges = NEEDS_SYNIC, .rows = 2, .row_name = page_row_name)
{
	EXPECT_EQ(rdmsr(page_registers[row].msr), 0, "its value");
}

TEST(page_overlay, "covers memory and gives it back", "GPA Overlay Pages",
	.privileges = NEEDS_SYNIC, .rows = 2, .row_name = page_row_name)
{
	volatile uint64_t *page = page_get();
	uint32_t msr = page_registers[row].msr;

	for (unsigned int i = 0; i < 512; i++)
		page[i] = 0xb0b0b0b000000000 + i;
	wrmsr(msr, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
	EXPECT_EQ(rdmsr(msr), gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE, "the register");
	EXPECT(page[511] != 0xb0b0b0b000000000 + 511, "the page is still the memory below");
	page[511] = 0x1234; // "accesses behave like read and write accesses to RAM"
	EXPECT_EQ(page[511], 0x1234, "a word written to the page");
	page[511] = 0;
	wrmsr(msr, 0);
	for (unsigned int i = 0; i < 512; i++)
		EXPECT_EQ(page[i], 0xb0b0b0b000000000 + i, "the memory below, afterwards");
}

TEST(page_moved, "moved to another page, gives the first one back", "GPA Overlay Pages",
	.privileges = NEEDS_SYNIC, .rows = 2, .row_name = page_row_name)
{
	volatile uint64_t *first = page_get(), *second = page_get();
	uint32_t msr = page_registers[row].msr;

	first[500] = 0xf1;
	second[500] = 0xf2;
	wrmsr(msr, gpa_of((void *)first) | HV_X64_MSR_PAGE_ENABLE);
	first[500] = 0; // of the page above
	wrmsr(msr, gpa_of((void *)second) | HV_X64_MSR_PAGE_ENABLE);
	EXPECT_EQ(first[500], 0xf1, "memory at the first place");
	EXPECT(second[500] != 0xf2, "the second place still shows the memory below");
	wrmsr(msr, 0);
	EXPECT_EQ(second[500], 0xf2, "memory at the second place");
}

TEST(page_beyond, "an address beyond the GPA space is no fault", "SIMP Register, SIEFP Register",
	.privileges = NEEDS_SYNIC, .rows = 2, .row_name = page_row_name)
{
	uint64_t value = gpa_beyond() | HV_X64_MSR_PAGE_ENABLE;
	int vector = try_wrmsr(page_registers[row].msr, value);

	EXPECT(vector == NO_EXCEPTION,
		"exception %d, but \"the page will not be accessible to the guest\" is all",
		vector);
	EXPECT_EQ(rdmsr(page_registers[row].msr), value, "the register");
	wrmsr(page_registers[row].msr, 0);
}

TEST(eom_zero, "SynIC registers: EOM reads 0", "EOM Register", .privileges = NEEDS_SYNIC)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_EOM), 0, "EOM");
	wrmsr(HV_X64_MSR_EOM, 0);
	EXPECT_EQ(rdmsr(HV_X64_MSR_EOM), 0, "EOM after a write");
}

TEST(eom_nothing, "SynIC registers: EOM without messages does nothing", "EOM Register",
	.privileges = NEEDS_SYNIC)
{
	struct synic_pages synic = synic_enable();

	sint_set(5, VECTOR, 0);
	interrupts_on();
	for (int i = 0; i < 10; i++)
		wrmsr(HV_X64_MSR_EOM, 0);
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts");
	for (unsigned int sint = 0; sint < HV_SYNIC_SINT_COUNT; sint++)
		EXPECT(!slot_full(&synic.messages->sint_message[sint]), "a message at SINT%u",
			sint);
}

static void check_untouched(void *argument)
{
	volatile uint64_t *page = argument;

	EXPECT_EQ(rdmsr(HV_X64_MSR_SCONTROL), 0, "SCONTROL of VP 1");
	EXPECT_EQ(rdmsr(HV_X64_MSR_SIMP), 0, "SIMP of VP 1");
	EXPECT_EQ(rdmsr(HV_X64_MSR_SIEFP), 0, "SIEFP of VP 1");
	EXPECT_EQ(rdmsr(HV_X64_MSR_SINTn(2)), HV_SYNIC_SINT_MASKED, "SINT2 of VP 1");
	wrmsr(HV_X64_MSR_SINTn(2), 0x61);
	wrmsr(HV_X64_MSR_SIMP, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
}

TEST(registers_per_vp, "SynIC registers: each VP has its own", "SynIC Registers",
	.privileges = NEEDS_SYNIC, .vps = 2)
{
	struct synic_pages synic = synic_enable();
	void *page = page_get();

	sint_set(2, VECTOR, 0);
	vp_run(1, check_untouched, page);
	EXPECT_EQ(rdmsr(HV_X64_MSR_SINTn(2)), VECTOR, "SINT2 of VP 0");
	EXPECT_EQ(rdmsr(HV_X64_MSR_SIMP), gpa_of((void *)synic.messages) | HV_X64_MSR_PAGE_ENABLE,
		"SIMP of VP 0");
}

static void leave_mark(void *argument)
{
	volatile uint64_t *page = argument;

	EXPECT_EQ(page[300], 0x11, "a word of VP 0's page, seen from VP 1");
	page[300] = 0x22;
}

// The GPA space is the partition's: a page that one VP places is there for all.
TEST(page_seen_by_all, "seen by every VP at the same address", "GPA Overlay Pages",
	.privileges = NEEDS_SYNIC, .vps = 2, .rows = 2, .row_name = page_row_name)
{
	volatile uint64_t *page = page_get();

	wrmsr(page_registers[row].msr, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
	page[300] = 0x11;
	vp_run(1, leave_mark, (void *)page);
	EXPECT_EQ(page[300], 0x22, "what VP 1 wrote");
	page[300] = 0;
}
