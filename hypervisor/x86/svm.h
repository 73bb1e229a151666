// SPDX-License-Identifier: BSD-2-Clause
// The virtual machine control block and its codes (APM2 appendices B and C).
#pragma once

#include "hypercall/registers.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/vp.h"

#define SVM_SEGMENT_LONG BIT(9) // attributes: a descriptor's L bit

struct svm_segment {
	uint16_t selector, attributes;
	uint32_t limit;
	uint64_t base;
};

struct vmcb {
	// Control area.
	uint32_t intercepts[6]; // a bit for each exit code below SVM_EXIT_INTERCEPTS
	uint8_t rsvd_018[0x040 - 0x018];
	uint64_t iopm_base, msrpm_base, tsc_offset;
	uint32_t asid;
	uint8_t tlb_control, rsvd_05d[3];
	uint64_t vintr;
	uint64_t interrupt_shadow; // SVM_INTERRUPT_SHADOW
	uint64_t exit_code, exit_info1, exit_info2;
	uint64_t exit_int_info;
	uint64_t nested_control;
	uint8_t rsvd_098[0x0a8 - 0x098];
	uint64_t event_injection;
	uint64_t nested_cr3;
	uint8_t rsvd_0b8[0x0c8 - 0x0b8];
	uint64_t next_rip;
	uint8_t rsvd_0d0[0x400 - 0x0d0];
	// State save area.
	struct svm_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t rsvd_4a0[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t rsvd_4cc;
	uint64_t efer;
	uint8_t rsvd_4d8[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t rsvd_580[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t rsvd_5e0[0x5f8 - 0x5e0];
	uint64_t rax, star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip, cr2;
	uint8_t rsvd_648[0x668 - 0x648];
	uint64_t pat;
	uint8_t rsvd_670[0x6e0 - 0x670];
	uint64_t spec_ctrl; // SVM_FEATURE_SPEC_CTRL: the guest's
	uint8_t rsvd_6e8[0x1000 - 0x6e8];
};

_Static_assert(offsetof(struct vmcb, iopm_base) == 0x040, "APM2 B.1");
_Static_assert(offsetof(struct vmcb, exit_int_info) == 0x088, "APM2 B.1");
_Static_assert(offsetof(struct vmcb, next_rip) == 0x0c8, "APM2 B.1");
_Static_assert(offsetof(struct vmcb, es) == 0x400, "APM2 B.2");
_Static_assert(offsetof(struct vmcb, cpl) == 0x4cb, "APM2 B.2");
_Static_assert(offsetof(struct vmcb, cr4) == 0x548, "APM2 B.2");
_Static_assert(offsetof(struct vmcb, rsp) == 0x5d8, "APM2 B.2");
_Static_assert(offsetof(struct vmcb, rax) == 0x5f8, "APM2 B.2");
_Static_assert(offsetof(struct vmcb, pat) == 0x668, "APM2 B.2");
_Static_assert(offsetof(struct vmcb, spec_ctrl) == 0x6e0, "APM2 B.2");
_Static_assert(sizeof(struct vmcb) == 4096, "APM2 B");

// VMLOAD is followed by VMSAVE, STGI and CLGI; MONITOR by MWAIT.
// clang-format off
enum svm_exit {
	SVM_EXIT_CR4_WRITE = 0x14, SVM_EXIT_CR8_WRITE = 0x18, SVM_EXIT_EXCEPTION = 0x40, // + vector
	SVM_EXIT_INTR = 0x60, SVM_EXIT_NMI, SVM_EXIT_INIT = 0x63, SVM_EXIT_RDPMC = 0x6f,
	SVM_EXIT_CPUID = 0x72, SVM_EXIT_IRET = 0x74, SVM_EXIT_INVD = 0x76, SVM_EXIT_HLT = 0x78,
	SVM_EXIT_INVLPGA = 0x7a, SVM_EXIT_IO, SVM_EXIT_MSR, SVM_EXIT_FERR_FREEZE = 0x7e,
	SVM_EXIT_SHUTDOWN, SVM_EXIT_VMRUN, SVM_EXIT_VMMCALL, SVM_EXIT_VMLOAD,
	SVM_EXIT_SKINIT = 0x86, SVM_EXIT_ICEBP = 0x88, SVM_EXIT_WBINVD, SVM_EXIT_MONITOR,
	SVM_EXIT_MWAIT_ARMED = 0x8c, SVM_EXIT_XSETBV, SVM_EXIT_RDPRU,
	SVM_EXIT_INTERCEPTS = 0xc0, SVM_EXIT_NPF = 0x400
};
// clang-format on
#define SVM_EXIT_INVALID UINT64_MAX // VMRUN refuses the state

// vmcb.vintr
#define SVM_V_IRQ	   BIT(8)
#define SVM_V_PRIO_SHIFT   16
#define SVM_V_IGN_TPR	   BIT(20)
#define SVM_V_MASKING	   BIT(24)
#define SVM_V_VECTOR_SHIFT 32

// vmcb.event_injection and exit_int_info
#define SVM_EVENT_VALID	     BIT(31)
#define SVM_EVENT_ERROR_CODE BIT(11)
#define SVM_EVENT_TYPE_SHIFT 8
enum { SVM_EVENT_INTR = 0, SVM_EVENT_NMI = 2, SVM_EVENT_EXCEPTION = 3 };

#define SVM_INTERRUPT_SHADOW BIT(0)

#define SVM_NPF_WALK BIT(33) // exit_info1: the access was to the guest's page tables

#define SVM_NESTED_PAGING BIT(0)
enum { SVM_TLB_KEEP = 0, SVM_TLB_FLUSH_ALL = 1 };

// svm_registers.c: struct backend's get_register and set_register.
bool svm_get_register(struct vp *vp, enum hv_register_name name, struct hv_register_value *value);
bool svm_set_register(
	struct vp *vp, enum hv_register_name name, const struct hv_register_value *value);

// A VP's address space identifier (svm_asid.h) is good on the processor and in the generation that
// gave it.
struct svm_asid {
	const void *giver; // struct svm_asids; NULL: none
	uint64_t generation;
};

struct svm_vp {
	struct vmcb *vmcb;
	uint64_t vmcb_spa;
	struct svm_asid asid;
	// From an NMI to the end of the IRET from it no other one is injected. The IRET is known by
	// its intercept, then by its RIP; its end, if an NMI waits, by a single step.
	bool nmi_blocked, nmi_iret;
	uint64_t iret_rip;
	uint64_t event_rip; // where the last one was injected
	bool stepping;	    // the entry under way is that step
	uint64_t step_dr6;
};

static inline struct svm_vp *svm_vp(const struct vp *vp)
{
	return vp->arch;
}

// The VMCB of VP, and its debug registers, with what the processor holds of them brought up to
// date; and back after a change.
struct vmcb *svm_sync(struct vp *vp);
void svm_sync_back(struct vp *vp);

// svm_event.c: struct backend's part in events.
void svm_offer_interrupt(struct vp *vp, int vector);
bool svm_interrupt_taken(struct vp *vp);
enum nmi_state svm_nmi_state(struct vp *vp);
void svm_set_nmi_blocked(struct vp *vp, bool blocked);

void svm_event_reset(struct vp *vp);
// Before the first entry of a run, with VP's RFLAGS in the VMCB: puts in what is to be delivered.
void svm_event_enter(struct vp *vp);
// After the exit from an entry that had something to deliver.
void svm_event_injected(struct vp *vp);
// Then, after an exit that no instruction of a fixed length has caused: takes back what was being
// delivered, and carries out what concerns events alone (intercepted exceptions, IRET).
void svm_event_exit(struct vp *vp);
