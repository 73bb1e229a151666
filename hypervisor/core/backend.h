// SPDX-License-Identifier: BSD-2-Clause
// The architecture backend (SVM, later VT-x): enter a VP, say in neutral terms why it came back,
// second-level entries, interrupt injection. Generic code sees nothing else of the vendor.
#pragma once

#include "hypercall/registers.h"
#include "hypervisor/core/gpa_map.h"

struct vp;

enum exit_reason {
	EXIT_NONE,	// handled inside the backend
	EXIT_INTERRUPT, // a physical interrupt (already acknowledged)
	EXIT_NMI,
	EXIT_CPUID,
	EXIT_HLT,
	EXIT_HYPERCALL, // VMMCALL or VMCALL
	EXIT_RDMSR,
	EXIT_WRMSR,
	EXIT_IO,
	EXIT_GPA_FAULT, // second-level fault
	EXIT_CR_WRITE,	// to CR4 or CR8
	EXIT_XSETBV,
	EXIT_WBINVD,	    // or WBNOINVD, INVD
	EXIT_UNDEFINED,	    // an instruction that guests do not have: #UD
	EXIT_DENIED,	    // one that guests have, but nothing to apply it to: #GP
	EXIT_FPU_FREEZE,    // an x87 error that waits for an interrupt from outside
	EXIT_ICEBP,	    // INT1: a #DB of its own
	EXIT_SHUTDOWN,	    // triple fault
	EXIT_INVALID_STATE, // the processor refused the VP's state
	EXIT_REASONS,
};

struct vp_exit {
	enum exit_reason reason;
	uint32_t vendor_code; // the vendor's own exit code, for the trace
	uint8_t insn_length;  // 0 = not known
	uint8_t cpu_mode;     // EXIT_HYPERCALL: as backend->cpu_mode()
	union {
		struct {
			uint16_t port;
			uint8_t size; // 1, 2, 4
			bool in, string, rep;
			uint8_t address_bytes; // 2, 4, 8; for string forms
			uint8_t segment;
		} io;
		struct {
			uint64_t gpa;
			unsigned int access; // one of enum gpa_access
			bool by_insn;	     // of the instruction at RIP itself: not of a page
				      // walk, not while an event was being delivered
		} fault;
	};
};

enum cpu_mode { // bits; the lowest two are the CPL
	CPU_MODE_CPL = 3,
	CPU_MODE_PROTECTED = 1 << 2, // CR0.PE
	CPU_MODE_64BIT = 1 << 3,     // EFER.LMA and CS.L
};

enum nmi_state { NMI_OPEN, NMI_BLOCKED, NMI_ENDS };

struct backend {
	const char *name;
	struct gpa_entry_format gpa_format;

	// What the hypercall page holds (TLFS: Establishing the Hypercall Interface).
	const uint8_t *hypercall_code;
	unsigned int hypercall_code_size;

	bool (*probe)(const char **why_not); // on the boot processor: can this machine do it?
	void (*cpu_enable)(void);	     // on each processor, once

	// Vendor state of a VP, from PAGES (backend->vp_pages zeroed pages). A reset follows: of
	// all that core/vp_state.h knows, then vp_reset() for what only the backend does.
	unsigned int vp_pages;
	void (*vp_init)(struct vp *vp, void *const *pages);
	void (*vp_reset)(struct vp *vp);

	// VP becomes, ceases to be, the one whose state this processor holds.
	void (*load)(struct vp *vp);
	void (*save)(struct vp *vp);

	// Enters VP, and again for as long as vp_handle_exit() says so (core/run.h). General
	// registers, RIP, RSP and RFLAGS are exchanged through vp->regs. An exit that an
	// instruction caused has ended the interrupt shadow.
	void (*run)(struct vp *vp);

	// The vector (or -1) that the processor is to deliver as soon as the VP takes interrupts.
	// Called before each entry.
	void (*offer_interrupt)(struct vp *vp, int vector);
	// After an exit: the offered vector was taken, and its delivery done.
	bool (*interrupt_taken)(struct vp *vp);

	// An NMI blocks the next one from its delivery to the end of the IRET from it. What counts
	// as delivered is vp->event: run() enters with it if it is pending. If it, or what it
	// turned into, was not done, it is pending (cut) again and vp->recheck set. With NMI_ENDS
	// and vp->nmi_waits, run() comes out at the end of that IRET: then no interrupt is offered.
	enum nmi_state (*nmi_state)(struct vp *vp);
	void (*set_nmi_blocked)(struct vp *vp, bool blocked);

	// The processor's mode, enum cpu_mode, without the cost of get_register().
	unsigned int (*cpu_mode)(const struct vp *vp);

	// All of VP's address translations must be gone before its next entry. Own VP, or one that
	// is out of the guest.
	void (*flush_tlb)(struct vp *vp);

	// Registers that vp->regs does not hold, by TLFS name: segment and table registers, CR0-4,
	// DR, EFER and the MSRs that the processor swaps. The VP is this processor's own, or
	// paused. False: not one of these, or (write) a value the processor would refuse.
	bool (*get_register)(
		struct vp *vp, enum hv_register_name name, struct hv_register_value *value);
	bool (*set_register)(
		struct vp *vp, enum hv_register_name name, const struct hv_register_value *value);
};

extern const struct backend *backend; // chosen at boot
