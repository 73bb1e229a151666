// SPDX-License-Identifier: BSD-2-Clause
// See test_ports.h.
#include "parent/worker/platform/test_ports.h"

#include "base/macros.h"
#include "parent/common/exit_status.h"
#include "parent/worker/platform/devices.h"

enum {
	PORT_PIC1 = 0x20, // the two 8259s: there are none, they are only masked
	PORT_PIC2 = 0xa0,
	PORT_DATA = 0xe0,
	PORT_FLUSH = 0xe4, // has a page mapped anew: nothing is ever unmapped here
	PORT_DATA_BYTES = 0xe8,
	PORT_DEBUG_EXIT = 0xf4,
	PORT_FW_CFG = 0x510,
	PORT_IRQ_LINES = 0x2000,
	PORT_HYPERV = 0x3000,
	// fw_cfg's items
	ITEM_RAM_SIZE = 0x03,
	ITEM_CPUS = 0x05,
	ITEM_MAX_CPUS = 0x0f,
};

static uint8_t nothing_read(struct devices *devices, unsigned offset)
{
	return 0xff;
}

void port_ignore_write(struct devices *devices, unsigned offset, uint8_t value)
{
}

static uint8_t data_read(struct devices *devices, unsigned offset)
{
	return devices->test.data[offset];
}

static void data_write(struct devices *devices, unsigned offset, uint8_t value)
{
	devices->test.data[offset] = value;
}

// The process status that QEMU's device ends with, as the child's status.
static void debug_exit_write(struct devices *devices, unsigned offset, uint8_t value)
{
	unsigned status = (uint8_t)(value << 1) | 1;

	if (offset)
		return; // the rest of a wide access
	devices->exit_status =
		status < LUMEN_EXIT_CHILD_MAX ? (uint8_t)status : LUMEN_EXIT_CHILD_MAX;
	devices->request = POWER_OFF;
}

static uint64_t fw_cfg_item(const struct test_ports *test)
{
	switch (test->selector) {
	case ITEM_RAM_SIZE:
		return test->wiring.memory;
	case ITEM_CPUS:
	case ITEM_MAX_CPUS:
		return test->wiring.vps;
	default:
		return 0;
	}
}

// The data port, the second one, gives an item byte by byte, then zeroes.
static uint8_t fw_cfg_read(struct devices *devices, unsigned offset)
{
	struct test_ports *test = &devices->test;

	if (offset != 1 || test->position >= sizeof(uint64_t))
		return 0;
	return (uint8_t)(fw_cfg_item(test) >> test->position++ * 8);
}

// The selector is written with 16 bits: its upper half arrives at the data port.
static void fw_cfg_write(struct devices *devices, unsigned offset, uint8_t value)
{
	struct test_ports *test = &devices->test;

	test->selector = offset ? (uint16_t)((test->selector & 0xff) | value << 8) : value;
	test->position = 0;
}

// pc-testdev: one port per line of the I/O APIC.
static void irq_line_write(struct devices *devices, unsigned offset, uint8_t value)
{
	ioapic_set_line(&devices->ioapic, offset, value);
}

static void hyperv_write(struct devices *devices, unsigned offset, uint8_t value)
{
	struct test_ports *test = &devices->test;
	const uint8_t *c = test->command;

	test->command[offset] = value;
	if (offset == sizeof(test->command) - 1)
		test->wiring.command(test->wiring.context,
			c[0] | (uint32_t)c[1] << 8 | (uint32_t)c[2] << 16 | (uint32_t)c[3] << 24);
}

const struct port_range test_port_ranges[] = {
	{ PORT_PIC1, 2, nothing_read, port_ignore_write },
	{ PORT_PIC2, 2, nothing_read, port_ignore_write },
	{ PORT_DATA, 4, data_read, data_write },
	{ PORT_FLUSH, 4, nothing_read, port_ignore_write },
	{ PORT_DATA_BYTES, 4, data_read, data_write },
	{ PORT_DEBUG_EXIT, 4, nothing_read, debug_exit_write },
	{ PORT_FW_CFG, 2, fw_cfg_read, fw_cfg_write },
	{ PORT_IRQ_LINES, IOAPIC_PINS, nothing_read, irq_line_write },
	{ PORT_HYPERV, 4, nothing_read, hyperv_write },
};

const unsigned test_port_range_count = ARRAY_SIZE(test_port_ranges);
