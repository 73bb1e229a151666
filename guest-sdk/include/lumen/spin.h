// SPDX-License-Identifier: BSD-2-Clause
// A spinlock that tells the hypervisor when it has spun for long, so that the VP which holds it may
// run (TLFS: HvCallNotifyLongSpinWait). Not fair: the next holder of a fair lock may be a VP that
// does not run. For memory that is not shared with the hypervisor or the host.
#ifndef LUMEN_SPIN_H
#define LUMEN_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

// Zeroed: free.
struct lumen_spinlock {
	uint32_t taken;
};

// Takes it, spinning. Any context, if all who take it have interrupts off (or none of them is an
// interrupt handler). Works before hypercalls are enabled too: then nobody is told.
void lumen_spin_lock(struct lumen_spinlock *lock);

// Takes it if it is free.
bool lumen_spin_try(struct lumen_spinlock *lock);

// Gives it back. The context in which it was taken.
void lumen_spin_unlock(struct lumen_spinlock *lock);

// With interrupts off on this processor (lumen_irq_save()) while it is held.
uint64_t lumen_spin_lock_irq(struct lumen_spinlock *lock);
void lumen_spin_unlock_irq(struct lumen_spinlock *lock, uint64_t state);

LUMEN_DECLS_END

#endif
