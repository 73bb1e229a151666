// SPDX-License-Identifier: BSD-2-Clause
// All at once: processors as threads that run the real scheduler, VPs of the root that create, use
// and destroy children with random hypercalls, and VPs of children that do what guests do. What a
// processor still uses must not be freed (pages that are in no use are poisoned), nobody may wait
// for ever, and in the end every page is accounted for.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hypercall/intercept.h"
#include "hypercall/memory.h"
#include "hypercall/port.h"
#include "hypercall/stats.h"
#include "hypercall/synic.h"
#include "hypervisor/core/frame.h"
#include "hypervisor/core/sched.h"

enum { SECONDS = 5, CHILDREN = 4, FIRST_PAGE = MACHINE_CHILD_PAGE };

static bool stop;	 // no new calls; a processor ends when all are at rest
static uint32_t at_rest; // bit per processor
static uint64_t steps[MACHINE_CPUS];
static uint32_t calls[HvCallMapStatsPage2 + 1], successes[HvCallMapStatsPage2 + 1];
static _Thread_local uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

// Pages below are for pools, those from there on for children's memory, so that both succeed often
// enough.
enum { MEMORY_PAGE = FIRST_PAGE + 2000 };

static uint64_t random_page(void)
{
	return FIRST_PAGE + random_below(MACHINE_PAGES - FIRST_PAGE);
}

// COUNT pages of a range that the root has at the moment, from a random one on.
static void find_pages(uint64_t *pages, unsigned int count, uint64_t first, uint64_t end)
{
	uint64_t page = first + random_below(end - first), spa;

	for (uint64_t i = first; count; i++, page++) {
		if (page == end)
			page = first;
		if (i > end || (gpa_map_lookup(&root_partition->gpa, page, GPA_RWX, &spa) &&
				       spa == page)) {
			*pages++ = page;
			count--;
		}
	}
}

// What the test believes of a partition, by the lower bits of its id: what is likely to work next.
enum { UNKNOWN, CREATED, INITIALIZED, HAS_VP, FINALIZED };
static uint8_t state_of[256];

static hv_partition_id random_child(void)
{
	hv_partition_id id = HV_PARTITION_ID_INVALID, next;

	for (uint64_t n = 1 + random_below(CHILDREN); n; n--) {
		next = partition_next_child(root_partition, id);
		if (!next)
			break;
		id = next;
	}
	return id;
}

static unsigned int count_children(void)
{
	unsigned int n = 0;

	for (hv_partition_id id = 0; (id = partition_next_child(root_partition, id)); n++)
		;
	return n;
}

// --- what guests do ---

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

// In a guest or idle, with no call under way.
static void rest(void)
{
	if (!stopping())
		return;
	if (__atomic_or_fetch(&at_rest, 1u << machine_cpu->index, __ATOMIC_SEQ_CST) ==
		(1u << MACHINE_CPUS) - 1)
		pthread_exit(NULL);
}

// Prepares a hypercall: COUNT words of input in VP's page. The exit does it.
static void hypercall(struct vp *vp, struct vp_exit *exit, uint64_t control, const uint64_t *words,
	unsigned int count)
{
	uint64_t page = (vp->partition->is_root ? MACHINE_IN_PAGE : MACHINE_CHILD_IN_PAGE) +
			2 * vp->index,
		 spa;

	if (gpa_map_lookup(&vp->partition->gpa, page, GPA_WRITE, &spa))
		memcpy(page_to_va(spa), words, count * sizeof(words[0]));
	machine_vp(vp)->target = words[0];
	vp->regs.gpr[RCX] = control;
	vp->regs.gpr[RDX] = page << 12;
	vp->regs.gpr[R8] = (page + 1) << 12;
	exit->reason = EXIT_HYPERCALL;
	exit->insn_length = 3;
	exit->cpu_mode = CPU_MODE_PROTECTED | CPU_MODE_64BIT;
}

// In the guest: time goes by, until an interrupt comes.
static void compute(struct vp_exit *exit)
{
	for (uint64_t n = random_below(2000); n && !machine_kicked(); n--)
		__asm__ volatile("pause");
	if (random_below(20) == 0)
		sched_yield();
	machine_cpu->timers_changed = true; // as the timer's interrupt would
	exit->reason = EXIT_INTERRUPT;
}

