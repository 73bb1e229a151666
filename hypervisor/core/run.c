// SPDX-License-Identifier: BSD-2-Clause
// The run loop of a VP: prepare, enter, handle the exit, until it blocks or should yield.
#include "hypervisor/core/backend.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/run.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/gva.h"
#include "hypervisor/x86/irq.h"
#include "hypervisor/x86/msr.h"
#include "hypervisor/x86/speculation.h"
#include "hypervisor/x86/state.h"

void vp_request(struct vp *vp, uint32_t requests)
{
	__atomic_fetch_or(&vp->requests, requests, __ATOMIC_SEQ_CST);
	vp_kick(vp);
}

void vp_kick(struct vp *vp)
{
	enum vp_run_state state;
	struct pcpu *cpu;

	if (this_cpu()->run_queue.current == vp) {
		vp->recheck = true;
		return;
	}
	// The request must be visible before we look at run_state and guest_seq: pairs with
	// sched_block() and guest_enter().
	__atomic_fetch_or(&vp->requests, VP_REQ_EXIT, __ATOMIC_SEQ_CST);
	state = READ_ONCE(vp->run_state);
	cpu = READ_ONCE(vp->cpu);
	if (state == VP_BLOCKED && vp_runnable(vp))
		sched_wake(vp);
	else if (state == VP_RUNNING && READ_ONCE(cpu->guest_seq) & 1 && cpu != this_cpu())
		pcpu_kick(cpu);
}

// A stay in the guest.
struct stay {
	struct pcpu *cpu; // NULL: none
	uint64_t seq;
};

// Asks VP; in the stay returned it may not have noticed. It suffices to look at the processor that
// VP is on now: if it moves, it sees the request before it enters anywhere else.
static struct stay request_out(struct vp *vp, uint32_t requests)
{
	struct stay stay;

	vp_request(vp, requests);
	stay.cpu = READ_ONCE(vp->cpu);
	stay.seq = __atomic_load_n(&stay.cpu->guest_seq, __ATOMIC_SEQ_CST);
	// If it has taken the request already, nobody has kicked it out of where it is now.
	if (!(stay.seq & 1) || READ_ONCE(stay.cpu->run_queue.current) != vp ||
		!(READ_ONCE(vp->requests) & requests))
		stay.cpu = NULL;
	return stay;
}

static void wait_out(struct stay stay)
{
	while (stay.cpu && __atomic_load_n(&stay.cpu->guest_seq, __ATOMIC_SEQ_CST) == stay.seq)
		cpu_relax();
}

void partition_flush_vps(struct partition *partition, uint64_t mask)
{
	struct stay stays[PARTITION_MAX_VPS];
	uint32_t count = 0;
	struct vp *vp;

	// All kicks first, then all waits: they come out side by side.
	partition_for_each_vp(vp, partition)
	{
		if (!(mask & BIT(vp->index)))
			continue;
		if (vp == this_cpu()->run_queue.current)
			backend->flush_tlb(vp);
		else
			stays[count++] = request_out(vp, VP_REQ_FLUSH_TLB);
	}
	while (count)
		wait_out(stays[--count]);
}

// The lock orders us with pick(), which runs no paused VPs: who is seen not running stays so.
static bool is_running(struct vp *vp)
{
	spin_guard(&READ_ONCE(vp->cpu)->run_queue.lock);
	return vp->run_state == VP_RUNNING;
}

void vp_pause(struct vp *vp)
{
	struct pcpu *cpu;

	__atomic_fetch_add(&vp->pause_count, 1, __ATOMIC_SEQ_CST);
	while (is_running(vp) || READ_ONCE(vp->loaded_on)) {
		cpu = READ_ONCE(vp->loaded_on);
		if (cpu == this_cpu()) {
			vp_unload(vp);
		} else if (cpu) {
			WRITE_ONCE(cpu->unload, true);
			vp_kick(vp);
			pcpu_kick(cpu);
		}
		for (int i = 0; i < 1000 && cpu && READ_ONCE(vp->loaded_on) == cpu; i++)
			cpu_relax();
	}
}

void vp_resume(struct vp *vp)
{
	__atomic_fetch_sub(&vp->pause_count, 1, __ATOMIC_SEQ_CST);
	vp_kick(vp);
}

static bool suspended(const struct vp *vp)
{
	return READ_ONCE(vp->pause_count) || vp->explicit_suspend || vp->intercept_suspend;
}

// What ends a sleep: something to deliver, or an interrupt. TLFS: Virtual Processor Idle Sleep
// State: its end does not depend on whether the interrupt can be taken.
static bool wakes(const struct vp *vp)
{
	if (vp->activity == VP_IDLE)
		return vp->event.pending || vapic_requested(vp);
	return vp->activity == VP_HALTED &&
	       (vp->event.pending || (vapic_pending(vp) >= 0 && vp->regs.rflags & RFLAGS_IF));
}

