// SPDX-License-Identifier: BSD-2-Clause
// See uart.h. Registers and bits as in the data sheets of the PC16550D (National Semiconductor) and
// of the TL16C750 (Texas Instruments).
#include "parent/worker/platform/uart.h"

#include <string.h>

enum {		      // registers; those with two names depend on LCR_DLAB or on the direction
	REG_DATA = 0, // RBR, THR, DLL
	REG_IER = 1,  // IER, DLM
	REG_IIR = 2,  // IIR, FCR
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCRATCH = 7,
};

enum {
	IER_RECEIVED = 0x01,
	IER_THR_EMPTY = 0x02,
	IER_LINE_STATUS = 0x04,
	IER_MASK = 0x0f, // no sleep mode and no low power mode: they would have nothing to save

	IIR_NONE = 0x01,
	IIR_THR_EMPTY = 0x02,
	IIR_RECEIVED = 0x04,
	IIR_LINE_STATUS = 0x06,
	IIR_TIMEOUT = 0x0c,
	IIR_FIFO = 0xc0,
	IIR_FIFO_64 = 0x20,

	FCR_ENABLE = 0x01,
	FCR_CLEAR_RECEIVER = 0x02,
	FCR_64 = 0x20, // can be written while LCR_DLAB is set

	LCR_DLAB = 0x80,

	MCR_DTR = 0x01,
	MCR_RTS = 0x02,
	MCR_OUT1 = 0x04,
	MCR_OUT2 = 0x08,
	MCR_LOOP = 0x10,
	MCR_MASK = 0x1f,

	LSR_DATA = 0x01,
	LSR_OVERRUN = 0x02,
	LSR_THR_EMPTY = 0x20,
	LSR_EMPTY = 0x40,

	MSR_CTS = 0x10,
	MSR_DSR = 0x20,
	MSR_RI = 0x40,
	MSR_DCD = 0x80,
};

void uart_init(struct uart *uart, const struct uart_wiring *wiring)
{
	memset(uart, 0, sizeof(*uart));
	uart->wiring = *wiring;
	uart->trigger = 1;
	uart->divisor = 1;
	uart->lcr = 0x03; // 8N1
}

// Returns the reason for an interrupt with the highest priority, as in IIR.
static uint8_t interrupt_reason(const struct uart *uart)
{
	if ((uart->ier & IER_LINE_STATUS) && uart->overrun)
		return IIR_LINE_STATUS;
	// Less than the trigger level is reported as a timeout, at once: nothing else is on its
	// way.
	if ((uart->ier & IER_RECEIVED) && uart->fifo_count)
		return uart->fifo_count >= uart->trigger ? IIR_RECEIVED : IIR_TIMEOUT;
	if ((uart->ier & IER_THR_EMPTY) && uart->thr_empty_pending)
		return IIR_THR_EMPTY;
	return IIR_NONE;
}

// On a PC, OUT2 gates the line. In QEMU it does not, and there are kernels that have only ever met
// that: so it does not here.
static void update_line(struct uart *uart)
{
	bool high = interrupt_reason(uart) != IIR_NONE;

	if (high == uart->line)
		return;
	uart->line = high;
	uart->wiring.interrupt(uart->wiring.context, high);
}

static unsigned fifo_room(const struct uart *uart)
{
	if (!(uart->fcr & FCR_ENABLE))
		return 1;
	return uart->fcr & FCR_64 ? UART_FIFO_SIZE : UART_FIFO_SIZE / 4;
}

static void fifo_put(struct uart *uart, uint8_t byte)
{
	if (uart->fifo_count >= fifo_room(uart)) {
		uart->overrun = true;
		return;
	}
	uart->fifo[(uart->fifo_first + uart->fifo_count++) % UART_FIFO_SIZE] = byte;
}

static void fifo_clear(struct uart *uart)
{
	uart->fifo_first = 0;
	uart->fifo_count = 0;
}

