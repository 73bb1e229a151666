// SPDX-License-Identifier: BSD-2-Clause
// The run loop of a VP: prepare, enter, handle the exit, until it blocks or should yield.
#include "hypervisor/core/backend.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/run.h"
#include "hypervisor/core/stats.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/irq.h"
#include "hypervisor/x86/msr.h"

void vp_request(struct vp *vp, uint32_t requests)
{
	__atomic_fetch_or(&vp->requests, requests, __ATOMIC_SEQ_CST);
	vp_kick(vp);
}

void vp_kick(struct vp *vp)
{
	struct pcpu *cpu;

	if (this_cpu()->run_queue.current == vp) {
		vp->recheck = true;
		return;
	}
	// The request must be visible before we look at run_state and guest_seq: pairs with sched_block() and guest_enter().
	__atomic_fetch_or(&vp->requests, VP_REQ_EXIT, __ATOMIC_SEQ_CST);
	switch (READ_ONCE(vp->run_state)) {
	case VP_BLOCKED:
		if (vp_runnable(vp))
			sched_wake(vp);
		break;
	case VP_RUNNING:
		cpu = READ_ONCE(vp->cpu);
		if (READ_ONCE(cpu->guest_seq) & 1 && cpu != this_cpu())
			pcpu_kick(cpu);
		break;
	case VP_QUEUED:
		break;
	}
}

// It suffices to look at the processor that VP is on now: if it moves, it sees the request before it enters anywhere else.
struct vp_stay vp_request_out(struct vp *vp, uint32_t requests)
{
	struct pcpu *cpu;
	uint64_t seq;

	vp_request(vp, requests);
	cpu = READ_ONCE(vp->cpu);
	seq = __atomic_load_n(&cpu->guest_seq, __ATOMIC_SEQ_CST);
	// If it has taken the request already, nobody has kicked it out of where it is now.
	if (!(seq & 1) || READ_ONCE(cpu->run_queue.current) != vp || !(READ_ONCE(vp->requests) & requests))
		cpu = NULL;
	return (struct vp_stay){ cpu, seq };
}

void vp_wait_out(struct vp_stay stay)
{
	while (stay.cpu && __atomic_load_n(&stay.cpu->guest_seq, __ATOMIC_SEQ_CST) == stay.seq)
		cpu_relax();
}

void partition_flush_gpa(struct partition *partition)
{
	struct vp_stay stays[PARTITION_MAX_VPS];
	uint32_t count = 0;
	struct vp *vp;

	partition_for_each_vp(vp, partition)
		stays[count++] = vp_request_out(vp, VP_REQ_FLUSH_TLB);
	while (count)
		vp_wait_out(stays[--count]);
}

