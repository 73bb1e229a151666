// SPDX-License-Identifier: BSD-2-Clause
// What is looked up without a lock must not get another use while somebody has it in hand. The
// lookups here are interrupted at each of their steps, and processors that are in the middle of a
// handler meet each call that frees something.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>

#include "hypercall/intercept.h"
#include "hypercall/memory.h"
#include "hypercall/port.h"
#include "hypercall/stats.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/core/run.h"
#include "hypervisor/x86/msr.h"

#define PAGE(n) ((n)*4096ull)
#define RAM	16
#define FAR	(1ull << 27) // without RAM, and with no table in common with any of it

TestSuite(grace, .init = machine_setup);

static enum msr_result place(struct vp *vp, uint64_t page)
{
	return msr_write(vp, HV_X64_MSR_SIMP, PAGE(page) | !!page);
}

// --- a lookup on processor 1, and in the middle of it moves on processor 0 ---

static struct {
	struct vp *vp;
	uint64_t places[2];	  // 0: nowhere
	unsigned int step, moves; // moves happen at that step of the lookup
} mover;

static void move_in_between(void)
{
	struct pcpu *self = machine_cpu;

	if (--mover.step)
		return;
	machine_walk = NULL;
	machine_cpu = &machine_cpus[0];
	machine_cpu->guest_seq++;
	for (unsigned int i = 0; i < mover.moves; i++)
		place(mover.vp, mover.places[~i & 1]);
	machine_cpu->guest_seq++;
	machine_cpu = self;
}

// VP's SIM page is where it was shown first. True: PAGE is there, at *SPA.
static bool lookup_meanwhile(
	struct vp *vp, unsigned int step, unsigned int moves, uint64_t page, uint64_t *spa)
{
	bool found;

	machine_switch(0);
	machine_run(vp);
	cr_assert_eq(place(vp, mover.places[0]), MSR_DONE);
	mover.vp = vp;
	mover.step = step;
	mover.moves = moves;
	machine_switch(1);
	machine_walk = move_in_between;
	found = gpa_map_lookup(&vp->partition->gpa, page, GPA_READ, spa);
	machine_walk = NULL;
	return found;
}

// What a guest writes into a page of its own is never taken for a table.
static void fill_with_entries(void *page)
{
	uint64_t *entries = page;

	for (unsigned int i = 0; i < 512; i++)
		entries[i] = PAGE(1ull << 36) | 0x71;
}

Test(grace, a_lookup_while_tables_move)
{
	struct vp *vp = machine_child(0, 2, RAM)->vps[0];
	const uint64_t nearby[] = { FAR + 1, FAR + 512, 2 * FAR + 1, RAM + 1 };
	uint64_t spa, sim = va_to_page(vp->synic.sim_page), ram;

	mover.places[0] = FAR;
	mover.places[1] = 2 * FAR;
	fill_with_entries(vp->synic.sim_page);
	cr_assert(gpa_map_lookup(&vp->partition->gpa, 3, GPA_RWX, &ram));
	for (unsigned int step = 1; step < 6; step++) {
		for (unsigned int moves = 1; moves < 8; moves++) {
			for (unsigned int i = 0; i < ARRAY_SIZE(nearby); i++)
				cr_assert(!lookup_meanwhile(vp, step, moves, nearby[i], &spa),
					"step %u, %u moves: %lx", step, moves, nearby[i]);
			if (lookup_meanwhile(vp, step, moves, FAR, &spa))
				cr_assert_eq(spa, sim);
			cr_assert(lookup_meanwhile(vp, step, moves, 3, &spa));
			cr_assert_eq(spa, ram);
		}
	}
}

// Large pages are split and folded: their other pages stay where they are all the time.
static void look_at_large_pages(uint64_t from, uint64_t to)
{
	uint64_t spa;

	mover.places[0] = from;
	mover.places[1] = to;
	fill_with_entries(root_vp(0)->synic.sim_page);
	for (unsigned int step = 1; step < 6; step++) {
		for (unsigned int moves = 1; moves < 5; moves++) {
			for (uint64_t page = 1999; page <= 2601; page += 2) {
				cr_assert(lookup_meanwhile(root_vp(0), step, moves, page, &spa),
					"step %u, %u moves: %lu", step, moves, page);
				cr_assert_eq(spa, page);
			}
		}
	}
}

Test(grace, a_lookup_while_a_large_page_is_split)
{
	look_at_large_pages(0, 2000);
}

Test(grace, a_lookup_while_large_pages_are_split_and_folded)
{
	look_at_large_pages(2000, 2600);
}

// --- a move does not wait: it is to be tried again ---

