// SPDX-License-Identifier: BSD-2-Clause
// See text.h.
#include "parent/common/text.h"

#include <string.h>

#include "base/macros.h"

enum { DELETE = 0x7f };

static bool is_control(unsigned char byte)
{
	return byte < ' ' || byte == DELETE;
}

void text_quote(const char *text, FILE *file)
{
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte == '\\' || is_control(byte))
			fprintf(file, "\\%02x", byte);
		else
			putc(byte, file);
	}
}

static int hex_digit(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

// Reads two digits. Returns -1 if they are none, or those of a byte that is not quoted.
static int quoted_byte(const char *digits)
{
	int high = hex_digit(digits[0]);
	int low = high < 0 ? -1 : hex_digit(digits[1]);
	int byte = high * 16 + low;

	return low >= 0 && byte && (byte == '\\' || is_control((unsigned char)byte)) ? byte : -1;
}

bool text_unquote(char *text)
{
	char *to = text;
	int byte;

	for (; *text; text++) {
		byte = (unsigned char)*text;
		if (byte == '\\') {
			byte = quoted_byte(text + 1);
			text += 2;
		} else if (is_control((unsigned char)byte)) {
			byte = -1;
		}
		if (byte < 0)
			return false;
		*to++ = (char)byte;
	}
	*to = 0;
	return true;
}

// A row: the first byte, the second one, the length in bytes.
struct sequence {
	unsigned char first, last, low, high, length;
};

// RFC 3629, section 4, without the control characters: of ASCII, and U+0080 to U+009F.
static const struct sequence sequences[] = {
	{ 0x20, 0x7e, 0x00, 0xff, 1 },
	{ 0xc2, 0xc2, 0xa0, 0xbf, 2 },
	{ 0xc3, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool begins_with(const unsigned char *text, const struct sequence *sequence)
{
	if (text[0] < sequence->first || text[0] > sequence->last)
		return false;
	if (text[1] < sequence->low || text[1] > sequence->high)
		return false;
	for (unsigned i = 2; i < sequence->length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return false; // the end, too
	return true;
}

// Returns the length of the character that a text begins with, 0 if it is none to be shown.
static size_t shown_length(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		if (begins_with((const unsigned char *)text, &sequences[i]))
			return sequences[i].length;
	return 0;
}

void text_make_printable(char *text)
{
	while (*text) {
		const size_t length = shown_length(text);

		if (!length)
			*text = '?';
		text += length ? length : 1;
	}
}
