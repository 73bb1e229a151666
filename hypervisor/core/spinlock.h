// SPDX-License-Identifier: BSD-2-Clause
// Ticket locks. The hypervisor runs with interrupts off and never sleeps, so these need no more.
#pragma once

#include "hypervisor/core/lib.h"

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
