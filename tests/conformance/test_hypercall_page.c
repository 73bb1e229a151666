// SPDX-License-Identifier: BSD-2-Clause
// The hypercall page and the guest OS identity.
#include "tests/conformance/internal.h"

#define SECTION	 "Establishing the Hypercall Interface"
#define IDENTITY "Reporting the Guest OS Identity"

// A page of RAM with a pattern, for the hypercall page to lie over.
static uint8_t *patterned_page(void)
{
	uint8_t *page = page_get();

	for (unsigned int i = 0; i < HV_PAGE_SIZE; i++)
		page[i] = (uint8_t)(i * 7 + 1);
	return page;
}

static void expect_pattern(const volatile uint8_t *page)
{
	for (unsigned int i = 0; i < HV_PAGE_SIZE; i++)
		EXPECT(page[i] == (uint8_t)(i * 7 + 1),
			"byte %u of the page below: expected 0x%x, got 0x%x", i,
			(uint8_t)(i * 7 + 1), page[i]);
}

static void place(const void *page)
{
	wrmsr(HV_X64_MSR_HYPERCALL, gpa_of(page) | HV_X64_MSR_HYPERCALL_ENABLE);
}

struct issue {
	struct hypercall_registers registers;
	const void *entry;
};

static void issue(void *argument)
{
	struct issue *i = argument;

	hypercall_at(&i->registers, i->entry);
}

// Calls `entry` with a call code that there is not: NO_EXCEPTION if it is a hypercall's entry.
static int call_at(const void *entry)
{
	struct issue i = { { .rax = ~0ull, .rcx = 0xfffe }, entry };
	int vector = exception_of(issue, &i);

	if (vector == NO_EXCEPTION)
		expect_status(hv_result_status(i.registers.rax), HV_STATUS_INVALID_HYPERCALL_CODE,
			"an unknown code");
	return vector;
}

static const uint8_t *own_instruction(void)
{
	return hypercall_page_uses_vmcall() ? entry_vmcall : entry_vmmcall;
}

TEST(page_works, "Hypercall page: a call to its start is a hypercall", SECTION)
{
	EXPECT_EQ(call_at(hypercall_page), NO_EXCEPTION, "exception");
}

TEST(page_contents, "Hypercall page: begins with VMCALL or VMMCALL and a near return", SECTION)
{
	bool found = false;

	// Whatever is before them, the first bytes have one of the two, and C3 follows.
	for (unsigned int i = 0; i < 32 && !found; i++)
		found = hypercall_page[i] == 0x0f && hypercall_page[i + 1] == 0x01 &&
			(hypercall_page[i + 2] == 0xc1 || hypercall_page[i + 2] == 0xd9);
	EXPECT(found, "no VMCALL or VMMCALL in the first bytes: %x %x %x %x", hypercall_page[0],
		hypercall_page[1], hypercall_page[2], hypercall_page[3]);
}

TEST(page_read_back, "Hypercall page: the register reads as written", SECTION)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL), gpa_of(hypercall_page) | HV_X64_MSR_HYPERCALL_ENABLE,
		"HV_X64_MSR_HYPERCALL");
}

static void read_hypercall_msr(void *argument)
{
	*(uint64_t *)argument = rdmsr(HV_X64_MSR_HYPERCALL);
}

static void read_guest_os_id(void *argument)
{
	*(uint64_t *)argument = rdmsr(HV_X64_MSR_GUEST_OS_ID);
}

TEST(page_shared, "Hypercall page: every VP reads the same register", SECTION, .vps = 2)
{
	for (unsigned int vp = 0; vp < machine.vps; vp++) {
		uint64_t value = 0;

		vp_run(vp, read_hypercall_msr, &value);
		EXPECT_EQ(value, gpa_of(hypercall_page) | HV_X64_MSR_HYPERCALL_ENABLE,
			"HV_X64_MSR_HYPERCALL");
	}
}

static void call_on_vp(void *argument)
{
	EXPECT_EQ(call_at(argument), NO_EXCEPTION, "exception");
}

TEST(page_on_vps, "Hypercall page: every VP can use it", SECTION, .vps = 2)
{
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		vp_run(vp, call_on_vp, hypercall_page);
}

static void place_on_vp(void *argument)
{
	place(argument);
}

TEST(page_moved_by_other, "Hypercall page: another VP moves it for all", SECTION, .vps = 2)
{
	uint8_t *page = page_get();

	vp_run(1, place_on_vp, page);
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL), gpa_of(page) | HV_X64_MSR_HYPERCALL_ENABLE,
		"HV_X64_MSR_HYPERCALL on VP 0");
	EXPECT_EQ(call_at(page), NO_EXCEPTION, "exception at the new place");
}

TEST(page_overlay, "Hypercall page: covers the page below, which comes back", SECTION)
{
	uint8_t *page = patterned_page();

	place(page);
	EXPECT_EQ(call_at(page), NO_EXCEPTION, "exception");
	EXPECT(page[0] != 1 || page[1] != 8 || page[2] != 15, "the page below is still seen");
	wrmsr(HV_X64_MSR_HYPERCALL, gpa_of(page));
	expect_pattern(page);
}

TEST(page_moves, "Hypercall page: moves, and the page at the old place comes back", SECTION)
{
	uint8_t *from = patterned_page(), *to = patterned_page();

	place(from);
	place(to);
	expect_pattern(from);
	EXPECT_EQ(call_at(to), NO_EXCEPTION, "exception");
}

static void write_byte(void *argument)
{
	*(volatile uint8_t *)argument = 0xcc;
}

