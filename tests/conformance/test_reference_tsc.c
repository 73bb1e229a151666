// SPDX-License-Identifier: BSD-2-Clause
// The reference TSC page: that it tells the time of the reference counter on every VP, that it is
// an overlay of the partition and not memory of the guest. Where its sequence is 0 the hypervisor
// says that the page cannot be used now; the tests of its contents are then skipped.
//
// The last two are Xen's XSA-472 (CVE-2025-27466 and CVE-2025-58143): a page placed where no memory
// is, and VPs that place it and take it away at the same time.
#include "tests/conformance/synthetic.h"

#define NEEDS_PAGE                                                                                 \
	(HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC |                                             \
		HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER)

typedef volatile struct hv_reference_tsc_page tsc_page_t;

static tsc_page_t *place(void)
{
	tsc_page_t *page = page_get();

	wrmsr(HV_X64_MSR_REFERENCE_TSC, gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE);
	return page;
}

static tsc_page_t *place_usable(void)
{
	tsc_page_t *page = place();

	if (page->tsc_sequence == HV_REFERENCE_TSC_SEQUENCE_INVALID)
		SKIP("the page's sequence is 0: it is not to be used on this machine");
	return page;
}

// TLFS: Partition Reference TSC Mechanism.
static uint64_t page_time(const tsc_page_t *page)
{
	uint64_t high, low;
	int64_t offset;
	uint32_t sequence;

	do {
		sequence = page->tsc_sequence;
		EXPECT(sequence != HV_REFERENCE_TSC_SEQUENCE_INVALID, "the sequence is 0 now");
		low = tsc();
		__asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(low), "m"(page->tsc_scale) : "cc");
		offset = page->tsc_offset;
	} while (page->tsc_sequence != sequence);
	return high + offset;
}

// The page's time lies between two readings of the counter. One unit of rounding on each side.
static void check_time(const tsc_page_t *page, unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		uint64_t before = reference_time(), now = page_time(page);
		uint64_t after = reference_time();

		EXPECT(now + 1 >= before, "VP %u: the page says %lu, the counter %lu before that",
			this_vp(), now, before);
		EXPECT(now <= after + 1, "VP %u: the page says %lu, the counter %lu after that",
			this_vp(), now, after);
	}
}

TEST(tsc_page_reset, "Reference TSC page: disabled until the register is written",
	"Reference Time Stamp Counter (TSC) Page Register", .privileges = NEEDS_PAGE)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_REFERENCE_TSC), 0, "its register");
}

TEST(tsc_page_contents, "Reference TSC page: has a scale and no reserved fields",
	"Partition Reference Time Stamp Counter Page", .privileges = NEEDS_PAGE)
{
	tsc_page_t *page = place_usable();

	EXPECT(page->tsc_scale, "a scale of 0");
	EXPECT_EQ(page->rsvd, 0, "first reserved field");
	for (unsigned int i = 0; i < 509; i++)
		EXPECT_EQ(page->rsvd2[i], 0, "second reserved field");
}

TEST(tsc_page_register, "Reference TSC page: the register reads as it was written",
	"Reference Time Stamp Counter (TSC) Page Register", .privileges = NEEDS_PAGE)
{
	tsc_page_t *page = place();

	EXPECT_EQ(rdmsr(HV_X64_MSR_REFERENCE_TSC), gpa_of((void *)page) | HV_X64_MSR_PAGE_ENABLE,
		"the register");
	wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
	EXPECT_EQ(rdmsr(HV_X64_MSR_REFERENCE_TSC), 0, "the register, cleared");
}

TEST(tsc_page_time, "Reference TSC page: says what the reference counter says",
	"Partition Reference TSC Mechanism", .privileges = NEEDS_PAGE)
{
	check_time(place_usable(), 500);
}

static void check_on_vp(void *page)
{
	check_time(page, 200);
}

TEST(tsc_page_vps, "Reference TSC page: is right on every VP", "Partition Reference TSC Mechanism",
	.privileges = NEEDS_PAGE, .vps = 2)
{
	tsc_page_t *page = place_usable();

	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, check_on_vp, (void *)page);
	check_time(page, 200);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}

TEST(tsc_page_stable, "Reference TSC page: does not change while nothing happens",
	"Partition Reference TSC Mechanism", .privileges = NEEDS_PAGE)
{
	tsc_page_t *page = place_usable();
	uint32_t sequence = page->tsc_sequence;
	uint64_t scale = page->tsc_scale;
	int64_t offset = page->tsc_offset;

	pass_ms(100);
	if (page->tsc_sequence != sequence)
		SKIP("the sequence has changed: the hypervisor has adjusted its clock");
	EXPECT_EQ(page->tsc_scale, scale, "scale");
	EXPECT_EQ(page->tsc_offset, offset, "offset");
}

