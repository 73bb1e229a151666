// SPDX-License-Identifier: BSD-2-Clause
// Partitions from creation to deletion, their memory, VPs and registers: through hypercalls, on the
// real core.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>

#include "hypercall/memory.h"
#include "hypercall/msr.h"
#include "hypercall/registers.h"
#include "hypercall/stats.h"
#include "hypervisor/core/backend.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/guest_mem.h"
#include "hypervisor/x86/msr.h"

#define PAGE(n) ((n)*4096ull)

static struct vp *vp;

static void setup(void)
{
	machine_setup();
	vp = root_vp(0);
}

static void teardown(void)
{
	machine_check();
}

TestSuite(partition, .init = setup, .fini = teardown, .timeout = 60);

static hv_status simple(uint16_t code, const uint64_t *in, unsigned int words)
{
	return machine_call(vp, code, in, words * 8, NULL, 0);
}

#define CALL(code, ...)                                                                            \
	simple(code, (const uint64_t[]){ __VA_ARGS__ },                                            \
		sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static hv_partition_id create(void)
{
	const uint64_t in[7] = { 0 };
	hv_partition_id id;

	cr_assert_eq(machine_call(vp, HvCallCreatePartition, in, sizeof(in), &id, sizeof(id)), 0);
	return id;
}

// --- life ---

Test(partition, states)
{
	hv_partition_id id = create();
	unsigned int pages = 0;
	hv_status status;

	cr_assert_eq(CALL(HvCallCreateVp, id, 0, 0, 0, 0), HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(CALL(HvCallFinalizePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(CALL(HvCallInitializePartition, id), HV_STATUS_INSUFFICIENT_MEMORY);
	cr_assert_eq(partition_find(id)->pool.free_pages, 0);
	do {
		cr_assert_eq(partition_find(id)->pool.free_pages, pages, "all is given back");
		cr_assert_eq(machine_deposit(id, MACHINE_CHILD_PAGE + pages++, 1), 0);
		status = CALL(HvCallInitializePartition, id);
	} while (status == HV_STATUS_INSUFFICIENT_MEMORY);
	cr_assert_eq(status, 0);
	cr_assert_eq(CALL(HvCallInitializePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(CALL(HvCallCreateVp, id, 0, 0, 0, 0), HV_STATUS_INSUFFICIENT_MEMORY);
	cr_assert_eq(CALL(HvCallDeletePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(CALL(HvCallFinalizePartition, id), 0);
	cr_assert_eq(CALL(HvCallFinalizePartition, id), HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(CALL(HvCallCreateVp, id, 0, 0, 0, 0), HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(machine_deposit(id, MACHINE_CHILD_PAGE + pages, 1),
		HV_STATUS_INVALID_PARTITION_STATE);
	cr_assert_eq(CALL(HvCallDeletePartition, id), HV_STATUS_OPERATION_DENIED,
		"the pool is not empty");
	cr_assert_eq(machine_destroy(id), pages);
	cr_assert_eq(CALL(HvCallFinalizePartition, id), HV_STATUS_INVALID_PARTITION_ID);
}

Test(partition, comes_and_goes_without_a_trace)
{
	hv_partition_id last = 0;
	uint64_t free_pages, mapped;

	machine_destroy(machine_child(0, 4, 64)->id); // splits what it has to
	free_pages = root_partition->pool.free_pages;
	mapped = root_partition->gpa.mapped_pages;
	for (int i = 0; i < 100; i++) {
		struct partition *child = machine_child(0, 4, 64);

		cr_assert_gt(child->id, last, "ids are not used again");
		last = child->id;
		cr_assert_eq(machine_destroy(child->id), 200);
		cr_assert_eq(root_partition->pool.free_pages, free_pages);
		cr_assert_eq(root_partition->gpa.mapped_pages, mapped);
		cr_assert_null(partition_find(last));
	}
}

Test(partition, creation_takes_from_the_parents_pool)
{
	const uint64_t withdraw[2] = { HV_PARTITION_ID_SELF };
	const uint64_t in[7] = { 0 };
	uint64_t pages[512];
	hv_partition_id id;
	uint32_t done;

	while (!machine_call_rep(vp, HvCallWithdrawMemory, 500, withdraw, sizeof(withdraw), pages,
		sizeof(pages), &done))
		;
	cr_assert_eq(root_partition->pool.free_pages, 0);
	cr_assert_eq(machine_call(vp, HvCallCreatePartition, in, sizeof(in), &id, sizeof(id)),
		HV_STATUS_INSUFFICIENT_MEMORY);
}

Test(partition, creation_flags)
{
	uint64_t in[7] = { HV_PARTITION_CREATION_FLAG_NESTED_VIRTUALIZATION_CAPABLE };

	cr_assert_eq(simple(HvCallCreatePartition, in, 7), HV_STATUS_INVALID_PARAMETER);
	in[0] = 0;
	in[6] = 1; // reserved
	cr_assert_eq(simple(HvCallCreatePartition, in, 7), HV_STATUS_INVALID_PARAMETER);
}

Test(partition, children_are_listed_in_the_order_of_their_creation)
{
	hv_partition_id a = create(), b = create(), c = create(), next;
	uint64_t in[2] = { HV_PARTITION_ID_SELF, HV_PARTITION_ID_INVALID };
	const hv_partition_id expected[] = { a, b, c, HV_PARTITION_ID_INVALID };

	for (unsigned int i = 0; i < ARRAY_SIZE(expected); i++) {
		cr_assert_eq(machine_call(vp, HvCallGetNextChildPartition, in, sizeof(in), &next,
				     sizeof(next)),
			0);
		cr_assert_eq(next, expected[i]);
		in[1] = next;
	}
	machine_destroy(b);
	in[1] = b;
	cr_assert_eq(
		machine_call(vp, HvCallGetNextChildPartition, in, sizeof(in), &next, sizeof(next)),
		HV_STATUS_INVALID_PARTITION_ID);
	in[1] = a;
	cr_assert_eq(
		machine_call(vp, HvCallGetNextChildPartition, in, sizeof(in), &next, sizeof(next)),
		0);
	cr_assert_eq(next, c);
}

Test(partition, a_child_has_no_rights_over_others)
{
	struct partition *child = machine_child(0, 1, 16), *sibling = machine_child(1, 1, 16);
	struct vp *child_vp = child->vps[0];
	const uint64_t names[] = { sibling->id, 0, HvX64RegisterRip };
	uint64_t value[2];

	// No privilege to manage partitions: refused before it is looked who is named.
	cr_assert_eq(machine_call(child_vp, HvCallFinalizePartition, &sibling->id, 8, NULL, 0),
		HV_STATUS_ACCESS_DENIED);
	cr_assert_eq(machine_call_rep(child_vp, HvCallGetVpRegisters, 1, names, sizeof(names),
			     value, sizeof(value), NULL),
		HV_STATUS_ACCESS_DENIED);
	// With a privilege for itself it is told nothing about others, whether they exist or not.
	child->privileges |= HV_PRIVILEGE_ACCESS_VP_REGISTERS;
	for (unsigned int i = 0; i < 3; i++) {
		const uint64_t in[] = { (const uint64_t[]){
						sibling->id, PARTITION_ROOT_ID, 999 }[i],
			0, HvX64RegisterRip };

		cr_assert_eq(machine_call_rep(child_vp, HvCallGetVpRegisters, 1, in, sizeof(in),
				     value, sizeof(value), NULL),
			HV_STATUS_ACCESS_DENIED);
	}
	child_vp->regs.rip = 0x1234;
	cr_assert_eq(machine_call_rep(child_vp, HvCallGetVpRegisters, 1,
			     (const uint64_t[]){
				     HV_PARTITION_ID_SELF, HV_VP_INDEX_SELF, HvX64RegisterRip },
			     24, value, sizeof(value), NULL),
		0);
	cr_assert_eq(value[0], 0x1234);
}

Test(partition, the_root_does_not_manage_itself)
{
	cr_assert_eq(CALL(HvCallFinalizePartition, HV_PARTITION_ID_SELF), HV_STATUS_ACCESS_DENIED);
	cr_assert_eq(CALL(HvCallFinalizePartition, PARTITION_ROOT_ID), HV_STATUS_ACCESS_DENIED);
	cr_assert_eq(CALL(HvCallDeletePartition, PARTITION_ROOT_ID), HV_STATUS_ACCESS_DENIED);
	cr_assert_eq(CALL(HvCallDeleteVp, HV_PARTITION_ID_SELF, 0), HV_STATUS_ACCESS_DENIED);
	cr_assert_eq(
		CALL(HvCallCreateVp, HV_PARTITION_ID_SELF, 5, 0, 0, 0), HV_STATUS_ACCESS_DENIED);
}

// Somebody else works on the partition: the call is to be issued again, and goes through when they
// are done.
Test(partition, holds)
{
	struct partition *child = machine_child(0, 1, 16);

	cr_assert(partition_hold(child, PARTITION_SHARED));
	cr_assert(partition_hold(child, PARTITION_SHARED));
	cr_assert(!partition_hold(child, PARTITION_EXCLUSIVE));
	*(uint64_t *)machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)) = child->id;
	vp->regs.gpr[RCX] = HvCallFinalizePartition;
	vp->regs.gpr[RDX] = PAGE(MACHINE_IN_PAGE);
	cr_assert(!machine_call_once(vp), "RIP stays");
	cr_assert_eq(vp->regs.gpr[RCX], HvCallFinalizePartition);
	partition_release(child, PARTITION_SHARED);
	partition_release(child, PARTITION_SHARED);
	cr_assert(partition_hold(child, PARTITION_EXCLUSIVE));
	cr_assert(!partition_hold(child, PARTITION_SHARED));
	partition_release(child, PARTITION_EXCLUSIVE);
	cr_assert(machine_call_once(vp));
	cr_assert_eq(child->holds, 0);
	machine_destroy(child->id);
}

// A child whose VPs take shared holds one after the other (HvCallStartVirtualProcessor) cannot keep
// its parent from an exclusive one; nor can a parent that does not come back lock the child out.
Test(partition, an_exclusive_hold_is_next)
{
	struct partition *child = machine_child(0, 1, 16);

	machine_clock = tsc_read();
	cr_assert(partition_hold(child, PARTITION_SHARED));
	cr_assert(!partition_hold(child, PARTITION_EXCLUSIVE));
	cr_assert(!partition_hold(child, PARTITION_SHARED), "overtakes");
	partition_release(child, PARTITION_SHARED);
	cr_assert(!partition_hold(child, PARTITION_SHARED), "overtakes");
	cr_assert(partition_hold(child, PARTITION_EXCLUSIVE));
	partition_release(child, PARTITION_EXCLUSIVE);
	cr_assert(partition_hold(child, PARTITION_SHARED));
	cr_assert(!partition_hold(child, PARTITION_EXCLUSIVE));
	machine_clock += tsc_hz / 10;
	cr_assert(partition_hold(child, PARTITION_SHARED), "the claim is for good");
	partition_release(child, PARTITION_SHARED);
	partition_release(child, PARTITION_SHARED);
	machine_destroy(child->id);
}

// The same for the one who may examine a VP: the parent goes before the VP's siblings.
Test(partition, the_parent_examines_next)
{
	struct partition *child = machine_child(0, 2, 16);
	struct vp *sibling = child->vps[0], *target = child->vps[1];
	const uint64_t get[3] = { child->id, 1, HvX64RegisterRip };
	const uint64_t start[30] = { HV_PARTITION_ID_SELF, 1 };

	machine_clock = tsc_read();
	target->examined = true; // a sibling's call has it in hand
	memcpy(machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)), get, sizeof(get));
	vp->regs.gpr[RCX] = hv_call_control(HvCallGetVpRegisters, 0, 1, 0);
	vp->regs.gpr[RDX] = PAGE(MACHINE_IN_PAGE);
	vp->regs.gpr[R8] = PAGE(MACHINE_IN_PAGE + 1);
	cr_assert(!machine_call_once(vp));
	target->examined = false; // and lets go
	memcpy(machine_memory(child, PAGE(MACHINE_CHILD_IN_PAGE)), start, sizeof(start));
	sibling->regs.gpr[RCX] = HvCallStartVirtualProcessor;
	sibling->regs.gpr[RDX] = PAGE(MACHINE_CHILD_IN_PAGE);
	cr_assert(!machine_call_once(sibling), "the sibling is next again");
	cr_assert(machine_call_once(vp));
	cr_assert(machine_call_once(sibling));
	machine_run(vp);
	machine_destroy(child->id);
}

Test(partition, properties)
{
	hv_partition_id id = create();
	const uint64_t get_weight[2] = { id, HvPartitionPropertyCpuWeight };
	uint64_t value;

	cr_assert_eq(CALL(HvCallSetPartitionProperty, id, HvPartitionPropertyCpuWeight, 250), 0);
	cr_assert_eq(machine_call(vp, HvCallGetPartitionProperty, get_weight, sizeof(get_weight),
			     &value, 8),
		0);
	cr_assert_eq(value, 250);
	cr_assert_eq(CALL(HvCallSetPartitionProperty, id, HvPartitionPropertyCpuWeight, 0),
		HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
	cr_assert_eq(CALL(HvCallSetPartitionProperty, id, HvPartitionPropertyGuestOsId, 1),
		HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
	cr_assert_eq(CALL(HvCallSetPartitionProperty, id, 0x12345, 1), HV_STATUS_UNKNOWN_PROPERTY);
	cr_assert_eq(CALL(HvCallSetPartitionProperty, id, HvPartitionPropertyPrivilegeFlags,
			     HV_PRIVILEGE_CREATE_PARTITIONS),
		HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE, "a parent cannot give what is a parent's");
	cr_assert_eq(CALL(HvCallSetPartitionProperty, id, HvPartitionPropertyPrivilegeFlags,
			     HV_PRIVILEGE_SIGNAL_EVENTS),
		0);
	cr_assert_eq(partition_find(id)->privileges, HV_PRIVILEGE_SIGNAL_EVENTS);
	cr_assert_eq(CALL(HvCallSetPartitionProperty, HV_PARTITION_ID_SELF,
			     HvPartitionPropertyPrivilegeFlags, 0),
		HV_STATUS_INVALID_PARTITION_STATE, "an early property");
}

// --- pools ---

Test(partition, deposited_pages_leave_the_root)
{
	hv_partition_id id = create();
	uint64_t page = MACHINE_CHILD_PAGE + 3, spa;
	const uint64_t balance[2] = { id };
	uint64_t counts[2];

	memset(machine_memory(root_partition, PAGE(page)), 0xaa, 4096);
	cr_assert_eq(machine_deposit(id, page, 1), 0);
	cr_assert(!gpa_map_lookup(&root_partition->gpa, page, GPA_READ, &spa));
	cr_assert(gpa_map_lookup(&root_partition->gpa, page + 1, GPA_RWX, &spa));
	cr_assert(frame_is_hypervisor(page));
	cr_assert_eq(
		machine_vp(root_vp(1))->flushes > 0, true, "the other processor has forgotten it");
	cr_assert_eq(machine_call(vp, HvCallGetMemoryBalance, balance, sizeof(balance), counts,
			     sizeof(counts)),
		0);
	cr_assert_eq(counts[0], 1);
	cr_assert_eq(counts[1], 0);
	cr_assert_eq(machine_deposit(id, page, 1), HV_STATUS_OPERATION_DENIED, "twice");
	cr_assert_eq(machine_destroy(id), 1);
	cr_assert(gpa_map_lookup(&root_partition->gpa, page, GPA_RWX, &spa));
	cr_assert_eq(spa, page);
	cr_assert_eq(*(uint64_t *)machine_memory(root_partition, PAGE(page)), 0, "zeroed");
}

Test(partition, deposits_that_are_refused)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t given = MACHINE_CHILD_PAGE + 256; // the child has it
	uint64_t pages[4] = { child->id, MACHINE_CHILD_PAGE + 700, given,
		MACHINE_CHILD_PAGE + 701 };
	uint64_t total = child->pool.total_pages;
	uint32_t done;

	cr_assert_eq(machine_deposit(child->id, given, 1), HV_STATUS_OPERATION_DENIED,
		"mapped in a child");
	cr_assert_eq(
		machine_deposit(child->id, 5, 1), HV_STATUS_OPERATION_DENIED, "the hypervisor's");
	cr_assert_eq(machine_deposit(child->id, MACHINE_PAGES, 1), HV_STATUS_OPERATION_DENIED,
		"beyond RAM");
	cr_assert_eq(machine_deposit(child->id, UINT64_MAX, 1), HV_STATUS_OPERATION_DENIED);
	cr_assert_eq(child->pool.total_pages, total);
	// What comes before the bad one is done.
	cr_assert_eq(
		machine_call_rep(vp, HvCallDepositMemory, 3, pages, sizeof(pages), NULL, 0, &done),
		HV_STATUS_OPERATION_DENIED);
	cr_assert_eq(done, 1);
	cr_assert_eq(child->pool.total_pages, total + 1);
}

Test(partition, an_overlay_cannot_be_deposited)
{
	uint64_t page = MACHINE_CHILD_PAGE + 9;

	cr_assert(partition_place_page(root_partition, &vp->synic.sim_overlay, vp->synic.sim_page,
		PAGE(page) | 1, GPA_READ | GPA_WRITE));
	cr_assert_eq(machine_deposit(HV_PARTITION_ID_SELF, page, 1), HV_STATUS_OPERATION_DENIED);
	overlay_clear(&root_partition->gpa, &vp->synic.sim_overlay);
	cr_assert_eq(machine_deposit(HV_PARTITION_ID_SELF, page, 1), 0);
}

// The root lays an overlay where a deposited page was: that page cannot come back there, and is not
// lost.
Test(partition, withdrawal_meets_an_overlay)
{
	hv_partition_id id = create();
	const uint64_t in[2] = { id };
	uint64_t page = MACHINE_CHILD_PAGE, out;
	uint32_t done;

	cr_assert_eq(machine_deposit(id, page, 1), 0);
	cr_assert(partition_place_page(root_partition, &vp->synic.sim_overlay, vp->synic.sim_page,
		PAGE(page) | 1, GPA_READ | GPA_WRITE));
	machine_call_rep(vp, HvCallWithdrawMemory, 1, in, sizeof(in), &out, 8, &done);
	overlay_clear(&root_partition->gpa, &vp->synic.sim_overlay);
	if (done) {
		cr_assert_eq(out, page);
		cr_assert(!frame_is_hypervisor(page));
	} else {
		cr_assert_eq(partition_find(id)->pool.total_pages, 1);
		cr_assert_eq(machine_destroy(id), 1);
	}
}

// --- GPA space ---

static hv_status map(hv_partition_id id, uint64_t to, uint32_t flags, const uint64_t *pages,
	unsigned int count, uint32_t *done)
{
	uint64_t in[64] = { id, to, flags };

	memcpy(in + 3, pages, count * 8);
	return machine_call_rep(vp, HvCallMapGpaPages, count, in, (3 + count) * 8, NULL, 0, done);
}

static hv_status unmap(hv_partition_id id, uint64_t from, uint32_t flags, unsigned int count)
{
	const uint64_t in[3] = { id, from, flags };

	return machine_call_rep(vp, HvCallUnmapGpaPages, count, in, sizeof(in), NULL, 0, NULL);
}

Test(partition, child_memory_is_the_roots_page)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t page = MACHINE_CHILD_PAGE + 700, value = 0;

	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_PERMISSIONS_MASK, &page, 1, NULL), 0);
	*(uint64_t *)machine_memory(root_partition, PAGE(page) + 8) = 0x1122334455667788;
	cr_assert(guest_read(child, gpa(PAGE(100) + 8), &value, sizeof(value)));
	cr_assert_eq(value, 0x1122334455667788);
	cr_assert(!frame_take(page), "the frame is counted");
	cr_assert_eq(unmap(child->id, 100, 0, 1), 0);
	cr_assert(!guest_read(child, gpa(PAGE(100)), &value, 1));
	cr_assert_eq(unmap(child->id, 100, 0, 1), 0, "what is not mapped is passed over");
	cr_assert_eq(machine_deposit(child->id, page, 1), 0, "the frame is free again");
}

Test(partition, access_rights)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t page = MACHINE_CHILD_PAGE + 700;
	const uint32_t bad[] = { 0, HV_MAP_GPA_WRITABLE, HV_MAP_GPA_EXECUTABLE,
		HV_MAP_GPA_READABLE | HV_MAP_GPA_NO_ACCESS, HV_MAP_GPA_READABLE | HV_MAP_GPA_ONES,
		HV_MAP_GPA_READABLE | HV_MAP_GPA_NOT_CACHED, HV_MAP_GPA_READABLE | 1 << 6 };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(map(child->id, 100, bad[i], &page, 1, NULL),
			HV_STATUS_INVALID_PARAMETER, "flags %x", bad[i]);
	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_READABLE, &page, 1, NULL), 0);
	cr_assert(guest_read(child, gpa(PAGE(100)), &page, 4));
	cr_assert(!guest_write(child, gpa(PAGE(100)), &page, 4));
}

Test(partition, a_new_mapping_supersedes_the_old_one)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t pages[] = { MACHINE_CHILD_PAGE + 700, MACHINE_CHILD_PAGE + 701,
		MACHINE_CHILD_PAGE + 702 };
	uint32_t done;

	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_PERMISSIONS_MASK, pages, 3, NULL), 0);
	pages[0] = pages[1] = pages[2] = MACHINE_CHILD_PAGE + 710;
	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_PERMISSIONS_MASK, pages, 3, &done), 0);
	cr_assert_eq(done, 3);
	cr_assert_eq(
		machine_memory(child, PAGE(101)), machine_memory(root_partition, PAGE(pages[0])));
	cr_assert(frame_take(MACHINE_CHILD_PAGE + 701), "the old frame is free");
	frame_release(MACHINE_CHILD_PAGE + 701);
	cr_assert_eq(child->gpa.mapped_pages, 16 + 3);
}

