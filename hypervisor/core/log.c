// SPDX-License-Identifier: BSD-2-Clause
// A small printf to the console. Once the processors run guests (log_in_background()), a line goes
// to a ring of its processor, and a timer there passes it on in pieces for which nobody waits.
#include "hypervisor/core/log.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/console.h"

#include <stdarg.h>

enum {
	LOG_BURST = 20,
	LINE_MAX = 200,	  // what is longer is cut
	RING_SIZE = 4096, // characters of a processor that wait
	PIECE_MAX = 16,	  // characters at a time
	PIECES_HZ = 5000,
	NOBODY = PCPU_MAX,
};

// Written by its own processor only.
struct ring {
	struct timer timer;
	uint32_t head, tail; // free-running
	uint32_t lost;	     // lines that did not fit
	char text[RING_SIZE];
};

struct line {
	unsigned int length;
	char text[LINE_MAX];
};

static struct ring rings[PCPU_MAX];
static bool background;

static struct spinlock console_lock; // guards the console and the next, for a piece at most
static uint32_t writer = NOBODY;     // the processor in the middle of a line

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

static char ring_char(const struct ring *ring, uint32_t at)
{
	return ring->text[at % RING_SIZE];
}

// All that waits anywhere. No lock: whoever has it may be what is broken.
static void drain_now(void)
{
	for (uint32_t i = 0; background && i < PCPU_MAX; i++)
		for (; rings[i].tail != rings[i].head; rings[i].tail++)
			if (ring_char(&rings[i], rings[i].tail) != '\r')
				console_put(ring_char(&rings[i], rings[i].tail));
}

// --- in the background ---

static void ring_put(struct ring *ring, const struct line *line)
{
	if (line->length + 2 > RING_SIZE - (ring->head - READ_ONCE(ring->tail))) {
		ring->lost++;
		return;
	}
	for (unsigned int i = 0; i < line->length; i++)
		ring->text[(ring->head + i) % RING_SIZE] = line->text[i];
	ring->text[(ring->head + line->length) % RING_SIZE] = '\r';
	ring->text[(ring->head + line->length + 1) % RING_SIZE] = '\n';
	ring->head += line->length + 2;
}

static void __attribute__((format(printf, 2, 3)))
ring_print(struct ring *ring, const char *fmt, ...)
{
	struct line line;
	va_list args;

	va_start(args, fmt);
	format(&line, "lumen: ", fmt, args);
	va_end(args);
	ring_put(ring, &line);
}

// The next characters of RING that lie in a row, of one line.
static unsigned int piece(const struct ring *ring)
{
	uint32_t i = 0, waiting = ring->head - ring->tail;

	while (i < MIN(waiting, PIECE_MAX) &&
		(ring->tail + i) / RING_SIZE == ring->tail / RING_SIZE)
		if (ring_char(ring, ring->tail + i++) == '\n')
			break;
	return i;
}

static void drain_some(struct ring *ring, uint32_t self)
{
	unsigned int done;

	spin_guard(&console_lock);
	if (writer != NOBODY && writer != self)
		return;
	done = console_write_some(&ring->text[ring->tail % RING_SIZE], piece(ring));
	if (!done)
		return;
	ring->tail += done;
	writer = ring_char(ring, ring->tail - 1) == '\n' ? NOBODY : self;
}

static void continue_later(struct ring *ring)
{
	if (ring->head != ring->tail && !READ_ONCE(ring->timer.queue))
		timer_arm(&ring->timer, tsc_read() + tsc_hz / PIECES_HZ);
}

static void on_timer(struct timer *timer)
{
	struct ring *ring = container_of(timer, struct ring, timer);
	uint32_t lost = ring->lost;

	drain_some(ring, ring - rings);
	if (lost && ring->head - ring->tail < RING_SIZE / 2) {
		ring->lost = 0;
		ring_print(ring, "%u lines of the log are lost", lost);
	}
	continue_later(ring);
}

void log_in_background(void)
{
	for (uint32_t i = 0; i < PCPU_MAX; i++)
		timer_init(&rings[i].timer, on_timer);
	store_release(background, true);
}

// --- the three ways in ---

static void emit(const struct line *line)
{
	struct ring *ring;

	if (!load_acquire(background)) {
		spin_guard(&console_lock);
		print_now(line);
		return;
	}
	ring = &rings[this_cpu()->index];
	ring_put(ring, line);
	continue_later(ring);
}

void log_info(const char *fmt, ...)
{
	struct line line;
	va_list args;

	va_start(args, fmt);
	format(&line, "lumen: ", fmt, args);
	va_end(args);
	emit(&line);
}

// Is there still one of the lines of this second?
static bool within_limit(void)
{
	static struct spinlock lock; // guards the next
	static uint64_t second;
	static unsigned int lines;
	uint64_t now = tsc_read() / (tsc_hz | 1);

	spin_guard(&lock);
	if (now != second)
		lines = 0;
	second = now;
	return lines++ < LOG_BURST;
}

void log_limited(const char *fmt, ...)
{
	struct line line;
	va_list args;

	if (!within_limit())
		return;
	va_start(args, fmt);
	format(&line, "lumen: ", fmt, args);
	va_end(args);
	emit(&line);
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
