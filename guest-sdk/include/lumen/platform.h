// SPDX-License-Identifier: BSD-2-Clause
// What the SDK asks of the kernel that it is linked into. The kernel defines these functions; for
// all but the two that give memory there is a weak default (guest-sdk/platform.c), which says below
// what it does. A kernel without interrupts, threads or an allocator defines none of them, and can
// use detection, hypercalls, clocks and everything else that is not said to need memory.
#ifndef LUMEN_PLATFORM_H
#define LUMEN_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

#define LUMEN_PAGE_SIZE 4096u

// --- memory ---

// Gives `count` pages of zeroed memory, aligned to 4096 bytes and consecutive in virtual memory
// (they need not be in physical memory); NULL: there is none. Called from thread context only, with
// no lock of the SDK's held. No default: who uses a part that allocates defines it.
void *lumen_alloc_pages(size_t count);

// Takes back what lumen_alloc_pages() gave. The same context. No default.
void lumen_free_pages(void *pages, size_t count);

// The guest physical address of a byte of the kernel's: of its image, of what lumen_alloc_pages()
// gave, of a stack or of a buffer that the caller passed in. Any context. Default: the address
// itself (memory is mapped one to one).
uint64_t lumen_gpa(const void *address);

// The opposite, for memory that is not the kernel's: where a byte of the first megabyte, of ACPI's
// tables or of a device can be read and written. Only <lumen/acpi.h> and <lumen/power.h> ask. Any
// context. Default: the address itself.
void *lumen_memory(uint64_t gpa);

// --- this processor ---

// Keeps interrupts off this processor until lumen_irq_restore() gets what it returned. Pairs nest.
// Any context. Default: RFLAGS.IF.
uint64_t lumen_irq_save(void);
void lumen_irq_restore(uint64_t state);

// The VP index (TLFS: Virtual Processor Index) of the processor that this runs on. Any context.
// Default: 0, right for a kernel of one processor.
uint32_t lumen_this_vp(void);

// --- waiting ---

// Waits while *word is `value`, until lumen_wake(word), or until lumen_now_ns() reaches
// `deadline_ns`. May return early for no reason: the SDK looks again. A kernel with threads looks
// at *word and goes to sleep in one step, with respect to lumen_wake(). Thread context, interrupts
// on, no lock held. Default: takes what has come for the SynIC (lumen_synic_poll_this()), so that
// kernels that take no interrupts get on, and returns. (One that sleeps need not do that: VMBus
// without a vector polls by itself, and is then called with deadlines of a millisecond.)
void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns);

// *word has changed: wakes those that wait for it. Any context, interrupt handlers too. Default:
// nothing, as nobody sleeps.
void lumen_wake(const uint32_t *word);

// Nanoseconds since any fixed moment, never backwards, the same on all processors. Any context.
// Default: lumen_clock_ns() of <lumen/clock.h>.
uint64_t lumen_now_ns(void);

// What lumen_now_ns() says after so long (at most 292 years). The clock may overflow on the way:
// deadlines are not compared but by lumen_is_due(). Any context.
static inline uint64_t lumen_deadline_ns(uint64_t timeout_ns)
{
	return lumen_now_ns() + (timeout_ns < INT64_MAX ? timeout_ns : INT64_MAX);
}

// Whether lumen_now_ns() has reached a deadline. Any context.
static inline bool lumen_is_due(uint64_t deadline_ns)
{
	return (int64_t)(lumen_now_ns() - deadline_ns) >= 0;
}

// --- telling ---

enum lumen_log_level { LUMEN_LOG_ERROR, LUMEN_LOG_WARNING, LUMEN_LOG_INFO, LUMEN_LOG_DEBUG };

// Writes one line (no newline at its end) of at most 200 bytes. Any context. Default: nothing.
void lumen_log(enum lumen_log_level level, const char *line);

// The SDK has found itself wrong: says so and does not come back. Any context. Default: interrupts
// off and HLT for ever.
__attribute__((noreturn)) void lumen_panic(const char *line);

LUMEN_DECLS_END

#endif
