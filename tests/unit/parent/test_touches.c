// SPDX-License-Identifier: BSD-2-Clause
// What is said about a child that looks for what is not there: which accesses were the most, what
// it seems to wait for, and what it wrote to a screen that nobody sees.
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "parent/worker/platform/missing.h"
#include "parent/worker/platform/screen.h"

static struct touches touches;
static char said[4096];
static unsigned lines;
static char sentence[MISSING_SENTENCE_MAX];

static void say(const char *format, ...)
{
	size_t length = strlen(said);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(said + length, sizeof(said) - length, format, arguments);
	va_end(arguments);
	strcat(said, "\n");
	lines++;
}

static void touch(uint16_t port, bool write, unsigned times, uint64_t now_ms)
{
	while (times--)
		touches_add(&touches, TOUCH_PORT, port, write, now_ms);
}

static const char *waits(uint64_t now_ms)
{
	missing_waits_for(&touches, now_ms, sentence, sizeof(sentence));
	return sentence;
}

Test(touches, are_counted_by_place_and_direction)
{
	struct touch top[4];

	touch(0x61, false, 5, 1);
	touch(0x43, true, 2, 2);
	touches_add(&touches, TOUCH_MEMORY, 0x61, false, 3);
	touch(0x61, true, 1, 4);
	cr_assert_eq(touches_top(&touches, top, 4), 3);
	cr_assert_eq(top[0].address, 0x61);
	cr_assert_eq(top[0].reads, 5);
	cr_assert_eq(top[0].writes, 1);
	cr_assert_eq(top[0].last_ms, 4);
	cr_assert_eq(top[1].address, 0x43);
	cr_assert_eq(top[2].space, TOUCH_MEMORY);
	cr_assert_eq(touches_top(&touches, top, 1), 1);
}

// The table's promise: whoever has more than a 32nd of all accesses is in it, and what it says for
// certain is no more than the truth.
Test(touches, the_frequent_are_found_among_any_number)
{
	struct touch top[TOUCHES_MAX];
	unsigned seed = 1, found = 0, count;

	for (unsigned i = 0; i < 100000; i++) {
		seed = seed * 1103515245 + 12345;
		touches_add(
			&touches, TOUCH_MEMORY, 0xf0000000 + (seed >> 8 & 0xffff) * 8, false, i);
		if (i % 10 == 0)
			touch(0x64, false, 1, i);
		if (i % 15 == 0)
			touch(0x71, false, 1, i);
	}
	count = touches_top(&touches, top, TOUCHES_MAX);
	cr_assert_eq(count, TOUCHES_MAX);
	for (unsigned i = 0; i < count; i++) {
		uint64_t truth = top[i].address == 0x64 ? 10000 : 6667;

		if (top[i].space != TOUCH_PORT)
			continue;
		found++;
		cr_assert_leq(top[i].reads, truth);
		cr_assert_geq(top[i].reads + top[i].perhaps, truth);
	}
	cr_assert_eq(found, 2);
	cr_assert_eq(top[0].address, 0x64);
}

Test(touches, a_loop_at_a_timer_is_a_wait_for_it)
{
	touch(0x43, true, 3, 0);
	touch(0x61, false, 999, 5000);
	cr_assert_str_eq(waits(5000), "", "it may be a probe");
	touch(0x61, false, 1, 5000);
	cr_assert(strstr(waits(5000), "It seems to wait for the 8254 timer (PIT)"), "%s", sentence);
	cr_assert(strstr(sentence, "port 0x61: 1000 reads, 0 writes"), "%s", sentence);
	cr_assert(strstr(sentence, "0x40000022"), "%s", sentence);
	cr_assert(strstr(sentence, "--legacy-timer"), "%s", sentence);
	cr_assert_eq(sentence[strlen(sentence) - 1], '.');
	cr_assert_str_eq(waits(8000), "", "it has gone on since then");
}

Test(touches, what_is_harmless_is_no_wait)
{
	touch(0x80, true, 5000, 10);
	touch(0x80, false, 5000, 10);
	touch(0x3d4, true, 5000, 10);
	cr_assert_str_eq(waits(10), "", "delays and output");
	touch(0x1f7, false, 2000, 10);
	cr_assert(strstr(waits(10), "an IDE disk"), "%s", sentence);
	cr_assert(strstr(sentence, "VMBus"), "%s", sentence);
}

