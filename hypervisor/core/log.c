// SPDX-License-Identifier: BSD-2-Clause
// A small printf to the console.
#include "hypervisor/core/log.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/console.h"

#include <stdarg.h>

enum { LOG_BURST = 20 };

static struct spinlock log_lock; // guards the console, so that lines stay whole

static void put_number(uint64_t value, unsigned int base, int width, char pad)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	for (; width > n; width--)
		console_put(pad);
	while (n)
		console_put(digits[--n]);
}

static void put_string(const char *s)
{
	while (*s)
		console_put(*s++);
}

static void put_line(const char *prefix, const char *fmt, va_list args)
{
	put_string(prefix);
	for (; *fmt; fmt++) {
		bool wide = false;
		char pad = ' ';
		int width = 0;

		if (*fmt != '%') {
			console_put(*fmt);
			continue;
		}
		if (*++fmt == '0')
			pad = '0';
		for (; *fmt >= '0' && *fmt <= '9'; fmt++)
			width = width * 10 + *fmt - '0';
		for (; *fmt == 'l'; fmt++)
			wide = true;
		if (*fmt == 's')
			put_string(va_arg(args, const char *));
		else
			put_number(wide ? va_arg(args, unsigned long) : va_arg(args, unsigned int),
				*fmt == 'x' ? 16 : 10, width, pad);
	}
	console_put('\n');
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	spin_lock(&log_lock);
	put_line("lumen: ", fmt, args);
	spin_unlock(&log_lock);
	va_end(args);
}

void log_limited(const char *fmt, ...)
{
	static uint64_t second; // guarded by log_lock, like the next
	static unsigned int lines;
	uint64_t now = tsc_read() / (tsc_hz | 1);
	va_list args;

	va_start(args, fmt);
	spin_lock(&log_lock);
	if (now != second)
		lines = 0;
	second = now;
	if (lines++ < LOG_BURST)
		put_line("lumen: ", fmt, args);
	spin_unlock(&log_lock);
	va_end(args);
}

// What looks like a return address on the stack from AT up. Without frame pointers, so some may be
// stale.
static void backtrace(const uint64_t *at)
{
	const uint64_t *top = (const uint64_t *)ALIGN_UP((uint64_t)at, PCPU_STACK_SIZE);
	extern char image_start[], text_end[];
	int count = 0;

	if (at >= (const uint64_t *)image_start)
		return; // still on the boot stack, whose end is not aligned
	for (; at < top && count < 24; at++) {
		if (*at < (uint64_t)image_start || *at >= (uint64_t)text_end)
			continue;
		put_string("  from ");
		put_number(*at, 16, 0, ' ');
		console_put('\n');
		count++;
	}
}

void panic(const char *fmt, ...)
{
	va_list args;

	// No lock: whoever holds it may be what is broken.
	va_start(args, fmt);
	put_line("\nlumen: panic: ", fmt, args);
	va_end(args);
	backtrace(__builtin_frame_address(0));
	machine_reset();
}
