// SPDX-License-Identifier: BSD-2-Clause
// Who gets how much of a processor: the scheduler with a clock of the test's. Each processor is a
// thread, and the one whose clock is behind has the turn; a VP does what its load says.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>

#include "hypercall/partition.h"
#include "hypervisor/core/pcpu.h"

#define MS	1000000ull // ticks: machine.c's TSC has 1 GHz
#define STEP	(MS / 20)  // a stay in the guest
#define SLICE	(5 * MS)
#define FOREVER UINT64_MAX
#define LOADS	80

static struct load {
	struct vp *vp;
	uint64_t burst, sleep; // runs as long, then halts as long; FOREVER: as it says
	struct load *next;     // whom it wakes when it halts
	uint64_t left, wake_at, woken_at;
	uint64_t ran, latency; // the longest from its wake to its run
} loads[LOADS];
static unsigned int load_count;

static sem_t turn[MACHINE_CPUS];
static uint64_t clocks[MACHINE_CPUS], end;

// --- the machine ---

// The processor that is behind goes on; the caller waits until that is itself. At the end: none.
static void pass_on(void)
{
	unsigned int me = machine_cpu->index, least = 0;

	for (unsigned int i = 1; i < pcpu_count; i++)
		if (clocks[i] < clocks[least])
			least = i;
	machine_clock = clocks[least];
	if (clocks[me] >= end) {
		if (least != me)
			sem_post(&turn[least]);
		pthread_exit(NULL);
	}
	if (least != me) {
		sem_post(&turn[least]);
		sem_wait(&turn[me]);
	}
}

static void wake(struct load *load)
{
	load->wake_at = FOREVER;
	load->woken_at = machine_clock;
	vp_request(load->vp, VP_REQ_NMI);
}

// Time goes on for this processor, and what is due happens.
static void step(void)
{
	machine_clock = clocks[machine_cpu->index] += STEP;
	for (unsigned int i = 0; i < load_count; i++)
		if (loads[i].wake_at <= machine_clock)
			wake(&loads[i]);
	pass_on();
	machine_cpu->timers_changed |= machine_timer[machine_cpu->index] <= machine_clock;
}

static void idle(void)
{
	cr_assert_gt(
		machine_timer[machine_cpu->index], machine_clock, "wakes at once, for nothing");
	step();
}

static struct load *load_of(const struct vp *vp)
{
	for (unsigned int i = 0; i < load_count; i++)
		if (loads[i].vp == vp)
			return &loads[i];
	cr_assert_fail("a VP without a load");
	return NULL;
}

static void guest(struct vp *vp, struct vp_exit *exit)
{
	struct load *load = load_of(vp);

	exit->reason = EXIT_INTERRUPT;
	exit->insn_length = 1;
	if (load->woken_at)
		load->latency = MAX(load->latency, machine_clock - load->woken_at);
	load->woken_at = 0;
	load->ran += STEP;
	if (load->burst != FOREVER && (load->left -= STEP) == 0) {
		exit->reason = EXIT_HLT;
		load->left = load->burst;
		load->wake_at = load->sleep == FOREVER ? FOREVER : machine_clock + load->sleep;
		if (load->next)
			wake(load->next);
	}
	step();
}

static void *processor(void *cpu)
{
	machine_cpu = cpu;
	machine_cpu->guest_seq = 0;
	sem_wait(&turn[machine_cpu->index]);
	sched_run();
	return NULL;
}

// Until then nothing runs and hypercalls of the root's VP 0 work.
static void setup(void)
{
	machine_setup();
	load_count = 0;
}

static void stop_root(void)
{
	for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
		struct vp *vp = root_vp(i);

		machine_cpus[i].run_queue.current = NULL;
		machine_cpus[i].loaded = NULL;
		vp->loaded_on = NULL;
		vp->run_state = VP_BLOCKED;
		vp->activity = VP_HALTED;
	}
}

// All loads on so many processors for so long.
static void run(unsigned int cpus, uint64_t ticks)
{
	pthread_t threads[MACHINE_CPUS];

	stop_root();
	machine_guest = guest;
	machine_idle = idle;
	machine_clock = tsc_read();
	pcpu_count = cpus;
	end = machine_clock + ticks;
	for (unsigned int i = 0; i < cpus; i++) {
		clocks[i] = machine_clock;
		machine_timer[i] = UINT64_MAX;
		sem_init(&turn[i], 0, 0);
		cr_assert_eq(pthread_create(&threads[i], NULL, processor, &machine_cpus[i]), 0);
	}
	machine_switch(0);
	for (unsigned int i = 0; i < load_count; i++) {
		loads[i].vp->cpu = &machine_cpus[loads[i].vp->index % cpus];
		loads[i].vp->explicit_suspend = false;
		loads[i].vp->activity = loads[i].wake_at == FOREVER ? VP_ACTIVE : VP_HALTED;
		if (loads[i].wake_at == FOREVER)
			sched_wake(loads[i].vp);
	}
	sem_post(&turn[0]);
	for (unsigned int i = 0; i < cpus; i++)
		pthread_join(threads[i], NULL);
}

