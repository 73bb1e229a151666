// SPDX-License-Identifier: BSD-2-Clause
// A kernel that opens the trapdoor of the worker that tests/trapdoor/ builds, by a command of
// --test-devices: trapdoor=N says which (tests/trapdoor/trapdoor.c). Then it powers off.
#include "examples/kernel/kernel.h"

enum { PORT = 0x3000, COMMAND = 0xa7 };

int kernel_main(void)
{
	uint8_t which = (uint8_t)kernel_option_number("trapdoor", 0);

	kernel_print("trapdoor: %d\n", which);
	kernel_out8(PORT, which);
	kernel_out8(PORT + 1, 0);
	kernel_out8(PORT + 2, 0);
	kernel_out8(PORT + 3, COMMAND);
	return 0;
}