Test(touches, a_wait_for_what_nobody_knows)
{
	touch(0x1234, false, 1000, 10);
	cr_assert_str_eq(waits(10), " It seems to wait for something, which is not there (port "
				    "0x1234: 1000 reads, 0 writes).");
}

Test(touches, devices_of_a_pc_are_known)
{
	static const struct {
		enum touch_space space;
		uint64_t address;
		const char *name;
	} known[] = {
		{ TOUCH_PORT, 0x20, "8259" },
		{ TOUCH_PORT, 0xa1, "8259" },
		{ TOUCH_PORT, 0x40, "PIT" },
		{ TOUCH_PORT, 0x43, "PIT" },
		{ TOUCH_PORT, 0x61, "PIT" },
		{ TOUCH_PORT, 0x60, "PS/2" },
		{ TOUCH_PORT, 0x64, "PS/2" },
		{ TOUCH_PORT, 0x70, "RTC" },
		{ TOUCH_PORT, 0x3b0, "VGA" },
		{ TOUCH_PORT, 0x3df, "VGA" },
		{ TOUCH_PORT, 0xcf8, "PCI" },
		{ TOUCH_PORT, 0xcff, "PCI" },
		{ TOUCH_PORT, 0xcf9, "reset" },
		{ TOUCH_MEMORY, 0xfed000f0, "HPET" },
		{ TOUCH_MEMORY, 0xfec00010, "I/O APIC" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		const struct missing_device *device =
			missing_find(known[i].space, known[i].address);

		cr_assert_not_null(device, "0x%llx", (unsigned long long)known[i].address);
		cr_expect(strstr(device->name, known[i].name), "%s", device->name);
	}
	cr_assert_null(missing_find(TOUCH_PORT, 0x3e0));
	cr_assert_null(missing_find(TOUCH_MEMORY, 0x40));
}

Test(touches, every_sentence_is_whole)
{
	for (unsigned port = 0; port <= 0xffff; port++) {
		const struct missing_device *device = missing_find(TOUCH_PORT, port);

		if (!device || !device->advice)
			continue;
		memset(&touches, 0, sizeof(touches));
		touches_add(&touches, TOUCH_PORT, port, false, 0);
		touches.entries[0].reads = touches.entries[0].writes = UINT64_MAX / 4;
		waits(0);
		cr_assert_eq(sentence[strlen(sentence) - 1], '.', "%s", sentence);
		cr_assert_null(strchr(sentence, '\n'));
	}
}

Test(touches, the_report_is_bounded)
{
	missing_report(&touches, 0, say);
	cr_assert_eq(lines, 0, "nothing was touched");
	for (uint16_t port = 0; port < 1000; port++)
		touch(port, false, 1, 0);
	touch(0x61, false, 100, 700);
	missing_report(&touches, 12345, say);
	cr_assert_eq(lines, MISSING_LINES_MAX);
	cr_assert(strstr(said, "port 0x61: 100 reads, 0 writes, the last 11.6 s ago: the 8254"),
		"%s", said);
}

static uint8_t screen[SCREEN_BYTES];

static void print(unsigned row, const char *text)
{
	for (uint8_t *at = screen + row * SCREEN_COLUMNS * 2; *text; at += 2) {
		at[0] = (uint8_t)*text++;
		at[1] = 0x07;
	}
}

Test(touches, text_on_the_screen_is_shown)
{
	screen_report(screen, say);
	cr_assert_eq(lines, 0, "an empty screen");
	print(3, "a b");
	screen_report(screen, say);
	cr_assert_eq(lines, 0, "what may be anything");
	print(0, "panic: no \x1b[31mtimer\xff");
	print(24, "  halted");
	screen_report(screen, say);
	cr_assert_eq(lines, 4);
	cr_assert(strstr(said, "  | panic: no  [31mtimer\n  | a b\n  |   halted\n"), "%s", said);
	memset(screen, 'x', sizeof(screen));
	lines = 0;
	said[0] = 0;
	screen_report(screen, say);
	cr_assert_eq(lines, 1 + SCREEN_ROWS);
}
