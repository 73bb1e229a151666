// SPDX-License-Identifier: BSD-2-Clause
// The emulated devices of a child and the addresses at which it reaches them: the console's UART,
// the I/O APIC and the power block, and if asked for those of test_ports.h and pit.h. Everything
// else reads all ones, and it is noted how often it is touched. Thread-safe.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "parent/worker/console.h"
#include "parent/worker/platform/ioapic.h"
#include "parent/worker/platform/pit.h"
#include "parent/worker/platform/test_ports.h"
#include "parent/worker/platform/touches.h"
#include "parent/worker/platform/uart.h"

// What a child can ask for through the power block.
enum power_request {
	POWER_NONE,
	POWER_OFF,   // S5
	POWER_RESET, // the reset register
};

struct devices_wiring {
	void *context;
	// Delivers an interrupt of the I/O APIC to the child. Called with the devices' lock held.
	void (*interrupt)(void *context, const struct ioapic_interrupt *interrupt);
	// The child's reference time in units of 100 ns, for --legacy-timer. With the lock held,
	// too.
	uint64_t (*clock)(void *context);
};

struct devices_counters {
	uint64_t port_reads, port_writes;	// of devices that are there
	uint64_t unknown_reads, unknown_writes; // of ports where nothing is
	uint64_t ioapic_accesses;
	uint64_t unknown_memory;
};

struct devices {
	pthread_mutex_t lock; // of all below; held while a device works. Before the console's lock.
	struct devices_wiring wiring;
	struct console *console;
	struct uart uart;
	struct ioapic ioapic;
	struct test_ports test; // --test-devices
	bool legacy_timer;	// --legacy-timer: the next one is there
	struct pit pit;
	uint8_t exit_status; // what the child wrote to LAYOUT_EXIT_STATUS
	enum power_request request;
	struct devices_counters counters;
	struct touches touches; // of what is not there
};

void devices_init(
	struct devices *devices, struct console *console, const struct devices_wiring *wiring);

// Adds the ports of --test-devices. Before the child runs.
void devices_add_test_ports(struct devices *devices, const struct test_wiring *wiring);

// Adds the ports of --legacy-timer. Before the child runs.
void devices_add_legacy_timer(struct devices *devices);

// Copies how often the child has touched what is not there; stores the time, by the clock of those.
struct touches devices_touches(struct devices *devices, uint64_t *now_ms);

// Reads `size` (1, 2 or 4) bytes from a port. Ports of one byte answer wider accesses byte by byte,
// from consecutive ports, as on an ISA bus.
uint32_t devices_port_read(struct devices *devices, uint16_t port, unsigned size);

// Writes to a port. Returns what the child has asked for by it.
enum power_request devices_port_write(
	struct devices *devices, uint16_t port, unsigned size, uint32_t value);

// Reads and writes `size` (1, 2, 4 or 8) bytes of device memory.
uint64_t devices_memory_read(struct devices *devices, uint64_t gpa, unsigned size);
void devices_memory_write(struct devices *devices, uint64_t gpa, unsigned size, uint64_t value);

// There is console input for the UART.
void devices_input_ready(struct devices *devices);