Test(partition, sources_that_are_refused)
{
	struct partition *child = machine_child(0, 1, 16);
	const uint64_t bad[] = { 5, MACHINE_PAGES, 1ull << 35 };
	uint64_t pages[] = { MACHINE_CHILD_PAGE + 700, 5, MACHINE_CHILD_PAGE + 701 };
	uint32_t done;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(map(child->id, 100, HV_MAP_GPA_PERMISSIONS_MASK, &bad[i], 1, NULL),
			HV_STATUS_OPERATION_DENIED);
	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_PERMISSIONS_MASK,
			     (const uint64_t[]){ 1ull << 60 }, 1, NULL),
		HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_PERMISSIONS_MASK, pages, 3, &done),
		HV_STATUS_OPERATION_DENIED);
	cr_assert_eq(done, 1);
	cr_assert_eq(map(child->id, 1ull << 36, HV_MAP_GPA_PERMISSIONS_MASK, pages, 1, NULL),
		HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(map(child->id, UINT64_MAX, HV_MAP_GPA_PERMISSIONS_MASK, pages, 1, NULL),
		HV_STATUS_INVALID_PARAMETER);
	// The hypervisor's own pages, as the root sees them: its SIM page.
	cr_assert(partition_place_page(root_partition, &vp->synic.sim_overlay, vp->synic.sim_page,
		PAGE(2000) | 1, GPA_READ | GPA_WRITE));
	cr_assert_eq(map(child->id, 100, HV_MAP_GPA_READABLE, (const uint64_t[]){ 2000 }, 1, NULL),
		HV_STATUS_OPERATION_DENIED);
}

