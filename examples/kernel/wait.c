// SPDX-License-Identifier: BSD-2-Clause
// Sleeping processors, and what wakes them: an interrupt of their own, or one from a processor that
// has changed what they look at.
#include "examples/kernel/internal.h"

static uint64_t sleepers; // a bit for each processor

static void wake_handler(struct kernel_frame *frame)
{
	(void)frame;
	kernel_eoi();
}

void wait_start(void)
{
	kernel_set_handler(VECTOR_WAKE, wake_handler);
}

static bool interrupts_are_on(void)
{
	uint64_t flags;

	__asm__ volatile("pushfq; pop %0" : "=r"(flags));
	return flags & 0x200;
}

void wait_while(const uint32_t *word, uint32_t value)
{
	uint64_t self = 1ull << this_cpu()->index;

	if (!interrupts_are_on()) {
		kernel_relax();
		return;
	}
	kernel_irq_off();
	// A: the bit, then the word. wake_all() has the word before the bit (B): one of the two
	// sees the other.
	__atomic_fetch_or(&sleepers, self, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
		kernel_sleep();
	__atomic_fetch_and(&sleepers, ~self, __ATOMIC_SEQ_CST);
	kernel_irq_on();
}

void wake_all(void)
{
	uint64_t left;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); // B: see wait_while()
	left = __atomic_load_n(&sleepers, __ATOMIC_SEQ_CST) & ~(1ull << this_cpu()->index);
	for (; left; left &= left - 1)
		kernel_apic_send(kernel_apic_id((uint32_t)__builtin_ctzll(left)), VECTOR_WAKE);
}
