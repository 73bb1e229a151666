// SPDX-License-Identifier: BSD-2-Clause
// See text.h.
#include "parent/common/text.h"

#include <string.h>

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

void text_make_printable(char *text)
{
	for (; *text; text++)
		if (is_control((unsigned char)*text))
			*text = '?';
}
