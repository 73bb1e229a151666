// SPDX-License-Identifier: BSD-2-Clause
// SVM's half of what is delivered to a VP: EVENTINJ at an entry, EXITINTINFO at an exit, V_IRQ, and
// the end of an NMI (APM2 15.7.2, 15.20, 15.21).
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/svm.h"

// #AC and #DB could keep the processor busy for ever in their own delivery; #MC is the machine's.
#define EXCEPTIONS_ALWAYS (1u << VECTOR_AC | 1u << VECTOR_DB | 1u << VECTOR_MC)
#define EXCEPTIONS_ALL	  (~(1u << VECTOR_NMI))

#define DR6_CONDITIONS 0xe00full // B0 to B3, BD, BS, BT

static unsigned int event_type(uint64_t event)
{
	return event >> SVM_EVENT_TYPE_SHIFT & 7;
}

static void intercept(struct vmcb *vmcb, unsigned int code, bool on)
{
	uint32_t *word = &vmcb->intercepts[code / 32], bit = 1u << code % 32;

	*word = on ? *word | bit : *word & ~bit;
}

static void set_stepping(struct svm_vp *s, bool stepping)
{
	s->stepping = stepping;
	s->vmcb->intercepts[SVM_EXIT_EXCEPTION / 32] =
		stepping ? EXCEPTIONS_ALL : EXCEPTIONS_ALWAYS;
}

void svm_set_nmi_blocked(struct vp *vp, bool blocked)
{
	struct svm_vp *s = svm_vp(vp);

	s->nmi_blocked = blocked;
	s->nmi_iret = false;
	intercept(s->vmcb, SVM_EXIT_IRET, blocked);
}

enum nmi_state svm_nmi_state(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);

	if (s->nmi_iret && vp->regs.rip != s->iret_rip)
		svm_set_nmi_blocked(vp, false);
	if (!s->nmi_blocked)
		return NMI_OPEN;
	return s->nmi_iret ? NMI_ENDS : NMI_BLOCKED;
}

void svm_event_reset(struct vp *vp)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	vmcb->event_injection = vmcb->exit_int_info = 0;
	vmcb->vintr = SVM_V_MASKING;
	svm_set_nmi_blocked(vp, false);
	set_stepping(svm_vp(vp), false);
}

void svm_offer_interrupt(struct vp *vp, int vector)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	// Priority against the TPR was decided by the virtual APIC; CR8 writes exit, so it cannot
	// change behind its back.
	vmcb->vintr = SVM_V_MASKING | vapic_get_cr8(vp);
	if (vector >= 0)
		vmcb->vintr |= SVM_V_IRQ | SVM_V_IGN_TPR | 15ull << SVM_V_PRIO_SHIFT |
			       (uint64_t)vector << SVM_V_VECTOR_SHIFT;
}

// QEMU 7.2 says of an interrupt whose delivery was cut short that it was an exception.
static bool is_interrupt(uint64_t event)
{
	return event_type(event) == SVM_EVENT_INTR ||
	       (event_type(event) == SVM_EVENT_EXCEPTION && (event & 0xff) >= EXCEPTIONS);
}

// The processor clears V_IRQ when it starts to deliver. If that was cut short by an exit, it counts
// as not taken: the request stays and is offered again.
bool svm_interrupt_taken(struct vp *vp)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	return !(vmcb->vintr & SVM_V_IRQ) &&
	       !(vmcb->exit_int_info & SVM_EVENT_VALID && is_interrupt(vmcb->exit_int_info));
}

static uint64_t encode(const struct vmcb *vmcb, const struct event *event)
{
	bool has_code = event->has_code && vmcb->cr0 & CR0_PE; // real mode has none

	return SVM_EVENT_VALID | (uint64_t)event->type << SVM_EVENT_TYPE_SHIFT | event->vector |
	       (has_code ? SVM_EVENT_ERROR_CODE | (uint64_t)event->code << 32 : 0);
}

// An IRET at which the VP stands is the end of an NMI, for which another one waits: one step, and
// we come out behind it. All exceptions come out, too: the guest must not find our TF in the flags
// that the processor saves. (TF in those that IRET loads counts from the next instruction on.)
static void step_over_iret(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);

	if (vp->regs.rflags & RFLAGS_TF)
		return; // its own #DB comes out as well
	set_stepping(s, true);
	s->step_dr6 = s->vmcb->dr6;
	s->vmcb->rflags |= RFLAGS_TF;
}