TEST(tsc_page_monotonic, "Reference TSC page: time does not go back when it is placed again",
	"Reference Counter", .privileges = NEEDS_PAGE)
{
	uint64_t last = reference_time(), now;

	for (unsigned int i = 0; i < 10; i++) {
		now = page_time(place_usable());
		EXPECT(now + 1 >= last, "%lu after %lu", now, last);
		last = now;
		wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
		now = reference_time();
		EXPECT(now + 1 >= last, "counter: %lu after %lu", now, last);
		last = now;
	}
}

TEST(tsc_page_overlay, "Reference TSC page: gives back the memory that it covers",
	"GPA Overlay Pages", .privileges = NEEDS_PAGE)
{
	volatile uint64_t *memory = page_get();

	for (unsigned int i = 0; i < 512; i++)
		memory[i] = 0xc0c0c0c000000000 + i;
	wrmsr(HV_X64_MSR_REFERENCE_TSC, gpa_of((void *)memory) | HV_X64_MSR_PAGE_ENABLE);
	EXPECT(memory[1] != 0xc0c0c0c000000001, "the page is still the memory below");
	wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
	for (unsigned int i = 0; i < 512; i++)
		EXPECT_EQ(memory[i], 0xc0c0c0c000000000 + i, "the memory below, afterwards");
}

TEST(tsc_page_moved, "Reference TSC page: moves, and gives the first place back",
	"GPA Overlay Pages", .privileges = NEEDS_PAGE)
{
	volatile uint64_t *first = page_get(), *second = page_get();

	first[1] = 0xf1;
	second[1] = 0xf2;
	wrmsr(HV_X64_MSR_REFERENCE_TSC, gpa_of((void *)first) | HV_X64_MSR_PAGE_ENABLE);
	wrmsr(HV_X64_MSR_REFERENCE_TSC, gpa_of((void *)second) | HV_X64_MSR_PAGE_ENABLE);
	EXPECT_EQ(first[1], 0xf1, "memory at the first place");
	EXPECT(second[1] != 0xf2, "the second place still shows the memory below");
}

static const struct {
	const char *name;
	uint64_t (*value)(void);
} nowhere[] = {
	{ "no memory", gpa_unmapped },
	{ "beyond the GPA space", gpa_beyond },
};

static uint64_t all_ones(void)
{
	return UINT64_MAX;
}

static bool nowhere_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Reference TSC page: XSA-472, %s",
		row < 2 ? nowhere[row].name : "all bits set");
	return true;
}

// The register is written, the clock read, timers and page registers used: all goes on.
TEST(tsc_page_nowhere, "placing it there does no harm",
	"Reference Time Stamp Counter (TSC) Page Register", .privileges = NEEDS_PAGE, .rows = 3,
	.row_name = nowhere_row_name)
{
	uint64_t value = (row < 2 ? nowhere[row].value() : all_ones()) | HV_X64_MSR_PAGE_ENABLE;
	int vector = try_wrmsr(HV_X64_MSR_REFERENCE_TSC, value);
	uint64_t time = reference_time();

	EXPECT(vector == NO_EXCEPTION,
		"exception %d, but \"the page will not be accessible to the guest\" is all",
		vector);
	pass_ms(QUIET_MS);
	EXPECT(reference_time() > time, "the reference counter stands still");
	wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
	check_time(place_usable(), 10);
}

static struct {
	uint64_t gpa;
	uint32_t rounds;
} race;

static void place_and_remove(void *argument)
{
	(void)argument;
	for (unsigned int i = 0; i < race.rounds; i++) {
		wrmsr(HV_X64_MSR_REFERENCE_TSC, race.gpa | HV_X64_MSR_PAGE_ENABLE);
		wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
	}
}

TEST(tsc_page_race, "Reference TSC page: XSA-472, all VPs place it and take it away",
	"GPA Overlay Pages", .privileges = NEEDS_PAGE, .vps = 2)
{
	volatile uint64_t *memory = page_get();

	race.gpa = gpa_of((void *)memory);
	race.rounds = 50;
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, place_and_remove, NULL);
	place_and_remove(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
	wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
	for (unsigned int i = 0; i < 512; i++)
		memory[i] = i;
	for (unsigned int i = 0; i < 512; i++)
		EXPECT_EQ(memory[i], i, "a word of the page's memory");
	check_time(place_usable(), 10);
}