Test(partition, large_pages)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t large = 2048, odd = 2049, value;

	cr_assert_eq(map(child->id, 512, HV_MAP_GPA_PERMISSIONS_MASK | HV_MAP_GPA_LARGE_PAGE,
			     &large, 1, NULL),
		0);
	cr_assert_eq(child->gpa.mapped_pages, 16 + 512);
	*(uint64_t *)machine_memory(root_partition, PAGE(2048 + 511)) = 77;
	cr_assert(guest_read(child, gpa(PAGE(512 + 511)), &value, 8));
	cr_assert_eq(value, 77);
	cr_assert_eq(map(child->id, 1024, HV_MAP_GPA_PERMISSIONS_MASK | HV_MAP_GPA_LARGE_PAGE, &odd,
			     1, NULL),
		HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(map(child->id, 1025, HV_MAP_GPA_PERMISSIONS_MASK | HV_MAP_GPA_LARGE_PAGE,
			     &large, 1, NULL),
		HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(
		unmap(child->id, 513, HV_UNMAP_GPA_LARGE_PAGE, 1), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(unmap(child->id, 600, 0, 1), 0, "a small page out of a large one");
	cr_assert(!guest_read(child, gpa(PAGE(600)), &value, 8));
	cr_assert(guest_read(child, gpa(PAGE(601)), &value, 8));
	cr_assert_eq(unmap(child->id, 512, HV_UNMAP_GPA_LARGE_PAGE, 1), 0);
	cr_assert_eq(child->gpa.mapped_pages, 16);
	for (uint64_t page = 2048; page < 2560; page++) {
		cr_assert(frame_take(page), "frame %lu", page);
		frame_release(page);
	}
}

static hv_status map_large(struct partition *child, uint64_t to, uint64_t from)
{
	return map(
		child->id, to, HV_MAP_GPA_PERMISSIONS_MASK | HV_MAP_GPA_LARGE_PAGE, &from, 1, NULL);
}

Test(partition, a_large_page_where_small_ones_were)
{
	struct partition *child = machine_child(0, 1, 16);
	const uint64_t small = 2560;
	uint64_t free;

	cr_assert_eq(map(child->id, 517, HV_MAP_GPA_PERMISSIONS_MASK, &small, 1, NULL), 0);
	cr_assert_eq(map_large(child, 512, 2048), 0, "it supersedes what is mapped");
	cr_assert_eq(child->gpa.mapped_pages, 16 + 512);
	cr_assert(frame_take(small));
	frame_release(small);

	cr_assert_eq(unmap(child->id, 512, HV_UNMAP_GPA_LARGE_PAGE, 1), 0);
	cr_assert_eq(map(child->id, 517, HV_MAP_GPA_PERMISSIONS_MASK, &small, 1, NULL), 0);
	cr_assert_eq(unmap(child->id, 517, 0, 1), 0);
	free = child->pool.free_pages;
	cr_assert_eq(map_large(child, 512, 2048), 0, "only an empty table is there");
	cr_assert_eq(child->pool.free_pages, free + 1, "which comes back");
}

Test(partition, read_and_write_gpa)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t in[6] = { child->id, 8ull << 32, PAGE(3) + 16, 0, 0x1111, 0x2222 };
	uint64_t out[3];

	cr_assert_eq(machine_call(vp, HvCallWriteGpa, in, sizeof(in), out, 8), 0);
	cr_assert_eq((uint32_t)out[0], HvAccessGpaSuccess);
	cr_assert_eq(machine_call(vp, HvCallReadGpa, in, 32, out, sizeof(out)), 0);
	cr_assert_eq(out[1], 0x1111);
	cr_assert_eq(out[2], 0, "only what was asked for");
	in[2] = PAGE(50);
	cr_assert_eq(machine_call(vp, HvCallReadGpa, in, 32, out, sizeof(out)), 0);
	cr_assert_eq((uint32_t)out[0], HvAccessGpaUnmapped);
	in[2] = PAGE(3) + 4096 - 4;
	cr_assert_eq(machine_call(vp, HvCallReadGpa, in, 32, out, sizeof(out)),
		HV_STATUS_INVALID_PARAMETER);
	in[2] = PAGE(3);
	in[1] = 17ull << 32;
	cr_assert_eq(machine_call(vp, HvCallReadGpa, in, 32, out, sizeof(out)),
		HV_STATUS_INVALID_PARAMETER);
	in[1] = 8ull << 32 | 5;
	cr_assert_eq(machine_call(vp, HvCallReadGpa, in, 32, out, sizeof(out)),
		HV_STATUS_INVALID_VP_INDEX);
}

// --- VPs and registers ---

static hv_status get(
	struct partition *child, uint32_t index, uint32_t name, struct hv_register_value *value)
{
	const uint64_t in[] = { child->id, index, name };

	return machine_call_rep(
		vp, HvCallGetVpRegisters, 1, in, sizeof(in), value, sizeof(*value), NULL);
}

static hv_status set(
	struct partition *child, uint32_t index, uint32_t name, uint64_t low, uint64_t high)
{
	const uint64_t in[] = { child->id, index, name, 0, low, high };

	return machine_call_rep(vp, HvCallSetVpRegisters, 1, in, sizeof(in), NULL, 0, NULL);
}

static uint64_t value_of(struct partition *child, uint32_t name)
{
	struct hv_register_value value;

	cr_assert_eq(get(child, 0, name, &value), 0, "register %x", name);
	return value.reg64;
}

Test(partition, creation_of_vps)
{
	struct partition *child = machine_child(0, 2, 16);
	uint64_t free_pages = child->pool.free_pages;

	cr_assert_eq(CALL(HvCallCreateVp, child->id, 0, 0, 0, 0), HV_STATUS_INVALID_VP_INDEX);
	cr_assert_eq(CALL(HvCallCreateVp, child->id, PARTITION_MAX_VPS, 0, 0, 0),
		HV_STATUS_INVALID_VP_INDEX);
	cr_assert_eq(CALL(HvCallCreateVp, child->id, 2, 0, 0, 1), HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(CALL(HvCallCreateVp, child->id, 2, 0, 0, 0), 0);
	cr_assert_eq(child->vp_count, 3);
	cr_assert_eq(CALL(HvCallDeleteVp, child->id, 2), 0);
	cr_assert_eq(CALL(HvCallDeleteVp, child->id, 2), HV_STATUS_INVALID_VP_INDEX);
	cr_assert_eq(child->vp_count, 2);
	cr_assert_eq(child->pool.free_pages, free_pages);
	// TLFS: HvCallCreateVp: suspended; VP 0 is ready, the others wait for a SIPI.
	cr_assert_eq(value_of(child, HvRegisterExplicitSuspend), 1);
	cr_assert_eq(child->vps[0]->activity, VP_ACTIVE);
	cr_assert_eq(child->vps[1]->activity, VP_WAIT_FOR_SIPI);
	cr_assert(!vp_runnable(child->vps[0]));
	cr_assert_eq(set(child, 0, HvRegisterExplicitSuspend, 0, 0), 0);
	cr_assert(vp_runnable(child->vps[0]));
	cr_assert_eq(child->vps[0]->run_state, VP_QUEUED, "it was woken");
}

Test(partition, a_queued_vp_can_be_deleted)
{
	struct partition *child = machine_child(0, 2, 16);

	cr_assert_eq(set(child, 0, HvRegisterExplicitSuspend, 0, 0), 0);
	cr_assert_eq(child->vps[0]->run_state, VP_QUEUED);
	cr_assert_eq(CALL(HvCallDeleteVp, child->id, 0), 0);
	for (unsigned int i = 0; i < MACHINE_CPUS; i++)
		cr_assert(list_empty(&machine_cpus[i].run_queue.shares.waiting));
}

Test(partition, registers)
{
	struct partition *child = machine_child(0, 1, 16);
	struct hv_register_value value;

	for (uint32_t n = 0; n < 16; n++)
		cr_assert_eq(set(child, 0, HvX64RegisterRax + n, 0x1000 + n, 0), 0);
	for (uint32_t n = 0; n < 16; n++)
		cr_assert_eq(value_of(child, HvX64RegisterRax + n), 0x1000 + n);
	cr_assert_eq(child->vps[0]->regs.gpr[RSP], 0x1004);
	cr_assert_eq(set(child, 0, HvX64RegisterRflags, 0x202, 0), 0);
	cr_assert_eq(
		set(child, 0, HvX64RegisterRflags, 0x200, 0), HV_STATUS_INVALID_REGISTER_VALUE);
	cr_assert_eq(set(child, 0, HvX64RegisterRflags, 1ull << 40 | 2, 0),
		HV_STATUS_INVALID_REGISTER_VALUE);
	cr_assert_eq(set(child, 0, HvX64RegisterCr3, 0x5000, 0), 0);
	cr_assert_eq(value_of(child, HvX64RegisterCr3), 0x5000);
	cr_assert_eq(
		set(child, 0, HvX64RegisterCr0, 1ull << 32, 0), HV_STATUS_INVALID_REGISTER_VALUE);
	cr_assert_eq(value_of(child, HvX64RegisterRflags), 0x202);
	cr_assert_eq(get(child, 0, 0x7fffffff, &value), HV_STATUS_UNKNOWN_REGISTER_NAME);
	cr_assert_eq(set(child, 0, 0x7fffffff, 0, 0), HV_STATUS_UNKNOWN_REGISTER_NAME);
	cr_assert_eq(
		set(child, 0, HvRegisterVpIndex, 5, 0), HV_STATUS_OPERATION_DENIED, "read-only");
	cr_assert_eq(get(child, 7, HvX64RegisterRax, &value), HV_STATUS_INVALID_VP_INDEX);
	cr_assert_eq(
		get(child, HV_VP_INDEX_SELF, HvX64RegisterRax, &value), HV_STATUS_INVALID_VP_INDEX);
}

Test(partition, registers_of_msrs)
{
	struct partition *child = machine_child(0, 1, 16);

	cr_assert_eq(set(child, 0, HvRegisterSint0 + 2, 0xf3, 0), 0);
	cr_assert_eq(child->vps[0]->synic.sint[2], 0xf3);
	cr_assert_eq(set(child, 0, HvRegisterScontrol, 1, 0), 0);
	cr_assert_eq(value_of(child, HvRegisterScontrol), 1);
	cr_assert_eq(set(child, 0, HvRegisterSipp, PAGE(3) | 1, 0), 0);
	cr_assert_eq(value_of(child, HvRegisterSipp), PAGE(3) | 1);
	cr_assert_eq(machine_memory(child, PAGE(3)), child->vps[0]->synic.sim_page);
	cr_assert_eq(value_of(child, HvX64RegisterApicBase) & 0xfffff000, 0xfee00000);
	cr_assert_eq(set(child, 0, HvRegisterGuestCrashP0 + 2, 0xdead, 0), 0);
	cr_assert_eq(value_of(child, HvRegisterGuestCrashP2), 0xdead);
	cr_assert_eq(set(child, 0, HvX64RegisterTscAux, 3, 0), 0);
	cr_assert_eq(value_of(child, HvX64RegisterTscAux), 3);
}

Test(partition, extended_registers)
{
	struct partition *child = machine_child(0, 1, 16);
	struct hv_register_value value;

	cr_assert_eq(get(child, 0, HvX64RegisterXmm0 + 3, &value), 0);
	cr_assert_eq(value.reg128.low | value.reg128.high, 0);
	cr_assert_eq(set(child, 0, HvX64RegisterXmm0 + 15, 1, 2), 0);
	cr_assert_eq(get(child, 0, HvX64RegisterXmm0 + 15, &value), 0);
	cr_assert_eq(value.reg128.low, 1);
	cr_assert_eq(value.reg128.high, 2);
	cr_assert_eq(get(child, 0, HvX64RegisterFpControlStatus, &value), 0);
	cr_assert_eq(value.fp_control_status.fp_control, 0x37f);
	cr_assert_eq(get(child, 0, HvX64RegisterXmmControlStatus, &value), 0);
	cr_assert_eq(value.xmm_control_status.xmm_status_control, 0x1f80);
	cr_assert_eq(set(child, 0, HvX64RegisterXmmControlStatus, 0, 1 << 16),
		HV_STATUS_INVALID_REGISTER_VALUE);
	cr_assert_eq(set(child, 0, HvX64RegisterXfem, 2, 0), HV_STATUS_INVALID_REGISTER_VALUE);
}

Test(partition, register_lists_stop_at_the_first_error)
{
	struct partition *child = machine_child(0, 1, 16);
	const uint32_t in[] = { child->id, 0, 0, 0, HvX64RegisterRip, 0x7fffffff,
		HvX64RegisterRax };
	struct hv_register_value values[3];
	uint32_t done;

	cr_assert_eq(machine_call_rep(vp, HvCallGetVpRegisters, 3, in, sizeof(in), values,
			     sizeof(values), &done),
		HV_STATUS_UNKNOWN_REGISTER_NAME);
	cr_assert_eq(done, 1);
	cr_assert_eq(values[0].reg64, 0xfff0);
}

// One examiner at a time: two processors must not change the same VP side by side.
Test(partition, one_examiner)
{
	struct partition *child = machine_child(0, 1, 16);
	const uint64_t in[] = { child->id, 0, HvX64RegisterRip };

	child->vps[0]->examined = true;
	memcpy(machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)), in, sizeof(in));
	vp->regs.gpr[RCX] = hv_call_control(HvCallGetVpRegisters, 0, 1, 0);
	vp->regs.gpr[RDX] = PAGE(MACHINE_IN_PAGE);
	vp->regs.gpr[R8] = PAGE(MACHINE_IN_PAGE + 1);
	cr_assert(!machine_call_once(vp));
	cr_assert_eq(child->holds, 0);
	child->vps[0]->examined = false;
	cr_assert(machine_call_once(vp));
	cr_assert(!child->vps[0]->examined);
	cr_assert_eq(child->vps[0]->pause_count, 0);
}

