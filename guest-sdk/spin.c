// SPDX-License-Identifier: BSD-2-Clause
// The spinlock (TLFS: Virtual Processor Spinlocks).
#include "lumen/spin.h"

#include "guest-sdk/arch.h"
#include "lumen/detect.h"
#include "lumen/hypercall.h"
#include "lumen/platform.h"

bool lumen_spin_try(struct lumen_spinlock *lock)
{
	return !__atomic_exchange_n(&lock->taken, 1, __ATOMIC_ACQUIRE);
}

// Every `retries` turns. What the call says does not matter: it is advice, and there may be no
// hypercalls yet.
static void tell(uint32_t spins)
{
	uint32_t retries = lumen_spin_retries();

	if (retries && retries != HV_SPINLOCK_RETRIES_NEVER && spins % retries == 0)
		lumen_hypercall_fast(HvCallNotifyLongSpinWait, spins, 0);
}

void lumen_spin_lock(struct lumen_spinlock *lock)
{
	uint32_t spins = 0;

	while (!lumen_spin_try(lock)) {
		while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED)) {
			arch_pause();
			tell(++spins);
		}
	}
}

void lumen_spin_unlock(struct lumen_spinlock *lock)
{
	__atomic_store_n(&lock->taken, 0, __ATOMIC_RELEASE);
}

uint64_t lumen_spin_lock_irq(struct lumen_spinlock *lock)
{
	uint64_t state = lumen_irq_save();

	lumen_spin_lock(lock);
	return state;
}

void lumen_spin_unlock_irq(struct lumen_spinlock *lock, uint64_t state)
{
	lumen_spin_unlock(lock);
	lumen_irq_restore(state);
}