static void root_call(struct vp *vp, struct vp_exit *exit, uint16_t code, uint32_t reps,
	const uint64_t *words, unsigned int count)
{
	hypercall(vp, exit, hv_call_control(code, 0, reps, 0), words, count);
}

#define ROOT_CALL(code, reps, ...)                                                                 \
	root_call(vp, exit, code, reps, (const uint64_t[]){ __VA_ARGS__ },                         \
		sizeof((const uint64_t[]){ __VA_ARGS__ }) / 8)

static void deposit(struct vp *vp, struct vp_exit *exit, hv_partition_id id)
{
	uint64_t words[65] = { id };

	find_pages(words + 1, 64, FIRST_PAGE, MEMORY_PAGE);
	root_call(vp, exit, HvCallDepositMemory, 64, words, ARRAY_SIZE(words));
}

static void map(struct vp *vp, struct vp_exit *exit, hv_partition_id id)
{
	uint64_t words[3 + 16] = { id, random_below(3) * 8, HV_MAP_GPA_PERMISSIONS_MASK };

	find_pages(words + 3, 16, MEMORY_PAGE, MACHINE_PAGES);
	root_call(vp, exit, HvCallMapGpaPages, 16, words, ARRAY_SIZE(words));
}

static void root_port(struct vp *vp, struct vp_exit *exit, hv_partition_id id)
{
	uint64_t port = random_below(8), type = HvPortTypeMessage + random_below(2);

	switch (random_below(6)) {
	case 0:
		ROOT_CALL(HvCallDeletePort, 0, HV_PARTITION_ID_SELF, port);
		break;
	case 1:
		ROOT_CALL(HvCallDisconnectPort, 0, id, port);
		break;
	case 2:
	case 3:
		ROOT_CALL(HvCallCreatePort, 0, HV_PARTITION_ID_SELF, port, id, type,
			3 | (uint64_t)HV_ANY_VP << 32, type == HvPortTypeEvent ? 8 << 16 : 0, 0);
		break;
	default:
		ROOT_CALL(HvCallConnectPort, 0, id, port, HV_PARTITION_ID_SELF, port, type, 0, 0, 0,
			0);
	}
}

static void root_create(struct vp *vp, struct vp_exit *exit, hv_partition_id id)
{
	if (count_children() < CHILDREN)
		ROOT_CALL(HvCallCreatePartition, 0, HV_PARTITION_CREATION_FLAG_LAPIC_ENABLED, 0, 0,
			0, 0, 0, 0);
	else
		ROOT_CALL(HvCallGetPartitionProperty, 0, id, HvPartitionPropertyCpuWeight);
}

static void root_registers(struct vp *vp, struct vp_exit *exit, hv_partition_id id)
{
	static const uint32_t names[] = { HvRegisterExplicitSuspend, HvRegisterInterceptSuspend,
		HvRegisterExplicitSuspend, HvRegisterInterceptSuspend, HvX64RegisterRip,
		HvRegisterSipp, HvRegisterSifp, HvRegisterScontrol, HvRegisterInternalActivityState,
		HvRegisterStimer0Count, HvRegisterSint0 + 3 };
	uint32_t name = names[random_below(ARRAY_SIZE(names))];
	uint64_t value = name == HvRegisterSipp || name == HvRegisterSifp
				 ? (20 + random_below(4)) << 12 | 1
				 : 0;

	if (name == HvRegisterScontrol)
		value = 1;
	if (name == HvRegisterSint0 + 3)
		value = 0xf3;
	if (random_below(4) == 0)
		ROOT_CALL(HvCallGetVpRegisters, 3, id, random_below(3),
			HvX64RegisterRip | (uint64_t)HvX64RegisterCs << 32, HvX64RegisterRax);
	else
		ROOT_CALL(HvCallSetVpRegisters, 1, id, random_below(3), name, 0, value, 0);
}

