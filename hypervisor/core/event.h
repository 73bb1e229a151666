// SPDX-License-Identifier: BSD-2-Clause
// The one thing that a VP's next entry delivers, exception or NMI, and what it becomes if another
// exception joins it (APM2 8.2.9; SDM volume 3, table 6-5).
//
// External interrupts are not here: one whose delivery is cut short counts as not taken, and the
// virtual APIC offers it again. Nor are INT n, INT3 and INTO: RIP is still at the instruction,
// which is executed again.
#pragma once

#include "hypercall/registers.h"
#include "hypercall/status.h"
#include "hypervisor/core/lib.h"

struct vp;

enum { VECTOR_DB = 1, VECTOR_NMI, VECTOR_BP, VECTOR_OF, VECTOR_UD = 6, VECTOR_DF = 8 };
enum { VECTOR_GP = 13, VECTOR_PF, VECTOR_MF = 16, VECTOR_AC, VECTOR_MC, EXCEPTIONS = 32 };

// Do exceptions of VECTOR have an error code?
static inline bool vector_has_code(unsigned int vector)
{
	return vector < EXCEPTIONS && 0x60227d00u >> vector & 1;
}

struct event {
	bool pending;
	bool cut;     // an exit has cut its delivery short; else nobody has tried yet
	uint8_t type; // enum hv_x64_pending_interruption_type: NMI or exception; or EVENT_SHUTDOWN
	uint8_t vector;
	bool has_code;
	uint32_t code;
};

enum { EVENT_SHUTDOWN = 8 }; // a triple fault: nothing is delivered any more

static inline struct event event_exception(unsigned int vector, bool has_code, uint32_t code)
{
	return (struct event){ true, false, HvX64PendingException, vector, has_code, code };
}

// What comes of NEXT, an exception, if it occurs while FIRST is being delivered.
struct event event_merge(const struct event *first, const struct event *next);

// VP gets an exception: own VP, or one that is paused. What it was about to deliver is merged with
// it.
void vp_raise(struct vp *vp, unsigned int vector, bool has_code, uint32_t code);

// TLFS: HvRegisterPendingInterruption, what was being delivered when the VP came out, and
// HvRegisterPendingEvent0, an exception that has been raised since. Only exceptions and NMIs can
// be set, or taken back by a value that is not pending.
uint64_t event_get_interruption(const struct vp *vp);
hv_status event_set_interruption(struct vp *vp, uint64_t value);
uint64_t event_get_pending(const struct vp *vp);
hv_status event_set_pending(struct vp *vp, uint64_t value, uint64_t parameter);
