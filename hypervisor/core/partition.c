// SPDX-License-Identifier: BSD-2-Clause
// Partitions: the table of ids, holds, and the way from creation to deletion with its hypercalls
// (TLFS: Partition Management).
#include "hypervisor/core/partition.h"
#include "hypercall/cpuid.h"
#include "hypercall/stats.h"
#include "hypervisor/core/hypercall.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/trace.h"

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
	struct partition *partition = load_acquire(*slot_of(id));

	return partition && partition->id == id ? partition : NULL;
}

bool partition_publish(struct partition *partition)
{
	spin_guard(&table_lock);
	for (unsigned int tries = 0; tries < PARTITION_MAX; tries++) {
		last_id++;
		if (!*slot_of(last_id)) {
			partition->id = last_id;
			store_release(*slot_of(last_id), partition);
			return true;
		}
	}
	return false;
}

static bool take_hold(struct partition *partition, bool exclusive)
{
	uint32_t holds = READ_ONCE(partition->holds), wanted;

	do {
		if (holds & HOLD_EXCLUSIVE || (exclusive && holds))
			return false;
		wanted = exclusive ? HOLD_EXCLUSIVE : holds + 1;
	} while (!__atomic_compare_exchange_n(
		&partition->holds, &holds, wanted, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

bool partition_hold(struct partition *partition, enum partition_hold_mode mode)
{
	bool exclusive = mode == PARTITION_EXCLUSIVE;
	bool taken = (exclusive || !claim_stands(&partition->exclusive_claim)) &&
		     take_hold(partition, exclusive);

	if (exclusive)
		claim_set(&partition->exclusive_claim, !taken);
	return taken;
}

void partition_release(struct partition *partition, enum partition_hold_mode mode)
{
	__atomic_fetch_sub(&partition->holds, mode == PARTITION_EXCLUSIVE ? HOLD_EXCLUSIVE : 1,
		__ATOMIC_RELEASE);
}

uint64_t partition_default_privileges(bool root)
{
	uint64_t child =
		HV_PRIVILEGE_ACCESS_VP_RUNTIME | HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER |
		HV_PRIVILEGE_ACCESS_SYNIC_REGS | HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS |
		HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS | HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS |
		HV_PRIVILEGE_ACCESS_VP_INDEX | HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC |
		HV_PRIVILEGE_ACCESS_FREQUENCY_REGS | HV_PRIVILEGE_ACCESS_TSC_INVARIANT_CONTROLS |
		HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG | HV_PRIVILEGE_POST_MESSAGES |
		HV_PRIVILEGE_SIGNAL_EVENTS | HV_PRIVILEGE_FAST_HYPERCALL_OUTPUT |
		HV_PRIVILEGE_START_VIRTUAL_PROCESSOR;
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
	partition->cpu_cap = CPU_CAP_FULL;
	partition->tsc_origin = tsc_read();
	// A child's clocks begin with it; the root's TSC is the machine's, which its firmware and
	// its devices have seen.
	partition->tsc_offset = parent ? -partition->tsc_origin : tsc_start;
}

// Where PARTITION's pages are noted. NULL: no further one.
static void **page_slots(void *owner, unsigned int i)
{
	struct partition *partition = owner;
	void **pages[] = { (void **)&partition->ports, (void **)&partition->connections,
		(void **)&partition->intercepts, (void **)&partition->stats,
		(void **)&partition->shares, &partition->hypercall_page,
		&partition->reference_tsc_page };

	return i < ARRAY_SIZE(pages) ? pages[i] : NULL;
}

static bool take_pages(struct partition *partition)
{
	return gpa_map_init(&partition->gpa, &partition->pool, !partition->is_root) &&
	       overlays_provide(&partition->gpa, PARTITION_OVERLAYS) &&
	       pages_alloc(&partition->pool, page_slots, partition);
}

static void give_pages_back(struct partition *partition)
{
	gpa_map_destroy(&partition->gpa);
	pages_free(&partition->pool, page_slots, partition);
}

hv_status partition_initialize(struct partition *partition)
{
	if (partition->state != PARTITION_CREATED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	if (!take_pages(partition)) {
		give_pages_back(partition);
		return HV_STATUS_INSUFFICIENT_MEMORY;
	}
	shares_init(partition->shares);
	store_release(partition->state, PARTITION_INITIALIZED);
	trace(LUMEN_TRACE_PARTITION, NULL, partition->id, PARTITION_INITIALIZED);
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
	if (load_acquire(partition->state) != PARTITION_INITIALIZED)
		return;
	stats = partition->stats;
	stats[PartitionPartitionId] = partition->id;
	stats[PartitionVirtualProcessors] = partition->vp_count;
	stats[PartitionDepositedPages] = partition->pool.total_pages;
	stats[PartitionGpaPages] = partition->gpa.mapped_pages;
}

bool partition_place_page(struct partition *partition, struct overlay *overlay, void *page,
	uint64_t where, unsigned int access)
{
	uint64_t gpa_page = where >> HV_X64_MSR_PAGE_SHIFT;
	enum gpa_mover mover;

	if (!(where & HV_X64_MSR_PAGE_ENABLE) || gpa_page >> (GPA_BITS - PAGE_SHIFT))
		gpa_page = OVERLAY_NOWHERE;
	if (gpa_page == overlay_place(overlay))
		return true;
	mover = this_cpu()->run_queue.current->partition == partition ? GPA_MOVER_OWN
								      : GPA_MOVER_PARENT;
	if (!overlay_move(&partition->gpa, overlay, gpa_page, page, access, mover))
		return false;
	partition_flush_gpa(partition);
	overlay_moved(&partition->gpa, overlay, mover);
	return true;
}

bool stats_overlays_clear(struct partition *parent, struct overlay overlays[2])
{
	overlay_clear(&parent->gpa, &overlays[0]);
	overlay_clear(&parent->gpa, &overlays[1]);
	return overlays[0].cleared || overlays[1].cleared;
}

void stats_overlays_free(struct partition *parent, struct overlay overlays[2])
{
	for (int i = 0; i < 2; i++)
		if (overlay_reap(&parent->gpa, &overlays[i]))
			overlays_unprovide(&parent->gpa, 1);
}

// What makes no difference here is accepted: a child has an APIC with x2APIC mode, and large pages,
// in any case.
#define CREATION_FLAGS                                                                             \
	(HV_PARTITION_CREATION_FLAG_SMT_ENABLED_GUEST |                                            \
		HV_PARTITION_CREATION_FLAG_GPA_SUPER_PAGES_ENABLED |                               \
		HV_PARTITION_CREATION_FLAG_EXO_PARTITION |                                         \
		HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED |                                         \
		HV_PARTITION_CREATION_FLAG_X2APIC_CAPABLE)

// Disabled processor features are the parent's wish; those that there are none of are no error.
HANDLER(CreatePartition, create_partition)
{
	struct hv_output_create_partition *out = call->out;
	struct page_pool *pool = &call->partition->pool;
	struct partition *partition;

	if (in->flags & ~CREATION_FLAGS || in->rsvd_z0 || in->rsvd_z1)
		return HV_STATUS_INVALID_PARAMETER;
	partition = page_alloc(pool);
	if (!partition)
		return HV_STATUS_INSUFFICIENT_MEMORY;
	partition_init(partition, call->partition);
	partition->creation_flags = in->flags;
	if (!partition_publish(partition)) {
		page_free(pool, partition);
		return HV_STATUS_NO_RESOURCES;
	}
	out->partition_id = partition->id;
	trace(LUMEN_TRACE_PARTITION, NULL, partition->id, PARTITION_CREATED);
	return HV_STATUS_SUCCESS;
}

HANDLER(InitializePartition, initialize_partition)
{
	return partition_initialize(target);
}

// Destroys all that the partition has; its pages are back in its pool.
HANDLER(FinalizePartition, finalize_partition)
{
	struct partition *parent = target->parent;
	struct vp *vps[PARTITION_MAX_VPS], *vp;
	bool parent_changed;
	uint32_t count = 0;

	// From here on senders find the partition's ports gone (TLFS: it does not receive messages
	// or interrupts).
	spin_lock(&target->lock);
	store_release(target->state, PARTITION_FINALIZED);
	spin_unlock(&target->lock);

	parent_changed = stats_overlays_clear(parent, target->stats_overlay);
	partition_for_each_vp(vp, target)
	{
		vps[count++] = vp;
		parent_changed |= vp_retire(vp);
	}
	if (parent_changed)
		partition_flush_gpa(parent);
	quiesce_wait();

	// Nobody has a VP, a port or the map in hand any more.
	while (count)
		vp_destroy(vps[--count]);
	stats_overlays_free(parent, target->stats_overlay);
	ports_destroy(target);
	give_pages_back(target);
	trace(LUMEN_TRACE_PARTITION, NULL, target->id, PARTITION_FINALIZED);
	return HV_STATUS_SUCCESS;
}

HANDLER(DeletePartition, delete_partition)
{
	struct page_pool *pool = &target->parent->pool;

	if (target->state == PARTITION_INITIALIZED)
		return HV_STATUS_INVALID_PARTITION_STATE;
	if (target->pool.total_pages)
		return HV_STATUS_OPERATION_DENIED; // TLFS: the pool has not been drained
	spin_lock(&table_lock);
	store_release(*slot_of(target->id), NULL);
	spin_unlock(&table_lock);
	// Others may have found it and not yet failed to take a hold.
	quiesce_wait();
	page_free(pool, target);
	return HYPERCALL_TARGET_GONE;
}

hv_status hc_GetPartitionId(struct hypercall *call)
{
	struct hv_output_get_partition_id *out = call->out;

	out->partition_id = call->partition->id;
	return HV_STATUS_SUCCESS;
}

hv_partition_id partition_next_child(const struct partition *parent, hv_partition_id previous)
{
	hv_partition_id next = HV_PARTITION_ID_INVALID;

	spin_guard(&table_lock);
	for (unsigned int i = 0; i < PARTITION_MAX; i++) {
		const struct partition *p = table[i];

		if (p && p->parent == parent && p->id > previous &&
			(next == HV_PARTITION_ID_INVALID || p->id < next))
			next = p->id;
	}
	return next;
}

HANDLER(GetNextChildPartition, get_next_child_partition)
{
	struct hv_output_get_next_child_partition *out = call->out;
	hv_partition_id previous = in->previous_child_partition_id;
	const struct partition *child = partition_find(previous);

	if (previous != HV_PARTITION_ID_INVALID && (!child || child->parent != target))
		return HV_STATUS_INVALID_PARTITION_ID;
	out->next_child_partition_id = partition_next_child(target, previous);
	return HV_STATUS_SUCCESS;
}
