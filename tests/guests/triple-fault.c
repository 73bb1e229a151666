// SPDX-License-Identifier: BSD-2-Clause
// A kernel that says so and then faults without an interrupt table: a triple fault.
#include <stdint.h>

void main(void);

void main(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = { 0, 0 };

	for (const char *text = "triple-fault: now\r\n"; *text; text++)
		__asm__ volatile("outb %0, %1" : : "a"(*text), "Nd"((uint16_t)0x3f8));
	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
}
