// SPDX-License-Identifier: BSD-2-Clause
// kernel_format() says what snprintf() says, for all that it knows.
#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "examples/kernel/kernel.h"

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char ours[256], theirs[256];                                                       \
		size_t length = kernel_format(ours, sizeof(ours), __VA_ARGS__);                    \
		snprintf(theirs, sizeof(theirs), __VA_ARGS__);                                     \
		cr_assert_str_eq(ours, theirs);                                                    \
		cr_assert_eq(length, strlen(ours));                                                \
	} while (0)

Test(format, numbers)
{
	SAME("%d %d %d %d", 0, 7, -7, INT_MIN);
	SAME("%u %x %c%%", UINT_MAX, 0xdeadbeefu, 'c');
	SAME("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
	SAME("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, 0x123456789abcdefull);
	SAME("%zu %zx", sizeof(long), (size_t)-1);
}

Test(format, widths)
{
	SAME("[%5d] [%-5d] [%05d] [%05d]", 42, 42, 42, -42);
	SAME("[%1d] [%016lx] [%4x] [%-4x]", 12345, 0xabcul, 0xau, 0xau);
	SAME("[%*d] [%-*d]", 6, 1, 6, 1);
}

Test(format, strings)
{
	static const char open_end[3] = { 'a', 'b', 'c' };

	SAME("[%s] [%5s] [%-5s] [%.2s] [%6.2s]", "text", "abc", "abc", "abcdef", "abcdef");
	SAME("[%.*s]", (int)sizeof(open_end), open_end);
	SAME("[%s]", "");
}

Test(format, pointers)
{
	char text[32];

	kernel_format(text, sizeof(text), "%p", (void *)0x1234);
	cr_assert_str_eq(text, "1234");
}

Test(format, cut_to_its_room)
{
	char text[8];

	memset(text, 'x', sizeof(text));
	cr_assert_eq(kernel_format(text, 4, "%s", "abcdef"), 3);
	cr_assert_arr_eq(text, "abc\0xxxx", sizeof(text));
	memset(text, 'x', sizeof(text));
	cr_assert_eq(kernel_format(text, 1, "%d", 12), 0);
	cr_assert_arr_eq(text, "\0xxxxxxx", sizeof(text));
	cr_assert_eq(kernel_format(text, 0, "%d", 12), 0);
	cr_assert_arr_eq(text, "\0xxxxxxx", sizeof(text));
}
