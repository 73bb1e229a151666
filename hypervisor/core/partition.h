// SPDX-License-Identifier: BSD-2-Clause
// Partitions, and how they are found. Lifetimes: what a lookup returns stays valid until this
// processor's next quiescent point (it enters a guest or idles); whoever frees an object first
// unlinks it and then calls quiesce_wait(). Lookups take no lock.
#pragma once

#include "hypercall/partition.h"
#include "hypercall/port.h"
#include "hypercall/status.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/gpa_map.h"
#include "hypervisor/core/grace.h"
#include "hypervisor/core/overlay.h"
#include "hypervisor/core/page_pool.h"
#include "hypervisor/core/vp.h"

#define PARTITION_ROOT_ID  1ull
#define PARTITION_MAX	   1024 // slots of the table
#define PARTITION_MAX_VPS  64
#define PARTITION_OVERLAYS 2 // hypercall page, reference TSC page

enum partition_state { // TLFS: Partition States
	PARTITION_CREATED,
	PARTITION_INITIALIZED,
	PARTITION_FINALIZED,
};

struct port_table; // core/port.c

struct partition {
	hv_partition_id id;
	struct partition *parent;
	uint64_t privileges; // HV_PARTITION_PRIVILEGE_MASK
	uint64_t creation_flags;

	// Guards state, vps[] (writers), properties. Taken before all other locks but sched's.
	struct spinlock lock;
	enum partition_state state;
	bool is_root;

	struct page_pool pool;
	struct gpa_map gpa;
	struct vp *vps[PARTITION_MAX_VPS]; // atomic pointers; NULL = none
	uint32_t vp_count;
	uint32_t cpu_weight, cpu_cap;
	struct share *shares; // by processor; guarded by its run queue's lock (core/run_queue.h)

	// Partition-wide synthetic MSRs; guarded by lock.
	uint64_t guest_os_id, hypercall_msr, reference_tsc_msr;
	void *hypercall_page, *reference_tsc_page;
	struct overlay hypercall_overlay, reference_tsc_overlay;
	uint64_t tsc_origin; // host TSC at reference time 0
	uint64_t tsc_offset; // guest TSC = host TSC + offset
	uint64_t tsc_invariant_control;

	struct port_table *ports;	// that this partition owns
	struct port_table *connections; // that this partition may use

	uint64_t synthetic_features; // HvPartitionPropertySyntheticProcFeatures
	uint32_t unimplemented_msr_action;
	struct intercepts *intercepts; // what the parent installed (core/intercept.c)
	uint64_t *stats;
	struct overlay stats_overlay[2]; // in the parent's map, by enum hv_stats_area_type

	uint32_t holds; // atomic; see partition_hold()
	claim_t exclusive_claim;
};
_Static_assert(sizeof(struct partition) <= PAGE_SIZE, "a partition is one page");

extern struct partition *root_partition;

// Finds a partition by id, which is not HV_PARTITION_ID_SELF. NULL: no such partition.
struct partition *partition_find(hv_partition_id id);

// The child of PARENT that was created next after the one with id PREVIOUS
// (HV_PARTITION_ID_INVALID: the first one); HV_PARTITION_ID_INVALID when there is none.
hv_partition_id partition_next_child(const struct partition *parent, hv_partition_id previous);

// The privileges that a new partition has; CPUID shows them as its features.
uint64_t partition_default_privileges(bool root);

// Sets up PARTITION (zeroed, one page) in state PARTITION_CREATED; PARENT is NULL for the root.
// Needs no page. Not visible yet.
void partition_init(struct partition *partition, struct partition *parent);

// Gives PARTITION an id (the root: PARTITION_ROOT_ID) and makes it visible. False: too many
// partitions.
bool partition_publish(struct partition *partition);

// PARTITION_CREATED -> PARTITION_INITIALIZED: takes from partition->pool what every partition has
// (its GPA map, port and connection tables, statistics, ...). HV_STATUS_INSUFFICIENT_MEMORY, and
// nothing taken, when the pool is dry.
hv_status partition_initialize(struct partition *partition);

// Waiting (vp_pause, partition_flush_gpa, quiesce_wait) ends the validity of lookups, as this
// processor counts as quiescent while it waits. Who waits during work on a partition that is not
// its own first takes a hold: the partition and its VPs then stay until the release. An exclusive
// hold excludes all others; those who destroy take that one. Both are tries and never wait: on
// false, the hypercall is to be executed again (HYPERCALL_RETRY). Once an exclusive one has failed,
// no new shared ones are given until it is tried again (core/claim.h): it waits for those only that
// there are, and a partition cannot keep its parent out.
enum partition_hold_mode { PARTITION_SHARED, PARTITION_EXCLUSIVE };
bool partition_hold(struct partition *partition, enum partition_hold_mode mode);
void partition_release(struct partition *partition, enum partition_hold_mode mode);

// The VP with INDEX, or NULL.
static inline struct vp *partition_vp(struct partition *partition, uint32_t index)
{
	return index < PARTITION_MAX_VPS
		       ? load_acquire(partition->vps[index_nospec(index, PARTITION_MAX_VPS)])
		       : NULL;
}

#define partition_for_each_vp(vp, partition)                                                       \
	for (uint32_t i_ = 0; i_ < PARTITION_MAX_VPS; i_++)                                        \
		if ((vp = partition_vp(partition, i_)))

// The VP that gets what is for anybody in PARTITION: the root's on this processor, so that no other
// one is disturbed. NULL: no VP.
struct vp *partition_local_vp(struct partition *partition);

// Brings PARTITION's statistics page up to date, where counts have changed.
void partition_update_stats(struct partition *partition);

// Shows PAGE in the partition's GPA space where WHERE, a register of the form that the TLFS has for
// such pages (HV_X64_MSR_PAGE_ENABLE), says, or takes it away. TLFS: a page beyond the GPA space is
// not accessible to the guest, and no fault. OVERLAY is its own. Returns when all VPs see the
// change; locks may be held. False: not now, nothing has changed (overlay_move()): the guest is to
// execute its instruction, or hypercall, again.
bool partition_place_page(struct partition *partition, struct overlay *overlay, void *page,
	uint64_t where, unsigned int access);

// Removes the overlays that show an object's statistics from its parent's map, in two steps. True:
// there was one, the caller has to flush the parent's. Once a grace period is over: lets go of
// them.
bool stats_overlays_clear(struct partition *parent, struct overlay overlays[2]);
void stats_overlays_free(struct partition *parent, struct overlay overlays[2]);

// The VPs of the partition in MASK drop all their translations before this returns (those in a
// guest are brought out); partition_flush_gpa(): all of them, as second-level entries have changed.
// Locks may be held. Does not wait for a grace period.
void partition_flush_vps(struct partition *partition, uint64_t mask);
#define partition_flush_gpa(partition) partition_flush_vps(partition, UINT64_MAX)

// Frees all ports and connections of a partition that nobody can find them in any more. Its VPs are
// destroyed.
void ports_destroy(struct partition *partition);

// TLFS reference time of the partition at a host TSC value.
static inline uint64_t partition_reference_time(
	const struct partition *partition, uint64_t host_tsc)
{
	return tsc_to_100ns(host_tsc - partition->tsc_origin);
}
