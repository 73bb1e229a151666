// SPDX-License-Identifier: BSD-2-Clause
// Partitions: the table of ids, holds, and the way from creation to deletion (TLFS: Partition
// Management).
#include "hypervisor/core/partition.h"
#include "hypercall/cpuid.h"
#include "hypercall/stats.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/port.h"

#define DEFAULT_CPU_WEIGHT 100 // TLFS: HvPartitionPropertyCpuWeight
#define HOLD_EXCLUSIVE	   0x80000000u

// Ids count up and are never used again (TLFS: unique within the current power cycle); the lower
// bits name the slot.
static struct partition *table[PARTITION_MAX]; // written under table_lock, read without
static struct spinlock table_lock;	       // leaf
static hv_partition_id last_id;

struct partition *root_partition;

static struct partition **slot_of(hv_partition_id id)
{
	return &table[id % PARTITION_MAX];
}

struct partition *partition_find(hv_partition_id id)
{
	struct partition *partition = __atomic_load_n(slot_of(id), __ATOMIC_ACQUIRE);

	return partition && partition->id == id ? partition : NULL;
}

bool partition_publish(struct partition *partition)
{
	bool found = false;

	spin_lock(&table_lock);
	for (unsigned int tries = 0; tries < PARTITION_MAX && !found; tries++) {
		last_id++;
		found = !*slot_of(last_id);
	}
	if (found) {
		partition->id = last_id;
		__atomic_store_n(slot_of(last_id), partition, __ATOMIC_RELEASE);
	}
	spin_unlock(&table_lock);
	return found;
}

hv_partition_id partition_next_child(const struct partition *parent, hv_partition_id previous)
{
	hv_partition_id next = HV_PARTITION_ID_INVALID;

	spin_lock(&table_lock);
	for (unsigned int i = 0; i < PARTITION_MAX; i++) {
		const struct partition *p = table[i];

		if (!p || p->parent != parent || p->id <= previous)
			continue;
		if (next == HV_PARTITION_ID_INVALID || p->id < next)
			next = p->id;
	}
	spin_unlock(&table_lock);
	return next;
}