Test(partition, start_virtual_processor)
{
	struct partition *child = machine_child(0, 2, 16);
	uint64_t in[30] = { child->id, 1, 0x1000, 0x2000, 0x2 };

	cr_assert_eq(simple(HvCallStartVirtualProcessor, in, 30), 0);
	cr_assert_eq(child->vps[1]->activity, VP_ACTIVE);
	cr_assert_eq(child->vps[1]->regs.rip, 0x1000);
	cr_assert_eq(simple(HvCallStartVirtualProcessor, in, 30), HV_STATUS_INVALID_VP_STATE);
	in[1] = 9;
	cr_assert_eq(simple(HvCallStartVirtualProcessor, in, 30), HV_STATUS_INVALID_VP_INDEX);
}

Test(partition, vp_index_from_apic_id)
{
	struct partition *child = machine_child(0, 3, 16);
	const uint32_t in[] = { child->id, 0, 0, 0, 2, 0, 9 };
	uint32_t out[3], done;

	cr_assert_eq(machine_call_rep(vp, HvCallGetVpIndexFromApicId, 3, in, sizeof(in), out,
			     sizeof(out), &done),
		HV_STATUS_INVALID_PARAMETER);
	cr_assert_eq(done, 2);
	cr_assert_eq(out[0], 2);
	cr_assert_eq(out[1], 0);
}

