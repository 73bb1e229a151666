// SPDX-License-Identifier: BSD-2-Clause
// Weighted fair scheduling: each run queue is sorted by virtual time (run time divided by weight);
// the smallest runs next.
#include "hypervisor/core/sched.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"
#include "hypercall/stats.h"
#include "hypervisor/core/trace.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/irq.h"

#define WEIGHT_UNIT 100 // TLFS: the default CPU weight

static uint64_t slice_ticks(void)
{
	return tsc_hz / 200; // 5 ms
}

static void enqueue(struct run_queue *rq, struct vp *vp)
{
	struct vp *later;

	list_for_each (later, &rq->queue, run_link)
		if (later->vruntime > vp->vruntime)
			break;
	list_insert_before(&later->run_link, &vp->run_link);
	rq->queued++;
	vp->run_state = VP_QUEUED;
}

static void dequeue(struct run_queue *rq, struct vp *vp, enum vp_run_state state)
{
	list_remove(&vp->run_link);
	rq->queued--;
	vp->run_state = state;
}

static struct vp *first_queued(const struct run_queue *rq)
{
	return list_first(&rq->queue, struct vp, run_link);
}

static uint64_t less_a_slice(uint64_t vruntime)
{
	return vruntime - MIN(vruntime, slice_ticks());
}

// Charges the current VP for its time since the last call.
static void account(struct run_queue *rq, uint64_t now)
{
	struct vp *vp = rq->current;
	uint64_t ran = now - rq->current_since;

	rq->current_since = now;
	vp->runtime_tsc += ran;
	vp->stats[VpTotalRunTime] = tsc_to_100ns(vp->runtime_tsc);
	vp->vruntime += ran * WEIGHT_UNIT / vp->weight;
	rq->min_vruntime = MAX(rq->min_vruntime, less_a_slice(vp->vruntime));
}

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

// Is this the waker of VP? Then *CPU is where it is to run.
static bool claim_blocked(struct vp *vp, struct pcpu **cpu)
{
	*cpu = READ_ONCE(vp->cpu);
	spin_guard(&(*cpu)->run_queue.lock);
	// run_state leaves BLOCKED only under this lock, and a blocked VP's cpu changes only here:
	// one waker wins.
	if (vp->cpu != *cpu || vp->run_state != VP_BLOCKED)
		return false;
	vp->run_state = VP_QUEUED;
	*cpu = choose_cpu(vp);
	return true;
}

void sched_wake(struct vp *vp)
{
	struct run_queue *rq;
	struct pcpu *cpu;

	if (!claim_blocked(vp, &cpu))
		return;
	rq = &cpu->run_queue;
	spin_lock(&rq->lock);
	vp->cpu = cpu;
	// A sleeper gets at most one slice of credit, or it could starve the others when it comes
	// back.
	vp->vruntime = MAX(vp->vruntime, less_a_slice(rq->min_vruntime));
	enqueue(rq, vp);
	spin_unlock(&rq->lock);
	WRITE_ONCE(cpu->reschedule, true);
	if (cpu != this_cpu())
		pcpu_kick(cpu);
}

bool sched_block(struct vp *vp)
{
	spin_guard(&this_cpu()->run_queue.lock);
	vp->run_state = VP_BLOCKED;
	__atomic_thread_fence(
		__ATOMIC_SEQ_CST); // pairs with vp_kick(): request first, then look at run_state
	if (!vp_runnable(vp))
		return true;
	vp->run_state = VP_RUNNING;
	return false;
}

bool sched_should_yield(void)
{
	struct pcpu *cpu = this_cpu();
	struct run_queue *rq = &cpu->run_queue;
	uint64_t now = tsc_read();
	struct vp *first;

	WRITE_ONCE(cpu->reschedule, false);
	spin_guard(&rq->lock);
	account(rq, now);
	first = first_queued(rq);
	if (!first) {
		rq->slice_end = UINT64_MAX;
		return false;
	}
	if (rq->slice_end == UINT64_MAX) {
		rq->slice_end = now + slice_ticks();
		cpu->timers_changed = true;
	}
	return now >= rq->slice_end || first->vruntime + slice_ticks() / 4 < rq->current->vruntime;
}