Test(grace, tables_wait_for_each_processor)
{
	struct vp *vp = machine_child(0, 1, RAM)->vps[0];
	uint64_t value;

	machine_switch(1); // in a handler, from here on
	machine_switch(0);
	machine_cpus[1].guest_seq++;
	machine_run(vp);
	cr_assert_eq(place(vp, FAR), MSR_DONE);
	cr_assert_eq(place(vp, 2 * FAR), MSR_DONE);
	for (unsigned int i = 0; i < 10; i++)
		cr_assert_eq(place(vp, 3 * FAR), MSR_AGAIN);
	cr_assert_eq(msr_write(vp, HV_X64_MSR_SIMP, 0), MSR_AGAIN);
	cr_assert(msr_read(vp, HV_X64_MSR_SIMP, &value));
	cr_assert_eq(value, PAGE(2 * FAR) | 1, "nothing has changed");
	cr_assert_not_null(machine_access(vp->partition, PAGE(2 * FAR), GPA_WRITE));
	cr_assert_null(machine_access(vp->partition, PAGE(3 * FAR), GPA_READ));

	machine_cpus[1].guest_seq++; // enters its guest
	cr_assert_eq(place(vp, 3 * FAR), MSR_DONE);
	machine_cpus[1].guest_seq++;
	cr_assert_eq(place(vp, FAR), MSR_DONE, "it has passed since");
	cr_assert_eq(place(vp, 3 * FAR), MSR_AGAIN);
	machine_cpus[1].quiescing = true;
	cr_assert_eq(place(vp, 3 * FAR), MSR_DONE, "who waits has nothing in hand");
}

// The guest executes the instruction again; nothing was injected.
Test(grace, a_move_that_is_tried_again)
{
	const struct vp_exit exit = { .reason = EXIT_WRMSR, .insn_length = 2 };
	struct vp *vp = machine_child(0, 1, RAM)->vps[0];

	machine_cpus[1].guest_seq++; // in a handler
	machine_run(vp);
	cr_assert_eq(place(vp, FAR), MSR_DONE);
	for (uint64_t page = 2 * FAR; page <= 3 * FAR; page += FAR) {
		vp->regs.gpr[RCX] = HV_X64_MSR_SIMP;
		vp->regs.gpr[RAX] = (uint32_t)PAGE(page) | 1;
		vp->regs.gpr[RDX] = PAGE(page) >> 32;
		vp->regs.rip = 100;
		vp_handle_other_exit(vp, &exit);
		cr_assert_eq(vp->regs.rip, page == 2 * FAR ? 102 : 100);
	}
	cr_assert_eq(machine_vp(vp)->exceptions, 0);
	machine_cpus[1].guest_seq++;
	vp_handle_other_exit(vp, &exit);
	cr_assert_eq(vp->regs.rip, 102);
	cr_assert_not_null(machine_access(vp->partition, PAGE(3 * FAR), GPA_WRITE));
}

// However busy a child keeps its own tables, its parent does not wait for it.
Test(grace, a_parent_moves_a_page_of_a_busy_child)
{
	struct partition *child = machine_child(0, 2, RAM);
	struct vp *vp = child->vps[0];
	struct {
		uint64_t id;
		uint32_t vp_index, vtl;
		struct hv_register_assoc one;
	} in = { child->id, 1, 0, { .name = HvRegisterSipp, .value.reg64 = PAGE(5 * FAR) | 1 } };

	machine_cpus[1].guest_seq++; // in a handler
	machine_run(vp);
	cr_assert_eq(place(vp, FAR), MSR_DONE);
	cr_assert_eq(place(vp, 2 * FAR), MSR_DONE);
	cr_assert_eq(place(vp, 3 * FAR), MSR_AGAIN);
	for (unsigned int i = 0; i < 2; i++, in.one.value.reg64 += PAGE(FAR))
		cr_assert_eq(machine_call_rep(root_vp(0), HvCallSetVpRegisters, 1, &in, sizeof(in),
				     NULL, 0, NULL),
			0);
	cr_assert_not_null(machine_access(child, PAGE(6 * FAR), GPA_READ));
	// Its own last move is not over for processor 1.
	memcpy(machine_memory(root_partition, PAGE(MACHINE_IN_PAGE)), &in, sizeof(in));
	root_vp(0)->regs.gpr[RCX] = hv_call_control(HvCallSetVpRegisters, 0, 1, 0);
	cr_assert_not(machine_call_once(root_vp(0)));
	machine_cpus[1].guest_seq++;
	cr_assert(machine_call_once(root_vp(0)));
	cr_assert_eq(hv_result_status(root_vp(0)->regs.gpr[RAX]), 0);
	cr_assert_not_null(machine_access(child, PAGE(7 * FAR), GPA_READ));
}

// --- management calls wait ---

struct call {
	uint16_t code, reps;
	uint64_t words[10];
	hv_status status;
	bool ended;
};

#define CALL(code_, reps_, ...)                                                                    \
	{                                                                                          \
		.code = code_, .reps = reps_, .words = { __VA_ARGS__ }                             \
	}

static void *make_call(void *argument)
{
	struct call *call = argument;

	machine_cpu = &machine_cpus[0];
	machine_cpu->guest_seq++;
	call->status = machine_call_rep(root_vp(0), call->code, call->reps, call->words,
		sizeof(call->words), NULL, 0, NULL);
	machine_cpu->guest_seq++;
	__atomic_store_n(&call->ended, true, __ATOMIC_SEQ_CST);
	return NULL;
}

