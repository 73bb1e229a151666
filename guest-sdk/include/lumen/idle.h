// SPDX-License-Identifier: BSD-2-Clause
// Waiting for an interrupt (TLFS: Virtual Processor Idle Sleep State).
#ifndef LUMEN_IDLE_H
#define LUMEN_IDLE_H

#include "lumen/decls.h"

LUMEN_DECLS_BEGIN

// Called with interrupts off, when there is nothing to do: sleeps until an interrupt comes, and
// returns with interrupts off. Its handler has run already, or it is pending and its handler runs
// when the caller enables interrupts. By HV_X64_MSR_GUEST_IDLE where it is offered, else by HLT.
void lumen_idle(void);

LUMEN_DECLS_END

#endif