bool vp_runnable(const struct vp *vp)
{
	enum { WAKES = VP_REQ_NMI | VP_REQ_INIT | VP_REQ_SIPI | VP_REQ_MESSAGES | VP_REQ_TIMERS };

	if (suspended(vp))
		return false;
	if (vp->activity == VP_ACTIVE || READ_ONCE(vp->requests) & WAKES)
		return true;
	return wakes(vp);
}

void vp_unload(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	backend->save(vp);
	speculation_save(vp);
	cpu->loaded = NULL;
	__atomic_store_n(&vp->loaded_on, NULL, __ATOMIC_SEQ_CST);
}

static void load(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	if (cpu->loaded == vp)
		return;
	if (cpu->loaded)
		vp_unload(cpu->loaded);
	cpu->loaded = vp;
	__atomic_store_n(&vp->loaded_on, cpu, __ATOMIC_SEQ_CST);
	speculation_load(vp);
	backend->load(vp);
}

static void handle_requests(struct vp *vp)
{
	uint32_t requests = __atomic_exchange_n(&vp->requests, 0, __ATOMIC_SEQ_CST);

	if (requests & VP_REQ_INIT) {
		vp_reset(vp, false);
		vp->activity = VP_WAIT_FOR_SIPI;
	}
	if (requests & VP_REQ_SIPI && vp->activity == VP_WAIT_FOR_SIPI)
		vp_startup(vp, READ_ONCE(vp->sipi_vector));
	if (requests & VP_REQ_FLUSH_TLB)
		backend->flush_tlb(vp);
	if (requests & VP_REQ_TIMERS) {
		uint32_t expired = __atomic_exchange_n(&vp->expired_timers, 0, __ATOMIC_SEQ_CST);

		if (expired & 1u << VP_APIC_TIMER)
			vapic_timer_expired(vp);
		stimers_expired(vp, expired);
	}
	if (requests & VP_REQ_MESSAGES)
		synic_deliver(vp);
	if (requests & VP_REQ_NMI && vp->activity != VP_WAIT_FOR_SIPI)
		vp->nmi_waits = true;
}

// A triple fault, or the processor refuses the VP's state.
static void shut_down(struct vp *vp, const char *what)
{
	if (vp->partition->is_root)
		panic("the root's VP %u: %s at %lx", vp->index, what, vp->regs.rip);
	log_limited(
		"partition %lu VP %u: %s at %lx", vp->partition->id, vp->index, what, vp->regs.rip);
	vp->explicit_suspend = !intercept_shutdown(vp);
}

// Decides what the next entry delivers. An exception goes before an NMI (APM2 8.5).
static void settle_events(struct vp *vp)
{
	if (vp->event.pending && vp->event.type == EVENT_SHUTDOWN) {
		vp->event.pending = false;
		shut_down(vp, "triple fault");
	}
	if (!vp->nmi_waits || vp->event.pending || backend->nmi_state(vp) != NMI_OPEN)
		return;
	vp->nmi_waits = false;
	vp->event =
		(struct event){ .pending = true, .type = HvX64PendingNmi, .vector = VECTOR_NMI };
}

static bool may_run(struct vp *vp)
{
	if (suspended(vp))
		return false;
	if (vp->activity != VP_ACTIVE && wakes(vp))
		vp->activity = VP_ACTIVE;
	return vp->activity == VP_ACTIVE;
}

static void withdraw_interrupt(struct vp *vp)
{
	if (vp->offered_vector >= 0)
		vapic_withdrawn(vp, vp->offered_vector);
	vp->offered_vector = -1;
}

static void offer_interrupt(struct vp *vp)
{
	enum nmi_state nmi = vp->nmi_waits ? backend->nmi_state(vp) : NMI_OPEN;
	int vector = nmi == NMI_ENDS ? -1 : vapic_pending(vp);

	// An NMI that has to wait for an exception's delivery: out again right behind that.
	if (unlikely(vp->nmi_waits && vp->event.pending && nmi != NMI_BLOCKED))
		pcpu_kick(this_cpu());
	vapic_assist_offer(vp);
	backend->offer_interrupt(vp, vector);
	vp->offered_vector = vector;
	if (vector >= 0)
		vapic_offered(vp, vector);
}

// Outside 64-bit mode RIP has 32 bits (what is beyond the segment's limit, the processor finds).
static uint64_t truncate_rip(const struct vp *vp, uint64_t rip)
{
	return backend->cpu_mode(vp) & CPU_MODE_64BIT ? rip : (uint32_t)rip;
}

