// SPDX-License-Identifier: BSD-2-Clause
// Ports and device memory: who answers, what nobody answers, and the power block.
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "parent/worker/devices.h"
#include "parent/worker/layout.h"

static struct devices devices;
static struct console console;
static int interrupts, wakes;

static void on_interrupt(void *context, const struct ioapic_interrupt *interrupt)
{
	(void)context;
	cr_assert_eq(interrupt->vector, 0x30);
	interrupts++;
}

static void on_wake(void *context)
{
	(void)context;
	wakes++;
}

static void setup(void)
{
	static const struct devices_wiring wiring = { .interrupt = on_interrupt };
	static const struct console_wake wake = { .wake = on_wake };

	interrupts = 0;
	wakes = 0;
	console_init(&console, "/nonexistent", &wake);
	devices_init(&devices, &console, &wiring);
}

TestSuite(devices, .init = setup);

Test(devices, unknown_ports_read_all_ones)
{
	cr_assert_eq(devices_port_read(&devices, 0x60, 1), 0xff);
	cr_assert_eq(devices_port_read(&devices, 0xcfc, 4), 0xffffffff);
	cr_assert_eq(devices_port_read(&devices, 0xffff, 4), 0xffffffff);
	cr_assert_eq(devices_port_write(&devices, 0x80, 1, 1), POWER_NONE);
	cr_assert_eq(devices_port_read(&devices, 0x71, 1), 0, "no clock, and none being updated");
	cr_assert_eq(devices.counters.unknown_reads, 3);
	cr_assert_eq(devices.counters.unknown_writes, 1);
}

Test(devices, console_output_comes_out)
{
	uint64_t position = 0;
	uint8_t got[8] = { 0 };

	for (const char *c = "ok\n"; *c; c++)
		devices_port_write(&devices, LAYOUT_CONSOLE_PORT, 1, (uint8_t)*c);
	cr_assert_eq(console_read(&console, &position, got, sizeof(got)), 3);
	cr_assert_str_eq((char *)got, "ok\n");
	cr_assert_eq(wakes, 1, "one wake-up until the reader sleeps again");
	cr_assert(console_log(&console));
	cr_assert(console_sleep(&console));
	devices_port_write(&devices, LAYOUT_CONSOLE_PORT, 1, 'x');
	cr_assert_eq(wakes, 2);
	cr_assert(!console_sleep(&console), "there is something to read first");
}

static void ioapic_set(uint32_t index, uint32_t value)
{
	devices_memory_write(&devices, LAYOUT_IOAPIC, 4, index);
	devices_memory_write(&devices, LAYOUT_IOAPIC + 0x10, 4, value);
}

Test(devices, console_input_interrupts)
{
	ioapic_set(0x10 + 2 * LAYOUT_CONSOLE_IRQ, 0x30);
	devices_port_write(&devices, LAYOUT_CONSOLE_PORT + 4, 1, 0x08);
	devices_port_write(&devices, LAYOUT_CONSOLE_PORT + 1, 1, 0x01);
	cr_assert_eq(console_input(&console, (const uint8_t *)"k", 1), 1);
	devices_input_ready(&devices);
	cr_assert_eq(interrupts, 1);
	cr_assert_eq(devices_port_read(&devices, LAYOUT_CONSOLE_PORT, 1), 'k');
}

Test(devices, device_memory_is_the_ioapic_only)
{
	ioapic_set(1, 0);
	cr_assert_eq(devices_memory_read(&devices, LAYOUT_IOAPIC + 0x10, 4), 0x170011);
	cr_assert_eq(devices_memory_read(&devices, LAYOUT_IOAPIC + 0x10, 8), UINT64_MAX);
	cr_assert_eq(devices_memory_read(&devices, LAYOUT_IOAPIC - 4, 4), UINT64_MAX);
	cr_assert_eq(devices_memory_read(&devices, LAYOUT_IOAPIC + 0x1000, 4), UINT64_MAX);
	devices_memory_write(&devices, 0xd0000000, 4, 1);
	cr_assert_eq(devices.counters.unknown_memory, 4);
}

Test(devices, power_off_takes_type_and_enable)
{
	cr_assert_eq(devices_port_write(&devices, LAYOUT_SLEEP_CONTROL, 1, 0x14), POWER_NONE);
	cr_assert_eq(devices_port_write(&devices, LAYOUT_SLEEP_CONTROL, 1, 0x20), POWER_NONE);
	cr_assert_eq(devices_port_write(&devices, LAYOUT_SLEEP_CONTROL, 1, 0x34), POWER_OFF);
	cr_assert_eq(devices_port_write(&devices, LAYOUT_RESET, 1, 0), POWER_NONE);
	cr_assert_eq(devices_port_write(&devices, LAYOUT_RESET, 1, 1), POWER_RESET);
}

Test(devices, the_childs_status_is_kept)
{
	devices_port_write(&devices, LAYOUT_EXIT_STATUS, 1, 17);
	cr_assert_eq(devices_port_read(&devices, LAYOUT_EXIT_STATUS, 1), 17);
	cr_assert_eq(devices.exit_status, 17);
	devices_port_write(&devices, LAYOUT_EXIT_STATUS, 1, 250);
	cr_assert_eq(devices.exit_status, 99, "120 and up are not the child's to say");
}

Test(devices, wide_accesses_touch_consecutive_ports)
{
	cr_assert_eq(devices_port_write(&devices, LAYOUT_SLEEP_CONTROL, 4, 0x05000000), POWER_NONE);
	cr_assert_eq(devices.exit_status, 5);
	cr_assert_eq(devices_port_read(&devices, LAYOUT_EXIT_STATUS, 2), 0xff05);
}

Test(console, a_reader_that_is_too_slow_is_told)
{
	static uint8_t got[256];
	uint64_t position = 0;

	for (int i = 0; i < CONSOLE_HISTORY + 10; i++)
		console_put(&console, 'a');
	cr_assert_gt(console_read(&console, &position, got, sizeof(got)), 0);
	cr_assert(strstr((char *)got, "10 bytes are lost"), "%s", got);
	cr_assert_eq(console_read(&console, &position, got, sizeof(got)), sizeof(got));
	cr_assert_eq(got[0], 'a');
}

Test(console, input_beyond_the_queue_is_refused_and_asked_for_again)
{
	static uint8_t bytes[CONSOLE_INPUT + 100];
	int taken = 0;

	cr_assert_eq(console_input(&console, bytes, sizeof(bytes)), CONSOLE_INPUT);
	wakes = 0;
	while (console_get(&console) >= 0)
		taken++;
	cr_assert_eq(taken, CONSOLE_INPUT);
	cr_assert_eq(wakes, 1);
}

TestSuite(console, .init = setup);
