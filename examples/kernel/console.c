// SPDX-License-Identifier: BSD-2-Clause
// The console: a 16550A or 16750, asked once for all that its FIFO holds whether it has room.
#include "examples/kernel/internal.h"

enum {
	DATA = 0x3f8,
	FIFO_CONTROL = DATA + 2,	     // written
	INTERRUPT_IDENTIFICATION = DATA + 2, // read
	LINE_CONTROL = DATA + 3,
	LINE_STATUS = DATA + 5,
	FIFO_MAX = 64,
	FIFO_ENABLE = 1,
	FIFO_64 = 0x20, // to FIFO_CONTROL while DIVISOR_LATCH is set, and back in
			// INTERRUPT_IDENTIFICATION
	EIGHT_BITS = 3,
	DIVISOR_LATCH = 0x80,
	TRANSMITTER_EMPTY = 0x20,
	PATIENCE = 100000, // a console that nobody reads must not stop us
	TEXT_MAX = 512,
};

static uint32_t console_lock;
static uint8_t fifo[FIFO_MAX];
static uint32_t fifo_size; // 0: not known yet
static uint32_t fill;

static void start(void)
{
	kernel_out8(LINE_CONTROL, EIGHT_BITS | DIVISOR_LATCH);
	kernel_out8(FIFO_CONTROL, FIFO_ENABLE | FIFO_64);
	kernel_out8(LINE_CONTROL, EIGHT_BITS);
	fifo_size = kernel_in8(INTERRUPT_IDENTIFICATION) & FIFO_64 ? FIFO_MAX : FIFO_MAX / 4;
}

static void flush(void)
{
	const uint8_t *from = fifo;
	uint64_t count = fill;

	for (uint32_t i = 0; i < PATIENCE; i++)
		if (kernel_in8(LINE_STATUS) & TRANSMITTER_EMPTY)
			break;
	__asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(DATA) : "memory");
	fill = 0;
}

static void put(char c)
{
	fifo[fill++] = (uint8_t)c;
	if (fill == fifo_size)
		flush();
}

void kernel_write(const char *text, size_t length)
{
	uint64_t flags = lock(&console_lock);

	if (!fifo_size)
		start();
	while (length--) {
		if (*text == '\n')
			put('\r');
		put(*text++);
	}
	if (fill)
		flush();
	unlock(&console_lock, flags);
}

void kernel_vprint(const char *format, va_list arguments)
{
	char text[TEXT_MAX];

	kernel_write(text, kernel_vformat(text, sizeof(text), format, arguments));
}

void kernel_print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	kernel_vprint(format, arguments);
	va_end(arguments);
}