// The lock orders us with pick(), which does not run paused VPs: a VP that is seen not running stays so.
static bool is_running(struct vp *vp)
{
	struct run_queue *rq = &READ_ONCE(vp->cpu)->run_queue;
	bool running;

	spin_lock(&rq->lock);
	running = vp->run_state == VP_RUNNING;
	spin_unlock(&rq->lock);
	return running;
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

bool vp_runnable(const struct vp *vp)
{
	enum { WAKES = VP_REQ_NMI | VP_REQ_INIT | VP_REQ_SIPI | VP_REQ_MESSAGES | VP_REQ_TIMERS };

	if (suspended(vp))
		return false;
	if (vp->activity == VP_ACTIVE || READ_ONCE(vp->requests) & WAKES)
		return true;
	return vp->activity == VP_HALTED && vapic_pending(vp) >= 0 && vp->regs.rflags & RFLAGS_IF;
}

void vp_unload(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	backend->save(vp);
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
	if (requests & VP_REQ_NMI && vp->activity != VP_WAIT_FOR_SIPI && backend->inject_nmi(vp))
		vp->activity = VP_ACTIVE;
}

static void offer_interrupt(struct vp *vp, int vector)
{
	backend->offer_interrupt(vp, vector);
	vp->offered_vector = vector;
	if (vector >= 0)
		vapic_offered(vp, vector);
}

static void withdraw_interrupt(struct vp *vp)
{
	if (vp->offered_vector >= 0)
		vapic_withdrawn(vp, vp->offered_vector);
	vp->offered_vector = -1;
}

// Makes VP ready to enter. False: it leaves the processor (blocked, suspended, or somebody else's turn).
static bool prepare(struct vp *vp)
{
	struct pcpu *cpu = this_cpu();

	for (;;) {
		int vector;

		withdraw_interrupt(vp);
		if (cpu->irq_pending)
			irq_dispatch();
		if (cpu->timers_changed)
			timers_update();
		if (READ_ONCE(vp->requests))
			handle_requests(vp);
		if (vp->eoi_pending)
			intercept_flush_eoi(vp);
		if (suspended(vp)) {
			if (sched_block(vp))
				return false;
			continue;
		}
		vector = vapic_pending(vp);
		if (vp->activity == VP_HALTED && vector >= 0 && vp->regs.rflags & RFLAGS_IF)
			vp->activity = VP_ACTIVE;
		if (vp->activity != VP_ACTIVE) {
			if (sched_block(vp))
				return false;
			continue;
		}
		if (READ_ONCE(cpu->reschedule) && sched_should_yield())
			return false;
		vapic_assist_offer(vp);
		offer_interrupt(vp, vector);
		vp->recheck = false;
		return true;
	}
}

void vp_inject_ud(struct vp *vp)
{
	backend->inject_exception(vp, 6, false, 0);
}

void vp_inject_gp(struct vp *vp)
{
	backend->inject_exception(vp, 13, true, 0);
}

static void exit_nothing(struct vp *vp, const struct vp_exit *exit)
{
	(void)vp;
	(void)exit;
}

static void exit_nmi(struct vp *vp, const struct vp_exit *exit)
{
	(void)vp;
	(void)exit;
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
	if (vp->partition->is_root || !intercept_io(vp, exit))
		vp_inject_gp(vp);
}

static void exit_gpa_fault(struct vp *vp, const struct vp_exit *exit)
{
	if (vapic_mmio(vp, exit->fault.gpa)) {
		vp_count(vp, VpApicMmioAccesses);
		return;
	}
	if (!vp->partition->is_root && intercept_gpa(vp, exit))
		return;
	log_limited("partition %lu VP %u: no memory at GPA %lx (access %x, rip %lx)", vp->partition->id, vp->index,
		exit->fault.gpa, exit->fault.access, vp->regs.rip);
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

static void exit_wbinvd(struct vp *vp, const struct vp_exit *exit)
{
	__asm__ volatile("wbinvd" ::: "memory");
	vp_skip_insn(vp, exit->insn_length);
}

static void exit_undefined(struct vp *vp, const struct vp_exit *exit)
{
	(void)exit;
	vp_inject_ud(vp);
}

static void exit_shutdown(struct vp *vp, const struct vp_exit *exit)
{
	(void)exit;
	if (vp->partition->is_root)
		panic("the root partition's VP %u shut down (triple fault) at %lx", vp->index, vp->regs.rip);
	vp->explicit_suspend = !intercept_shutdown(vp);
}

static void exit_invalid_state(struct vp *vp, const struct vp_exit *exit)
{
	if (vp->partition->is_root)
		panic("the processor refuses the state of the root's VP %u at %lx", vp->index, vp->regs.rip);
	log_limited("partition %lu VP %u: the processor refuses its state at %lx", vp->partition->id, vp->index,
		vp->regs.rip);
	exit_shutdown(vp, exit);
}

exit_handler *const exit_handlers[EXIT_REASONS] = {
	[EXIT_NONE] = exit_nothing,
	[EXIT_INTERRUPT] = exit_nothing,
	[EXIT_NMI] = exit_nmi,
	[EXIT_CPUID] = cpuid_exit,
	[EXIT_HLT] = exit_hlt,
	[EXIT_HYPERCALL] = hypercall_exit,
	[EXIT_RDMSR] = msr_read_exit,
	[EXIT_WRMSR] = msr_write_exit,
	[EXIT_IO] = exit_io,
	[EXIT_GPA_FAULT] = exit_gpa_fault,
	[EXIT_CR8_WRITE] = vp_emulate_cr8_write,
	[EXIT_XSETBV] = exit_xsetbv,
	[EXIT_WBINVD] = exit_wbinvd,
	[EXIT_UNDEFINED] = exit_undefined,
	[EXIT_SHUTDOWN] = exit_shutdown,
	[EXIT_INVALID_STATE] = exit_invalid_state,
};

const bool exit_changes_nothing[EXIT_REASONS] = {
	[EXIT_HYPERCALL] = true,
	[EXIT_CPUID] = true,
	[EXIT_RDMSR] = true,
};

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