// A paused VP leaves the queue: vp_resume() wakes it. If that came before VP was seen to be
// blocked, nobody does, and it stays.
static bool leaves_paused(struct run_queue *rq, struct vp *vp)
{
	if (!READ_ONCE(vp->pause_count))
		return false;
	vp->run_state = VP_BLOCKED;
	__atomic_thread_fence(
		__ATOMIC_SEQ_CST); // pairs with vp_resume(): pause_count first, then run_state
	if (READ_ONCE(vp->pause_count)) {
		dequeue(rq, vp, VP_BLOCKED);
		return true;
	}
	vp->run_state = VP_QUEUED;
	return false;
}

static struct vp *pick(struct run_queue *rq)
{
	struct vp *vp;

	spin_guard(&rq->lock);
	while ((vp = first_queued(rq)) && leaves_paused(rq, vp))
		;
	if (!vp)
		return NULL;
	dequeue(rq, vp, VP_RUNNING);
	rq->current = vp;
	vp_count(vp, VpLogicalProcessorDispatches);
	rq->current_since = tsc_read();
	rq->slice_end = rq->queued ? rq->current_since + slice_ticks() : UINT64_MAX;
	rq->min_vruntime = MAX(rq->min_vruntime, less_a_slice(vp->vruntime));
	return vp;
}

// A VP that waits in another processor's queue, taken off it. NULL: there is none.
static struct vp *take_waiting(struct run_queue *rq)
{
	struct vp *vp;

	spin_guard(&rq->lock);
	list_for_each (vp, &rq->queue, run_link) {
		if (!vp->pinned && !vp->loaded_on && !READ_ONCE(vp->pause_count)) {
			dequeue(rq, vp, VP_QUEUED);
			return vp;
		}
	}
	return NULL;
}

// Moves a waiting VP from another processor's queue to this one.
static bool steal(struct pcpu *cpu)
{
	struct vp *vp = NULL;

	for (uint32_t i = 0; i < pcpu_count && !vp; i++)
		if (pcpus[i] != cpu && READ_ONCE(pcpus[i]->run_queue.queued))
			vp = take_waiting(&pcpus[i]->run_queue);
	if (!vp)
		return false;
	spin_guard(&cpu->run_queue.lock);
	vp->cpu = cpu;
	vp->vruntime = MAX(vp->vruntime, cpu->run_queue.min_vruntime);
	enqueue(&cpu->run_queue, vp);
	return true;
}

// The VP leaves the processor's run queue slot; if it only yielded, it queues again.
static void put_current(struct run_queue *rq)
{
	struct vp *vp = rq->current;

	spin_guard(&rq->lock);
	account(rq, tsc_read());
	rq->current = NULL;
	if (vp->run_state == VP_RUNNING)
		enqueue(rq, vp);
}

// A processor that idles keeps the last VP's state loaded, as that VP is likely to be the next; but
// not if somebody has paused the VP to look at it.
static void unload_if_paused(struct pcpu *cpu)
{
	WRITE_ONCE(cpu->unload, false);
	__atomic_thread_fence(
		__ATOMIC_SEQ_CST); // pairs with vp_pause(): pause_count first, then unload
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
	if (vp->run_state == VP_QUEUED)
		dequeue(rq, vp, VP_BLOCKED);
}

void timers_update(void)
{
	struct pcpu *cpu = this_cpu();
	uint64_t next;

	if (!cpu->timers_changed)
		return;
	cpu->timers_changed = false;
	next = timers_run(tsc_read());
	if (cpu->run_queue.slice_end <= tsc_read())
		cpu->reschedule = true;
	apic_timer_set(MIN(next, cpu->run_queue.slice_end));
}

void pcpu_kick(struct pcpu *cpu)
{
	apic_send_ipi(cpu->apic_id, IRQ_VECTOR_KICK);
}
