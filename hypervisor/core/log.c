// SPDX-License-Identifier: BSD-2-Clause
// A small printf to the console.
#include "hypervisor/core/log.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/spinlock.h"
#include "hypervisor/x86/console.h"

#include <stdarg.h>

enum { LOG_BURST = 20 };

static struct spinlock log_lock; // guards the console, so that lines stay whole

static void put_number(uint64_t value, unsigned int base, int width, char pad, bool negative)
{
	char digits[24];
	int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[n++] = '-';
	for (int i = n; i < width; i++)
		console_put(pad);
	while (n)
		console_put(digits[--n]);
}

static void put_string(const char *s, int width)
{
	for (; *s; s++, width--)
		console_put(*s);
	while (width-- > 0)
		console_put(' ');
}

static void format(const char *fmt, va_list args)
{
	for (; *fmt; fmt++) {
		bool wide = false;
		char pad = ' ';
		int width = 0;
		int64_t value;

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
		switch (*fmt) {
		case 'd':
			value = wide ? va_arg(args, long) : va_arg(args, int);
			put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, pad, value < 0);
			break;
		case 'u':
			put_number(wide ? va_arg(args, unsigned long) : va_arg(args, unsigned int), 10, width, pad, false);
			break;
		case 'x':
			put_number(wide ? va_arg(args, unsigned long) : va_arg(args, unsigned int), 16, width, pad, false);
			break;
		case 'p':
			put_number((uint64_t)va_arg(args, void *), 16, 16, '0', false);
			break;
		case 's':
			put_string(va_arg(args, const char *), width);
			break;
		case 'c':
			console_put(va_arg(args, int));
			break;
		default:
			console_put(*fmt);
		}
	}
}

static void line(const char *prefix, const char *fmt, va_list args)
{
	put_string(prefix, 0);
	format(fmt, args);
	console_put('\n');
}

void log_info(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	spin_lock(&log_lock);
	line("lumen: ", fmt, args);
	spin_unlock(&log_lock);
	va_end(args);
}

void log_limited(const char *fmt, ...)
{
	static uint64_t second; // guarded by log_lock, like the next
	static unsigned int lines, dropped;
	uint64_t now = tsc_read() / (tsc_hz | 1);
	va_list args;

	va_start(args, fmt);
	spin_lock(&log_lock);
	if (now != second) {
		second = now;
		lines = 0;
	}
	if (lines++ < LOG_BURST)
		line("lumen: ", fmt, args);
	else
		dropped++;
	spin_unlock(&log_lock);
	va_end(args);
}

static void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line("lumen: ", fmt, args);
	va_end(args);
}

// What looks like a return address on the stack from AT up. Without frame pointers, so some may be stale.
static void backtrace(const uint64_t *at)
{
	const uint64_t *top = (const uint64_t *)(ALIGN_DOWN((uint64_t)at, PCPU_STACK_SIZE) + PCPU_STACK_SIZE);
	extern char image_start[], text_end[];
	int count = 0;

	if (at >= (const uint64_t *)image_start)
		return; // still on the boot stack, whose end is not aligned
	for (; at < top && count < 24; at++) {
		if (*at < (uint64_t)image_start || *at >= (uint64_t)text_end)
			continue;
		print("  from %lx", *at);
		count++;
	}
}

void panic(const char *fmt, ...)
{
	va_list args;

	// No lock: whoever holds it may be what is broken.
	va_start(args, fmt);
	line("\nlumen: panic: ", fmt, args);
	va_end(args);
	backtrace(__builtin_frame_address(0));
	machine_reset();
}