// The next thing in a partition's life.
static void root_advance(struct vp *vp, struct vp_exit *exit, hv_partition_id id)
{
	switch (state_of[id % ARRAY_SIZE(state_of)]) {
	case CREATED:
		if (random_below(2))
			deposit(vp, exit, id);
		else
			ROOT_CALL(HvCallInitializePartition, 0, id);
		break;
	case INITIALIZED:
		if (random_below(2))
			deposit(vp, exit, id);
		else
			ROOT_CALL(HvCallCreateVp, 0, id, random_below(3), 0, 0, 0);
		break;
	case HAS_VP:
		if (random_below(3) == 0)
			map(vp, exit, id);
		else
			ROOT_CALL(HvCallSetVpRegisters, 1, id, random_below(3), random_below(2), 0,
				0, 0);
		break;
	case FINALIZED:
		if (random_below(2))
			ROOT_CALL(HvCallWithdrawMemory, 256, id, 0);
		else
			ROOT_CALL(HvCallDeletePartition, 0, id);
		break;
	default:
		root_create(vp, exit, id);
	}
}

// Calls that are to succeed, and the step that makes each.
static const struct {
	uint16_t call;
	uint8_t step;
} expected[] = {
	{ HvCallCreatePartition, 0 },
	{ HvCallInitializePartition, 2 },
	{ HvCallFinalizePartition, 3 },
	{ HvCallDeletePartition, 4 },
	{ HvCallDepositMemory, 5 },
	{ HvCallWithdrawMemory, 7 },
	{ HvCallCreateVp, 8 },
	{ HvCallDeleteVp, 9 },
	{ HvCallMapGpaPages, 10 },
	{ HvCallUnmapGpaPages, 12 },
	{ HvCallMapStatsPage2, 13 },
	{ HvCallCreatePort, 19 },
	{ HvCallConnectPort, 19 },
	{ HvCallDeletePort, 19 },
	{ HvCallSetVpRegisters, 21 },
	{ HvCallGetVpRegisters, 21 },
};

// The first of them that has not succeeded yet, as an index; ARRAY_SIZE(expected): all have.
static unsigned int not_seen(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(expected); i++)
		if (!__atomic_load_n(&successes[expected[i].call], __ATOMIC_RELAXED))
			break;
	return i;
}

// On a busy machine there are few steps in the time: then half of them are what is missing still,
// and what is rare else is not.
static bool late; // atomic

static uint64_t next_step(void)
{
	const unsigned int missing =
		__atomic_load_n(&late, __ATOMIC_RELAXED) ? not_seen() : ARRAY_SIZE(expected);

	return missing < ARRAY_SIZE(expected) && random_below(2) ? expected[missing].step
								 : random_below(50);
}

static bool rarely(uint64_t n)
{
	return random_below(__atomic_load_n(&late, __ATOMIC_RELAXED) ? 2 : n) == 0;
}

static void root_step(struct vp *vp, struct vp_exit *exit)
{
	hv_partition_id id = random_child();
	uint64_t area = (uint64_t)random_below(2) << 56;

	switch (next_step()) {
	case 0:
	case 1:
		root_create(vp, exit, id);
		break;
	case 2:
		ROOT_CALL(HvCallInitializePartition, 0, id);
		break;
	case 3:
		if (rarely(4)) {
			ROOT_CALL(HvCallFinalizePartition, 0, id);
			break;
		} // fallthrough
	case 4:
		if (rarely(20)) {
			ROOT_CALL(HvCallDeletePartition, 0, id);
			break;
		} // fallthrough
	case 5:
	case 6:
		deposit(vp, exit, random_below(8) ? id : HV_PARTITION_ID_SELF);
		break;
	case 7:
		ROOT_CALL(HvCallWithdrawMemory, 1 + random_below(256),
			random_below(2) ? id : HV_PARTITION_ID_SELF, 0);
		break;
	case 8:
		ROOT_CALL(HvCallCreateVp, 0, id, random_below(3), 0, 0, 0);
		break;
	case 9:
		if (rarely(8)) {
			ROOT_CALL(HvCallDeleteVp, 0, id, random_below(3));
			break;
		} // fallthrough
	case 10:
	case 11:
		map(vp, exit, id);
		break;
	case 12:
		ROOT_CALL(HvCallUnmapGpaPages, 1 + random_below(4), id, 8 + random_below(16), 0);
		break;
	case 13:
		ROOT_CALL(HvCallMapStatsPage2, 0, HvStatsObjectVp, id, area | random_below(3),
			random_page());
		break;
	case 14:
		ROOT_CALL(HvCallUnmapStatsPage, 0, HvStatsObjectVp, id, area | random_below(3));
		break;
	case 15:
		ROOT_CALL(HvCallAssertVirtualInterrupt, 0, id, 0, random_below(3),
			0x40 + random_below(16));
		break;
	case 16:
		ROOT_CALL(HvCallSignalEventDirect, 0, id,
			random_below(3) | 3ull << 40 | random_below(64) << 48);
		break;
	case 17:
		ROOT_CALL(HvCallPostMessageDirect, 0, id, random_below(3), 3 | 1ull << 32, 8, 0, 0);
		break;
	case 18:
		ROOT_CALL(HvCallFlushVirtualAddressSpace, 0, 0, 1, 0);
		break;
	case 19:
	case 20:
		root_port(vp, exit, id);
		break;
	case 21:
	case 22:
	case 23:
	case 24:
		root_registers(vp, exit, id);
		break;
	default:
		root_advance(vp, exit, id);
	}
}

