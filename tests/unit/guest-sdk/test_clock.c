// SPDX-License-Identifier: BSD-2-Clause
// The clock: arithmetic, the sequence protocol, the counter behind it; frequencies.
#include "machine.h"

#include "base/macros.h"
#include "guest-sdk/tsc_page.h"
#include "lumen/clock.h"
#include "tests/unit/start_clock.h"

#define COUNTER HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER
#define PAGE	HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC

#define HZ    2500000000ull
#define SCALE ((uint64_t)(((unsigned __int128)10000000 << 64) / HZ))

static void start(uint64_t privileges)
{
	machine_set_hyperv(privileges, 0, 0);
	machine_set_msr(HV_X64_MSR_TIME_REF_COUNT, 0);
	machine_set_msr(HV_X64_MSR_REFERENCE_TSC, 0);
	cr_assert_eq(lumen_clock_start(), LUMEN_OK);
}

static void fill(uint32_t sequence, uint64_t scale, int64_t offset)
{
	lumen_tsc_page.tsc_sequence = sequence;
	lumen_tsc_page.tsc_scale = scale;
	lumen_tsc_page.tsc_offset = offset;
}

Test(clock, no_hypervisor)
{
	cr_expect_eq(lumen_clock_start(), LUMEN_NO_HYPERVISOR);
	cr_expect_eq(lumen_clock_ns(), 0);
	cr_expect_eq(lumen_clock_100ns(), 0);
}

Test(clock, no_privilege)
{
	machine_set_hyperv(PAGE, 0, 0);
	cr_expect_eq(lumen_clock_start(), LUMEN_NO_PRIVILEGE);
	cr_expect_eq(lumen_clock_source(), LUMEN_CLOCK_NONE);
}

Test(clock, counter_alone)
{
	start(COUNTER);
	cr_expect_eq(lumen_clock_source(), LUMEN_CLOCK_COUNTER);
	cr_expect_eq(machine_write_count, 0);
	machine_set_msr(HV_X64_MSR_TIME_REF_COUNT, 1234567);
	cr_expect_eq(lumen_clock_100ns(), 1234567);
	cr_expect_eq(lumen_clock_ns() / 100, 1234567);
}

// Bits 11:1 of the register are preserved.
Test(clock, page_is_placed_and_taken_away)
{
	machine_set_hyperv(COUNTER | PAGE, 0, 0);
	machine_set_msr(HV_X64_MSR_REFERENCE_TSC, 0xabc);
	cr_assert_eq(lumen_clock_start(), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_REFERENCE_TSC), (uintptr_t)&lumen_tsc_page | 0xabd);
	cr_expect_eq((uintptr_t)&lumen_tsc_page % HV_PAGE_SIZE, 0);
	lumen_clock_stop();
	cr_expect_eq(machine_msr(HV_X64_MSR_REFERENCE_TSC), 0xabc);
	cr_expect_eq(lumen_clock_ns(), 0);
}

// TLFS: ((tsc * scale) >> 64) + offset, all 64 bits of each.
Test(clock, arithmetic)
{
	static const struct {
		uint64_t tsc, scale;
		int64_t offset;
		uint64_t ticks, ns;
	} rows[] = {
		{ HZ, SCALE, 0, 9999999, 999999999 }, // the scale is rounded down
		{ HZ, SCALE + 1, 0, 10000000, 1000000000 }, { 0, SCALE, 77, 77, 7700 },
		{ 1ull << 63, 1ull << 1, 0, 1, 100 }, { 1ull << 62, 1ull << 1, 0, 0, 50 },
		{ 1000 * HZ, SCALE + 1, -10000000, 999 * 10000000ull, 999000000000ull },
		{ UINT64_MAX, UINT64_MAX, 2, 0, 0 }, // wraps as 64 bits do,
	};

	start(COUNTER | PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		fill(1, rows[i].scale, rows[i].offset);
		machine_tsc = rows[i].tsc;
		cr_expect_eq(
			lumen_clock_100ns(), rows[i].ticks, "row %zu: %lu", i, lumen_clock_100ns());
		cr_expect_eq(lumen_clock_ns(), rows[i].ns, "row %zu: %lu", i, lumen_clock_ns());
	}
}

static unsigned int changes;

// The hypervisor has other values for the reader, who has taken the TSC with the old ones.
static void change_page(void)
{
	if (changes) {
		changes--;
		machine_tsc += 1000000;
		fill(lumen_tsc_page.tsc_sequence + 1, SCALE, lumen_tsc_page.tsc_offset + 1000);
	}
}

Test(clock, reads_again_when_the_sequence_has_changed)
{
	const uint64_t tsc = start_clock();

	start(COUNTER | PAGE);
	fill(1, SCALE * 2, 0);
	machine_tsc = tsc;
	machine_on_rdtsc = change_page;
	changes = 3;
	cr_expect_eq(lumen_clock_100ns(),
		3000 + (uint64_t)((unsigned __int128)(tsc + 3000000) * SCALE >> 64));
	cr_expect_eq(changes, 0);
}

static void invalidate_page(void)
{
	lumen_tsc_page.tsc_sequence = HV_REFERENCE_TSC_SEQUENCE_INVALID;
}

Test(clock, falls_back_to_the_counter)
{
	start(COUNTER | PAGE);
	machine_set_msr(HV_X64_MSR_TIME_REF_COUNT, 555);
	cr_expect_eq(lumen_clock_100ns(), 555); // not valid yet
	fill(7, SCALE, 0);
	cr_expect_eq(lumen_clock_100ns(), 0);
	machine_on_rdtsc = invalidate_page; // while it is read
	cr_expect_eq(lumen_clock_100ns(), 555);
}

// The same tick, by the page and then by the counter.
Test(clock, does_not_go_back_when_the_page_goes)
{
	uint64_t by_page;

	start(COUNTER | PAGE);
	fill(1, UINT64_MAX, 0);
	machine_tsc = 1000;
	by_page = lumen_clock_ns();
	cr_expect_eq(by_page, 99999); // close to the end of tick 999
	machine_set_msr(HV_X64_MSR_TIME_REF_COUNT, 999);
	invalidate_page();
	cr_expect_geq(lumen_clock_ns(), by_page);
}

Test(frequency, by_msr)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_FREQUENCY_REGS, HV_FEATURE_EDX_FREQUENCY_REGS, 0);
	machine_set_msr(HV_X64_MSR_TSC_FREQUENCY, HZ);
	machine_set_msr(HV_X64_MSR_APIC_FREQUENCY, 200000000);
	cr_expect_eq(lumen_tsc_hz(), HZ);
	cr_expect_eq(lumen_apic_hz(), 200000000);
}

Test(frequency, not_known)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_FREQUENCY_REGS, 0, 0);
	cr_expect_eq(lumen_tsc_hz(), 0);
	cr_expect_eq(lumen_apic_hz(), 0);
}

Test(frequency, by_page)
{
	static const uint64_t some[] = { 10000001, 1000000000, HZ, 3999999999, 1ull << 40 };

	start(COUNTER | PAGE);
	cr_expect_eq(lumen_tsc_hz(), 0);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		fill(1, (uint64_t)(((unsigned __int128)10000000 << 64) / some[i]), 0);
		cr_expect_eq(lumen_tsc_hz(), some[i], "%lu: %lu", some[i], lumen_tsc_hz());
	}
	fill(1, 5, 0); // no TSC is so fast
	cr_expect_eq(lumen_tsc_hz(), 0);
}
