// SPDX-License-Identifier: BSD-2-Clause
// The 16550: what drivers do to detect it, its FIFOs, and the edges of its interrupt line.
#include <criterion/criterion.h>
#include <string.h>

#include "parent/worker/platform/uart.h"

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

static struct uart uart;
static char sent[256];
static size_t sent_count;
static const char *input;
static int edges;
static bool line;

static void on_send(void *context, uint8_t byte)
{
	(void)context;
	sent[sent_count++] = (char)byte;
}

static int on_receive(void *context)
{
	(void)context;
	return *input ? *input++ : -1;
}

static void on_interrupt(void *context, bool high)
{
	(void)context;
	cr_assert_neq(high, line, "the line is only reported when it changes");
	line = high;
	edges += high;
}

static void setup(void)
{
	static const struct uart_wiring wiring = {
		.send = on_send, .receive = on_receive, .interrupt = on_interrupt
	};

	memset(sent, 0, sizeof(sent));
	sent_count = 0;
	input = "";
	edges = 0;
	line = false;
	uart_init(&uart, &wiring);
}

TestSuite(uart, .init = setup);

Test(uart, is_a_16550a_to_a_driver)
{
	uart_write(&uart, IER, 0);
	cr_assert_eq(uart_read(&uart, IER), 0);
	uart_write(&uart, IER, 0xff);
	cr_assert_eq(uart_read(&uart, IER), 0x0f, "no sleep mode, no UUE: not a later chip");
	uart_write(&uart, IER, 0);
	uart_write(&uart, MCR, 0x1a);
	cr_assert_eq(uart_read(&uart, MSR) & 0xf0, 0x90, "loopback: RTS to CTS, OUT2 to DCD");
	uart_write(&uart, MCR, 0);
	cr_assert_eq(uart_read(&uart, IIR) & 0xc0, 0, "no FIFO before it is enabled");
	uart_write(&uart, IIR, 0x01);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0xc0, "FIFO of 16 bytes, not of 64");
	uart_write(&uart, IIR, 0x21);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0xc0, "nor if that is asked for without DLAB");
	uart_write(&uart, SCRATCH, 0x5a);
	cr_assert_eq(uart_read(&uart, SCRATCH), 0x5a);
}

static void enable_64_bytes(uint8_t trigger)
{
	uart_write(&uart, LCR, 0x83);
	uart_write(&uart, IIR, trigger | 0x21);
	uart_write(&uart, LCR, 0x03);
}

// How Linux tells it from clones, which need no DLAB for that: autoconfig_16550a() in 8250_port.c.
Test(uart, is_a_16750_to_a_driver_that_knows_it)
{
	enable_64_bytes(0);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0xe0);
	uart_write(&uart, IIR, 0x03);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0xe0, "without DLAB it stays as it is");
	uart_write(&uart, LCR, 0x80);
	uart_write(&uart, IIR, 0x01);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0xc0);
	enable_64_bytes(0);
	uart_write(&uart, IIR, 0);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0, "no FIFO, none of 64");
	uart_write(&uart, IIR, 1);
	cr_assert_eq(uart_read(&uart, IIR) & 0xe0, 0xc0);
}

Test(uart, a_fifo_of_64_bytes_has_its_own_trigger_levels)
{
	static const unsigned levels[] = { 1, 16, 32, 56 };

	for (unsigned i = 0; i < 4; i++) {
		char text[UART_FIFO_SIZE + 8] = "";

		setup();
		enable_64_bytes((uint8_t)(i << 6));
		uart_write(&uart, IER, 0x01);
		memset(text, 'x', levels[i] - 1);
		input = text;
		uart_input_ready(&uart);
		cr_assert_eq(uart_read(&uart, IIR) & 0x0f, i ? 0x0c : 0x01, "level %u", levels[i]);
		memset(text, 'x', sizeof(text) - 1);
		input = text;
		uart_input_ready(&uart);
		cr_assert_eq(uart_read(&uart, IIR) & 0x0f, 0x04, "level %u", levels[i]);
		cr_assert_eq(uart.fifo_count, UART_FIFO_SIZE);
	}
}

Test(uart, keeps_the_divisor_apart)
{
	uart_write(&uart, IER, 0x05);
	uart_write(&uart, LCR, 0x83);
	uart_write(&uart, DATA, 0x34);
	uart_write(&uart, IER, 0x12);
	cr_assert_eq(uart_read(&uart, DATA), 0x34);
	cr_assert_eq(uart_read(&uart, IER), 0x12);
	uart_write(&uart, LCR, 0x03);
	cr_assert_eq(uart_read(&uart, IER), 0x05);
	cr_assert_eq(sent_count, 0, "the divisor is not data");
}

Test(uart, sends_at_once)
{
	for (const char *c = "hello"; *c; c++) {
		cr_assert_eq(uart_read(&uart, LSR) & 0x60, 0x60);
		uart_write(&uart, DATA, (uint8_t)*c);
	}
	cr_assert_str_eq(sent, "hello");
	cr_assert_eq(edges, 0, "no interrupt is enabled");
}

