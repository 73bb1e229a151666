// SPDX-License-Identifier: BSD-2-Clause
// Address space identifiers (APM2 15.15, 15.16): what tags a processor's translations.
//
// A VP gets a new identifier whenever what is tagged with its old one must not be used any more.
// When a processor has given all that there are, it flushes everything and begins again: with the
// next VMRUN, whoever's that is, and the one after it if that one was refused, until one has
// carried it out.
#pragma once

#include "hypervisor/x86/svm.h"

struct svm_asids {	     // a processor's
	uint32_t count;	     // identifiers are 1 to COUNT - 1; 0 is the hypervisor's own
	uint32_t next;	     // to be given
	uint64_t generation; // how often we have begun, from 1 on
	bool flush;	     // of everything, which no VMRUN has carried out yet
};

// A new processor; whatever its TLB holds is flushed. COUNT (at least 2) is what CPUID says.
void svm_asids_init(struct svm_asids *asids, uint32_t count);

// Before the first VMRUN of a stay: writes VMCB's ASID and TLB control. Own VP.
void svm_asid_enter(struct svm_asids *asids, struct svm_asid *asid, struct vmcb *vmcb);

// After a VMRUN that had VMCB's TLB control as svm_asid_enter() set it; an entry that did not get
// as far as VMRUN says nothing.
void svm_asid_left(struct svm_asids *asids, const struct vmcb *vmcb);

// The VP has no identifier, and so no translations, from its next svm_asid_enter() on.
static inline void svm_asid_drop(struct svm_asid *asid)
{
	asid->giver = NULL;
}
