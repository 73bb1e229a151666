// SPDX-License-Identifier: BSD-2-Clause
// Checks that say what they have seen.
#include "examples/kernel/kernel.h"

static uint32_t failures;

void kernel_report(bool holds, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	kernel_vformat(text, sizeof(text), format, arguments);
	va_end(arguments);
	kernel_print("%s %s\n", holds ? "PASS:" : "FAIL:", text);
	if (!holds)
		__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

bool kernel_check_status(lumen_status status, const char *what)
{
	char why[200];

	if (!status)
		return kernel_check(true, "%s", what);
	return kernel_check(
		false, "%s: %s", what, lumen_explain(status, LUMEN_CONTEXT_NONE, why, sizeof(why)));
}

int kernel_failures(void)
{
	return (int)__atomic_load_n(&failures, __ATOMIC_RELAXED);
}
