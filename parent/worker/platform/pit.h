// SPDX-License-Identifier: BSD-2-Clause
// --legacy-timer: the counters of an 8254 and port 0x61, as far as kernels calibrate other clocks
// by them. No interrupts. Portable; time is the caller's, in units of 100 ns, and never goes back.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { PIT_CHANNELS = 3, PIT_PORTS = 4, PIT_HZ = 1193182 };

struct pit_channel {
	uint64_t start; // when it began to count; while the gate holds it up, how much it had
			// counted
	uint32_t count; // what it began with, 1 to 65536
	uint16_t latch;
	uint8_t mode, access, low, status;
	bool gate, loaded, triggered;
	bool write_high, read_high;   // the next byte is the high one
	bool latched, status_latched; // the next reads give these
};

struct pit {
	struct pit_channel channels[PIT_CHANNELS];
	bool speaker; // bit 1 of port 0x61
};

void pit_init(struct pit *pit);

// Ports 0x40 to 0x43 (`offset` from 0x40).
uint8_t pit_read(struct pit *pit, unsigned offset, uint64_t now);
void pit_write(struct pit *pit, unsigned offset, uint8_t value, uint64_t now);

// Port 0x61: gate and output of channel 2, and a bit that changes every 15 us.
uint8_t pit_read_gate(const struct pit *pit, uint64_t now);
void pit_write_gate(struct pit *pit, uint8_t value, uint64_t now);
