// SPDX-License-Identifier: BSD-2-Clause
// What lwIP calls: a clock, random numbers, a function of the C library, and the end.
#include <stddef.h>

#include "examples/kernel/kernel.h"
#include "lumen/clock.h"
#include "lwip/sys.h"

enum { NS_PER_MS = 1000000 };

uint32_t sys_now(void)
{
	return (uint32_t)(lumen_clock_ns() / NS_PER_MS);
}

_Noreturn void port_assert(const char *what, const char *file, int line)
{
	kernel_panic("lwIP: %s (%s:%d)", what, file, line);
}

// For port numbers and transaction ids. Steele and Vigna, "splitmix64"; what it starts from nobody
// has seen.
uint32_t port_random(void)
{
	static uint64_t state;
	uint64_t mixed;

	state += 0x9e3779b97f4a7c15ull + __builtin_ia32_rdtsc();
	mixed = (state ^ state >> 30) * 0xbf58476d1ce4e5b9ull;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)(mixed >> 32);
}

size_t strlen(const char *text);

size_t strlen(const char *text)
{
	size_t length = 0;

	while (text[length]) {
		length++;
		__asm__ volatile("" : : : "memory"); // stays a loop
	}
	return length;
}
