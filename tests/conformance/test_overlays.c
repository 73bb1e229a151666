// SPDX-License-Identifier: BSD-2-Clause
// Overlay pages (TLFS: GPA Overlay Pages): each of the five pages that a guest can place covers
// what is at its address and gives it back; it needs no memory below it; several at one address
// take turns; neighbours are left alone. What each page does in its place is tested where it
// belongs.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

static const struct overlay {
	const char *name;
	uint32_t msr;
	uint64_t privilege;
	bool writable;
} overlays[] = {
	{ "SIM page", HV_X64_MSR_SIMP, HV_PRIVILEGE_ACCESS_SYNIC_REGS, true },
	{ "SIEF page", HV_X64_MSR_SIEFP, HV_PRIVILEGE_ACCESS_SYNIC_REGS, true },
	{ "VP assist page", HV_X64_MSR_VP_ASSIST_PAGE, HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS, true },
	{ "reference TSC page", HV_X64_MSR_REFERENCE_TSC,
		HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC, false },
	{ "hypercall page", HV_X64_MSR_HYPERCALL, HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS, false },
};
enum { OVERLAYS = ARRAY_SIZE(overlays) };

static void need(unsigned int overlay)
{
	if (!has_privilege(overlays[overlay].privilege))
		SKIP("the partition may not place a %s", overlays[overlay].name);
}

static int try_place(unsigned int overlay, hv_gpa gpa)
{
	return try_wrmsr(overlays[overlay].msr, gpa | HV_X64_MSR_PAGE_ENABLE);
}

static void place(unsigned int overlay, const volatile void *page)
{
	wrmsr(overlays[overlay].msr, gpa_of((const void *)page) | HV_X64_MSR_PAGE_ENABLE);
}

static void take_away(unsigned int overlay)
{
	wrmsr(overlays[overlay].msr, 0);
}

static volatile uint64_t *patterned_page(uint64_t pattern)
{
	volatile uint64_t *page = page_get();

	for (unsigned int i = 0; i < 512; i++)
		page[i] = pattern + i;
	return page;
}

static void expect_pattern(const volatile uint64_t *page, uint64_t pattern, const char *what)
{
	for (unsigned int i = 0; i < 512; i++)
		EXPECT_EQ(page[i], pattern + i, what);
}

static bool row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Overlay pages: %s", overlays[row].name);
	return true;
}

TEST(overlay_memory, "the memory below comes back unchanged", "GPA Overlay Pages", .rows = OVERLAYS,
	.row_name = row_name)
{
	volatile uint64_t *page;

	need(row);
	page = patterned_page(0x1111000000000000);
	for (unsigned int i = 0; i < 3; i++) {
		place(row, page);
		if (overlays[row].writable)
			page[100] = 0;
		take_away(row);
		expect_pattern(page, 0x1111000000000000, "a word of the memory below");
	}
	page[7] = 7;
	EXPECT_EQ(page[7], 7, "a word written to the memory afterwards");
}

TEST(overlay_neighbours, "its neighbours are left alone", "GPA Overlay Pages", .rows = OVERLAYS,
	.row_name = row_name)
{
	volatile uint64_t *before, *page, *after;

	need(row);
	before = patterned_page(0x2222000000000000);
	page = patterned_page(0x3333000000000000);
	after = patterned_page(0x4444000000000000);
	place(row, page);
	expect_pattern(before, 0x2222000000000000, "a word of the page before");
	expect_pattern(after, 0x4444000000000000, "a word of the page behind");
	before[0] = 1;
	after[511] = 2;
	take_away(row);
	EXPECT_EQ(before[0], 1, "a word written to the page before");
	EXPECT_EQ(after[511], 2, "a word written to the page behind");
	expect_pattern(page, 0x3333000000000000, "a word of the memory below");
}