// --- statistics ---

Test(partition, statistics_pages)
{
	struct partition *child = machine_child(0, 1, 16);
	uint64_t area = (uint64_t)HvStatsAreaParent << 56,
		 in[4] = { HvStatsObjectVp, child->id, area | 0, 3000 };
	const uint64_t byte = 1;

	child->vps[0]->stats[VpHypercallsCount] = 42;
	cr_assert_eq(simple(HvCallMapStatsPage2, in, 4), 0);
	cr_assert_eq(
		((uint64_t *)machine_memory(root_partition, PAGE(3000)))[VpHypercallsCount], 42);
	cr_assert(!guest_write(root_partition, gpa(PAGE(3000)), &byte, 1), "read-only");
	cr_assert_eq(machine_deposit(HV_PARTITION_ID_SELF, 3000, 1), HV_STATUS_OPERATION_DENIED);
	cr_assert_eq(simple(HvCallUnmapStatsPage, in, 3), 0);
	cr_assert_eq(simple(HvCallUnmapStatsPage, in, 3), HV_STATUS_INVALID_PARAMETER);
	cr_assert(guest_write(root_partition, gpa(PAGE(3000)), &byte, 1), "the page below is back");

	in[2] = area | 4;
	cr_assert_eq(simple(HvCallMapStatsPage2, in, 4), HV_STATUS_INVALID_VP_INDEX);
	in[0] = 5;
	cr_assert_eq(simple(HvCallMapStatsPage2, in, 4), HV_STATUS_INVALID_PARAMETER);
	in[0] = HvStatsObjectPartition;
	in[2] = area;
	cr_assert_eq(simple(HvCallMapStatsPage2, in, 4), 0);
	cr_assert_eq(((uint64_t *)machine_memory(root_partition, PAGE(3000)))[PartitionPartitionId],
		child->id);
	in[3] = 1ull << 40;
	cr_assert_eq(simple(HvCallMapStatsPage2, in, 4), HV_STATUS_INVALID_PARAMETER);
}