// Makes VP ready to enter. False: it leaves the processor (blocked, suspended, or somebody else's
// turn).
//
// Physical interrupts are let in here, each time. A guest that executes an instruction lets them in
// itself: the processor takes them before. But an entry that delivers something, or is in an
// interrupt shadow, may come out without having executed one, and then again, for ever. Such an
// entry always comes by here: vp_raise() asks for a recheck, and what does not has completed an
// instruction, which ends the shadow.
static bool prepare(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	for (;;) {
		irq_window();
		withdraw_interrupt(vp);
		if (cpu->irq_pending)
			irq_dispatch();
		if (cpu->timers_changed)
			timers_update();
		if (READ_ONCE(vp->requests))
			handle_requests(vp);
		settle_events(vp);
		if (vp->eoi_pending)
			intercept_flush_eoi(vp);
		if (may_run(vp))
			break;
		if (sched_block(vp))
			return false;
	}
	if (READ_ONCE(cpu->reschedule) && sched_should_yield())
		return false;
	if (unlikely(vp->regs.rip >> 32)) // a parent may have set it, and the mode afterwards
		vp->regs.rip = truncate_rip(vp, vp->regs.rip);
	offer_interrupt(vp);
	vp->recheck = false;
	return true;
}

void vp_skip_insn(struct vp *vp, unsigned int length)
{
	uint64_t rip = vp->regs.rip + length;

	if (unlikely((rip ^ vp->regs.rip) >> 32))
		rip = truncate_rip(vp, rip);
	vp_go_on_at(vp, rip);
	vp->regs.rflags &= ~RFLAGS_RF;
	if (unlikely(vp->regs.rflags & RFLAGS_TF)) {
		vp_set_reg64(vp, HvX64RegisterDr6, vp_reg64(vp, HvX64RegisterDr6) | DR6_BS);
		vp_raise(vp, VECTOR_DB, false, 0);
	}
}

static void exit_nothing(struct vp *vp, const struct vp_exit *exit)
{
}

static void exit_nmi(struct vp *vp, const struct vp_exit *exit)
{
	irq_nmi();
}

static void exit_hlt(struct vp *vp, const struct vp_exit *exit)
{
	if (intercept_halt(vp))
		return;
	vp_skip_insn(vp, exit->insn_length);
	vp->activity = VP_HALTED;
}

static void exit_io(struct vp *vp, const struct vp_exit *exit)
{
	if (!intercept_io(vp, exit))
		vp_inject_gp(vp);
}

static bool shows(const struct overlay *overlay, uint64_t gpa)
{
	return overlay->active && overlay->gpa_page == gpa >> PAGE_SHIFT;
}

// TLFS: Establishing the Hypercall Interface: attempts to write to the hypercall page raise #GP. So
// do those to the other page of the partition that guests only read.
static bool writes_to_our_page(const struct partition *partition, const struct vp_exit *exit)
{
	return exit->fault.access & GPA_WRITE &&
	       (shows(&partition->hypercall_overlay, exit->fault.gpa) ||
		       shows(&partition->reference_tsc_overlay, exit->fault.gpa));
}

static void exit_gpa_fault(struct vp *vp, const struct vp_exit *exit)
{
	bool apic = vapic_at(vp, exit->fault.gpa);
	uint64_t page = exit->fault.gpa >> PAGE_SHIFT, spa_page;

	if (exit->fault.by_insn && vapic_mmio(vp, exit->fault.gpa)) {
		vp_count(vp, VpApicMmioAccesses);
		return;
	}
	// Another processor has moved an overlay page, or the parent has mapped one: once more.
	if (!apic && gpa_map_lookup(&vp->partition->gpa, page, exit->fault.access, &spa_page))
		return;
	if (!apic && !writes_to_our_page(vp->partition, exit) && intercept_gpa(vp, exit))
		return;
	log_limited("partition %lu VP %u: no access to GPA %lx (%x, rip %lx)", vp->partition->id,
		vp->index, exit->fault.gpa, exit->fault.access, vp->regs.rip);
	vp_inject_gp(vp);
}

static void exit_xsetbv(struct vp *vp, const struct vp_exit *exit)
{
	uint64_t value = (uint32_t)vp->regs.gpr[RAX] | vp->regs.gpr[RDX] << 32;

	if ((uint32_t)vp->regs.gpr[RCX] != 0 || !vp_xcr0_valid(value)) {
		vp_inject_gp(vp);
		return;
	}
	vp->xcr0 = value;
	xcr0_write(value);
	vp_skip_insn(vp, exit->insn_length);
}

