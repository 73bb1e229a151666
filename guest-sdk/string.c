// SPDX-License-Identifier: BSD-2-Clause
// The four functions that compilers call by themselves, for kernels that do not have them.
#include <stddef.h>
#include <stdint.h>

#define WEAK __attribute__((weak))

WEAK void *memcpy(void *restrict to, const void *restrict from, size_t size);
WEAK void *memmove(void *to, const void *from, size_t size);
WEAK void *memset(void *to, int byte, size_t size);
WEAK int memcmp(const void *a, const void *b, size_t size);

// In assembly, as a compiler would make a call of memcpy() out of a loop.
static void copy(void *to, const void *from, size_t size)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
	copy(to, from, size);
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if ((uintptr_t)to - (uintptr_t)from >= size) { // the end of `from` is not in the way
		copy(to, from, size);
		return to;
	}
	while (size--) {
		t[size] = f[size];
		__asm__ volatile("" : : : "memory"); // stays a loop
	}
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;

	for (size_t i = 0; i < size; i++) {
		if (x[i] != y[i])
			return x[i] - y[i];
	}
	return 0;
}
