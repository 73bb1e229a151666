// SPDX-License-Identifier: BSD-2-Clause
// The C library functions that gcc may call, and two more. Microcoded string instructions are what
// modern processors do best.
#include "hypervisor/core/lib.h"

void *memcpy(void *dst, const void *src, size_t n)
{
	void *to = dst;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(src), "+c"(words) : : "memory");
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(bytes) : : "memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	char *to = dst;
	const char *from = src;

	if (to <= from || to >= from + n)
		return memcpy(dst, src, n);
	for (; n % 8; n--)
		to[n - 1] = from[n - 1];
	while (n) {
		uint64_t word;

		n -= 8;
		__builtin_memcpy(&word, from + n, 8);
		__builtin_memcpy(to + n, &word, 8);
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *to = dst;
	uint64_t word = 0x0101010101010101ull * (uint8_t)c;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(word) : "memory");
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(word) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i] || !a[i])
			return (uint8_t)a[i] - (uint8_t)b[i];
	return 0;
}
