// SPDX-License-Identifier: BSD-2-Clause
// The counters of --legacy-timer, as kernels calibrate by them. The clock is the test's.
#include <criterion/criterion.h>

#include "parent/worker/platform/pit.h"

#include "base/macros.h"

enum { CONTROL = 3, OUT = 0x20, MS = 10000 /* units of 100 ns */ };

static struct pit pit;
static uint64_t now;

static void setup(void)
{
	now = 0;
	pit_init(&pit);
}

static void out(unsigned offset, uint8_t value)
{
	pit_write(&pit, offset, value, now);
}

static uint8_t in(unsigned offset)
{
	return pit_read(&pit, offset, now);
}

static void gate(uint8_t value)
{
	pit_write_gate(&pit, value, now);
}

static bool high(void)
{
	return pit_read_gate(&pit, now) & OUT;
}

static void load(unsigned channel, uint8_t control, uint16_t count)
{
	out(CONTROL, control);
	out(channel, count & 0xff);
	out(channel, count >> 8);
}

static uint16_t word(unsigned channel)
{
	uint8_t low = in(channel);

	return (uint16_t)(low | in(channel) << 8);
}

static uint16_t latched(unsigned channel)
{
	out(CONTROL, (uint8_t)(channel << 6));
	return word(channel);
}

// Moves the clock by so many ticks of the counter, and a little more, so that they are over.
static void wait_ticks(uint64_t ticks)
{
	now += (ticks * 10000000 + PIT_HZ - 1) / PIT_HZ;
}

// The clocks at which a child may be: its start, and where sums of 32 and 64 bits could wrap.
static const uint64_t starts[] = { 0, 1, UINT32_MAX, UINT64_MAX / PIT_HZ, 1ull << 62 };
enum { STARTS = ARRAY_SIZE(starts) };

TestSuite(pit, .init = setup);

// Linux: pit_calibrate_tsc(), 50 ms in mode 0.
Test(pit, linux_waits_for_the_output_in_mode_0)
{
	for (int i = 0; i < STARTS; i++) {
		uint64_t start = now = starts[i];

		gate((uint8_t)((pit_read_gate(&pit, now) & ~0x02) | 0x01));
		load(2, 0xb0, PIT_HZ / 20);
		cr_assert(!high());
		while (!high())
			now += 10;
		cr_assert(now - start >= 50 * MS - 20 && now - start <= 50 * MS + 20, "%llu",
			(unsigned long long)(now - start));
		now += 1000 * MS;
		cr_assert(high(), "it stays");
	}
}

// Linux: quick_pit_calibrate(), which reads the high byte of a running counter, low byte first.
Test(pit, linux_watches_the_high_byte)
{
	uint8_t before = 0xff;
	unsigned changes = 0;

	gate(1);
	load(2, 0xb0, 0xffff);
	for (int i = 0; i < 1000; i++) {
		uint8_t byte;

		now += 10;
		in(2);
		byte = in(2);
		cr_assert(byte == before || byte == before - 1);
		changes += byte != before;
		before = byte;
	}
	cr_assert_eq(changes, 4, "1 ms are 1193 ticks");
}

// OSDev's APIC timer: mode 1, started by the gate.
Test(pit, mode_1_is_started_by_the_gate)
{
	gate(1);
	load(2, 0xb2, 11931);
	cr_assert(high());
	now += 100 * MS;
	cr_assert(high(), "nothing has started it");
	gate(0);
	gate(1);
	cr_assert(!high());
	now += 9 * MS;
	cr_assert(!high());
	now += 1 * MS;
	cr_assert(high());
	gate(0);
	cr_assert(high());
	gate(1);
	cr_assert(!high(), "and again");
}

Test(pit, the_gate_holds_mode_0)
{
	gate(0);
	load(2, 0xb0, 11931);
	now += 20 * MS;
	cr_assert(!high());
	cr_assert_eq(latched(2), 11931);
	gate(1);
	now += 5 * MS;
	gate(0);
	now += 20 * MS;
	cr_assert(!high());
	cr_assert(latched(2) >= 5964 && latched(2) <= 5967, "%u", latched(2));
	gate(1);
	now += 5 * MS + 20;
	cr_assert(high());
}

