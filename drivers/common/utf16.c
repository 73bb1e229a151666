// SPDX-License-Identifier: BSD-2-Clause
// See utf16.h. RFC 3629 and RFC 2781.
#include "drivers/common/utf16.h"

enum { BAD = -1, HIGH = 0xd800, LOW = 0xdc00, AFTER = 0xe000, BEYOND = 0x10000, END = 0x110000 };

// Reads what follows the first byte of a sequence. Returns the code point, or BAD: cut short, or
// one that a shorter sequence could say.
static int32_t rest_of(const uint8_t **text, int32_t begin, int count, int32_t least)
{
	for (; count; count--) {
		if ((**text & 0xc0) != 0x80)
			return BAD;
		begin = begin << 6 | (*(*text)++ & 0x3f);
	}
	return begin >= least && begin < END && (begin < HIGH || begin >= AFTER) ? begin : BAD;
}

static int32_t next_utf8(const uint8_t **text)
{
	const uint8_t first = *(*text)++;

	if (first < 0x80)
		return first;
	if ((first & 0xe0) == 0xc0)
		return rest_of(text, first & 0x1f, 1, 0x80);
	if ((first & 0xf0) == 0xe0)
		return rest_of(text, first & 0x0f, 2, 0x800);
	if ((first & 0xf8) == 0xf0)
		return rest_of(text, first & 0x07, 3, BEYOND);
	return BAD;
}

uint32_t utf16_from_utf8(uint16_t *to, uint32_t room, const char *text)
{
	const uint8_t *next = (const uint8_t *)text;
	uint32_t count = 0;
	int32_t point;

	do {
		point = next_utf8(&next);
		if (point < 0 || count + 1 + (point >= BEYOND) > room)
			return 0;
		if (point >= BEYOND) {
			to[count++] = (uint16_t)(HIGH + ((point - BEYOND) >> 10));
			point = LOW + ((point - BEYOND) & 0x3ff);
		}
		to[count++] = (uint16_t)point;
	} while (point);
	return count * (uint32_t)sizeof(*to);
}

// Returns 0 at the end, too.
static int32_t next_utf16(const uint8_t **from, uint32_t *units)
{
	int32_t unit, low;

	if (!*units)
		return BAD;
	(*units)--;
	unit = (*from)[0] | (*from)[1] << 8;
	*from += 2;
	if (unit < HIGH || unit >= AFTER)
		return unit;
	if (unit >= LOW || !*units)
		return BAD;
	(*units)--;
	low = (*from)[0] | (*from)[1] << 8;
	*from += 2;
	return low >= LOW && low < AFTER ? BEYOND + ((unit - HIGH) << 10) + (low - LOW) : BAD;
}

// Writes a code point. Returns how many bytes that is.
static uint32_t put_utf8(uint8_t *to, int32_t point)
{
	const uint32_t count = 1 + (point >= 0x80) + (point >= 0x800) + (point >= BEYOND);
	static const uint8_t marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (uint32_t i = count - 1; i; i--, point >>= 6)
		to[i] = (uint8_t)(0x80 | (point & 0x3f));
	to[0] = (uint8_t)(marks[count] | point);
	return count;
}

bool utf16_to_utf8(char *to, uint32_t room, const void *from, uint32_t units)
{
	const uint8_t *next = from;
	uint32_t count = 0;
	uint8_t bytes[4];
	int32_t point;

	while ((point = next_utf16(&next, &units)) > 0) {
		const uint32_t more = put_utf8(bytes, point);

		if (more >= room - count)
			break;
		for (uint32_t i = 0; i < more; i++)
			to[count++] = (char)bytes[i];
	}
	to[count] = 0;
	return !point;
}
