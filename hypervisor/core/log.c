// SPDX-License-Identifier: BSD-2-Clause
// A small printf to the console. Once the processors run guests (log_in_background()), a line goes
// to a ring, and a timer passes it on in pieces for which nobody waits.
#include "hypervisor/core/log.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/console.h"

#include <stdarg.h>

enum {
	LOG_BURST = 20,
	LINE_MAX = 200,	  // what is longer is cut
	RING_SIZE = 8192, // characters that wait
	PIECE_MAX = 16,	  // characters at a time
	PIECES_HZ = 5000,
};

#define LOST "lumen: lines of the log are lost here"

struct line {
	unsigned int length;
	char text[LINE_MAX + 2]; // with room for its end
};

// Guards the rest, for as long as it takes to copy a line; leaf, but for the timer's.
static struct spinlock lock;
static bool background;
static struct timer timer;  // armed while something waits
static uint32_t head, tail; // of the ring, free-running
static bool lost;	    // some did not fit
static char ring[RING_SIZE];

static void put_char(struct line *line, char c)
{
	if (line->length < LINE_MAX)
		line->text[line->length++] = c;
}

static void put_string(struct line *line, const char *s)
{
	while (*s)
		put_char(line, *s++);
}

static void put_number(struct line *line, uint64_t value, unsigned int base, int width, char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		put_char(line, pad);
	while (n)
		put_char(line, digits[--n]);
}

static void format(struct line *line, const char *prefix, const char *fmt, va_list args)
{
	line->length = 0;
	put_string(line, prefix);
	for (; *fmt; fmt++) {
		bool wide = false;
		char pad = ' ';
		int width = 0;

		if (*fmt != '%') {
			put_char(line, *fmt);
			continue;
		}
		if (*++fmt == '0')
			pad = '0';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		for (; *fmt == 'l'; fmt++)
			wide = true;
		if (*fmt == 's')
			put_string(line, va_arg(args, const char *));
		else
			put_number(line,
				wide ? va_arg(args, unsigned long) : va_arg(args, unsigned int),
				*fmt == 'x' ? 16 : 10, width, pad);
	}
}

// --- at boot, and in a panic: now ---

static void print_now(const struct line *line)
{
	for (unsigned int i = 0; i < line->length; i++)
		console_put(line->text[i]);
	console_put('\n');
}

// No lock: whoever has it may be what is broken. From here on nothing is in the background.
static void drain_now(void)
{
	uint32_t at = READ_ONCE(tail), count = MIN(READ_ONCE(head) - at, RING_SIZE);

	WRITE_ONCE(background, false);
	for (; count; count--, at++)
		if (ring[at % RING_SIZE] != '\r')
			console_put(ring[at % RING_SIZE]);
}

// --- in the background ---

static void ring_put(struct line *line)
{
	line->text[line->length++] = '\r';
	line->text[line->length++] = '\n';
	if (line->length > RING_SIZE - (head - tail)) {
		lost = true;
		return;
	}
	for (unsigned int i = 0; i < line->length; i++)
		ring[head++ % RING_SIZE] = line->text[i];
}

static void continue_later(void)
{
	if (head != tail && !READ_ONCE(timer.queue))
		timer_arm(&timer, tsc_read() + tsc_hz / PIECES_HZ);
}

static void on_timer(struct timer *unused)
{
	uint32_t in_a_row = RING_SIZE - tail % RING_SIZE;

	spin_guard(&lock);
	if (!READ_ONCE(background))
		return; // a panic
	tail += console_write_some(
		&ring[tail % RING_SIZE], MIN(MIN(head - tail, in_a_row), PIECE_MAX));
	if (lost && head - tail < RING_SIZE / 2) {
		lost = false;
		ring_put(&(struct line){ sizeof(LOST) - 1, LOST });
	}
	continue_later();
}

void log_in_background(void)
{
	spin_guard(&lock);
	timer_init(&timer, on_timer);
	background = true;
}

static bool within_limit(void)
{
	static uint64_t second;
	static unsigned int lines;
	uint64_t now = tsc_read() / (tsc_hz | 1);

	if (now != second)
		lines = 0;
	second = now;
	return lines++ < LOG_BURST;
}

void log_line(bool limited, const char *fmt, ...)
{
	struct line line;
	va_list args;

	va_start(args, fmt);
	format(&line, "lumen: ", fmt, args);
	va_end(args);
	spin_guard(&lock);
	if (limited && !within_limit())
		return;
	if (!background) {
		print_now(&line);
		return;
	}
	ring_put(&line);
	continue_later();
}

// What looks like a return address on the stack from AT up. Without frame pointers, so some may be
// stale.
static void backtrace(const uint64_t *at)
{
	const uint64_t *top = (const uint64_t *)ALIGN_UP((uint64_t)at, PCPU_STACK_SIZE);
	extern char image_start[], text_end[];
	struct line line;
	int count = 0;

	if (at >= (const uint64_t *)image_start)
		return; // still on the boot stack, whose end is not aligned
	for (; at < top && count < 24; at++) {
		if (*at < (uint64_t)image_start || *at >= (uint64_t)text_end)
			continue;
		line.length = 0;
		put_string(&line, "  from ");
		put_number(&line, *at, 16, 0, ' ');
		print_now(&line);
		count++;
	}
}

void panic(const char *fmt, ...)
{
	struct line line;
	va_list args;

	drain_now();
	va_start(args, fmt);
	format(&line, "\nlumen: panic: ", fmt, args);
	va_end(args);
	print_now(&line);
	backtrace(__builtin_frame_address(0));
	machine_reset();
}
