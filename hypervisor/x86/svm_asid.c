// SPDX-License-Identifier: BSD-2-Clause
#include "hypervisor/x86/svm_asid.h"

void svm_asids_init(struct svm_asids *asids, uint32_t count)
{
	*asids = (struct svm_asids){ .count = count, .next = 1, .generation = 1, .flush = true };
}

static void give(struct svm_asids *asids, struct svm_asid *asid, struct vmcb *vmcb)
{
	if (asids->next >= asids->count) {
		asids->generation++;
		asids->next = 1;
		asids->flush = true;
	}
	vmcb->asid = asids->next++;
	asid->giver = asids;
	asid->generation = asids->generation;
}

void svm_asid_enter(struct svm_asids *asids, struct svm_asid *asid, struct vmcb *vmcb)
{
	if (unlikely(asid->giver != asids || asid->generation != asids->generation))
		give(asids, asid, vmcb);
	vmcb->tlb_control = asids->flush ? SVM_TLB_FLUSH_ALL : SVM_TLB_KEEP;
}

// A VMRUN that the processor refuses as invalid may not have come to its flush (APM2 15.5.1: the
// checks come before the guest's state is loaded).
void svm_asid_left(struct svm_asids *asids, const struct vmcb *vmcb)
{
	if (vmcb->exit_code != SVM_EXIT_INVALID)
		asids->flush = false;
}
