// SPDX-License-Identifier: BSD-2-Clause
// A 16750, which is a 16550A with FIFOs of 64 bytes for who asks for them: the child's console. No
// timing: a byte is sent the moment it is written. Portable; the caller serialises all calls on one
// struct.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { UART_FIFO_SIZE = 64, UART_PORTS = 8 };

// What a UART is connected to. None may call back into the UART.
struct uart_wiring {
	void *context;
	// A byte left the UART.
	void (*send)(void *context, uint8_t byte);
	// Returns the next byte of input, or -1 if there is none now.
	int (*receive)(void *context);
	// The interrupt line changed to `high`.
	void (*interrupt)(void *context, bool high);
};

struct uart {
	struct uart_wiring wiring;
	uint8_t fifo[UART_FIFO_SIZE]; // received, not yet read
	unsigned fifo_first, fifo_count;
	unsigned trigger; // bytes in the FIFO that make "data available"
	uint16_t divisor;
	uint8_t ier, fcr, lcr, mcr, scratch;
	bool overrun;
	bool thr_empty_pending; // "transmitter empty" is to be reported
	bool line;		// the interrupt line
};

// Puts the UART into its state after reset.
void uart_init(struct uart *uart, const struct uart_wiring *wiring);

// Reads register `offset` (0 to 7), with its side effects.
uint8_t uart_read(struct uart *uart, unsigned offset);

// Writes register `offset` (0 to 7).
void uart_write(struct uart *uart, unsigned offset, uint8_t value);

// Tells the UART that there is input now: it takes what it has room for, the rest when it is read.
void uart_input_ready(struct uart *uart);
