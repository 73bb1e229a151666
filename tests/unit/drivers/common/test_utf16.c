// SPDX-License-Identifier: BSD-2-Clause
// UTF-8 to UTF-16 and back, for every code point, and what is neither.
#include <criterion/criterion.h>
#include <string.h>

#include "base/macros.h"
#include "drivers/common/utf16.h"

static uint16_t wide[16];
static char narrow[16];

// An encoder of the test's own, without a table.
static void encode(char *to, uint32_t point)
{
	if (point < 0x80)
		*to++ = (char)point;
	else if (point < 0x800)
		*to++ = (char)(0xc0 | point >> 6);
	else if (point < 0x10000)
		*to++ = (char)(0xe0 | point >> 12), *to++ = (char)(0x80 | (point >> 6 & 0x3f));
	else
		*to++ = (char)(0xf0 | point >> 18), *to++ = (char)(0x80 | (point >> 12 & 0x3f)),
		*to++ = (char)(0x80 | (point >> 6 & 0x3f));
	if (point >= 0x80)
		*to++ = (char)(0x80 | (point & 0x3f));
	*to = 0;
}

Test(utf16, every_code_point_comes_back)
{
	char text[8];

	for (uint32_t point = 1; point < 0x110000; point++) {
		const bool surrogate = point >= 0xd800 && point < 0xe000;
		uint32_t size;

		encode(text, point);
		size = utf16_from_utf8(wide, 16, text);
		cr_assert_eq(size, surrogate ? 0 : point < 0x10000 ? 4 : 6, "0x%x", point);
		if (surrogate)
			continue;
		cr_assert(utf16_to_utf8(narrow, sizeof(narrow), wide, 16));
		cr_assert_str_eq(narrow, text);
		cr_assert_eq(utf16_from_utf8(wide, size / 2, text), size);
		cr_assert_eq(utf16_from_utf8(wide, size / 2 - 1, text), 0, "no room");
		cr_assert(utf16_to_utf8(narrow, (uint32_t)strlen(text) + 1, wide, 16));
		cr_assert_not(utf16_to_utf8(narrow, (uint32_t)strlen(text), wide, 16));
	}
}

Test(utf16, what_is_no_utf8_is_refused)
{
	static const char *const wrong[] = { "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80",
		"\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82",
		"\xe2\x28\xa1", "\xff" };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_eq(utf16_from_utf8(wide, 16, wrong[i]), 0, "%zu", i);
}

Test(utf16, what_is_no_utf16_is_refused)
{
	static const uint16_t wrong[][3] = { { 'a', 'b', 'c' }, { 0xd800, 'a', 0 },
		{ 0xdc00, 0xd800, 0 }, { 'a', 'b', 0xd800 }, { 'a', 0xd800, 0xdbff } };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		cr_assert_not(utf16_to_utf8(narrow, sizeof(narrow), wrong[i], 3), "%zu", i);
	cr_assert_not(utf16_to_utf8(narrow, sizeof(narrow), wrong[0], 0));
}
