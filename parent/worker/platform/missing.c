// SPDX-License-Identifier: BSD-2-Clause
// See missing.h.
#include "parent/worker/platform/missing.h"

#include <stdio.h>

#include "base/macros.h"
#include "parent/worker/platform/layout.h"

enum {
	WAITS_MIN = 1000,   // accesses: nobody probes a device so often
	WAITS_NOW_MS = 2000 // and it still goes on
};

#define NO_TIMER                                                                                   \
	"take the frequencies of TSC and APIC timer from MSRs 0x40000022 and 0x40000023, or give " \
	"the child --legacy-timer"
#define NO_INTERRUPTS "use the local APIC and the I/O APIC (ACPI: MADT)"
#define NO_CLOCK                                                                                   \
	"the time of day comes over VMBus (time synchronisation); MSR 0x40000020 counts from the " \
	"start"
#define NO_INPUT     "input comes from the console, the 16550 at port 0x3f8"
#define NO_SCREEN    "the console is the 16550 at port 0x3f8"
#define NO_DISK	     "disks are on VMBus"
#define NO_BUS	     "there is no PCI; devices are on VMBus"
#define POWER_OFF_BY "write 0x34 to port 0x600, the sleep control register that the FADT names"

static const struct missing_device devices[] = {
	{ TOUCH_PORT, 0x20, 0x21, "an interrupt controller of a PC (8259)", NO_INTERRUPTS },
	{ TOUCH_PORT, 0x40, 0x43, "the 8254 timer (PIT)", NO_TIMER },
	{ TOUCH_PORT, 0x60, 0x60, "the 8042 keyboard controller (PS/2)", NO_INPUT },
	{ TOUCH_PORT, 0x61, 0x61, "the 8254 timer (PIT), its channel 2", NO_TIMER },
	{ TOUCH_PORT, 0x64, 0x64, "the 8042 keyboard controller (PS/2)", NO_INPUT },
	{ TOUCH_PORT, LAYOUT_CMOS_PORT, LAYOUT_CMOS_PORT + 1, "the clock of a PC (RTC)", NO_CLOCK },
	{ TOUCH_PORT, 0x80, 0x80, "the diagnostic port, which delays", NULL },
	{ TOUCH_PORT, 0x92, 0x92, "the A20 gate", "it is open" },
	{ TOUCH_PORT, 0xa0, 0xa1, "an interrupt controller of a PC (8259)", NO_INTERRUPTS },
	{ TOUCH_PORT, 0xe9, 0xe9, "the console of Bochs", NO_SCREEN },
	{ TOUCH_PORT, 0xf4, 0xf4, "QEMU's isa-debug-exit",
		"write the status to port 0x603 and power off" },
	{ TOUCH_PORT, 0x170, 0x177, "an IDE disk", NO_DISK },
	{ TOUCH_PORT, 0x1f0, 0x1f7, "an IDE disk", NO_DISK },
	{ TOUCH_PORT, 0x2e8, 0x2ef, "COM4", "there is COM1 only" },
	{ TOUCH_PORT, 0x2f8, 0x2ff, "COM2", "there is COM1 only" },
	{ TOUCH_PORT, 0x376, 0x376, "an IDE disk", NO_DISK },
	{ TOUCH_PORT, 0x378, 0x37f, "a printer", NO_SCREEN },
	{ TOUCH_PORT, 0x3b0, 0x3df, "a VGA", NO_SCREEN },
	{ TOUCH_PORT, 0x3e8, 0x3ef, "COM3", "there is COM1 only" },
	{ TOUCH_PORT, 0x3f0, 0x3f5, "a floppy disk", NO_DISK },
	{ TOUCH_PORT, 0x3f6, 0x3f6, "an IDE disk", NO_DISK },
	{ TOUCH_PORT, 0x3f7, 0x3f7, "a floppy disk", NO_DISK },
	{ TOUCH_PORT, 0x402, 0x402, "QEMU's debug console", NO_SCREEN },
	{ TOUCH_PORT, 0x501, 0x501, "QEMU's isa-debug-exit",
		"write the status to port 0x603 and power off" },
	{ TOUCH_PORT, 0x510, 0x51b, "QEMU's fw_cfg",
		"memory and processors are in ACPI's tables and the memory map" },
	{ TOUCH_PORT, 0x604, 0x605, "QEMU's power-off", POWER_OFF_BY },
	{ TOUCH_PORT, 0xb004, 0xb005, "QEMU's power-off", POWER_OFF_BY },
	{ TOUCH_PORT, 0xcf9, 0xcf9, "the reset control register",
		"write 1 to port 0x602, the reset register that the FADT names" },
	{ TOUCH_PORT, 0xcf8, 0xcff, "PCI", NO_BUS },
	{ TOUCH_MEMORY, LAYOUT_IOAPIC, LAYOUT_IOAPIC + LAYOUT_IOAPIC_SIZE - 1, "the I/O APIC",
		"its registers answer accesses of 32 bits" },
	{ TOUCH_MEMORY, 0xfed00000, 0xfed003ff, "the HPET", NO_TIMER },
};

const struct missing_device *missing_find(enum touch_space space, uint64_t address)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (devices[i].space == space && address >= devices[i].first &&
			address <= devices[i].last)
			return &devices[i];
	return NULL;
}

void missing_waits_for(const struct touches *touches, uint64_t now_ms, char *sentence, size_t size)
{
	struct touch top[TOUCHES_MAX];
	unsigned count = touches_top(touches, top, TOUCHES_MAX);

	*sentence = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct missing_device *device = missing_find(top[i].space, top[i].address);
		char touch[100];

		if (top[i].reads < WAITS_MIN || now_ms - top[i].last_ms > WAITS_NOW_MS ||
			(device && !device->advice))
			continue;
		touches_describe(&top[i], touch, sizeof(touch));
		snprintf(sentence, size, " It seems to wait for %s, which is not there (%s)%s%s.",
			device ? device->name : "something", touch, device ? ": " : "",
			device ? device->advice : "");
		return;
	}
}

void missing_report(
	const struct touches *touches, uint64_t now_ms, void (*say)(const char *format, ...))
{
	struct touch top[MISSING_LINES_MAX - 1];
	unsigned count = touches_top(touches, top, MISSING_LINES_MAX - 1);

	if (count)
		say("touched most of what is not there:");
	for (unsigned i = 0; i < count; i++) {
		const struct missing_device *device = missing_find(top[i].space, top[i].address);
		uint64_t ago_ms = now_ms - top[i].last_ms;
		char touch[100];

		touches_describe(&top[i], touch, sizeof(touch));
		say("  %s, the last %llu.%llu s ago%s%s", touch, (unsigned long long)ago_ms / 1000,
			(unsigned long long)ago_ms % 1000 / 100, device ? ": " : "",
			device ? device->name : "");
	}
}
