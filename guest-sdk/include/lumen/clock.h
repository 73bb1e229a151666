// SPDX-License-Identifier: BSD-2-Clause
// The partition's reference time: units of 100 ns since the partition was made, the same on all VPs
// (TLFS: Timers). It needs no hypercalls and allocates nothing.
#ifndef LUMEN_CLOCK_H
#define LUMEN_CLOCK_H

#include <stdint.h>

#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

enum lumen_clock_source {
	LUMEN_CLOCK_NONE,     // not started: the functions below return 0
	LUMEN_CLOCK_COUNTER,  // HV_X64_MSR_TIME_REF_COUNT: an intercept for each reading
	LUMEN_CLOCK_TSC_PAGE, // the reference TSC page, and the counter when the page is not valid
};

// Finds the best source and puts the reference TSC page (one page of the kernel's .bss) in its
// place. Once for the whole partition, on any VP; any context. LUMEN_NO_HYPERVISOR,
// LUMEN_NO_PRIVILEGE (AccessPartitionReferenceCounter; without it the page
// would have nothing to fall back on).
lumen_status lumen_clock_start(void);

// Takes the page away, as before a kexec. No other VP may be reading the clock.
void lumen_clock_stop(void);

// Which of them it is. Any context.
enum lumen_clock_source lumen_clock_source(void);

// The reference time, as synthetic timers count it. Any context, interrupt and NMI handlers too.
uint64_t lumen_clock_100ns(void);

// The reference time in ns. It has the resolution of the TSC where the page is valid, and is never
// below 100 * lumen_clock_100ns() of before; it never goes backwards. It overflows after 584 years.
// Any context.
uint64_t lumen_clock_ns(void);

// The reference counter itself (HV_X64_MSR_TIME_REF_COUNT), an intercept. For those who compare.
// The partition has AccessPartitionReferenceCounter.
uint64_t lumen_clock_counter_100ns(void);

// Frequency of the TSC, in Hz: HV_X64_MSR_TSC_FREQUENCY, or else what the reference TSC page says
// after lumen_clock_start() (exact to about 1 Hz in 10^12). 0: not known. Any context.
uint64_t lumen_tsc_hz(void);

// Frequency of the local APIC's timer before its divider, in Hz (HV_X64_MSR_APIC_FREQUENCY). 0: not
// known. Any context.
uint64_t lumen_apic_hz(void);

LUMEN_DECLS_END

#endif
