// SPDX-License-Identifier: BSD-2-Clause
// The end: status and power-off.
#include "examples/kernel/internal.h"
#include "lumen/power.h"

_Noreturn void kernel_exit(int status)
{
	if (status < 0 || status > (int)LUMEN_EXIT_STATUS_MAX)
		status = LUMEN_EXIT_STATUS_MAX;
	kernel_print("kernel: exit status %d\n", status);
	kernel_irq_off();
	lumen_exit_status((uint8_t)status);
	lumen_power_off();
	lumen_reset();
	for (;;)
		__asm__ volatile("hlt");
}

_Noreturn void kernel_panic(const char *format, ...)
{
	static uint32_t panicking;
	va_list arguments;

	kernel_irq_off();
	while (__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL))
		__asm__ volatile("hlt"); // somebody else is at it, or it goes wrong again
	kernel_print("panic: ");
	va_start(arguments, format);
	kernel_vprint(format, arguments);
	va_end(arguments);
	kernel_print("\n");
	kernel_exit(KERNEL_PANIC_STATUS);
}