Test(partition, statistics_pages_go_with_their_object)
{
	struct partition *child = machine_child(0, 2, 16);
	uint64_t area = (uint64_t)HvStatsAreaParent << 56, spa;

	for (unsigned int i = 0; i < 2; i++)
		cr_assert_eq(
			CALL(HvCallMapStatsPage2, HvStatsObjectVp, child->id, area | i, 3000 + i),
			0);
	cr_assert_eq(CALL(HvCallDeleteVp, child->id, 1), 0);
	cr_assert(gpa_map_lookup(&root_partition->gpa, 3001, GPA_RWX, &spa));
	cr_assert_eq(spa, 3001);
	machine_destroy(child->id);
	cr_assert(gpa_map_lookup(&root_partition->gpa, 3000, GPA_RWX, &spa));
	cr_assert_eq(spa, 3000);
	cr_assert_null(root_partition->gpa.overlays);
}

Test(partition, synthetic_features_are_privileges)
{
	hv_partition_id id = create();

	cr_assert_eq(
		CALL(HvCallSetPartitionProperty, id, HvPartitionPropertySyntheticProcFeatures,
			HV_SYNTHETIC_FEATURE_SYNIC_REGS | HV_SYNTHETIC_FEATURE_HYPERVISOR_PRESENT),
		0);
	cr_assert(partition_find(id)->privileges & HV_PRIVILEGE_ACCESS_SYNIC_REGS);
	cr_assert(!(partition_find(id)->privileges &
		    (HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS | HV_PRIVILEGE_SIGNAL_EVENTS)));
}

