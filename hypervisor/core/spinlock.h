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
	__atomic_store_n(&lock->owner, lock->owner + 1, __ATOMIC_RELEASE);
}
