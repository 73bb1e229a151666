// SPDX-License-Identifier: BSD-2-Clause
// printf() to memory, as much of it as small kernels need.
#include "examples/kernel/internal.h"

struct output {
	char *to;
	size_t size, length; // without the 0 byte
};

// One conversion: what stands between '%' and its letter.
struct conversion {
	bool left, zeroes;
	int width, precision; // precision -1: none
	int longs;
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->to[out->length++] = c;
}

// Writes text of a known length to its width; zeroes go between a sign and the digits.
static void put_field(
	struct output *out, const struct conversion *how, const char *text, int length)
{
	int pad = how->width - length;

	if (how->zeroes && !how->left && length && *text == '-') {
		put(out, *text++);
		length--;
	}
	for (; !how->left && pad > 0; pad--)
		put(out, how->zeroes ? '0' : ' ');
	while (length-- > 0)
		put(out, *text++);
	for (; pad > 0; pad--)
		put(out, ' ');
}

static void put_number(struct output *out, const struct conversion *how, uint64_t value,
	unsigned int base, bool negative)
{
	char digits[24];
	int at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (negative)
		digits[--at] = '-';
	put_field(out, how, digits + at, (int)sizeof(digits) - at);
}

static void put_string(struct output *out, struct conversion *how, const char *text)
{
	int length = 0;

	while (length != how->precision && text[length])
		length++;
	how->zeroes = false;
	put_field(out, how, text, length);
}

static int read_number(const char **format, va_list *arguments)
{
	int number = 0;

	if (**format == '*') {
		++*format;
		return va_arg(*arguments, int);
	}
	while (**format >= '0' && **format <= '9')
		number = number * 10 + *(*format)++ - '0';
	return number;
}

static struct conversion read_conversion(const char **format, va_list *arguments)
{
	struct conversion how = { .precision = -1 };

	for (; **format == '-' || **format == '0'; ++*format) {
		how.left |= **format == '-';
		how.zeroes |= **format == '0';
	}
	how.width = read_number(format, arguments);
	if (**format == '.') {
		++*format;
		how.precision = read_number(format, arguments);
	}
	for (; **format == 'l' || **format == 'z'; ++*format)
		how.longs++;
	return how;
}

static uint64_t unsigned_argument(const struct conversion *how, va_list *arguments)
{
	return how->longs ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned int);
}

static void convert(struct output *out, struct conversion *how, char letter, va_list *arguments)
{
	int64_t number;
	char c;

	switch (letter) {
	case 'd':
		number = how->longs ? va_arg(*arguments, int64_t) : va_arg(*arguments, int);
		put_number(out, how, number < 0 ? -(uint64_t)number : (uint64_t)number, 10,
			number < 0);
		break;
	case 'u':
		put_number(out, how, unsigned_argument(how, arguments), 10, false);
		break;
	case 'p':
		how->longs = 1;
		put_number(out, how, unsigned_argument(how, arguments), 16, false);
		break;
	case 'x':
		put_number(out, how, unsigned_argument(how, arguments), 16, false);
		break;
	case 's':
		put_string(out, how, va_arg(*arguments, const char *));
		break;
	case 'c':
		c = (char)va_arg(*arguments, int);
		put_field(out, how, &c, 1);
		break;
	default:
		put(out, letter);
		break;
	}
}

size_t kernel_vformat(char *to, size_t size, const char *format, va_list arguments)
{
	struct output out = { to, size, 0 };
	va_list rest; // a va_list parameter has no address that can be passed on

	va_copy(rest, arguments);
	while (*format) {
		char c = *format++;

		if (c != '%') {
			put(&out, c);
			continue;
		}
		struct conversion how = read_conversion(&format, &rest);

		if (*format)
			convert(&out, &how, *format++, &rest);
	}
	va_end(rest);
	if (size)
		to[out.length] = 0;
	return out.length;
}

size_t kernel_format(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	length = kernel_vformat(to, size, format, arguments);
	va_end(arguments);
	return length;
}
