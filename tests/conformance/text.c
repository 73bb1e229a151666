// SPDX-License-Identifier: BSD-2-Clause
// Small things about text.
#include "base/macros.h"
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

void text_format(char *text, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	kernel_vformat(text, size, format, arguments);
	va_end(arguments);
}

static bool starts(const char *text, const char *part)
{
	for (; *part; part++, text++)
		if (*text != *part)
			return false;
	return true;
}

bool text_contains(const char *text, const char *part)
{
	for (; *text; text++)
		if (starts(text, part))
			return true;
	return !*part;
}

const char *status_name(hv_status status)
{
	static const struct {
		hv_status number;
		const char *name;
	} names[] = {
#define NAME(name, number, text) { number, "HV_STATUS_" #name },
		HV_STATUS_TABLE(NAME)
#undef NAME
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].number == status)
			return names[i].name;
	return "an unknown status";
}