// CALL comes while processor 1 is in the middle of a handler.
static void expect_to_wait(struct call *call)
{
	pthread_t thread;

	machine_switch(1);
	cr_assert_eq(pthread_create(&thread, NULL, make_call, call), 0);
	while (!__atomic_load_n(&machine_cpus[0].quiescing, __ATOMIC_SEQ_CST) &&
		!__atomic_load_n(&call->ended, __ATOMIC_SEQ_CST))
		sched_yield();
	cr_assert(!__atomic_load_n(&call->ended, __ATOMIC_SEQ_CST), "call %x did not wait",
		call->code);
	__atomic_fetch_add(&machine_cpu->guest_seq, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	cr_assert_eq(call->status, 0, "call %x: %x", call->code, call->status);
	machine_switch(0);
}

static void prepare(uint16_t code, const uint64_t *words, size_t size)
{
	cr_assert_eq(machine_call(root_vp(0), code, words, size, NULL, 0), 0, "call %x", code);
}

#define PREPARE(code, ...)                                                                         \
	prepare(code, (const uint64_t[]){ __VA_ARGS__ }, sizeof((const uint64_t[]){ __VA_ARGS__ }))

Test(grace, who_frees_waits_for_who_may_have_found_it, .timeout = 60)
{
	hv_partition_id id = machine_child(0, 2, RAM)->id, empty;
	const uint64_t create[7] = { 0 };
	struct call calls[] = {
		CALL(HvCallDisconnectPort, 0, id, 5),
		CALL(HvCallDeletePort, 0, HV_PARTITION_ID_SELF, 5),
		CALL(HvCallUnmapGpaPages, 2, id, 8, 0),
		CALL(HvCallMapGpaPages, 1, id, 4, HV_MAP_GPA_PERMISSIONS_MASK, 3500),
		CALL(HvCallDepositMemory, 1, id, 3501),
		CALL(HvCallUnmapStatsPage, 0, HvStatsObjectVp, id, 0),
		CALL(HvCallDeleteVp, 0, id, 1),
		CALL(HvCallFinalizePartition, 0, id),
		CALL(HvCallDeletePartition, 0, 0),
	};

	PREPARE(HvCallCreatePort, HV_PARTITION_ID_SELF, 5, id, HvPortTypeMessage,
		3 | (uint64_t)HV_ANY_VP << 32, 0, 0);
	PREPARE(HvCallConnectPort, id, 5, HV_PARTITION_ID_SELF, 5, HvPortTypeMessage, 0, 0, 0, 0);
	PREPARE(HvCallMapStatsPage2, HvStatsObjectVp, id, 0, 3000);
	cr_assert_eq(machine_call(root_vp(0), HvCallCreatePartition, create, sizeof(create), &empty,
			     sizeof(empty)),
		0);
	calls[ARRAY_SIZE(calls) - 1].words[0] = empty;
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		expect_to_wait(&calls[i]);
	machine_check();
}

// --- what changes in place ---

static struct reader {
	struct vp *vp;
	struct cpuid_result result;
	bool ended;
} reader;

static void *read_result(void *unused)
{
	intercept_override_cpuid(reader.vp, 7, 0, &reader.result);
	__atomic_store_n(&reader.ended, true, __ATOMIC_SEQ_CST);
	return unused;
}

// A child that looks while its parent is in the middle of changing a result.
Test(grace, a_result_is_read_as_a_whole, .timeout = 60)
{
	struct partition *child = machine_child(0, 1, RAM);
	struct intercepts *installed = child->intercepts;
	struct hv_input_register_intercept_result in = {
		.partition_id = child->id,
		.vp_index = HV_ANY_VP,
		.intercept_type = HvInterceptTypeX64Cpuid,
		.cpuid = { .input.eax = 7,
			.result = { .eax = 1, .eax_mask = 3, .ebx = 1, .ebx_mask = 3 } },
	};
	pthread_t thread;

	cr_assert_eq(
		machine_call(root_vp(0), HvCallRegisterInterceptResult, &in, sizeof(in), NULL, 0),
		0);
	cr_assert_eq(installed->version % 2, 0);
	cr_assert_gt(installed->version, 0);
	__atomic_fetch_add(&installed->version, 1, __ATOMIC_SEQ_CST);
	installed->result[0].parameters.result.eax = 2;
	reader.vp = child->vps[0];
	cr_assert_eq(pthread_create(&thread, NULL, read_result, NULL), 0);
	for (unsigned int i = 0; i < 1000 && !__atomic_load_n(&reader.ended, __ATOMIC_SEQ_CST); i++)
		sched_yield();
	installed->result[0].parameters.result.ebx = 2;
	__atomic_fetch_add(&installed->version, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	cr_assert_eq(reader.result.eax, 2);
	cr_assert_eq(reader.result.ebx, 2);
}
