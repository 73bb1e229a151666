// SPDX-License-Identifier: BSD-2-Clause
// The ports of --test-devices: what the test images of kvm-unit-tests expect of a VMM. Numbers are
// those of QEMU's isa-debug-exit, pc-testdev, fw_cfg and hyperv-testdev. Not there otherwise.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// What the ports say and do. Called with the devices' lock held.
struct test_wiring {
	void *context;
	// A command of hyperv-testdev: connection << 24 | what << 16 | VP << 8 | SINT.
	void (*command)(void *context, uint32_t command);
	uint32_t vps;
	uint64_t memory; // of the child, in bytes
};

struct test_ports {
	bool present;
	struct test_wiring wiring;
	uint8_t data[4];    // pc-testdev's scratch register, at two places
	uint8_t command[4]; // of hyperv-testdev, as far as it has come
	uint16_t selector;  // fw_cfg: which item
	uint32_t position;  // the next byte of it
};

struct devices;

// A device's ports, one byte each.
struct port_range {
	uint16_t first, count;
	uint8_t (*read)(struct devices *devices, unsigned offset);
	void (*write)(struct devices *devices, unsigned offset, uint8_t value);
};

// For ports that do nothing with what is written.
void port_ignore_write(struct devices *devices, unsigned offset, uint8_t value);

// The test devices.
extern const struct port_range test_port_ranges[];
extern const unsigned test_port_range_count;
