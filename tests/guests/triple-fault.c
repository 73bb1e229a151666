// SPDX-License-Identifier: BSD-2-Clause
// A kernel that says so and then faults without an interrupt table: a triple fault.
#include "examples/kernel/kernel.h"

int kernel_main(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) empty = { 0, 0 };

	kernel_print("triple-fault: now\n");
	__asm__ volatile("lidt %0; ud2" : : "m"(empty));
	return 1;
}