// --- loads ---

static struct load *add(struct vp *vp, uint64_t burst, uint64_t sleep)
{
	struct load *load = &loads[load_count++];

	cr_assert(load_count <= LOADS);
	*load = (struct load){
		.vp = vp, .burst = burst, .left = burst, .sleep = sleep, .wake_at = FOREVER
	};
	return load;
}

static struct load *spin(struct vp *vp)
{
	return add(vp, FOREVER, 0);
}

// A child whose VPs spin. Its loads lie one behind the other.
static struct partition *child(unsigned int slot, unsigned int vps)
{
	struct partition *child = machine_child(slot, 0, 8);

	cr_assert_eq(machine_deposit(child->id, MACHINE_CHILD_PAGE + 1024 * slot + 300, 500), 0);
	for (unsigned int i = 0; i < vps; i++) {
		const uint64_t vp[5] = { child->id, i };

		cr_assert_eq(machine_call(root_vp(0), HvCallCreateVp, vp, sizeof(vp), NULL, 0), 0);
		spin(child->vps[i]);
	}
	return child;
}

static hv_status set_property(struct partition *partition, uint64_t code, uint64_t value)
{
	const uint64_t in[3] = { partition->id, code, value };

	return machine_call(root_vp(0), HvCallSetPartitionProperty, in, sizeof(in), NULL, 0);
}

static uint64_t ran(const struct partition *partition)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < load_count; i++)
		if (loads[i].vp->partition == partition)
			sum += loads[i].ran;
	return sum;
}

static void expect_share(uint64_t part, uint64_t of, unsigned int percent, unsigned int margin)
{
	uint64_t is = part * 100 / of;

	cr_assert(
		is + margin >= percent && is <= percent + margin, "%lu %%, not %u %%", is, percent);
}

// --- the tests ---

Test(sched, a_child_with_many_vps_leaves_the_root_its_half)
{
	struct load *root;

	setup();
	root = spin(root_vp(0));
	child(0, 24);
	run(1, 2000 * MS);
	expect_share(root->ran, 2000 * MS, 50, 2);
	for (unsigned int i = 1; i < load_count; i++)
		expect_share(loads[i].ran * 24, 1000 * MS, 100, 15);
}

Test(sched, also_on_several_processors)
{
	setup();
	for (unsigned int i = 0; i < 3; i++)
		spin(root_vp(i));
	child(0, 24);
	run(3, 1000 * MS);
	for (unsigned int i = 0; i < 3; i++)
		expect_share(loads[i].ran, 1000 * MS, 50, 3);
}

Test(sched, children_share_by_weight_not_by_number_of_vps)
{
	struct partition *one, *eight;

	setup();
	one = child(0, 1);
	eight = child(1, 8);
	run(1, 2000 * MS);
	expect_share(ran(one), 2000 * MS, 50, 2);
	expect_share(ran(eight), 2000 * MS, 50, 2);
}

Test(sched, weights)
{
	struct partition *light, *heavy;

	setup();
	light = child(0, 5);
	heavy = child(1, 1);
	cr_assert_eq(set_property(heavy, HvPartitionPropertyCpuWeight, 300), 0);
	run(1, 2000 * MS);
	expect_share(ran(light), 2000 * MS, 25, 2);
	expect_share(ran(heavy), 2000 * MS, 75, 2);
}