// Where a child has its pages: in its memory, or far from any, where the tables come and go with
// the page.
static uint64_t page_of_child(void)
{
	return random_below(2) ? 20 + random_below(8) : random_below(4) << 27 | random_below(2);
}

// What would lead the hypervisor astray if it took it for a table.
static void write_entries(struct vp *vp, uint64_t gpa)
{
	uint64_t *memory = machine_access(vp->partition, gpa, GPA_WRITE);

	for (unsigned int i = 0; memory && i < PAGE_SIZE / 8; i++)
		memory[i] = 1ull << 48 | 0x71;
}

static void child_step(struct vp *vp, struct vp_exit *exit)
{
	const uint64_t message[] = { random_below(8), 1 | 8ull << 32, 0 };
	const uint64_t event[] = { random_below(8) | random_below(8) << 32 };
	const uint64_t flush[] = { 0, 1, 0 };
	const uint64_t ipi[] = { 0x41, 7 };

	uint64_t page = page_of_child() << 12;

	vp->partition->guest_os_id = 1;
	switch (random_below(14)) {
	case 0:
	case 1:
	case 2:
		hypercall(vp, exit, HvCallPostMessage, message, ARRAY_SIZE(message));
		break;
	case 3:
	case 4:
	case 5:
		hypercall(vp, exit, HvCallSignalEvent, event, ARRAY_SIZE(event));
		break;
	case 6:
		hypercall(vp, exit, HvCallFlushVirtualAddressSpace, flush, ARRAY_SIZE(flush));
		break;
	case 7:
		hypercall(vp, exit, HvCallSendSyntheticClusterIpi, ipi, ARRAY_SIZE(ipi));
		break;
	case 8:
		if (random_below(8) == 0) {
			exit->reason = EXIT_IO;
			exit->insn_length = 1;
			exit->io.port = 0x3f8;
			exit->io.size = 1;
			break;
		} // fallthrough
	case 9:
	case 10:
		vp->regs.gpr[RCX] = HV_X64_MSR_SIEFP + random_below(2);
		vp->regs.gpr[RAX] = (uint32_t)page | (random_below(4) > 0);
		vp->regs.gpr[RDX] = page >> 32;
		exit->reason = EXIT_WRMSR;
		exit->insn_length = 2;
		break;
	case 11: // input where nothing is, or a page that moves
		write_entries(vp, page);
		hypercall(vp, exit, HvCallSignalEvent, event, ARRAY_SIZE(event));
		vp->regs.gpr[RDX] = page;
		break;
	case 12:
		vp->regs.rflags |= 1 << 9;
		vp->apic.svr |= 0x100;
		exit->reason = EXIT_HLT;
		exit->insn_length = 1;
		break;
	default:
		compute(exit);
	}
}

static void believe(const struct vp *vp, uint8_t state)
{
	state_of[machine_vp(vp)->target % ARRAY_SIZE(state_of)] = state;
}

static void count_result(const struct vp *vp)
{
	uint16_t code = hv_call_code(vp->regs.gpr[RCX]);

	if (code >= ARRAY_SIZE(calls) || !vp->partition->is_root)
		return;
	__atomic_fetch_add(&calls[code], 1, __ATOMIC_RELAXED);
	if (hv_result_status(vp->regs.gpr[RAX]))
		return;
	__atomic_fetch_add(&successes[code], 1, __ATOMIC_RELAXED);
	if (code == HvCallCreatePartition)
		state_of[*(uint64_t *)machine_memory(root_partition, vp->regs.gpr[R8]) %
			 ARRAY_SIZE(state_of)] = CREATED;
	else if (code == HvCallInitializePartition)
		believe(vp, INITIALIZED);
	else if (code == HvCallCreateVp)
		believe(vp, HAS_VP);
	else if (code == HvCallFinalizePartition)
		believe(vp, FINALIZED);
}

