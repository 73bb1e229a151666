// SPDX-License-Identifier: BSD-2-Clause
// The four synthetic timers of a VP (TLFS: Synthetic Timers). All calls are made on the VP whose
// timers they are, in any context, and not at the same time for the same timer. They count the
// partition's reference time (<lumen/clock.h>).
#ifndef LUMEN_TIMER_H
#define LUMEN_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/msr.h"
#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

#define LUMEN_TIMER_COUNT HV_SYNIC_STIMER_COUNT

struct lumen_timer_config {
	// How it expires: `vector` (16 to 255) is an interrupt (TLFS: direct mode; it asks for an
	// EOI); 0: a message of type HvMessageTypeTimerExpired (struct hv_timer_message_payload) to
	// SINT number `sint` (1 to 15), which is enabled (<lumen/synic.h>).
	uint8_t vector;
	uint8_t sint;

	bool periodic;
	bool lazy;	// it may come late, if that saves waking the VP (periodic ones only)
	bool one_write; // it is set again by lumen_timer_set() (TLFS: AutoEnable)

	// When: periodic: the period; else the reference time. In units of 100 ns. A time that is
	// past expires at once. 0: not yet, lumen_timer_set() follows (with one_write only).
	uint64_t count_100ns;
};

// Sets timer `timer` (0 to 3) up; what it did before ends. LUMEN_NO_HYPERVISOR, LUMEN_NO_PRIVILEGE
// (AccessSyntheticTimerRegs), LUMEN_NOT_SUPPORTED (direct mode is not offered),
// LUMEN_BAD_ARGUMENT.
lumen_status lumen_timer_start(unsigned int timer, const struct lumen_timer_config *config);

// A timer that was started with one_write: expires at this reference time (or with this period); 0:
// not any more. One MSR write.
void lumen_timer_set(unsigned int timer, uint64_t count_100ns);

// Stops it. Its message may be on the way still, and its interrupt pending.
void lumen_timer_stop(unsigned int timer);

// The contents of HV_X64_MSR_STIMERn_CONFIG for *config, enabled; 0: it is not valid.
uint64_t lumen_timer_encode(const struct lumen_timer_config *config);

LUMEN_DECLS_END

#endif
