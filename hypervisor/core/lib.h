// SPDX-License-Identifier: BSD-2-Clause
// The few helpers that every file of the hypervisor wants, and the C library's four that gcc may
// call.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE			4096ul
#define PAGE_SHIFT			12
#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define BIT(n)				(1ull << (n))
#define ALIGN_DOWN(x, a)		((x) & ~((uint64_t)(a)-1))
#define ALIGN_UP(x, a)			ALIGN_DOWN((x) + ((uint64_t)(a)-1), a)
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// Single loads and stores of words that others change at the same time.
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

// The same, for what tells another processor that something else is ready.
#define load_acquire(x)	    __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define store_release(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)

// Passes a status that is not success on to the caller.
#define TRY(status)                                                                                \
	do {                                                                                       \
		__typeof__(status) status_ = (status);                                             \
		if (status_)                                                                       \
			return status_;                                                            \
	} while (0)

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

// Bit operations on arrays of 64-bit words; the atomic ones are full barriers.
static inline bool bit_test(const uint64_t *words, unsigned int bit)
{
	return READ_ONCE(words[bit / 64]) >> (bit % 64) & 1;
}

static inline bool bit_test_and_set(uint64_t *words, unsigned int bit)
{
	return __atomic_fetch_or(&words[bit / 64], BIT(bit % 64), __ATOMIC_SEQ_CST) >> (bit % 64) &
	       1;
}

static inline bool bit_test_and_clear(uint64_t *words, unsigned int bit)
{
	return __atomic_fetch_and(&words[bit / 64], ~BIT(bit % 64), __ATOMIC_SEQ_CST) >>
		       (bit % 64) &
	       1;
}

// a * b / 2^64, and a * b / d, without losing the upper half on the way.
static inline uint64_t mul_hi(uint64_t a, uint64_t b)
{
	return (unsigned __int128)a * b >> 64;
}

// (hi * 2^64 + lo) / d, for hi < d.
static inline uint64_t div_wide(uint64_t hi, uint64_t lo, uint64_t d)
{
	__asm__("divq %2" : "+a"(lo), "+d"(hi) : "r"(d));
	return lo;
}

static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t d)
{
	uint64_t hi = mul_hi(a, b);

	return hi >= d ? UINT64_MAX : div_wide(hi, a * b, d);
}
