// SPDX-License-Identifier: BSD-2-Clause
// SVM's half of events, on a VMCB that no processor reads.
#include "tests/unit/hypervisor/rig.h"

#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/svm.h"

static struct vmcb vmcb;
static struct svm_vp svm;
static struct vp *vp;

#define VALID	      (1ull << 31)
#define CODE(n)	      (1ull << 11 | (uint64_t)(n) << 32)
#define EXCEPTION(n)  (VALID | 3 << 8 | (n))
#define INTERRUPT(n)  (VALID | 0 << 8 | (n))
#define SOFTWARE(n)   (VALID | 4 << 8 | (n))
#define NMI	      (VALID | 2 << 8 | 2)
#define EXIT_OF(v)    (SVM_EXIT_EXCEPTION + (v))
#define INTERCEPTS(c) (vmcb.intercepts[(c) / 32] >> (c) % 32 & 1)

// core/event.c has tests of its own; here it is noted what was raised.
static struct event raised;

void vp_raise(struct vp *v, unsigned int vector, bool has_code, uint32_t code)
{
	raised = (struct event){ .pending = true,
		.type = HvX64PendingException,
		.vector = vector,
		.has_code = has_code,
		.code = code };
	v->event = raised;
}

static void setup(void)
{
	rig_setup();
	memset(&vmcb, 0, sizeof(vmcb));
	svm = (struct svm_vp){ .vmcb = &vmcb };
	raised = (struct event){ 0 };
	vp = &rig.vp[0];
	vp->arch = &svm;
	vp->regs.rip = 0x1000;
	vmcb.cr0 = CR0_PE;
	svm_event_reset(vp);
}

TestSuite(svm_event, .init = setup);

static void enter(void)
{
	vmcb.rflags = vp->regs.rflags;
	svm_event_enter(vp);
}

// An exit with CODE and EXITINTINFO, as svm_run() handles it. QEMU leaves EVENTINJ as it was at
// the entry or clears it.
static void leave(uint64_t code, uint64_t info)
{
	vp->regs.rflags = vmcb.rflags;
	vmcb.exit_code = code;
	vmcb.exit_int_info = info;
	if (vp->event.pending)
		svm_event_injected(vp);
	svm_event_exit(vp);
}

static void pend(uint8_t type, uint8_t vector, bool has_code, uint32_t code)
{
	vp->event = (struct event){
		.pending = true, .type = type, .vector = vector, .has_code = has_code, .code = code
	};
}

Test(svm_event, what_is_pending_goes_into_eventinj_and_ends_the_shadow)
{
	enter();
	cr_assert_eq(vmcb.event_injection, 0);
	vp->regs.interrupt_shadow = true;
	pend(HvX64PendingException, 13, true, 0x18);
	enter();
	cr_assert_eq(vmcb.event_injection, EXCEPTION(13) | CODE(0x18));
	cr_assert_not(vp->regs.interrupt_shadow);
	vmcb.cr0 = 0;
	enter();
	cr_assert_eq(vmcb.event_injection, EXCEPTION(13), "real mode has no error codes");
	vmcb.cr0 = CR0_PE;
	pend(HvX64PendingNmi, 2, false, 0);
	enter();
	cr_assert_eq(vmcb.event_injection, NMI);
	pend(HvX64PendingException, 3, false, 0);
	enter();
	cr_assert_eq(vmcb.next_rip, 0x1000, "what #BP pushes");
}

// By a parent, after an entry that did not happen.
Test(svm_event, what_was_taken_back_is_not_delivered)
{
	pend(HvX64PendingException, 13, true, 0);
	enter();
	vp->event.pending = false;
	enter();
	cr_assert_eq(vmcb.event_injection, 0);
}

Test(svm_event, what_was_delivered_is_gone)
{
	for (unsigned int vector = 0; vector < EXCEPTIONS; vector++) {
		pend(HvX64PendingException, vector, vector_has_code(vector), 0);
		enter();
		leave(SVM_EXIT_INTR, EXCEPTION(vector) & ~VALID); // QEMU: stale bits
		cr_assert_not(vp->event.pending);
		cr_assert_eq(vmcb.event_injection, 0);
	}
}

