// SPDX-License-Identifier: BSD-2-Clause
// Ports and device memory: who answers, what nobody answers, and the power block.
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "parent/worker/platform/devices.h"
#include "parent/worker/platform/layout.h"

static struct devices devices;
static struct console console;
static int interrupts, wakes;
static uint64_t clock_100ns;

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

static uint64_t on_clock(void *context)
{
	(void)context;
	return clock_100ns;
}

static void setup(void)
{
	static const struct devices_wiring wiring = { .interrupt = on_interrupt,
		.clock = on_clock };
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

Test(devices, what_is_not_there_is_counted_where_it_is)
{
	uint64_t now_ms;
	struct touches touches;
	struct touch top[4];

	devices_port_read(&devices, 0x71, 1);
	devices_port_read(&devices, 0x71, 1);
	devices_port_write(&devices, 0xcf8, 4, 0);
	devices_port_read(&devices, LAYOUT_CONSOLE_PORT, 1);
	devices_memory_read(&devices, 0xfed000f0, 8);
	devices_memory_read(&devices, 0xfed000f0, 8);
	devices_memory_read(&devices, 0xfed000f0, 8);
	devices_memory_read(&devices, LAYOUT_IOAPIC, 4);
	touches = devices_touches(&devices, &now_ms);
	cr_assert_eq(touches_top(&touches, top, 4), 3);
	cr_assert_eq(top[0].address, 0xfed000f0);
	cr_assert_eq(top[0].space, TOUCH_MEMORY);
	cr_assert_eq(top[0].reads, 3);
	cr_assert_eq(top[1].address, 0x71, "it answers, but it is no clock");
	cr_assert_eq(top[2].writes, 1);
	cr_assert_geq(now_ms, top[0].last_ms);
}

Test(devices, the_legacy_timer_is_there_if_asked_for)
{
	cr_assert_eq(devices_port_read(&devices, 0x61, 1), 0xff);
	devices_add_legacy_timer(&devices);
	devices_port_write(&devices, 0x61, 1, 1);
	devices_port_write(&devices, 0x43, 1, 0xb0);
	devices_port_write(&devices, 0x42, 1, 0xff);
	devices_port_write(&devices, 0x42, 1, 0xff);
	cr_assert_eq(devices_port_read(&devices, 0x61, 1) & 0x21, 1);
	clock_100ns += 600000;
	cr_assert_eq(devices_port_read(&devices, 0x61, 1) & 0x21, 0x21);
	cr_assert_eq(devices_port_read(&devices, 0x60, 1), 0xff);
	cr_assert_eq(devices_port_read(&devices, 0x62, 1), 0xff);
	cr_assert_eq(devices.touches.count, 3, "0x60 to 0x62");
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

static uint32_t commands[4];
static int command_count;

static void on_command(void *context, uint32_t command)
{
	(void)context;
	commands[command_count++] = command;
}

static void add_test_ports(void)
{
	static const struct test_wiring wiring = {
		.command = on_command, .vps = 3, .memory = 0x123456789a
	};

	command_count = 0;
	devices_add_test_ports(&devices, &wiring);
}

Test(devices, test_ports_are_not_there_unless_asked_for)
{
	static const uint16_t ports[] = { 0x20, 0xa1, 0xe0, 0xe4, 0xe8, 0xf4, 0x510, 0x511, 0x2004,
		0x3000 };

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		cr_expect_eq(devices_port_write(&devices, ports[i], 1, 1), POWER_NONE);
		cr_expect_eq(devices_port_read(&devices, ports[i], 1), 0xff, "0x%x", ports[i]);
	}
	cr_expect_eq(devices.counters.unknown_reads, ARRAY_SIZE(ports));
	add_test_ports();
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		devices_port_read(&devices, ports[i], 1);
	cr_expect_eq(devices.counters.port_reads, ARRAY_SIZE(ports));
}

Test(devices, debug_exit_ends_with_twice_the_code_and_one)
{
	static const struct {
		uint32_t code;
		uint8_t status;
	} ends[] = { { 0, 1 }, { 1, 3 }, { 10, 21 }, { 48, 97 }, { 77, 99 }, { 0x80, 1 },
		{ 0xffffffff, 99 } };

	add_test_ports();
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		cr_expect_eq(devices_port_write(&devices, 0xf4, 4, ends[i].code), POWER_OFF);
		cr_expect_eq(devices.exit_status, ends[i].status, "%u", ends[i].code);
	}
}

static uint64_t fw_cfg(uint16_t item, unsigned bytes)
{
	uint64_t value = 0;

	devices_port_write(&devices, 0x510, 2, item);
	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)devices_port_read(&devices, 0x511, 1) << i * 8;
	return value;
}

Test(devices, fw_cfg_has_processors_and_memory)
{
	add_test_ports();
	cr_expect_eq(fw_cfg(0x05, 2), 3);
	cr_expect_eq(fw_cfg(0x0f, 2), 3);
	cr_expect_eq(fw_cfg(0x03, 8), 0x123456789a);
	cr_expect_eq(fw_cfg(0x11, 8), 0, "no limit to memory");
	cr_expect_eq(fw_cfg(0x105, 2), 0);
	cr_expect_eq(fw_cfg(0x05, 2), 3, "selecting begins anew");
	for (int i = 0; i < 10; i++)
		devices_port_read(&devices, 0x511, 1);
	cr_expect_eq(devices_port_read(&devices, 0x511, 1), 0, "behind its end");
}

Test(devices, pc_testdev_has_a_register_and_interrupt_lines)
{
	add_test_ports();
	devices_port_write(&devices, 0xe0, 4, 0x12345678);
	devices_port_write(&devices, 0xe9, 1, 0xab);
	cr_expect_eq(devices_port_read(&devices, 0xe0, 4), 0x1234ab78);
	cr_expect_eq(devices_port_read(&devices, 0xea, 2), 0x1234);
	ioapic_set(0x10 + 2 * 14, 0x30);
	devices_port_write(&devices, 0x2000 + 14, 1, 1);
	devices_port_write(&devices, 0x2000 + 14, 1, 1);
	cr_expect_eq(interrupts, 1);
	devices_port_write(&devices, 0x2000 + 14, 1, 0);
	devices_port_write(&devices, 0x2000 + 14, 1, 1);
	cr_expect_eq(interrupts, 2);
	devices_port_write(&devices, 0x2000 + 24, 1, 1);
	cr_expect_eq(devices.counters.unknown_writes, 1);
}

Test(devices, hyperv_testdev_commands_are_whole)
{
	add_test_ports();
	devices_port_write(&devices, 0x3000, 4, 0x20060108);
	devices_port_write(&devices, 0x3000, 2, 0x0203);
	cr_expect_eq(command_count, 1);
	cr_expect_eq(commands[0], 0x20060108);
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