Test(uart, reports_an_empty_transmitter_when_asked)
{
	uart_write(&uart, MCR, 0x08);
	uart_write(&uart, IER, 0x02);
	cr_assert(line, "it has been empty all the time");
	cr_assert_eq(uart_read(&uart, IIR) & 0x0f, 0x02);
	cr_assert(!line, "reading the reason clears it");
	cr_assert_eq(uart_read(&uart, IIR) & 0x0f, 0x01);
	uart_write(&uart, IER, 0);
	uart_write(&uart, IER, 0x02);
	cr_assert(line, "enabling again reports again");
}

Test(uart, each_byte_sent_gives_an_edge)
{
	uart_write(&uart, MCR, 0x08);
	uart_write(&uart, IER, 0x02);
	uart_read(&uart, IIR);
	edges = 0;
	uart_write(&uart, DATA, 'a');
	uart_write(&uart, DATA, 'b');
	cr_assert_eq(edges, 2);
	cr_assert(line);
}

Test(uart, the_line_needs_no_out2)
{
	uart_write(&uart, IER, 0x02);
	cr_assert(line);
	uart_read(&uart, IIR);
	cr_assert(!line);
	uart_write(&uart, IER, 0x01);
	input = "x";
	uart_input_ready(&uart);
	cr_assert(line);
	uart_write(&uart, MCR, 0x08);
	cr_assert(line);
	uart_write(&uart, MCR, 0x00);
	cr_assert(line);
	cr_assert_eq(edges, 2);
}

Test(uart, receives_in_order_and_more_than_a_fifo)
{
	char got[64] = "";
	size_t count = 0;

	uart_write(&uart, IIR, 0xc1);
	uart_write(&uart, MCR, 0x08);
	uart_write(&uart, IER, 0x01);
	input = "0123456789abcdefghijklmnopqrstuvwxyz";
	uart_input_ready(&uart);
	cr_assert_eq(strlen(input), 20, "16 bytes are in the FIFO");
	cr_assert_eq(uart_read(&uart, IIR), 0xc4, "the trigger level is reached");
	while (uart_read(&uart, LSR) & 0x01)
		got[count++] = (char)uart_read(&uart, DATA);
	cr_assert_str_eq(got, "0123456789abcdefghijklmnopqrstuvwxyz");
	cr_assert_eq(edges, 3, "one per filling of the FIFO");
	cr_assert(!line);
	cr_assert_eq(uart_read(&uart, LSR) & 0x02, 0, "no overrun");
}

Test(uart, less_than_the_trigger_is_a_timeout)
{
	uart_write(&uart, IIR, 0xc1);
	uart_write(&uart, MCR, 0x08);
	uart_write(&uart, IER, 0x01);
	input = "x";
	uart_input_ready(&uart);
	cr_assert_eq(uart_read(&uart, IIR), 0xcc);
	cr_assert(line);
	cr_assert_eq(uart_read(&uart, DATA), 'x');
	cr_assert(!line);
}

Test(uart, without_fifo_one_byte_at_a_time)
{
	input = "xyz";
	uart_input_ready(&uart);
	cr_assert_eq(strlen(input), 2);
	cr_assert_eq(uart_read(&uart, DATA), 'x');
	cr_assert_eq(uart_read(&uart, DATA), 'y');
	cr_assert_eq(uart_read(&uart, DATA), 'z');
	cr_assert_eq(uart_read(&uart, LSR) & 0x01, 0);
	cr_assert_eq(uart_read(&uart, DATA), 0, "an empty receiver reads as 0");
}

Test(uart, loopback_returns_and_can_overrun)
{
	uart_write(&uart, MCR, 0x10);
	input = "outside";
	uart_input_ready(&uart);
	uart_write(&uart, DATA, 'a');
	uart_write(&uart, DATA, 'b');
	cr_assert_eq(sent_count, 0);
	cr_assert_eq(uart_read(&uart, LSR) & 0x03, 0x03, "data, and an overrun");
	cr_assert_eq(uart_read(&uart, LSR) & 0x03, 0x01, "reading it clears the overrun");
	cr_assert_eq(uart_read(&uart, DATA), 'a');
	uart_write(&uart, MCR, 0);
	cr_assert_eq(uart_read(&uart, DATA), 'o', "what waited outside comes in");
}

Test(uart, clearing_the_receiver_drops_what_is_there)
{
	uart_write(&uart, IIR, 0x01);
	input = "abc";
	uart_input_ready(&uart);
	uart_write(&uart, IIR, 0x03);
	cr_assert_eq(uart_read(&uart, LSR) & 0x01, 0);
}

Test(uart, any_access_is_harmless)
{
	unsigned seed = 1;

	for (int i = 0; i < 200000; i++) {
		seed = seed * 1103515245 + 12345;
		input = "noise";
		sent_count = 0;
		if (seed >> 30 & 1)
			uart_read(&uart, seed >> 16 & 7);
		else
			uart_write(&uart, seed >> 16 & 7, (uint8_t)(seed >> 8));
		cr_assert_leq(uart.fifo_count, UART_FIFO_SIZE);
	}
}