// By who made it and what it is: is it delivered again by us?
Test(svm_event, what_was_cut_short_is_pending_again)
{
	static const struct {
		uint64_t info;
		bool again; // if the guest made it itself
	} cuts[] = { { EXCEPTION(6), true }, { EXCEPTION(14) | CODE(2), true },
		{ EXCEPTION(1), true }, { EXCEPTION(3), false }, { EXCEPTION(4), false },
		{ SOFTWARE(0x80), false }, { SOFTWARE(3), false }, { INTERRUPT(0x40), false },
		{ EXCEPTION(0x40), false } /* an interrupt, as QEMU has it */ };

	for (unsigned int i = 0; i < ARRAY_SIZE(cuts); i++) {
		setup();
		enter();
		leave(SVM_EXIT_NPF, cuts[i].info);
		cr_assert_eq(vp->event.pending, cuts[i].again, "%u", i);
		if (!cuts[i].again)
			continue;
		cr_assert(vp->event.cut);
		enter();
		cr_assert_eq(vmcb.event_injection, cuts[i].info, "%u", i);
	}
	for (unsigned int vector = 0; vector < EXCEPTIONS; vector++) {
		if (vector == VECTOR_NMI)
			continue;
		setup();
		pend(HvX64PendingException, vector, false, 0);
		enter();
		leave(SVM_EXIT_NPF, EXCEPTION(vector));
		cr_assert(vp->event.pending, "injected %u, #BP and #OF too", vector);
	}
}

// An injected #BP is delivered; its handler executes INT3 and that is cut short.
Test(svm_event, a_software_exception_of_the_guest_is_not_taken_for_ours)
{
	pend(HvX64PendingException, VECTOR_BP, false, 0);
	enter();
	vp->regs.rip = 0x2000;
	leave(SVM_EXIT_NPF, EXCEPTION(VECTOR_BP));
	cr_assert_not(vp->event.pending);
}

Test(svm_event, what_an_injected_one_turned_into_counts)
{
	pend(HvX64PendingException, 13, true, 0x10);
	enter();
	leave(SVM_EXIT_NPF, EXCEPTION(8) | CODE(0));
	cr_assert(vp->event.pending && vp->event.cut);
	cr_assert_eq(vp->event.vector, 8);
}

// redeliver() once wrote the event that was cut short over the one that was intercepted.
Test(svm_event, an_intercepted_exception_joins_what_it_interrupted)
{
	static const uint8_t intercepted[] = { VECTOR_DB, VECTOR_AC };

	for (unsigned int i = 0; i < ARRAY_SIZE(intercepted); i++) {
		setup();
		enter();
		leave(EXIT_OF(intercepted[i]), EXCEPTION(VECTOR_UD));
		cr_assert_eq(raised.vector, intercepted[i]);
		cr_assert_eq(raised.has_code, intercepted[i] == VECTOR_AC);
		cr_assert_eq(vp->event.vector, intercepted[i]);
	}
}

Test(svm_event, an_interrupt_that_was_cut_short_is_not_taken)
{
	static const struct {
		uint64_t info;
		bool taken;
	} ends[] = { { 0, true }, { INTERRUPT(0x40) & ~VALID, true }, { INTERRUPT(0x40), false },
		{ EXCEPTION(0x40), false }, { EXCEPTION(14), true }, { SOFTWARE(0x80), true } };

	for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++) {
		svm_offer_interrupt(vp, 0x40);
		cr_assert_not(svm_interrupt_taken(vp), "still offered");
		vmcb.vintr &= ~SVM_V_IRQ;
		vmcb.exit_int_info = ends[i].info;
		cr_assert_eq(svm_interrupt_taken(vp), ends[i].taken, "%u", i);
	}
}

// --- NMI ---

static void nmi(void)
{
	pend(HvX64PendingNmi, 2, false, 0);
	enter();
	leave(SVM_EXIT_INTR, 0);
}

Test(svm_event, an_nmi_blocks_the_next_until_its_iret)
{
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
	nmi();
	cr_assert_eq(svm_nmi_state(vp), NMI_BLOCKED);
	cr_assert(INTERCEPTS(SVM_EXIT_IRET));
	vp->regs.rip = 0x3000;
	leave(SVM_EXIT_IRET, 0);
	cr_assert_eq(svm_nmi_state(vp), NMI_ENDS);
	cr_assert_not(INTERCEPTS(SVM_EXIT_IRET));
	vp->regs.rip = 0x1000;
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
}

Test(svm_event, the_iret_may_be_the_first_exit_from_an_nmis_handler)
{
	pend(HvX64PendingNmi, 2, false, 0);
	enter();
	cr_assert(INTERCEPTS(SVM_EXIT_IRET));
	vp->regs.rip = 0x3000;
	leave(SVM_EXIT_IRET, 0);
	cr_assert_eq(svm_nmi_state(vp), NMI_ENDS);
}

