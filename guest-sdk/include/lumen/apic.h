// SPDX-License-Identifier: BSD-2-Clause
// The local APIC of a VP by the cheapest way there is: the synthetic MSRs (TLFS: EOI, ICR and TPR
// through MSRs), else x2APIC MSRs, else its page of registers. And the VP assist page with EOI
// assist (TLFS: Virtual Processor Assist Page). All calls are about the VP that they are made on.
#ifndef LUMEN_APIC_H
#define LUMEN_APIC_H

#include <stdbool.h>
#include <stdint.h>

#include "hypercall/msr.h"
#include "lumen/decls.h"
#include "lumen/status.h"

LUMEN_DECLS_BEGIN

// Where the registers are without the synthetic MSRs, if the kernel maps memory one to one.
#define LUMEN_APIC_PAGE ((volatile void *)0xfee00000)

// Takes this VP's local APIC into use: software-enables it, with `spurious_vector` (16 to 255) for
// spurious interrupts. `page` is where the kernel has mapped the APIC's registers, uncached (PCD
// and PWT, or a PAT entry for UC: on a real processor a cached mapping of them is undefined); NULL:
// nowhere, which is right if the kernel has put all of its processors into x2APIC mode. The same
// `page` and mode on all VPs. Interrupts off. LUMEN_NOT_SUPPORTED: neither x2APIC mode nor `page`.
lumen_status lumen_apic_start(volatile void *page, uint8_t spurious_vector);

// Ends the interrupt that is in service. From its handler; not for SINTs with auto_eoi. Works on
// each VP after lumen_apic_start() of one.
void lumen_eoi(void);

// The same with EOI assist: *assist is this VP's assist page. No intercept if the hypervisor says
// that it needs none.
void lumen_eoi_assisted(struct hv_vp_assist_page *assist);

// The interrupt command register as x2APIC has it: bits 63:32 are the APIC id (8 bits of it, if the
// APIC is not in x2APIC mode and the id is less than 255). Sends what it says; returns when the
// APIC has taken it. Any context with interrupts off, or one that is not moved between processors.
void lumen_icr_write(uint64_t command);

// The task priority (TPR): interrupts with vector / 16 <= priority / 16 wait. Any context.
void lumen_tpr_write(uint8_t priority);
uint8_t lumen_tpr_read(void);

// APIC id of this VP. Any context.
uint32_t lumen_apic_id(void);

// Interrupts of this VP that are pending (IRR) and in service (ISR): a bit for each vector. For
// tests and reports; any context.
bool lumen_apic_is_pending(uint8_t vector);
bool lumen_apic_is_in_service(uint8_t vector);

// Makes *page (of the kernel's, aligned to 4096, zeroed) this VP's assist page until the disabling.
// LUMEN_NO_HYPERVISOR, LUMEN_NO_PRIVILEGE (AccessIntrCtrlRegs), LUMEN_BAD_ARGUMENT (alignment).
lumen_status lumen_vp_assist_enable(struct hv_vp_assist_page *page);
void lumen_vp_assist_disable(void);

LUMEN_DECLS_END

#endif