// Also for INVD: what it would throw away may be the hypervisor's. A child has no devices that
// would look past the caches, and does not flush those of the others.
static void exit_wbinvd(struct vp *vp, const struct vp_exit *exit)
{
	if (vp->partition->is_root)
		wbinvd();
	vp_skip_insn(vp, gva_two_byte_length(vp)); // WBNOINVD has a prefix
}

static void exit_undefined(struct vp *vp, const struct vp_exit *exit)
{
	vp_inject_ud(vp);
}

static void exit_denied(struct vp *vp, const struct vp_exit *exit)
{
	vp_inject_gp(vp);
}

// CR0.NE is clear, and nobody has wired FERR to an interrupt controller: as if it were set.
static void exit_fpu_freeze(struct vp *vp, const struct vp_exit *exit)
{
	vp_raise(vp, VECTOR_MF, false, 0);
}

// A trap: the handler finds RIP behind it, and nothing in DR6 unless it single-steps, too.
static void exit_icebp(struct vp *vp, const struct vp_exit *exit)
{
	vp_skip_insn(vp, exit->insn_length);
	vp_raise(vp, VECTOR_DB, false, 0);
}

static void exit_shutdown(struct vp *vp, const struct vp_exit *exit)
{
	shut_down(vp, exit->reason == EXIT_SHUTDOWN ? "triple fault" : "invalid state");
}

// The exits: what handles them, which of Hyper-V's counters counts them, and whether what was
// decided for the last entry still holds afterwards unless the handler says otherwise
// (vp->recheck).
#define EXITS(X)                                                                                   \
	X(EXIT_NONE, exit_nothing, VpOtherInterceptsCount, false)                                  \
	X(EXIT_INTERRUPT, exit_nothing, VpExternalInterruptsCount, false)                          \
	X(EXIT_NMI, exit_nmi, VpExternalInterruptsCount, false)                                    \
	X(EXIT_CPUID, cpuid_exit, VpCpuidInstructionsCount, true)                                  \
	X(EXIT_HLT, exit_hlt, VpHltInstructionsCount, false)                                       \
	X(EXIT_HYPERCALL, hypercall_exit, VpHypercallsCount, true)                                 \
	X(EXIT_RDMSR, msr_read_exit, VpMsrAccessesCount, true)                                     \
	X(EXIT_WRMSR, msr_write_exit, VpMsrAccessesCount, false)                                   \
	X(EXIT_IO, exit_io, VpIoInstructionsCount, false)                                          \
	X(EXIT_GPA_FAULT, exit_gpa_fault, VpNestedPageFaultInterceptsCount, false)                 \
	X(EXIT_CR_WRITE, vp_emulate_cr_write, VpControlRegisterAccessesCount, false)               \
	X(EXIT_XSETBV, exit_xsetbv, VpControlRegisterAccessesCount, false)                         \
	X(EXIT_WBINVD, exit_wbinvd, VpOtherInterceptsCount, false)                                 \
	X(EXIT_UNDEFINED, exit_undefined, VpOtherInterceptsCount, false)                           \
	X(EXIT_DENIED, exit_denied, VpOtherInterceptsCount, false)                                 \
	X(EXIT_FPU_FREEZE, exit_fpu_freeze, VpOtherInterceptsCount, false)                         \
	X(EXIT_ICEBP, exit_icebp, VpOtherInterceptsCount, false)                                   \
	X(EXIT_SHUTDOWN, exit_shutdown, VpOtherInterceptsCount, false)                             \
	X(EXIT_INVALID_STATE, exit_shutdown, VpOtherInterceptsCount, false)

#define KIND(reason, handler, counter, changes_nothing) [reason] = { counter, changes_nothing },
#define CALL(reason, handler, counter, changes_nothing)                                            \
	case reason:                                                                               \
		handler(vp, exit);                                                                 \
		break;
const struct exit_kind exit_kinds[EXIT_REASONS] = { EXITS(KIND) };

// No table of functions: a guest could have taught the processor where a call by it goes.
void vp_handle_other_exit(struct vp *vp, const struct vp_exit *exit)
{
	switch (exit->reason) {
		EXITS(CALL)
	case EXIT_REASONS:
		break;
	}
}

void collect_interrupts(struct vp *vp)
{
	if (vp->offered_vector >= 0 && backend->interrupt_taken(vp)) {
		vapic_accepted(vp, vp->offered_vector);
		vp->offered_vector = -1;
		vp_count(vp, VpVirtualInterrupts);
		vp->recheck = true;
	}
	if (vp->apic.no_eoi_offered) {
		vapic_assist_collect(vp);
		vp->recheck = true;
	}
}

void vp_run(struct vp *vp)
{
	load(vp);
	this_cpu()->timers_changed = true; // the slice has changed
	while (prepare(vp))
		backend->run(vp);
}
