// SPDX-License-Identifier: BSD-2-Clause
#include "hypervisor/core/run_queue.h"
#include "hypercall/stats.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/partition.h"
#include "hypervisor/core/pcpu.h"

#define WEIGHT_UNIT 100 // TLFS: the default CPU weight

_Static_assert(sizeof(struct share) * PCPU_MAX <= PAGE_SIZE, "a partition's shares are one page");

static uint64_t slice_ticks(void)
{
	return tsc_hz / 200; // 5 ms
}

void run_queue_init(struct run_queue *rq)
{
	*rq = (struct run_queue){ .slice_end = UINT64_MAX };
	fair_queue_init(&rq->shares);
	list_init(&rq->capped);
}

void shares_init(struct share *shares)
{
	for (unsigned int i = 0; i < PCPU_MAX; i++) {
		list_init(&shares[i].fair.link);
		fair_queue_init(&shares[i].vps);
	}
}

static struct share *share_of(const struct vp *vp)
{
	return &vp->partition->shares[vp->cpu->index];
}

static struct share *current_share(const struct run_queue *rq)
{
	return rq->current ? share_of(rq->current) : NULL;
}

static struct vp *vp_of(struct fair *fair)
{
	return container_of(fair, struct vp, fair);
}

// SHARE has its place among the others if, and only if, it has VPs that wait and none that runs.
static void share_settle(struct run_queue *rq, struct share *share)
{
	bool waits = fair_first(&share->vps) && share != current_share(rq);

	if (waits == !list_empty(&share->fair.link))
		return;
	if (!waits) {
		list_remove(&share->fair.link);
		return;
	}
	fair_join(&rq->shares, &share->fair, slice_ticks());
	fair_insert(&rq->shares, &share->fair);
}

static void capped_add(struct run_queue *rq, struct vp *vp)
{
	struct vp *later;

	list_for_each (later, &rq->capped, fair.link)
		if (later->due > vp->due)
			break;
	list_insert_before(&later->fair.link, &vp->fair.link);
	vp->run_state = VP_CAPPED;
	WRITE_ONCE(vp->cpu->timers_changed, true);
}

void run_queue_add(struct run_queue *rq, struct vp *vp)
{
	if (vp->due > tsc_read()) {
		capped_add(rq, vp);
	} else {
		fair_insert(&share_of(vp)->vps, &vp->fair);
		rq->queued++;
		vp->run_state = VP_QUEUED;
	}
	share_settle(rq, share_of(vp));
}

static void take_out(struct run_queue *rq, struct vp *vp, enum vp_run_state state)
{
	list_remove(&vp->fair.link);
	rq->queued -= vp->run_state == VP_QUEUED;
	vp->run_state = state;
}

void run_queue_remove(struct run_queue *rq, struct vp *vp)
{
	take_out(rq, vp, VP_BLOCKED);
	share_settle(rq, share_of(vp));
}

void run_queue_leave(struct vp *vp)
{
	fair_leave(&share_of(vp)->vps, &vp->fair);
}

void run_queue_arrive(struct vp *vp)
{
	fair_arrive(&share_of(vp)->vps, &vp->fair);
}

struct vp *run_queue_first(const struct run_queue *rq)
{
	struct fair *share = fair_first(&rq->shares);

	return share ? vp_of(fair_first(&container_of(share, struct share, fair)->vps)) : NULL;
}

static struct vp *find_in(const struct share *share, bool (*wanted)(const struct vp *vp))
{
	struct vp *vp;

	list_for_each (vp, &share->vps.waiting, fair.link)
		if (wanted(vp))
			return vp;
	return NULL;
}

struct vp *run_queue_find(const struct run_queue *rq, bool (*wanted)(const struct vp *vp))
{
	struct vp *vp = rq->current ? find_in(current_share(rq), wanted) : NULL;
	struct share *share;

	list_for_each (share, &rq->shares.waiting, fair.link)
		vp = vp ? vp : find_in(share, wanted);
	return vp;
}

static bool has_cap(const struct vp *vp)
{
	return READ_ONCE(vp->partition->cpu_cap) < CPU_CAP_FULL;
}