// FreeBSD: getit() with channel 0 in mode 2. littlekernel: the same in mode 0, with read-backs.
Test(pit, mode_2_counts_round_and_round)
{
	for (int i = 0; i < STARTS; i++) {
		now = starts[i];
		load(0, 0x34, 1000);
		cr_assert_eq(latched(0), 1000);
		wait_ticks(1);
		cr_assert_geq(latched(0), 998);
		wait_ticks(990);
		cr_assert(latched(0) >= 1 && latched(0) <= 10, "%u", latched(0));
		wait_ticks(10);
		cr_assert_geq(latched(0), 990);
	}
}

Test(pit, mode_3_is_a_square_wave)
{
	unsigned ups = 0;
	bool before = true;

	gate(1);
	load(2, 0xb6, 1193);
	cr_assert(high());
	for (int i = 0; i < 10000; i++) {
		now += 10;
		ups += high() && !before;
		before = high();
	}
	cr_assert(ups == 9 || ups == 10, "%u in 10 ms", ups);
	wait_ticks(300);
	cr_assert_leq(latched(2), 1193);
	cr_assert_eq(latched(2) % 2, 1193 % 2, "by two");
	gate(0);
	cr_assert(high());
}

Test(pit, littlekernel_reads_back_the_status)
{
	load(0, 0x30, 1193);
	out(CONTROL, 0xe2);
	cr_assert_eq(in(0), 0x30, "running, output low");
	now += 2 * MS;
	out(CONTROL, 0xe2);
	cr_assert_eq(in(0) & 0xc0, 0x80, "output high, count loaded");
	out(CONTROL, 0x30);
	out(CONTROL, 0xe2);
	cr_assert_eq(in(0) & 0xc0, 0x40, "no count");
}

Test(pit, read_back_latches_count_and_status_of_several)
{
	gate(1);
	load(0, 0x34, 5000);
	load(2, 0xb0, 6000);
	out(CONTROL, 0xca); // channels 0 and 2, count and status
	wait_ticks(100);
	cr_assert_eq(in(0), 0xb4);
	cr_assert_eq(word(0), 5000, "latched, low byte first");
	cr_assert_eq(in(2), 0x30);
	cr_assert_eq(word(2), 6000);
	cr_assert_leq(latched(2), 5900, "and not any more");
	out(CONTROL, 0x80);
	wait_ticks(100);
	out(CONTROL, 0x80);
	cr_assert_geq(word(2), 5890, "a second latch does not move the first");
}

Test(pit, one_byte_accesses)
{
	out(CONTROL, 0x10);
	out(0, 0x80);
	cr_assert_eq(in(0), 0x80);
	cr_assert_eq(in(0), 0x80, "always the low byte");
	out(CONTROL, 0x20);
	out(0, 0x80);
	cr_assert_eq(in(0), 0x80);
	wait_ticks(300);
	cr_assert_eq(in(0), 0x7e, "always the high byte");
	cr_assert_eq(in(CONTROL), 0xff);
}

Test(pit, zero_is_65536)
{
	gate(1);
	load(2, 0xb0, 0);
	now += 54 * MS;
	cr_assert(!high());
	now += 1 * MS;
	cr_assert(high());
}

Test(pit, the_refresh_bit_changes)
{
	unsigned changes = 0;
	uint8_t before = pit_read_gate(&pit, now);

	for (; now < MS; now += 10) {
		changes += (pit_read_gate(&pit, now) ^ before) >> 4 & 1;
		before = pit_read_gate(&pit, now);
	}
	cr_assert_eq(changes, 66, "every 15 us");
}

Test(pit, any_access_is_harmless)
{
	unsigned seed = 1;

	for (int i = 0; i < 200000; i++) {
		seed = seed * 1103515245 + 12345;
		now += seed >> 20;
		if (seed >> 30 & 1)
			out(seed >> 16 & 3, (uint8_t)(seed >> 8));
		else if (seed >> 29 & 1)
			in(seed >> 16 & 3);
		else
			gate((uint8_t)(seed >> 8));
		pit_read_gate(&pit, now);
		latched(seed >> 24 & 1);
	}
}