bool partition_hold(struct partition *partition, enum partition_hold_mode mode)
{
	uint32_t holds = READ_ONCE(partition->holds), wanted;

	do {
		if (holds & HOLD_EXCLUSIVE || (mode == PARTITION_EXCLUSIVE && holds))
			return false;
		wanted = mode == PARTITION_EXCLUSIVE ? HOLD_EXCLUSIVE : holds + 1;
	} while (!__atomic_compare_exchange_n(
		&partition->holds, &holds, wanted, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

void partition_release(struct partition *partition, enum partition_hold_mode mode)
{
	__atomic_fetch_sub(&partition->holds, mode == PARTITION_EXCLUSIVE ? HOLD_EXCLUSIVE : 1,
		__ATOMIC_RELEASE);
}

uint64_t partition_default_privileges(bool root)
{
	uint64_t child = HV_PRIVILEGE_VP_RUNTIME | HV_PRIVILEGE_PARTITION_REFERENCE_COUNTER |
			 HV_PRIVILEGE_SYNIC_REGS | HV_PRIVILEGE_SYNTHETIC_TIMER_REGS |
			 HV_PRIVILEGE_INTR_CTRL_REGS | HV_PRIVILEGE_HYPERCALL_MSRS |
			 HV_PRIVILEGE_VP_INDEX | HV_PRIVILEGE_PARTITION_REFERENCE_TSC |
			 HV_PRIVILEGE_FREQUENCY_REGS | HV_PRIVILEGE_TSC_INVARIANT_CONTROLS |
			 HV_PRIVILEGE_POST_MESSAGES |
			 HV_PRIVILEGE_SIGNAL_EVENTS;
	// Not AccessPartitionId: Linux 6.1 asks for its id at boot when it may, through an output
	// page that it has only as a root with CpuManagement; HV_PARTITION_ID_SELF serves as well.
	uint64_t parent = HV_PRIVILEGE_CREATE_PARTITIONS | HV_PRIVILEGE_ACCESS_MEMORY_POOL |
			  HV_PRIVILEGE_CREATE_PORT | HV_PRIVILEGE_CONNECT_PORT |
			  HV_PRIVILEGE_ACCESS_STATS;

	return root ? child | parent : child;
}

void partition_init(struct partition *partition, struct partition *parent)
{
	partition->parent = parent;
	partition->is_root = !parent;
	partition->privileges = partition_default_privileges(!parent);
	partition->state = PARTITION_CREATED;
	partition->cpu_weight = DEFAULT_CPU_WEIGHT;
	partition->tsc_origin = tsc_read();
	// A child's clocks begin with it; the root's TSC is the machine's, which its firmware and its devices have seen.
	partition->tsc_offset = parent ? -partition->tsc_origin : 0;
}

// What every partition has. All or nothing.
static bool take_pages(struct partition *partition)
{
	struct page_pool *pool = &partition->pool;

	return gpa_map_init(&partition->gpa, pool, !partition->is_root) &&
	       gpa_map_provide(&partition->gpa, PARTITION_OVERLAYS) &&
	       (partition->ports = page_alloc(pool)) &&
	       (partition->connections = page_alloc(pool)) &&
	       (partition->intercepts = page_alloc(pool)) &&
	       (partition->stats = page_alloc(pool)) &&
	       (partition->hypercall_page = page_alloc(pool)) &&
	       (partition->reference_tsc_page = page_alloc(pool));
}

static void free_page(struct partition *partition, void *member)
{
	void **page = member;

	page_free(&partition->pool, *page);
	*page = NULL;
}

static void give_pages_back(struct partition *partition)
{
	gpa_map_destroy(&partition->gpa);
	free_page(partition, &partition->ports);
	free_page(partition, &partition->connections);
	free_page(partition, &partition->intercepts);
	free_page(partition, &partition->stats);
	free_page(partition, &partition->hypercall_page);
	free_page(partition, &partition->reference_tsc_page);
}

hv_status partition_initialize(struct partition *partition)
{
	if (partition->state != PARTITION_CREATED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	if (!take_pages(partition)) {
		give_pages_back(partition);
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	__atomic_store_n(&partition->state, PARTITION_INITIALIZED, __ATOMIC_RELEASE);
	return HV_STATUS_SUCCESS;
}

struct vp *partition_local_vp(struct partition *partition)
{
	uint32_t count = READ_ONCE(partition->vp_count);
	struct vp *vp = count ? partition_vp(partition, this_cpu()->index % count) : NULL;

	if (vp)
		return vp;
	partition_for_each_vp(vp, partition) return vp;
	return NULL;
}

void partition_update_stats(struct partition *partition)
{
	uint64_t *stats;

	// Looked at after the state: what is freed is freed a grace period after that has changed.
	if (__atomic_load_n(&partition->state, __ATOMIC_ACQUIRE) != PARTITION_INITIALIZED)
		return;
	stats = partition->stats;
	stats[PartitionPartitionId] = partition->id;
	stats[PartitionVirtualProcessors] = partition->vp_count;
	stats[PartitionDepositedPages] = partition->pool.total_pages;
	stats[PartitionGpaPages] = partition->gpa.mapped_pages;
}

bool stats_overlays_clear(struct partition *parent, struct overlay overlays[2])
{
	bool cleared = false;

	for (int i = 0; i < 2; i++) {
		if (!overlays[i].active)
			continue;
		overlay_clear(&parent->gpa, &overlays[i]);
		gpa_map_unprovide(&parent->gpa, 1);
		cleared = true;
	}
	return cleared;
}

void partition_finalize(struct partition *partition)
{
	struct partition *parent = partition->parent;
	struct vp *vps[PARTITION_MAX_VPS] = { 0 };
	bool parent_changed;

	ASSERT(parent);
	// From here on senders find the partition's ports gone (TLFS: it does not receive messages
	// or interrupts).
	spin_lock(&partition->lock);
	__atomic_store_n(&partition->state, PARTITION_FINALIZED, __ATOMIC_RELEASE);
	spin_unlock(&partition->lock);

	parent_changed = stats_overlays_clear(parent, partition->stats_overlay);
	for (uint32_t i = 0; i < PARTITION_MAX_VPS; i++) {
		vps[i] = partition_vp(partition, i);
		if (vps[i])
			parent_changed |= vp_retire(vps[i]);
	}
	if (parent_changed)
		partition_flush_gpa(parent);
	quiesce_wait();

	// Nobody has a VP, a port or the map in hand any more.
	for (uint32_t i = 0; i < PARTITION_MAX_VPS; i++)
		if (vps[i])
			vp_destroy(vps[i]);
	ports_destroy(partition);
	give_pages_back(partition);
}

void partition_delete(struct partition *partition)
{
	struct partition *parent = partition->parent;

	spin_lock(&table_lock);
	__atomic_store_n(slot_of(partition->id), NULL, __ATOMIC_RELEASE);
	spin_unlock(&table_lock);
	// Others may have found it and not yet failed to take a hold.
	quiesce_wait();
	page_free(&parent->pool, partition);
}