void svm_event_enter(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);

	if (unlikely(s->stepping))
		set_stepping(s, false); // for an entry that did not happen
	s->vmcb->event_injection = 0;
	if (unlikely(vp->event.pending)) {
		s->vmcb->event_injection = encode(s->vmcb, &vp->event);
		// What #BP and #OF push, if the processor has the field (APM2 15.20).
		s->vmcb->next_rip = s->event_rip = vp->regs.rip;
		vp->regs.interrupt_shadow = false;
		if (vp->event.type == HvX64PendingNmi)
			intercept(s->vmcb, SVM_EXIT_IRET, true); // it may be the first exit
	} else if (unlikely(vp->nmi_waits && svm_nmi_state(vp) == NMI_ENDS)) {
		step_over_iret(vp);
	}
}

void svm_event_injected(struct vp *vp)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;
	uint64_t info = vmcb->exit_int_info;
	bool cut = info & SVM_EVENT_VALID && event_type(info) == vp->event.type &&
		   (info & 0xff) == vp->event.vector && vp->regs.rip == svm_vp(vp)->event_rip;

	vmcb->event_injection = 0; // some processors have done that
	vp->event.pending = vp->event.cut = cut;
	vp->recheck |= cut;
	if (vp->event.type == HvX64PendingNmi)
		svm_set_nmi_blocked(vp, !cut);
}

// The delivery of an event was cut short that the guest made itself, or what was injected turned
// into. INT3 and INTO are exceptions here; they happen again, as RIP is at them.
static void take_back(struct vp *vp, uint64_t event)
{
	unsigned int vector = event & 0xff;

	if (vp->event.pending || event_type(event) != SVM_EVENT_EXCEPTION || vector >= EXCEPTIONS ||
		vector == VECTOR_BP || vector == VECTOR_OF)
		return;
	vp->event = event_exception(vector, event & SVM_EVENT_ERROR_CODE, event >> 32);
	vp->event.cut = true;
	vp->recheck = true;
}

// After a stepped entry. True: what came out is the step's own #DB and nobody else's.
static bool step_done(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);
	uint64_t news = s->vmcb->dr6 & ~s->step_dr6 & DR6_CONDITIONS;
	bool trapped = s->vmcb->exit_code == SVM_EXIT_EXCEPTION + VECTOR_DB;

	set_stepping(s, false);
	if (trapped || vp->regs.rip != s->iret_rip)
		svm_set_nmi_blocked(vp, false);
	else
		vp->regs.rflags &= ~RFLAGS_TF; // not IRET's: it did not get that far
	if (!trapped)
		return false;
	s->vmcb->dr6 = (s->vmcb->dr6 & ~DR6_BS) | (s->step_dr6 & DR6_BS);
	return !(news & ~DR6_BS);
}

// The NMI's handler is at its IRET, which is executed next.
static void note_iret(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);

	intercept(s->vmcb, SVM_EXIT_IRET, false);
	s->nmi_iret = true;
	s->iret_rip = vp->regs.rip;
}

static void exception(struct vp *vp, unsigned int vector)
{
	struct vmcb *vmcb = svm_vp(vp)->vmcb;

	if (vector == VECTOR_MC)
		panic("machine check while partition %lu ran", vp->partition->id);
	if (vector == VECTOR_PF)
		vmcb->cr2 = vmcb->exit_info2; // APM2 15.12.15: an intercepted one has not set it
	vp_raise(vp, vector, vector_has_code(vector), vmcb->exit_info1);
}

void svm_event_exit(struct vp *vp)
{
	struct svm_vp *s = svm_vp(vp);
	uint64_t vector = s->vmcb->exit_code - SVM_EXIT_EXCEPTION;
	bool ours = s->stepping && step_done(vp);

	if (s->vmcb->exit_int_info & SVM_EVENT_VALID)
		take_back(vp, s->vmcb->exit_int_info);
	if (s->vmcb->exit_code == SVM_EXIT_IRET)
		note_iret(vp);
	else if (vector < EXCEPTIONS && !ours)
		exception(vp, vector);
}
