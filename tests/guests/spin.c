// SPDX-License-Identifier: BSD-2-Clause
// A kernel that says so and then spins for ever with interrupts off: nothing from outside reaches
// it.
#include <stdint.h>

void main(void);

void main(void)
{
	for (const char *text = "spin: interrupts are off\r\n"; *text; text++)
		__asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((uint16_t)0x3f8));
	__asm__ volatile("cli");
	for (;;)
		__asm__ volatile("pause");
}
