// SPDX-License-Identifier: BSD-2-Clause
// A kernel that says so and then spins for ever, on all its processors, with interrupts off:
// nothing from outside reaches it.
#include "examples/kernel/kernel.h"

static void spin(void *context)
{
	(void)context;
	kernel_irq_off();
	for (;;)
		kernel_relax();
}

int kernel_main(void)
{
	uint32_t count = kernel_processors();

	for (uint32_t i = 1; i < count; i++)
		if (!kernel_start(i) && !kernel_check(false, "processor %u runs", i))
			return kernel_failures();
	for (uint32_t i = 1; i < count; i++)
		kernel_run(i, spin, NULL);
	kernel_print("spin: interrupts are off\n");
	spin(NULL);
	return 0;
}
