// SPDX-License-Identifier: BSD-2-Clause
// See devices.h.
#include "parent/worker/platform/devices.h"

#include <string.h>
#include <time.h>

#include "base/macros.h"
#include "parent/common/exit_status.h"
#include "parent/worker/platform/layout.h"

static void uart_send(void *context, uint8_t byte)
{
	struct devices *devices = context;

	console_put(devices->console, byte);
}

static int uart_receive(void *context)
{
	struct devices *devices = context;

	return console_get(devices->console);
}

static void uart_interrupt(void *context, bool high)
{
	struct devices *devices = context;

	ioapic_set_line(&devices->ioapic, LAYOUT_CONSOLE_IRQ, high);
}

static void ioapic_deliver(void *context, const struct ioapic_interrupt *interrupt)
{
	struct devices *devices = context;

	devices->wiring.interrupt(devices->wiring.context, interrupt);
}

void devices_init(
	struct devices *devices, struct console *console, const struct devices_wiring *wiring)
{
	struct uart_wiring uart = {
		.context = devices,
		.send = uart_send,
		.receive = uart_receive,
		.interrupt = uart_interrupt,
	};

	memset(devices, 0, sizeof(*devices));
	pthread_mutex_init(&devices->lock, NULL);
	devices->wiring = *wiring;
	devices->console = console;
	uart_init(&devices->uart, &uart);
	ioapic_init(&devices->ioapic, devices, ioapic_deliver);
}

void devices_add_test_ports(struct devices *devices, const struct test_wiring *wiring)
{
	devices->test = (struct test_ports){ .present = true, .wiring = *wiring };
}

static uint8_t console_read_byte(struct devices *devices, unsigned offset)
{
	return uart_read(&devices->uart, offset);
}

static void console_write_byte(struct devices *devices, unsigned offset, uint8_t value)
{
	uart_write(&devices->uart, offset, value);
}

// All but the exit status read as 0: nothing ever wakes the child, and no sleep is under way.
static uint8_t power_read_byte(struct devices *devices, unsigned offset)
{
	return offset == LAYOUT_EXIT_STATUS - LAYOUT_SLEEP_CONTROL ? devices->exit_status : 0;
}

enum { SLEEP_ENABLE = 0x20, SLEEP_TYPE_SHIFT = 2, SLEEP_TYPE_MASK = 7 }; // ACPI 6.4, 4.8.3.7