// A call that is to be executed again (RIP has not moved) is, before the VP does anything else.
static void guest(struct vp *vp, struct vp_exit *exit)
{
	struct machine_vp *m = machine_vp(vp);

	__atomic_fetch_add(&steps[machine_cpu->index], 1, __ATOMIC_RELAXED);
	if (m->in_call && vp->regs.rip == m->rip && !m->exceptions) {
		sched_yield();
		exit->reason = EXIT_HYPERCALL;
		exit->cpu_mode = CPU_MODE_PROTECTED | CPU_MODE_64BIT;
		return;
	}
	if (m->in_call)
		count_result(vp);
	m->in_call = false;
	m->exceptions = 0;
	if (vp->partition->is_root)
		rest();
	if (stopping() || random_below(3) == 0)
		compute(exit);
	else if (vp->partition->is_root)
		root_step(vp, exit);
	else
		child_step(vp, exit);
	m->in_call = exit->reason == EXIT_HYPERCALL;
	m->rip = vp->regs.rip;
}

static void idle(void)
{
	for (unsigned int i = 0; i < 200 && !machine_kicked(); i++)
		sched_yield();
	machine_cpu->timers_changed = true;
}

// --- the test ---

// Others get on in the middle of a lookup.
static void dawdle(void)
{
	if (random_below(64) == 0)
		sched_yield();
}

static void *processor(void *cpu)
{
	machine_cpu = cpu;
	machine_walk = dawdle;
	machine_cpu->guest_seq = 0;
	seed = 88172645463325252ull + machine_cpu->index * 1000003 + (uint64_t)getpid() * 7919;
	sched_run();
	return NULL;
}

// Every processor gets on, all the time: a hang is for ever, but on a busy machine a step that
// waits for the others' threads may take a while. Goes on until each call has succeeded, twenty
// times as long at most.
static void watch(unsigned int seconds)
{
	unsigned int stands[MACHINE_CPUS] = { 0 };
	uint64_t before[MACHINE_CPUS];

	for (unsigned int s = 0;
		s < seconds || (not_seen() < ARRAY_SIZE(expected) && s < 20 * seconds); s += 5) {
		__atomic_store_n(&late, s >= seconds, __ATOMIC_RELAXED);
		memcpy(before, steps, sizeof(before));
		sleep(5);
		for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
			bool moves = before[i] != __atomic_load_n(&steps[i], __ATOMIC_RELAXED);

			stands[i] = moves ? 0 : stands[i] + 5;
			cr_assert_lt(stands[i], 30, "processor %u hangs", i);
		}
	}
}

static uint64_t pages_in_pools(void)
{
	uint64_t pages = root_partition->pool.total_pages;

	for (hv_partition_id id = 0; (id = partition_next_child(root_partition, id));)
		pages += partition_find(id)->pool.total_pages;
	return pages;
}

Test(smp, everything_at_once, .timeout = 180)
{
	const char *seconds = getenv("SMP_SECONDS");
	pthread_t threads[MACHINE_CPUS];
	uint64_t hypervisor = 0;

	machine_guest = guest;
	machine_idle = idle;
	machine_setup();
	for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
		struct vp *vp = root_vp(i);

		machine_switch(i);
		machine_cpu->run_queue.current = NULL;
		machine_cpu->loaded = NULL;
		vp->loaded_on = NULL;
		vp->run_state = VP_BLOCKED;
		sched_wake(vp);
	}
	for (unsigned int i = 0; i < MACHINE_CPUS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, processor, &machine_cpus[i]), 0);
	watch(seconds ? atoi(seconds) : SECONDS);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < MACHINE_CPUS; i++)
		pthread_join(threads[i], NULL);

	machine_check();
	for (uint64_t page = 1; page < MACHINE_PAGES; page++)
		hypervisor += frame_is_hypervisor(page);
	cr_assert_eq(hypervisor, pages_in_pools());
	if (seconds)
		for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
			if (calls[i])
				fprintf(stderr, "call %03x: %u, %u successful\n", i, calls[i],
					successes[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(expected); i++)
		cr_assert(successes[expected[i].call], "call %x never succeeded", expected[i].call);
}