// Nothing ends the turn of a VP that is alone and has no cap.
static bool turn_ends(const struct run_queue *rq)
{
	return rq->queued || has_cap(rq->current);
}

static uint64_t turn_end(const struct run_queue *rq, uint64_t now)
{
	return turn_ends(rq) ? now + slice_ticks() : UINT64_MAX;
}

static void advance(struct run_queue *rq, uint64_t share_ticks, uint64_t ticks)
{
	struct share *share = current_share(rq);

	share->fair.vruntime += share_ticks;
	rq->current->fair.vruntime += ticks;
	fair_advance(&rq->shares, &share->fair);
	fair_advance(&share->vps, &rq->current->fair);
}

void run_queue_start(struct run_queue *rq, struct vp *vp, uint64_t now)
{
	take_out(rq, vp, VP_RUNNING);
	rq->current = vp;
	share_settle(rq, share_of(vp));
	rq->current_since = now;
	rq->slice_end = turn_end(rq, now);
}

// TLFS: CPU Cap: what VP ran is paid for, at the rate of the cap, when it is due. Time in which it
// did not run is lost. A turn is charged for two slices at most, as the cap may have come since.
static void charge_cap(struct vp *vp, uint64_t from, uint64_t ran)
{
	uint64_t charged = MIN(ran, 2 * slice_ticks());

	if (has_cap(vp))
		vp->due = MAX(vp->due, from) +
			  charged * CPU_CAP_FULL / READ_ONCE(vp->partition->cpu_cap);
}

static void account(struct run_queue *rq, uint64_t now)
{
	struct vp *vp = rq->current;
	uint64_t ran = now - MIN(rq->current_since, now); // processors differ by a little

	charge_cap(vp, rq->current_since, ran);
	rq->current_since += ran;
	vp->runtime_tsc += ran;
	vp->stats[VpTotalRunTime] = tsc_to_100ns(vp->runtime_tsc);
	advance(rq, ran * WEIGHT_UNIT / READ_ONCE(vp->partition->cpu_weight), ran);
}

// The floor is where the others are now, also if the current VP has been alone for long.
void run_queue_wake(struct run_queue *rq, struct vp *vp)
{
	if (rq->current)
		account(rq, tsc_read());
	fair_join(&share_of(vp)->vps, &vp->fair, slice_ticks());
	run_queue_add(rq, vp);
}

void run_queue_stop(struct run_queue *rq, uint64_t now)
{
	struct vp *vp = rq->current;

	account(rq, now);
	rq->current = NULL;
	rq->slice_end = UINT64_MAX;
	if (vp->run_state == VP_QUEUED || vp->run_state == VP_CAPPED)
		take_out(rq, vp, VP_RUNNING); // woken since: its place was chosen before
	if (vp->run_state == VP_RUNNING)
		run_queue_add(rq, vp);
	else
		share_settle(rq, share_of(vp)); // its siblings may wait
}

// Does somebody wait who is so far behind RUNNING that its turn ends before the slice?
static bool is_behind(const struct fair_queue *queue, const struct fair *running)
{
	const struct fair *first = fair_first(queue);

	return first && fair_before(first->vruntime + slice_ticks() / 4, running->vruntime);
}

bool run_queue_turn_over(struct run_queue *rq, uint64_t now)
{
	struct share *share = current_share(rq);
	struct vp *vp = rq->current;

	account(rq, now);
	if (now >= rq->slice_end && (rq->queued || vp->due > now))
		return true;
	if (now >= rq->slice_end || rq->slice_end == UINT64_MAX || !turn_ends(rq)) {
		rq->slice_end = turn_end(rq, now);
		vp->cpu->timers_changed = true;
	}
	return is_behind(&rq->shares, &share->fair) || is_behind(&share->vps, &vp->fair);
}

uint64_t run_queue_tick(struct run_queue *rq, uint64_t now, bool *any)
{
	struct vp *vp;

	*any = false;
	while ((vp = list_first(&rq->capped, struct vp, fair.link)) && vp->due <= now) {
		list_remove(&vp->fair.link);
		run_queue_wake(rq, vp);
		*any = true;
	}
	return MIN(rq->slice_end, vp ? vp->due : UINT64_MAX);
}
