// SPDX-License-Identifier: BSD-2-Clause
// Which VP each processor runs: its run queue's first, or else one that waits elsewhere.
#include "hypervisor/core/sched.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypercall/stats.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/irq.h"

// An idle processor takes over a VP whose state no processor holds; others run where they last ran.
static struct pcpu *choose_cpu(struct vp *vp)
{
	if (vp->pinned || vp->loaded_on || vp->cpu->idle)
		return vp->cpu;
	for (uint32_t i = 0; i < pcpu_count; i++)
		if (pcpus[i]->online && pcpus[i]->idle)
			return pcpus[i];
	return vp->cpu;
}

// Is this the waker of VP? Then *TO is where it is to run: it waits there already, or has left for
// there (*MOVES).
static bool claim_blocked(struct vp *vp, struct pcpu **to, bool *moves)
{
	struct pcpu *from = READ_ONCE(vp->cpu);

	spin_guard(&from->run_queue.lock);
	// run_state leaves BLOCKED only under this lock, and a blocked VP's cpu changes only here:
	// one waker wins.
	if (vp->cpu != from || vp->run_state != VP_BLOCKED)
		return false;
	*to = choose_cpu(vp);
	*moves = *to != from;
	if (*moves) {
		vp->run_state = VP_QUEUED;
		run_queue_leave(vp);
	} else {
		run_queue_wake(&from->run_queue, vp);
	}
	return true;
}

// VP, which left another processor, waits for CPU.
static void arrive(struct pcpu *cpu, struct vp *vp)
{
	spin_guard(&cpu->run_queue.lock);
	vp->cpu = cpu;
	run_queue_arrive(vp);
	run_queue_wake(&cpu->run_queue, vp);
}

void sched_look_again(struct pcpu *cpu)
{
	WRITE_ONCE(cpu->reschedule, true);
	if (cpu != this_cpu())
		pcpu_kick(cpu);
}

void sched_wake(struct vp *vp)
{
	struct pcpu *cpu;
	bool moves;

	if (!claim_blocked(vp, &cpu, &moves))
		return;
	if (moves)
		arrive(cpu, vp);
	sched_look_again(cpu);
}

bool sched_block(struct vp *vp)
{
	spin_guard(&this_cpu()->run_queue.lock);
	vp->run_state = VP_BLOCKED;
	full_fence(); // pairs with vp_kick(): request first, then look at run_state
	if (!vp_runnable(vp))
		return true;
	vp->run_state = VP_RUNNING;
	return false;
}

bool sched_should_yield(void)
{
	struct pcpu *cpu = this_cpu();

	WRITE_ONCE(cpu->reschedule, false);
	spin_guard(&cpu->run_queue.lock);
	return run_queue_turn_over(&cpu->run_queue, tsc_read());
}

// VP, which waits, is paused: it leaves the queue, and vp_resume() wakes it. If that came before VP
// was seen to be blocked, nobody does, and it is back. True: it is gone.
static bool leaves_paused(struct run_queue *rq, struct vp *vp)
{
	run_queue_remove(rq, vp);
	full_fence(); // pairs with vp_resume(): pause_count first, then run_state
	if (READ_ONCE(vp->pause_count))
		return true;
	run_queue_add(rq, vp);
	return false;
}

// Each turn of the loop takes a VP off the queue.
static struct vp *pick(struct run_queue *rq)
{
	struct vp *vp;

	spin_guard(&rq->lock);
	while ((vp = run_queue_first(rq)) && READ_ONCE(vp->pause_count) && leaves_paused(rq, vp))
		;
	if (!vp)
		return NULL;
	run_queue_start(rq, vp, tsc_read());
	vp_count(vp, VpLogicalProcessorDispatches);
	return vp;
}

static bool may_move(const struct vp *vp)
{
	return !vp->pinned && !vp->loaded_on && !READ_ONCE(vp->pause_count);
}

// A VP that waits in another processor's queue, taken off it. NULL: there is none.
static struct vp *take_waiting(struct run_queue *rq)
{
	struct vp *vp;

	spin_guard(&rq->lock);
	vp = run_queue_find(rq, may_move);
	if (!vp)
		return NULL;
	run_queue_remove(rq, vp);
	vp->run_state = VP_QUEUED;
	run_queue_leave(vp);
	return vp;
}

// Moves a waiting VP from another processor's queue to this one.
static bool steal(struct pcpu *cpu)
{
	struct vp *vp = NULL;

	for (uint32_t i = 0; i < pcpu_count && !vp; i++)
		if (pcpus[i] != cpu && READ_ONCE(pcpus[i]->run_queue.queued))
			vp = take_waiting(&pcpus[i]->run_queue);
	if (vp)
		arrive(cpu, vp);
	return vp;
}

// The VP leaves the processor; if it only yielded, it waits again.
static void put_current(struct run_queue *rq)
{
	spin_guard(&rq->lock);
	run_queue_stop(rq, tsc_read());
}

// A processor that idles keeps the last VP's state loaded, as that VP is likely to be the next; but
// not if somebody has paused the VP to look at it.
static void unload_if_paused(struct pcpu *cpu)
{
	WRITE_ONCE(cpu->unload, false);
	full_fence(); // pairs with vp_pause(): pause_count first, then unload
	if (cpu->loaded && READ_ONCE(cpu->loaded->pause_count))
		vp_unload(cpu->loaded);
}

static void idle(struct pcpu *cpu)
{
	WRITE_ONCE(cpu->idle, true);
	__atomic_fetch_add(&cpu->guest_seq, 1, __ATOMIC_SEQ_CST);
	if (!READ_ONCE(cpu->run_queue.queued) && !READ_ONCE(cpu->unload))
		irq_halt();
	WRITE_ONCE(cpu->idle, false);
	__atomic_fetch_add(&cpu->guest_seq, 1, __ATOMIC_SEQ_CST);
}

void sched_run(void)
{
	struct pcpu *cpu = this_cpu();
	struct vp *vp;

	for (;;) {
		irq_dispatch();
		timers_update();
		unload_if_paused(cpu);
		vp = pick(&cpu->run_queue);
		if (vp) {
			vp_run(vp);
			put_current(&cpu->run_queue);
		} else if (!steal(cpu)) {
			idle(cpu);
		}
	}
}

void sched_remove(struct vp *vp)
{
	struct run_queue *rq = &vp->cpu->run_queue;

	// pick() leaves a paused VP on the queue until it is the first; steal() passes it by.
	spin_guard(&rq->lock);
	if (vp->run_state == VP_QUEUED || vp->run_state == VP_CAPPED)
		run_queue_remove(rq, vp);
}

// When the run queue wants to be asked again. Who waits for its cap has the timers looked at.
static uint64_t tick(struct pcpu *cpu)
{
	struct run_queue *rq = &cpu->run_queue;
	uint64_t now = tsc_read(), next = rq->slice_end;
	bool any = false;

	if (!list_empty(&rq->capped)) {
		spin_guard(&rq->lock);
		next = run_queue_tick(rq, now, &any);
	}
	if (any || next <= now)
		cpu->reschedule = true;
	return next;
}

void timers_update(void)
{
	struct pcpu *cpu = this_cpu();
	uint64_t next;

	if (!cpu->timers_changed)
		return;
	cpu->timers_changed = false;
	next = timers_run(tsc_read());
	apic_timer_set(MIN(next, tick(cpu)));
}

void pcpu_kick(struct pcpu *cpu)
{
	apic_send_ipi(cpu->apic_id, IRQ_VECTOR_KICK);
}