// --- idle (TLFS: Virtual Processor Idle Sleep State) ---

Test(partition, an_idle_vp_wakes_by_an_interrupt_that_it_cannot_take)
{
	const struct vp_exit exit = { .reason = EXIT_RDMSR, .insn_length = 2 };

	vp->apic.svr |= 0x100;
	vp->apic.tpr = 0xf0; // nothing has the priority
	vp->regs.rflags = 2; // nor are interrupts enabled
	vp->regs.gpr[RCX] = HV_X64_MSR_GUEST_IDLE;
	vp->regs.gpr[RAX] = 77;
	vp->regs.rip = 0x1000;
	vp->recheck = false;
	msr_read_exit(vp, &exit);
	cr_assert_eq(vp->regs.rip, 0x1002, "the instruction has completed");
	cr_assert_eq(vp->regs.gpr[RAX], 0);
	cr_assert(vp->recheck, "the VP does not go on at once");
	cr_assert(!vp_runnable(vp));
	cr_assert(vapic_interrupt(vp, 0x41, VAPIC_EDGE));
	cr_assert(vp_runnable(vp));
	vp->activity = VP_HALTED;
	cr_assert(!vp_runnable(vp), "HLT needs one that can be taken");
}

static unsigned int entries;

static void halting_guest(struct vp *entered, struct vp_exit *exit)
{
	*exit = (struct vp_exit){ .reason = EXIT_HLT, .insn_length = 1 };
	entries++;
}