TEST(overlay_nowhere, "needs no memory below it", "GPA Overlay Pages", .rows = OVERLAYS,
	.row_name = row_name)
{
	volatile uint64_t *page = (volatile uint64_t *)gpa_unmapped();
	int vector;
	uint64_t first;

	need(row);
	vector = try_place(row, gpa_unmapped());
	EXPECT(vector == NO_EXCEPTION, "exception %d where no memory is", vector);
	first = page[511];
	EXPECT_EQ(page[511], first, "its last word, read again");
	if (overlays[row].writable) {
		page[300] = 0x123456789;
		EXPECT_EQ(page[300], 0x123456789, "a word written to the page");
		page[300] = 0;
	}
	take_away(row);
}

TEST(overlay_moves, "can be moved many times", "GPA Overlay Pages", .rows = OVERLAYS,
	.row_name = row_name)
{
	volatile uint64_t *pages[4];

	need(row);
	for (unsigned int i = 0; i < 4; i++)
		pages[i] = patterned_page(0x5550000000000000 + ((uint64_t)i << 32));
	for (unsigned int i = 0; i < 100; i++)
		place(row, pages[i % 4]);
	take_away(row);
	for (unsigned int i = 0; i < 4; i++)
		expect_pattern(pages[i], 0x5550000000000000 + ((uint64_t)i << 32),
			"a word of the memory below");
}

static void look(void *argument)
{
	uint64_t *seen = argument;
	volatile uint64_t *page = (volatile uint64_t *)seen[0];

	seen[1] = page[511];
}

// The other VP has used the memory below: its translation must go with the placing, and the one to
// the overlay with the taking away.
TEST(overlay_other_vp, "is seen to come and go by another VP", "GPA Overlay Pages", .vps = 2,
	.rows = OVERLAYS, .row_name = row_name)
{
	volatile uint64_t *page;
	uint64_t seen[2], own;

	need(row);
	page = patterned_page(0x6666000000000000);
	seen[0] = (uintptr_t)page;
	for (unsigned int i = 0; i < 5; i++) {
		vp_run(1, look, seen);
		EXPECT_EQ(seen[1], 0x6666000000000000 + 511, "memory, seen from VP 1");
		place(row, page);
		own = page[511];
		vp_run(1, look, seen);
		EXPECT_EQ(seen[1], own, "the overlay, seen from VP 1");
		EXPECT(own != 0x6666000000000000 + 511, "the memory below is still to be seen");
		take_away(row);
	}
}

// --- two at one address ---

static bool pair_row_name(unsigned int row, char *text, size_t size)
{
	unsigned int first = row / OVERLAYS, second = row % OVERLAYS;

	text_format(text, size, "Overlay pages: %s and then %s at one address",
		overlays[first].name, overlays[second].name);
	return first != second;
}

// "The hypervisor will choose an ordering (which is undefined) and only one of these overlays will
// be visible ... if the top-most overlay is disabled or moved, another overlay page will become
// visible."
TEST(overlay_pair, "the memory below appears when both are gone", "GPA Overlay Pages",
	.rows = OVERLAYS * OVERLAYS, .row_name = pair_row_name)
{
	unsigned int first = row / OVERLAYS, second = row % OVERLAYS;
	volatile uint64_t *page;

	need(first);
	need(second);
	page = patterned_page(0x7777000000000000);
	for (unsigned int order = 0; order < 2; order++) {
		place(first, page);
		place(second, page);
		EXPECT(page[511] != 0x7777000000000000 + 511, "memory is to be seen through both");
		take_away(order ? second : first);
		EXPECT(page[511] != 0x7777000000000000 + 511,
			"memory is to be seen though one overlay is left");
		take_away(order ? first : second);
		expect_pattern(page, 0x7777000000000000, "a word of the memory below");
	}
}

TEST(overlay_all, "Overlay pages: all of them at one address", "GPA Overlay Pages")
{
	volatile uint64_t *page;

	for (unsigned int i = 0; i < OVERLAYS; i++)
		need(i);
	page = patterned_page(0x8888000000000000);
	for (unsigned int i = 0; i < OVERLAYS; i++)
		place(i, page);
	for (unsigned int i = 0; i < OVERLAYS; i++) {
		EXPECT(page[511] != 0x8888000000000000 + 511, "memory is to be seen with %u left",
			OVERLAYS - i);
		take_away((i * 2 + 1) % OVERLAYS);
	}
	expect_pattern(page, 0x8888000000000000, "a word of the memory below");
}