Test(svm_event, an_nmi_whose_delivery_was_cut_short_blocks_nothing)
{
	pend(HvX64PendingNmi, 2, false, 0);
	enter();
	leave(SVM_EXIT_NPF, NMI);
	cr_assert(vp->event.pending);
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
	enter();
	cr_assert_eq(vmcb.event_injection, NMI);
}

// To the IRET, with another NMI waiting.
static void step(void)
{
	nmi();
	vp->regs.rip = 0x3000;
	leave(SVM_EXIT_IRET, 0);
	vp->nmi_waits = true;
	enter();
}

Test(svm_event, the_iret_is_stepped_over_and_the_guest_sees_nothing_of_it)
{
	vmcb.dr6 = 0xffff0ff0;
	step();
	cr_assert(vmcb.rflags & RFLAGS_TF);
	cr_assert_eq(vmcb.intercepts[SVM_EXIT_EXCEPTION / 32], ~(1u << VECTOR_NMI));
	vmcb.dr6 |= DR6_BS;
	vmcb.rflags = RFLAGS_TF | RFLAGS_IF; // what IRET has loaded: the guest's own
	vp->regs.rip = 0x1000;
	leave(EXIT_OF(VECTOR_DB), 0);
	cr_assert_not(raised.pending);
	cr_assert_eq(vmcb.dr6, 0xffff0ff0);
	cr_assert_eq(vp->regs.rflags, RFLAGS_TF | RFLAGS_IF);
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
	cr_assert_eq(vmcb.intercepts[SVM_EXIT_EXCEPTION / 32],
		1u << VECTOR_DB | 1u << VECTOR_AC | 1u << VECTOR_MC);
}

Test(svm_event, an_iret_that_comes_back_to_itself_is_over)
{
	step();
	vmcb.dr6 |= DR6_BS;
	leave(EXIT_OF(VECTOR_DB), 0);
	cr_assert_not(raised.pending);
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
}

Test(svm_event, a_breakpoint_of_the_guest_during_the_step_is_the_guests)
{
	step();
	vmcb.dr6 |= DR6_BS | 1;
	vp->regs.rip = 0x1000;
	leave(EXIT_OF(VECTOR_DB), 0);
	cr_assert_eq(raised.vector, VECTOR_DB);
	cr_assert_eq(vmcb.dr6 & (DR6_BS | 1), 1);
}

Test(svm_event, an_iret_that_faults_does_not_leak_tf)
{
	for (unsigned int vector = 0; vector < EXCEPTIONS; vector++) {
		if (vector == VECTOR_DB || vector == VECTOR_NMI || vector == VECTOR_MC)
			continue;
		setup();
		vp->regs.rflags = RFLAGS_IF;
		step();
		vmcb.exit_info1 = 0x18;
		vmcb.exit_info2 = 0xabc000;
		leave(EXIT_OF(vector), 0);
		cr_assert_eq(raised.vector, vector);
		cr_assert_eq(raised.has_code, vector_has_code(vector));
		cr_assert_eq(vp->regs.rflags, RFLAGS_IF);
		cr_assert_eq(vmcb.cr2, vector == VECTOR_PF ? 0xabc000 : 0);
		enter();
		cr_assert_not(vmcb.rflags & RFLAGS_TF, "the exception goes first");
	}
}

Test(svm_event, an_exit_before_the_iret_is_done_leaves_it_to_be_stepped_over_again)
{
	static const uint16_t codes[] = { SVM_EXIT_NPF, SVM_EXIT_INTR, SVM_EXIT_NMI };

	for (unsigned int i = 0; i < ARRAY_SIZE(codes); i++) {
		setup();
		step();
		leave(codes[i], 0);
		cr_assert_not(vp->regs.rflags & RFLAGS_TF);
		cr_assert_eq(svm_nmi_state(vp), NMI_ENDS);
		enter();
		cr_assert(vmcb.rflags & RFLAGS_TF);
	}
}

Test(svm_event, a_guest_that_steps_itself_keeps_its_trap)
{
	vp->regs.rflags = RFLAGS_TF;
	step();
	vmcb.dr6 |= DR6_BS;
	vp->regs.rip = 0x1000;
	leave(EXIT_OF(VECTOR_DB), 0);
	cr_assert_eq(raised.vector, VECTOR_DB);
	cr_assert_eq(vmcb.dr6 & DR6_BS, DR6_BS);
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
}

Test(svm_event, a_reset_forgets_all)
{
	step();
	svm_event_reset(vp);
	cr_assert_eq(svm_nmi_state(vp), NMI_OPEN);
	cr_assert_not(svm.stepping);
	cr_assert_not(INTERCEPTS(SVM_EXIT_IRET));
	cr_assert_eq(vmcb.event_injection, 0);
}
