// SPDX-License-Identifier: BSD-2-Clause
// As much of Criterion as a program with threads needs under ThreadSanitizer, where Criterion does
// not begin: its memory lies where the sanitizer's does. Tests run in the order of the file; one
// that fails ends the program.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
	const char *name;
	void (*run)(void);
} plain_tests[16];
static unsigned plain_count;

#define Test(suite, test, ...)                                                                     \
	static void suite##_##test(void);                                                          \
	__attribute__((constructor)) static void suite##_##test##_is_a_test(void)                  \
	{                                                                                          \
		plain_tests[plain_count].name = #suite "::" #test;                                 \
		plain_tests[plain_count++].run = suite##_##test;                                   \
	}                                                                                          \
	static void suite##_##test(void)

#define cr_assert(condition, ...)                                                                  \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
#define cr_assert_eq(a, b, ...) cr_assert((a) == (b))

int main(void)
{
	printf("1..%u\n", plain_count);
	for (unsigned i = 0; i < plain_count; i++) {
		plain_tests[i].run();
		printf("ok - %s\n", plain_tests[i].name);
	}
	return 0;
}
