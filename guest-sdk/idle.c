// SPDX-License-Identifier: BSD-2-Clause
// Idling (TLFS: Virtual Processor Idle Sleep State).
#include "lumen/idle.h"

#include "guest-sdk/arch.h"
#include "hypercall/msr.h"
#include "lumen/detect.h"

void lumen_idle(void)
{
	// The read returns when an interrupt is there, although interrupts are off.
	if (lumen_has(HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG) &&
		lumen_has_features(HV_FEATURE_EDX_GUEST_IDLE))
		arch_rdmsr(HV_X64_MSR_GUEST_IDLE);
	else
		arch_halt_with_interrupts();
}
