// SPDX-License-Identifier: BSD-2-Clause
// The few helpers that every file of the hypervisor wants, and the C library's four that gcc may
// call.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define PAGE_SIZE	 4096ul
#define PAGE_SHIFT	 12
#define BIT(n)		 (1ull << (n))
#define ALIGN_DOWN(x, a) ((x) & ~((uint64_t)(a)-1))
#define ALIGN_UP(x, a)	 ALIGN_DOWN((x) + ((uint64_t)(a)-1), a)
#define MIN(a, b)	 ((a) < (b) ? (a) : (b))
#define MAX(a, b)	 ((a) > (b) ? (a) : (b))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// Single loads and stores of words that others change at the same time.
#define READ_ONCE(x)	 (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

// The same, for what tells another processor that something else is ready.
#define load_acquire(x)	    __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define store_release(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)
#define full_fence()	    __atomic_thread_fence(__ATOMIC_SEQ_CST)

// Passes a status that is not success on to the caller.
#define TRY(status)                                                                                \
	do {                                                                                       \
		__typeof__(status) status_ = (status);                                             \
		if (status_)                                                                       \
			return status_;                                                            \
	} while (0)

// INDEX if it is below SIZE, else 0, without a branch: for what a guest chooses. The processor may
// go on behind a check as if it had succeeded, and what it reads there leaves traces (Spectre v1).
static inline size_t index_nospec(size_t index, size_t size)
{
	size_t mask;

	__asm__("cmp %2, %1\n\tsbb %0, %0" : "=r"(mask) : "r"(index), "re"(size) : "cc");
	return index & mask;
}

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

// Intrusive doubly linked lists. A list head is a node that points at itself when empty.
struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

// Before AT; before the head is at the end.
static inline void list_insert_before(struct list *at, struct list *node)
{
	node->next = at;
	node->prev = at->prev;
	at->prev->next = node;
	at->prev = node;
}

// Removes NODE and leaves it self-linked, so that removing it again does nothing.
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_for_each(pos, head, member)                                                           \
	for (pos = container_of((head)->next, __typeof__(*pos), member); &pos->member != (head);   \
		pos = container_of(pos->member.next, __typeof__(*pos), member))

#define list_first(head, type, member)                                                             \
	(list_empty(head) ? NULL : container_of((head)->next, type, member))

// Ticket locks. The hypervisor runs with interrupts off and never sleeps, so these need no more.
struct spinlock {
	uint16_t next, owner;
};

static inline void spin_lock(struct spinlock *lock)
{
	uint16_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		cpu_relax();
}

static inline void spin_unlock(struct spinlock *lock)
{
	store_release(lock->owner, lock->owner + 1);
}

static inline void spin_unlock_guard(struct spinlock **guard)
{
	spin_unlock(*guard);
}

// Takes LOCK until the block ends, whichever way.
#define spin_guard(lock)                                                                           \
	struct spinlock *guard_ __attribute__((cleanup(spin_unlock_guard))) = (lock);              \
	spin_lock(guard_)