// Runs the VP until it blocks; the number of NMIs that it has had.
static unsigned int run_until_blocked(void)
{
	vp->run_state = VP_RUNNING;
	vp_run(vp);
	return machine_vp(vp)->nmis;
}

Test(partition, an_nmi_waits_for_the_end_of_the_one_before)
{
	machine_guest = halting_guest;
	cr_assert_eq(run_until_blocked(), 0);
	machine_vp(vp)->nmi_blocked = true;
	vp_request(vp, VP_REQ_NMI);
	cr_assert_eq(run_until_blocked(), 0);
	cr_assert_eq(entries, 1, "nothing else wakes it");
	machine_vp(vp)->nmi_blocked = false;
	cr_assert_eq(run_until_blocked(), 1);
	cr_assert_eq(entries, 2);
	cr_assert_eq(run_until_blocked(), 1, "one for one");
}

Test(partition, a_single_step_over_an_instruction_of_ours_gives_db)
{
	const struct vp_exit exit = { .reason = EXIT_CPUID, .insn_length = 2 };
	struct hv_register_value dr6 = { 0 };

	vp->regs.rip = 0x1000;
	cpuid_exit(vp, &exit);
	cr_assert_eq(machine_exception(vp), -1);
	vp->regs.rflags |= RFLAGS_TF;
	cpuid_exit(vp, &exit);
	cr_assert_eq(vp->regs.rip, 0x1004);
	cr_assert_eq(machine_exception(vp), 1);
	backend->get_register(vp, HvX64RegisterDr6, &dr6);
	cr_assert_eq(dr6.reg64 & DR6_BS, DR6_BS);
}

Test(partition, a_refused_msr_is_explained_in_the_log)
{
	const struct vp_exit exit = { .reason = EXIT_WRMSR, .insn_length = 2 };

	vp->regs.gpr[RCX] = HV_X64_MSR_VP_INDEX;
	msr_write_exit(vp, &exit);
	cr_assert(strstr(machine_log, "write of MSR 40000002"), "%s", machine_log);
	cr_assert(strstr(machine_log, ": it can only be read"), "%s", machine_log);
	root_partition->privileges = 0;
	msr_write_exit(vp, &exit);
	cr_assert(strstr(machine_log, ": the partition lacks the privilege AccessVpIndex"), "%s",
		machine_log);
	vp->regs.gpr[RCX] = 0xc0010117;
	msr_read_exit(vp, &exit);
	cr_assert(strstr(machine_log, "read of MSR c0010117 at"), "%s", machine_log);
}
