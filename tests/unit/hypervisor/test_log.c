// SPDX-License-Identifier: BSD-2-Clause
// The log once guests run: nobody waits for the console, lines stay whole, a panic shows all.
#include <criterion/criterion.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "hypervisor/core/clock.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/console.h"

static struct pcpu cpus[2], *self = &cpus[0];
static char printed[20000]; // what has come out of the UART
static unsigned int length, at_once, waits;
static bool busy; // the UART takes nothing
static jmp_buf reset;

uint64_t tsc_start, tsc_hz = 1000000000, tsc_to_100ns_scale;
static uint64_t now = 1;
char image_start[1], text_end[1];

uint64_t rdtsc(void)
{
	return now;
}

struct pcpu *this_cpu(void)
{
	return self;
}

void cpu_relax(void)
{
	cr_assert_fail("somebody waits");
}

void console_put(char c)
{
	waits++;
	printed[length++] = c;
}

unsigned int console_write_some(const char *text, unsigned int count)
{
	at_once += count;
	for (unsigned int i = 0; i < count && !busy; i++)
		printed[length++] = text[i];
	return busy ? 0 : count;
}

void machine_reset(void)
{
	longjmp(reset, 1);
}

// Processor I takes a timer interrupt.
static void interrupt(unsigned int i)
{
	self = &cpus[i];
	at_once = 0;
	timers_run(now);
	cr_assert_leq(at_once, 16, "%u characters at once", at_once);
}

static bool has_timer(unsigned int i)
{
	return !list_empty(&cpus[i].timers.armed);
}

static void drain(void)
{
	for (unsigned int n = 0; has_timer(0) || has_timer(1); n++) {
		cr_assert_lt(n, 10000);
		now += tsc_hz / 1000;
		interrupt(n % 2);
	}
}

static void setup(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		cpus[i].index = i;
		list_init(&cpus[i].timers.armed);
	}
	log_in_background();
}

TestSuite(log, .init = setup);

Test(log, nobody_waits_for_the_console)
{
	log_info("%s %u", "a line that is longer than what goes out at a time is in pieces", 42);
	cr_assert_eq(length, 0);
	drain();
	cr_assert_str_eq(printed,
		"lumen: a line that is longer than what goes out at a time is in pieces 42\r\n");
	cr_assert_eq(waits, 0);
}

Test(log, lines_of_two_processors_stay_whole)
{
	for (unsigned int i = 0; i < 40; i++) {
		self = &cpus[i % 2];
		log_info("this is line %u of processor %u, and a long one", i / 2, i % 2);
	}
	drain();
	for (char *line = strtok(printed, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned int n, cpu, end = 0;

		sscanf(line, "lumen: this is line %u of processor %u, and a long one%n", &n, &cpu,
			(int *)&end);
		cr_assert_neq(end, 0, "mixed: %s", line);
	}
}

Test(log, a_busy_uart_stops_nobody)
{
	busy = true;
	log_info("one");
	for (unsigned int i = 0; i < 100; i++) {
		now += tsc_hz / 1000;
		interrupt(0);
	}
	cr_assert(has_timer(0));
	busy = false;
	drain();
	cr_assert_str_eq(printed, "lumen: one\r\n");
}

// What does not fit is counted, and said.
Test(log, too_many_lines)
{
	for (unsigned int i = 0; i < 1000; i++)
		log_info("line %u", i);
	drain();
	cr_assert(strstr(printed, "lumen: line 0\r\nlumen: line 1\r\n"));
	cr_assert(strstr(printed, "lumen: lines of the log are lost here\r\n"));
	log_info("and on");
	drain();
	cr_assert(strstr(printed, "lumen: and on\r\n"));
}

Test(log, at_most_twenty_limited_lines_a_second)
{
	unsigned int lines = 0;

	for (unsigned int i = 0; i < 100; i++)
		log_limited("x");
	drain();
	for (const char *at = printed; (at = strchr(at, '\n')); at++)
		lines++;
	cr_assert_eq(lines, 20);
}

// Longer than a line may be: cut, not written elsewhere.
Test(log, a_line_is_cut)
{
	log_info("%0300u", 7);
	drain();
	cr_assert_eq(length, 202);
}

// A processor that panics while another one passes the ring on does not print for ever, and what
// that one's timer finds afterwards is not its business any more.
Test(log, a_panic_while_another_processor_drains)
{
	log_info("before");
	if (!setjmp(reset))
		panic("now");
	length = 0;
	now += tsc_hz;
	interrupt(0);
	cr_assert_eq(length, 0);
	cr_assert(!has_timer(0));
}

Test(log, a_panic_shows_what_waits)
{
	busy = true;
	log_info("before");
	self = &cpus[1];
	log_info("elsewhere");
	if (!setjmp(reset))
		panic("because of %u", 3);
	cr_assert_str_eq(
		printed, "lumen: before\nlumen: elsewhere\n\nlumen: panic: because of 3\n");
}