Test(sched, a_cap_holds_for_each_vp)
{
	struct partition *capped;

	setup();
	capped = child(0, 2);
	cr_assert_eq(set_property(capped, HvPartitionPropertyCpuCap, 0),
		HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
	cr_assert_eq(set_property(capped, HvPartitionPropertyCpuCap, 0x10001),
		HV_STATUS_PROPERTY_VALUE_OUT_OF_RANGE);
	cr_assert_eq(set_property(capped, HvPartitionPropertyCpuCap, 0x4000), 0);
	run(2, 2000 * MS);
	for (unsigned int i = 0; i < 2; i++)
		expect_share(loads[i].ran, 2000 * MS, 25, 1);
}

// One that has had its part leaves the others of its partition their turns.
Test(sched, capped_vps_on_one_processor)
{
	setup();
	cr_assert_eq(set_property(child(0, 3), HvPartitionPropertyCpuCap, 0x2000), 0);
	run(1, 2000 * MS);
	for (unsigned int i = 0; i < 3; i++)
		expect_share(loads[i].ran * 2, 2000 * MS, 25, 2);
}

// What it did not use while it slept, it does not get later.
Test(sched, a_cap_cannot_be_saved_up)
{
	struct load *load;

	setup();
	cr_assert_eq(set_property(child(0, 1), HvPartitionPropertyCpuCap, 0x4000), 0);
	load = &loads[0];
	load->wake_at = tsc_read() + 1000 * MS;
	run(1, 2000 * MS);
	expect_share(load->ran, 1000 * MS, 25, 2);
}

Test(sched, a_cap_that_is_lifted)
{
	struct partition *capped;

	setup();
	capped = child(0, 1);
	cr_assert_eq(set_property(capped, HvPartitionPropertyCpuCap, 0x4000), 0);
	cr_assert_eq(set_property(capped, HvPartitionPropertyCpuCap, 0x10000), 0);
	run(1, 500 * MS);
	expect_share(ran(capped), 500 * MS, 100, 1);
}

Test(sched, a_sleeper_saves_nothing_up)
{
	struct load *root;

	setup();
	root = spin(root_vp(0));
	child(0, 1);
	loads[1].wake_at = tsc_read() + 1000 * MS;
	run(1, 1100 * MS);
	expect_share(root->ran - 1000 * MS, 100 * MS, 50, 7);
}

// Each VP runs nearly a slice, wakes the next and sleeps: always somebody who has slept for long.
Test(sched, vps_that_take_turns_get_no_more_than_one)
{
	struct load *root;

	setup();
	root = spin(root_vp(0));
	child(0, 8);
	for (unsigned int i = 1; i < load_count; i++) {
		loads[i].burst = loads[i].left = 4 * MS;
		loads[i].sleep = FOREVER;
		loads[i].next = &loads[i % 8 + 1];
	}
	run(1, 2000 * MS);
	expect_share(root->ran, 2000 * MS, 50, 3);
}

// On two processors: stolen whenever one of them idles, and nothing is gained by that.
Test(sched, moving_gains_nothing)
{
	struct partition *steady, *moving;

	setup();
	steady = child(0, 2);
	moving = child(1, 5);
	for (unsigned int i = 2; i < load_count; i++) {
		loads[i].burst = loads[i].left = (i + 1) * MS;
		loads[i].sleep = 2 * MS;
	}
	run(2, 2000 * MS);
	cr_assert_geq(ran(steady), 2000 * MS * 95 / 100);
	cr_assert_geq(ran(moving) + ran(steady), 4000 * MS * 95 / 100);
}

// The one that waits for its sibling is taken over by the processor that idles.
Test(sched, a_sibling_of_the_one_that_runs_moves)
{
	setup();
	child(0, 3);
	loads[1].burst = loads[1].left = MS; // it is alone on its processor, and halts for ever
	loads[1].sleep = FOREVER;
	run(2, 1000 * MS);
	for (unsigned int i = 0; i < 3; i += 2)
		expect_share(loads[i].ran, 1000 * MS, 100, 2);
}

// A VP keeps what it is ahead or behind when it moves to another processor.
Test(sched, moving_loses_nothing)
{
	struct share *from, *to;
	struct vp *vp;

	setup();
	vp = child(0, 1)->vps[0];
	vp->cpu = &machine_cpus[0];
	from = &vp->partition->shares[0];
	to = &vp->partition->shares[1];
	from->vps.floor = 1000 * MS;
	to->vps.floor = 7 * MS;
	vp->fair.vruntime = from->vps.floor + 3 * MS;
	run_queue_leave(vp);
	vp->cpu = &machine_cpus[1];
	run_queue_arrive(vp);
	cr_assert_eq(vp->fair.vruntime - to->vps.floor, 3 * MS);
	vp->fair.vruntime = to->vps.floor - 2 * MS; // behind, and the other floor is lower
	to = from;
	from = &vp->partition->shares[1];
	to->vps.floor = 1 * MS;
	run_queue_leave(vp);
	vp->cpu = &machine_cpus[0];
	run_queue_arrive(vp);
	cr_assert_eq(to->vps.floor - vp->fair.vruntime, 2 * MS);
}

// The root's VP wakes up and has the processor at once, whatever waits there.
Test(sched, the_root_wakes_at_once)
{
	struct load *root;

	setup();
	root = add(root_vp(0), MS, 9 * MS);
	child(0, 24);
	child(1, 8);
	run(1, 2000 * MS);
	cr_assert_leq(root->latency, 2 * STEP);
	expect_share(root->ran, 2000 * MS, 10, 1);
}

// Nobody is forgotten: 3 processors, all kinds of loads, each gets on.
Test(sched, everybody_gets_on)
{
	setup();
	for (unsigned int i = 0; i < 3; i++)
		add(root_vp(i), (i + 1) * MS, MS);
	child(0, 16);
	cr_assert_eq(set_property(child(1, 16), HvPartitionPropertyCpuCap, 0x2000), 0);
	for (unsigned int i = 3; i < load_count; i += 3) {
		loads[i].burst = loads[i].left = (i % 7 + 1) * MS;
		loads[i].sleep = i % 5 * MS + STEP;
	}
	run(3, 3000 * MS);
	for (unsigned int i = 0; i < load_count; i++)
		cr_assert_geq(loads[i].ran, 20 * MS, "load %u ran %lu ms", i, loads[i].ran / MS);
}
