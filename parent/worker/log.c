// SPDX-License-Identifier: BSD-2-Clause
// See log.h.
#include "parent/worker/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 600 };

static struct timespec start;

// Before there are threads: each of them may write a line.
__attribute__((constructor)) static void begin(void)
{
	clock_gettime(CLOCK_MONOTONIC, &start);
}

// One write per line: lines of several threads do not mix.
static void write_line(const char *end, const char *format, va_list arguments)
{
	struct timespec now;
	char line[LINE_MAX_BYTES];
	long ms;
	int length;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
	length = snprintf(line, sizeof(line), "%5ld.%03ld ", ms / 1000, ms % 1000);
	vsnprintf(line + length, sizeof(line) - length - strlen(end) - 2, format, arguments);
	strcat(line, end);
	strcat(line, "\n");
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return; // there is nowhere to say so
}

void log_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line("", format, arguments);
	va_end(arguments);
}

void log_limited(struct log_limit *limit, const char *format, ...)
{
	uint32_t count = __atomic_load_n(&limit->count, __ATOMIC_RELAXED);
	va_list arguments;

	if (count >= LOG_LIMIT)
		return;
	count = __atomic_add_fetch(&limit->count, 1, __ATOMIC_RELAXED);
	if (count > LOG_LIMIT)
		return;
	va_start(arguments, format);
	write_line(count == LOG_LIMIT ? " (no more of this is logged)" : "", format, arguments);
	va_end(arguments);
}
