// SPDX-License-Identifier: BSD-2-Clause
// Output through a 16550, and the machine's reset.
#include "hypervisor/x86/console.h"
#include "hypervisor/x86/boot.h"
#include "hypervisor/x86/cpu.h"

static uint16_t port = 0x3f8;

void console_init(void)
{
	const char *option = boot_option("console");

	if (!option)
		return;
	port = 0;
	for (; (*option >= '0' && *option <= '9') || (*option >= 'a' && *option <= 'f'); option++)
		port = port * 16 + (*option <= '9' ? *option - '0' : *option - 'a' + 10);
}

void console_put(char c)
{
	if (!port)
		return;
	if (c == '\n')
		console_put('\r');
	for (int i = 0; i < 100000 && !(inb(port + 5) & 0x20); i++)
		cpu_relax();
	outb(port, c);
}

unsigned int console_write_some(const char *text, unsigned int count)
{
	unsigned int done = 0;

	if (!port)
		return count;
	// Each time: the root may use the UART too, and whether its FIFO is on only the root knows.
	for (; done < count && inb(port + 5) & 0x20; done++)
		outb(port, text[done]);
	return done;
}

void machine_reset(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	outb(0xcf9, 0x02);
	outb(0xcf9, 0x06); // the chipset's reset control register
	outb(0x64, 0xfe);  // the keyboard controller's
	__asm__ volatile("lidt %0\n\tint3" : : "m"(no_idt));
	for (;;)
		__asm__ volatile("hlt");
}
