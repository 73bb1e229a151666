// SPDX-License-Identifier: BSD-2-Clause
// The I/O APIC of a child: 24 pins, of which the console's is the only one in use. Edge-triggered
// interrupts only: a pin programmed as level-triggered is delivered once per rising edge, without
// remote IRR, because nothing here drives one. Portable; the caller serialises calls.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { IOAPIC_PINS = 24 };

// An interrupt on its way to the local APICs, as in the redirection table.
struct ioapic_interrupt {
	uint8_t vector;
	uint8_t delivery_mode; // 0 fixed, 1 lowest priority, 2 SMI, 4 NMI, 5 INIT, 7 ExtINT
	bool logical;	       // the destination mode
	bool level;	       // the trigger mode
	uint32_t destination;  // an APIC id, or a set of logical ones
};

struct ioapic {
	void *context;
	void (*deliver)(void *context, const struct ioapic_interrupt *interrupt);
	uint64_t redirection[IOAPIC_PINS];
	uint32_t lines; // bit n: pin n is high
	uint32_t id;	// as register 0 has it, in bits 27:24
	uint8_t index;	// IOREGSEL
};

// Puts the I/O APIC into its state after reset: all pins masked.
void ioapic_init(struct ioapic *ioapic, void *context,
	void (*deliver)(void *context, const struct ioapic_interrupt *interrupt));

// Reads 32 bits at `offset` bytes from the base address.
uint32_t ioapic_read(const struct ioapic *ioapic, uint32_t offset);

// Writes 32 bits at `offset`.
void ioapic_write(struct ioapic *ioapic, uint32_t offset, uint32_t value);

// Sets pin `pin` (below IOAPIC_PINS); a rising edge delivers its interrupt if it is not masked.
void ioapic_set_line(struct ioapic *ioapic, unsigned pin, bool high);