void uart_input_ready(struct uart *uart)
{
	// In loopback the receiver is not connected to the outside.
	while (uart->fifo_count < fifo_room(uart) && !(uart->mcr & MCR_LOOP)) {
		int byte = uart->wiring.receive(uart->wiring.context);

		if (byte < 0)
			break;
		fifo_put(uart, (uint8_t)byte);
	}
	update_line(uart);
}

static uint8_t read_data(struct uart *uart)
{
	uint8_t byte;

	if (!uart->fifo_count)
		return 0;
	byte = uart->fifo[uart->fifo_first];
	uart->fifo_first = (uart->fifo_first + 1) % UART_FIFO_SIZE;
	if (--uart->fifo_count)
		return byte;
	// The line goes low before the FIFO fills again: each filling gives an edge.
	update_line(uart);
	uart_input_ready(uart);
	return byte;
}

static void write_data(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & MCR_LOOP)
		fifo_put(uart, byte);
	else
		uart->wiring.send(uart->wiring.context, byte);
	// The line goes low and high again: the transmitter was full for no time at all.
	uart->thr_empty_pending = false;
	update_line(uart);
	uart->thr_empty_pending = true;
	update_line(uart);
}

static void write_ier(struct uart *uart, uint8_t value)
{
	// Enabling the interrupt reports a transmitter that has long been empty. Drivers rely on
	// it.
	if ((value & IER_THR_EMPTY) && !(uart->ier & IER_THR_EMPTY))
		uart->thr_empty_pending = true;
	uart->ier = value & IER_MASK;
	update_line(uart);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	static const uint8_t triggers[2][4] = { { 1, 4, 8, 14 }, { 1, 16, 32, 56 } };
	uint8_t large = (uart->lcr & LCR_DLAB ? value : uart->fcr) & FCR_64;
	uint8_t fcr = value & FCR_ENABLE ? FCR_ENABLE | large : 0;

	if (fcr != uart->fcr || (value & FCR_CLEAR_RECEIVER))
		fifo_clear(uart);
	uart->fcr = fcr;
	uart->trigger = fcr ? triggers[!!large][value >> 6] : 1;
	uart_input_ready(uart);
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t reason = interrupt_reason(uart);

	if (reason == IIR_THR_EMPTY) {
		uart->thr_empty_pending = false;
		update_line(uart);
	}
	if (uart->fcr & FCR_ENABLE)
		reason |= IIR_FIFO;
	if (uart->fcr & FCR_64)
		reason |= IIR_FIFO_64;
	return reason;
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t status = LSR_THR_EMPTY | LSR_EMPTY;

	if (uart->fifo_count)
		status |= LSR_DATA;
	if (uart->overrun)
		status |= LSR_OVERRUN;
	uart->overrun = false;
	update_line(uart);
	return status;
}

static uint8_t read_msr(const struct uart *uart)
{
	uint8_t status = 0;

	if (!(uart->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (uart->mcr & MCR_RTS)
		status |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		status |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		status |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		status |= MSR_DCD;
	return status;
}

uint8_t uart_read(struct uart *uart, unsigned offset)
{
	bool divisor = uart->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		return divisor ? (uint8_t)uart->divisor : read_data(uart);
	case REG_IER:
		return divisor ? (uint8_t)(uart->divisor >> 8) : uart->ier;
	case REG_IIR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		return read_msr(uart);
	default:
		return uart->scratch;
	}
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uart->mcr = value & MCR_MASK;
	uart_input_ready(uart); // loopback may have ended
}

void uart_write(struct uart *uart, unsigned offset, uint8_t value)
{
	bool divisor = uart->lcr & LCR_DLAB;

	switch (offset) {
	case REG_DATA:
		if (divisor)
			uart->divisor = (uint16_t)((uart->divisor & 0xff00) | value);
		else
			write_data(uart, value);
		break;
	case REG_IER:
		if (divisor)
			uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | value << 8);
		else
			write_ier(uart, value);
		break;
	case REG_IIR:
		write_fcr(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		write_mcr(uart, value);
		break;
	case REG_SCRATCH:
		uart->scratch = value;
		break;
	default: // LSR and MSR are read-only
		break;
	}
}