static void power_write_byte(struct devices *devices, unsigned offset, uint8_t value)
{
	switch (LAYOUT_SLEEP_CONTROL + offset) {
	case LAYOUT_SLEEP_CONTROL:
		if ((value & SLEEP_ENABLE) &&
			(value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == LAYOUT_SLEEP_TYPE_S5)
			devices->request = POWER_OFF;
		break;
	case LAYOUT_RESET:
		if (value == LAYOUT_RESET_VALUE)
			devices->request = POWER_RESET;
		break;
	case LAYOUT_EXIT_STATUS:
		devices->exit_status = value < LUMEN_EXIT_CHILD_MAX ? value : LUMEN_EXIT_CHILD_MAX;
		break;
	default: // the status register has only bits that are cleared by writing them
		break;
	}
}

static uint8_t cmos_read_byte(struct devices *devices, unsigned offset)
{
	return 0;
}

static const struct port_range port_ranges[] = {
	{ LAYOUT_CONSOLE_PORT, UART_PORTS, console_read_byte, console_write_byte },
	{ LAYOUT_CMOS_PORT, LAYOUT_CMOS_PORTS, cmos_read_byte, port_ignore_write },
	{ LAYOUT_SLEEP_CONTROL, LAYOUT_POWER_PORTS, power_read_byte, power_write_byte },
};

static uint64_t reference_time(struct devices *devices)
{
	return devices->wiring.clock(devices->wiring.context);
}

static uint8_t pit_read_byte(struct devices *devices, unsigned offset)
{
	return pit_read(&devices->pit, offset, reference_time(devices));
}

static void pit_write_byte(struct devices *devices, unsigned offset, uint8_t value)
{
	pit_write(&devices->pit, offset, value, reference_time(devices));
}

static uint8_t gate_read_byte(struct devices *devices, unsigned offset)
{
	return pit_read_gate(&devices->pit, reference_time(devices));
}

static void gate_write_byte(struct devices *devices, unsigned offset, uint8_t value)
{
	pit_write_gate(&devices->pit, value, reference_time(devices));
}

static const struct port_range timer_port_ranges[] = {
	{ LAYOUT_PIT_PORT, PIT_PORTS, pit_read_byte, pit_write_byte },
	{ LAYOUT_PIT_GATE_PORT, 1, gate_read_byte, gate_write_byte },
};

void devices_add_legacy_timer(struct devices *devices)
{
	devices->legacy_timer = true;
	pit_init(&devices->pit);
}

static uint64_t time_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct touches devices_touches(struct devices *devices, uint64_t *now_ms)
{
	struct touches touches;

	pthread_mutex_lock(&devices->lock);
	touches = devices->touches;
	pthread_mutex_unlock(&devices->lock);
	*now_ms = time_ms();
	return touches;
}

static const struct port_range *find_in(
	const struct port_range *ranges, unsigned count, uint32_t port)
{
	for (unsigned i = 0; i < count; i++)
		if (port >= ranges[i].first && port - ranges[i].first < ranges[i].count)
			return &ranges[i];
	return NULL;
}

static const struct port_range *find_range(const struct devices *devices, uint32_t port)
{
	const struct port_range *range = find_in(port_ranges, ARRAY_SIZE(port_ranges), port);

	if (!range && devices->legacy_timer)
		range = find_in(timer_port_ranges, ARRAY_SIZE(timer_port_ranges), port);
	if (!range && devices->test.present)
		range = find_in(test_port_ranges, test_port_range_count, port);
	return range;
}

// Counts an access. The clock answers, but it is none: whoever looks there may wait for one.
static void count_port(struct devices *devices, uint16_t port, bool write)
{
	const struct port_range *range = find_range(devices, port);
	struct devices_counters *counters = &devices->counters;

	if (range)
		*(write ? &counters->port_writes : &counters->port_reads) += 1;
	else
		*(write ? &counters->unknown_writes : &counters->unknown_reads) += 1;
	if (!range || range->first == LAYOUT_CMOS_PORT)
		touches_add(&devices->touches, TOUCH_PORT, port, write, time_ms());
}

uint32_t devices_port_read(struct devices *devices, uint16_t port, unsigned size)
{
	uint32_t value = 0;

	pthread_mutex_lock(&devices->lock);
	for (unsigned i = 0; i < size; i++) {
		const struct port_range *range = find_range(devices, port + i);
		uint8_t byte = range ? range->read(devices, port + i - range->first) : 0xff;

		value |= (uint32_t)byte << i * 8;
	}
	count_port(devices, port, false);
	pthread_mutex_unlock(&devices->lock);
	return value;
}

enum power_request devices_port_write(
	struct devices *devices, uint16_t port, unsigned size, uint32_t value)
{
	enum power_request request;

	pthread_mutex_lock(&devices->lock);
	for (unsigned i = 0; i < size; i++) {
		const struct port_range *range = find_range(devices, port + i);

		if (range)
			range->write(devices, port + i - range->first, (uint8_t)(value >> i * 8));
	}
	count_port(devices, port, true);
	request = devices->request;
	devices->request = POWER_NONE;
	pthread_mutex_unlock(&devices->lock);
	return request;
}

// The I/O APIC's registers are 32 bits wide; other widths do not reach it.
static bool is_ioapic(struct devices *devices, uint64_t gpa, unsigned size, bool write)
{
	if (gpa >= LAYOUT_IOAPIC && gpa - LAYOUT_IOAPIC < LAYOUT_IOAPIC_SIZE && size == 4) {
		devices->counters.ioapic_accesses++;
		return true;
	}
	devices->counters.unknown_memory++;
	touches_add(&devices->touches, TOUCH_MEMORY, gpa, write, time_ms());
	return false;
}

uint64_t devices_memory_read(struct devices *devices, uint64_t gpa, unsigned size)
{
	uint64_t value = UINT64_MAX;

	pthread_mutex_lock(&devices->lock);
	if (is_ioapic(devices, gpa, size, false))
		value = ioapic_read(&devices->ioapic, (uint32_t)(gpa - LAYOUT_IOAPIC));
	pthread_mutex_unlock(&devices->lock);
	return value;
}

void devices_memory_write(struct devices *devices, uint64_t gpa, unsigned size, uint64_t value)
{
	pthread_mutex_lock(&devices->lock);
	if (is_ioapic(devices, gpa, size, true))
		ioapic_write(&devices->ioapic, (uint32_t)(gpa - LAYOUT_IOAPIC), (uint32_t)value);
	pthread_mutex_unlock(&devices->lock);
}

void devices_input_ready(struct devices *devices)
{
	pthread_mutex_lock(&devices->lock);
	uart_input_ready(&devices->uart);
	pthread_mutex_unlock(&devices->lock);
}
