// SPDX-License-Identifier: BSD-2-Clause
// What the scheduler of one processor does while another one wakes, pauses or resumes a VP: every
// order of the two, instruction by instruction. A VP that has something to run for runs in the end.
#include "tests/unit/hypervisor/machine.h"
#include "tests/unit/hypervisor/step.h"

#include <criterion/criterion.h>
#include <setjmp.h>

#include "hypervisor/core/pcpu.h"

static struct vp *vp;	  // of the child; the only one that may run
static jmp_buf out;	  // of sched_run()
static unsigned int runs; // how often VP got into its guest
static bool halts;	  // it leaves it by a HLT

static void guest(struct vp *running, struct vp_exit *exit)
{
	cr_assert_eq(running, vp);
	runs++;
	exit->insn_length = 1;
	exit->reason = halts && runs == 1 ? EXIT_HLT : EXIT_INTERRUPT;
	if (exit->reason != EXIT_HLT && step_end())
		longjmp(out, 1);
}

static void idle(void)
{
	if (step_end() && !machine_kicked())
		longjmp(out, 1);
}

static void schedule(void)
{
	if (!setjmp(out))
		sched_run();
	machine_cpu->idle = false;
}

// VP is on the queue of processor 0 and nothing runs. (The child's page has made its VPs' memory.)
static void setup(void)
{
	struct pcpu *cpu = machine_cpu;

	cpu->guest_seq = 0;
	cpu->run_queue.current = NULL;
	cpu->loaded = NULL;
	machine_kicked();
	vp->loaded_on = NULL;
	vp->cpu = cpu;
	vp->pause_count = vp->requests = 0;
	vp->explicit_suspend = false;
	vp->activity = VP_ACTIVE;
	sched_remove(vp);
	vp->run_state = VP_BLOCKED;
	runs = 0;
	halts = false;
	sched_wake(vp);
}

static void check_runs(void)
{
	if (!runs)
		schedule();
	cr_assert_neq(runs, 0, "nobody wakes the VP (run state %u)", vp->run_state);
}

static void go_through(const struct step_case *c)
{
	machine_setup();
	for (unsigned int i = 0; i < MACHINE_CPUS; i++) {
		machine_cpus[i].run_queue.current = NULL;
		root_vp(i)->run_state = VP_BLOCKED;
	}
	machine_run(root_vp(0));
	vp = machine_child(0, 1, 8)->vps[0];
	machine_guest = guest;
	machine_idle = idle;
	cr_assert_gt(step_through(c), 20, "nothing was stepped through");
}

// --- the VP was paused, and is resumed while the processor chooses ---

static void setup_paused(void)
{
	setup();
	vp->pause_count = 1;
}

static void on_processor_1(void)
{
	machine_cpu = &machine_cpus[1];
	machine_cpu->guest_seq = 0;
}

static void resume(void)
{
	on_processor_1();
	vp_resume(vp);
}

Test(sched_races, resumed_while_chosen, .timeout = 120)
{
	go_through(&(const struct step_case){ setup_paused, schedule, resume, check_runs });
}

// --- the VP halts while another processor sends it something ---

static void setup_halting(void)
{
	setup();
	halts = true;
	machine_vp(vp)->nmis = 0;
}

static void send_nmi(void)
{
	on_processor_1();
	vp_request(vp, VP_REQ_NMI);
}

static void check_nmi(void)
{
	if (!machine_vp(vp)->nmis)
		schedule();
	cr_assert_eq(machine_vp(vp)->nmis, 1, "the NMI is lost (run state %u)", vp->run_state);
}

Test(sched_races, woken_while_it_halts, .timeout = 120)
{
	go_through(&(const struct step_case){ setup_halting, schedule, send_nmi, check_nmi });
}

// --- paused and resumed at once, wherever the processor is ---

static void pause_and_resume(void)
{
	on_processor_1();
	vp_pause(vp);
	cr_assert_neq(vp->run_state, VP_RUNNING);
	vp_resume(vp);
}

Test(sched_races, paused_and_resumed, .timeout = 120)
{
	go_through(&(const struct step_case){ setup, schedule, pause_and_resume, check_runs });
}
