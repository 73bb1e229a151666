// SPDX-License-Identifier: BSD-2-Clause
// A kernel that finds out the TSC's frequency as PC kernels do, by the counters of an 8254, in the
// ways of three of them; each is compared with what the hypervisor says. It says so on a VGA's text
// screen, too. Without a timer it hangs.
#include "examples/kernel/kernel.h"
#include "hypercall/msr.h"

enum {
	PIT_CHANNEL_0 = 0x40,
	PIT_CHANNEL_2 = 0x42,
	PIT_CONTROL = 0x43,
	GATE = 0x61,
	GATE_ON = 1,
	GATE_OUT = 0x20,
	HZ = 1193182,
	TICKS = HZ / 20, // 50 ms
	PERCENT = 5,	 // by which they may differ: each access is an exit
	TRIES = 200,	 // 10 s: other children may keep the worker away for many of them
};

static void out(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void show(const char *text)
{
	volatile uint16_t *screen = (volatile uint16_t *)0xb8000;

	for (; *text; text++)
		*screen++ = (uint16_t)(0x0700 | *text);
}

static void load(uint16_t port, uint8_t control)
{
	out(PIT_CONTROL, control);
	out(port, TICKS & 0xff);
	out(port, TICKS >> 8);
}

// Linux: channel 2 in mode 0, its output in port 0x61.
static void wait_for_the_output(void)
{
	out(GATE, GATE_ON);
	load(PIT_CHANNEL_2, 0xb0);
	while (!(in(GATE)&GATE_OUT))
		;
}

// osdev.org: channel 2 in mode 1, started by its gate.
static void wait_for_the_one_shot(void)
{
	load(PIT_CHANNEL_2, 0xb2);
	out(GATE, 0);
	out(GATE, GATE_ON);
	while (!(in(GATE)&GATE_OUT))
		;
}

// littlekernel: channel 0 in mode 0, its status read back.
static void wait_for_the_status(void)
{
	load(PIT_CHANNEL_0, 0x30);
	do
		out(PIT_CONTROL, 0xe2);
	while ((in(PIT_CHANNEL_0)&0xc0) != 0x80);
}

// FreeBSD: channel 0 in mode 2, its count latched.
static void wait_for_the_count(void)
{
	unsigned count = TICKS, passed = 0;

	load(PIT_CHANNEL_0, 0x34);
	while (passed < TICKS) {
		unsigned now;

		out(PIT_CONTROL, 0);
		now = in(PIT_CHANNEL_0);
		now |= (unsigned)in(PIT_CHANNEL_0) << 8;
		passed += now <= count ? count - now : count + TICKS - now;
		count = now;
	}
}

// The least of some tries, as Linux does it: a processor that was away for a moment comes late.
static void calibrate(const char *name, void (*wait)(void))
{
	uint64_t truth = kernel_rdmsr(HV_X64_MSR_TSC_FREQUENCY), measured = UINT64_MAX;

	for (int i = 0; i < TRIES && measured > truth / 100 * (100 + PERCENT); i++) {
		uint64_t start = kernel_tsc(), once;

		wait();
		once = (kernel_tsc() - start) * HZ / TICKS;
		measured = once < measured ? once : measured;
	}
	kernel_check(measured > truth / 100 * (100 - PERCENT) &&
			     measured < truth / 100 * (100 + PERCENT),
		"%s: the TSC has %lu MHz (%lu)", name, measured / 1000000, truth / 1000000);
}

int kernel_main(void)
{
	kernel_print("calibrate: by the timer of a PC\n");
	show("waiting for the timer");
	kernel_irq_off();
	calibrate("output", wait_for_the_output);
	calibrate("one-shot", wait_for_the_one_shot);
	calibrate("status", wait_for_the_status);
	calibrate("count", wait_for_the_count);
	return kernel_failures();
}