TEST(page_read_only, "Hypercall page: a write to it raises #GP and changes nothing", SECTION)
{
	uint8_t before[16];
	int vector;

	__builtin_memcpy(before, hypercall_page, sizeof(before));
	vector = exception_of(write_byte, hypercall_page);
	EXPECT(!__builtin_memcmp(before, hypercall_page, sizeof(before)), "the page has changed");
	EXPECT(vector == EXCEPTION_GP, "expected #GP, got exception %d", vector);
}

TEST(page_no_memory, "Hypercall page: can lie where no memory is", SECTION)
{
	void *at = (void *)(uintptr_t)gpa_unmapped();

	place(at);
	EXPECT_EQ(call_at(at), NO_EXCEPTION, "exception");
}

TEST(page_disabled, "Hypercall page: disabled, the register keeps its address", SECTION)
{
	wrmsr(HV_X64_MSR_HYPERCALL, gpa_of(hypercall_page));
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL), gpa_of(hypercall_page), "HV_X64_MSR_HYPERCALL");
}

TEST(page_beyond, "Hypercall page: beyond the GPA space is #GP", SECTION)
{
	expect_wrmsr_gp(HV_X64_MSR_HYPERCALL, gpa_beyond() | HV_X64_MSR_HYPERCALL_ENABLE);
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL), gpa_of(hypercall_page) | HV_X64_MSR_HYPERCALL_ENABLE,
		"the register after that");
	EXPECT_EQ(call_at(hypercall_page), NO_EXCEPTION, "exception after that");
}

TEST(page_last, "Hypercall page: the last page of 52 bits is beyond too", SECTION)
{
	if (machine.gpa_bits >= 52)
		SKIP("it is inside");
	expect_wrmsr_gp(HV_X64_MSR_HYPERCALL, 0x000ffffffffff000 | HV_X64_MSR_HYPERCALL_ENABLE);
}

TEST(page_reserved, "Hypercall page: reserved bits of the register are preserved", SECTION)
{
	wrmsr(HV_X64_MSR_HYPERCALL, gpa_of(hypercall_page) | 0xffc | HV_X64_MSR_HYPERCALL_ENABLE);
	EXPECT(rdmsr(HV_X64_MSR_HYPERCALL) & HV_X64_MSR_HYPERCALL_ENABLE, "it is not enabled");
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & 0xffc, 0xffc, "bits 11:2");
}

// --- identity ---

TEST(os_id_value, "Guest OS id: reads as written, on every VP", IDENTITY)
{
	static const uint64_t values[] = { 1, 0x8100060100000000, ~0ull, SUITE_GUEST_OS_ID };

	for (unsigned int i = 0; i < COUNT(values); i++) {
		wrmsr(HV_X64_MSR_GUEST_OS_ID, values[i]);
		for (unsigned int vp = 0; vp < machine.vps; vp++) {
			uint64_t seen = 0;

			vp_run(vp, read_guest_os_id, &seen);
			EXPECT_EQ(seen, values[i], "HV_X64_MSR_GUEST_OS_ID");
		}
	}
}

TEST(os_id_cleared, "Guest OS id: cleared, it disables the hypercall page", IDENTITY)
{
	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & HV_X64_MSR_HYPERCALL_ENABLE, 0,
		"the enable bit of HV_X64_MSR_HYPERCALL");
}

TEST(os_id_cleared_overlay, "Guest OS id: cleared, the page below the hypercall page comes back",
	IDENTITY)
{
	uint8_t *page = patterned_page();

	place(page);
	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	expect_pattern(page);
}

TEST(os_id_needed, "Guest OS id: without one the enable bit does not stay", SECTION)
{
	uint8_t *page = patterned_page();

	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	place(page);
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & HV_X64_MSR_HYPERCALL_ENABLE, 0,
		"the enable bit of HV_X64_MSR_HYPERCALL");
	expect_pattern(page);
}

TEST(os_id_ud, "Guest OS id: without one a hypercall instruction raises #UD", IDENTITY)
{
	const uint8_t *entry = own_instruction();

	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	EXPECT_EQ(call_at(entry), EXCEPTION_UD, "exception");
}

TEST(os_id_again, "Guest OS id: a new one does not enable the page by itself", IDENTITY)
{
	wrmsr(HV_X64_MSR_GUEST_OS_ID, 0);
	wrmsr(HV_X64_MSR_GUEST_OS_ID, SUITE_GUEST_OS_ID);
	EXPECT_EQ(rdmsr(HV_X64_MSR_HYPERCALL) & HV_X64_MSR_HYPERCALL_ENABLE, 0,
		"the enable bit of HV_X64_MSR_HYPERCALL");
}

// --- the instruction elsewhere ---

TEST(instruction_elsewhere, "Hypercall instruction: a copy works or raises #UD",
	"Legal Hypercall Environments")
{
	int vector = call_at(own_instruction());

	EXPECT(vector == NO_EXCEPTION || vector == EXCEPTION_UD,
		"expected a hypercall or #UD, got exception %d", vector);
}

// Guests that cannot patch code use the other vendor's instruction by mistake; a hypervisor may
// take it or not, but nothing else may happen.
TEST(instruction_other, "Hypercall instruction: the other vendor's works or raises #UD",
	"Legal Hypercall Environments")
{
	int vector = call_at(hypercall_page_uses_vmcall() ? entry_vmmcall : entry_vmcall);

	EXPECT(vector == NO_EXCEPTION || vector == EXCEPTION_UD,
		"expected a hypercall or #UD, got exception %d", vector);
}
