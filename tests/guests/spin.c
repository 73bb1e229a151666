// SPDX-License-Identifier: BSD-2-Clause
// A kernel that says so and then spins for ever with interrupts off: nothing from outside reaches
// it.
#include "examples/kernel/kernel.h"

int kernel_main(void)
{
	kernel_print("spin: interrupts are off\n");
	kernel_irq_off();
	for (;;)
		kernel_relax();
}
