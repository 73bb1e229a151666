// SPDX-License-Identifier: BSD-2-Clause
// See failure.h.
#include "parent/common/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool failure_set(struct failure *failure, int status, const char *format, ...)
{
	va_list arguments;

	failure->status = status;
	va_start(arguments, format);
	vsnprintf(failure->text, sizeof(failure->text), format, arguments);
	va_end(arguments);
	return false;
}
