// SPDX-License-Identifier: BSD-2-Clause
// What a VP has to deliver: how events merge, that interrupts are let in on each way from an exit
// to an entry that could come out again without progress, and the registers that show it.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>

#include "hypercall/intercept.h"
#include "hypercall/memory.h"
#include "hypercall/msr.h"
#include "hypervisor/core/intercept.h"
#include "hypervisor/core/run.h"
#include "hypervisor/x86/apic.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/vapic_internal.h"

static struct vp *vp; // a child's
static struct partition *child;

static void setup(void)
{
	machine_setup();
	child = machine_child(0, 2, 16);
	vp = child->vps[0];
	vp->explicit_suspend = false;
	machine_run(vp);
}

TestSuite(event, .init = setup, .timeout = 60);

// Runs the VP until it blocks, whatever else waits for the processor.
static void run(void)
{
	machine_cpu->reschedule = false;
	vp->run_state = VP_RUNNING;
	vp_run(vp);
}

// The guest's last exit: it does not go on.
static void stop(void)
{
	vp->explicit_suspend = true;
	vp->recheck = true;
}

// --- merging: SDM volume 3, table 6-5; APM2 8.2.9 ---

static struct event exception(unsigned int vector)
{
	return (struct event){ .pending = true,
		.type = HvX64PendingException,
		.vector = vector,
		.has_code = vector_has_code(vector),
		.code = vector_has_code(vector) ? 0x100 + vector : 0 };
}

// By vector: b(enign), c(ontributory), p(age fault), D(ouble fault).
static const char classes[] = "cbbbbbbbDbccccpbbbbbbcbbbbbbbbbb";

static char expected(char first, char next)
{
	if (first == 'D')
		return 'S';
	if ((first == 'c' && next == 'c') || (first == 'p' && (next == 'c' || next == 'p')))
		return 'D';
	return 'n';
}

Test(event, all_pairs_of_exceptions_merge_as_the_manuals_say)
{
	for (unsigned int i = 0; i < EXCEPTIONS; i++) {
		for (unsigned int j = 0; j < EXCEPTIONS; j++) {
			struct event first = exception(i), next = exception(j);
			struct event got = event_merge(&first, &next);

			cr_assert(got.pending && !got.cut);
			switch (expected(classes[i], classes[j])) {
			case 'S':
				cr_assert_eq(got.type, EVENT_SHUTDOWN, "%u %u", i, j);
				break;
			case 'D':
				cr_assert_eq(got.vector, VECTOR_DF, "%u %u", i, j);
				cr_assert(got.has_code && !got.code);
				break;
			default:
				cr_assert_eq(got.vector, j, "%u %u", i, j);
				cr_assert_eq(got.code, next.code);
			}
		}
	}
}

Test(event, an_exception_goes_before_an_nmi_which_is_not_lost)
{
	vp->event = (struct event){
		.pending = true, .cut = true, .type = HvX64PendingNmi, .vector = VECTOR_NMI
	};
	vp_inject_gp(vp);
	cr_assert(vp->nmi_waits);
	cr_assert_eq(machine_exception(vp), VECTOR_GP);
}

// --- ways from an exit to an entry ---

enum state { NOTHING, CUT_UD, CUT_GP, CUT_PF, CUT_DF, CUT_NMI, SHADOW, STEPPING, OFFERED, STATES };

static enum exit_reason reason;
static enum state state;
static unsigned int entries, entries_max, windows_at_exit;

// What is true at an exit, by STATE.
static void set_state(void)
{
	static const uint8_t cut[STATES] = { [CUT_UD] = VECTOR_UD,
		[CUT_GP] = VECTOR_GP,
		[CUT_PF] = VECTOR_PF,
		[CUT_DF] = VECTOR_DF };

	if (cut[state]) {
		vp->event = exception(cut[state]);
		vp->event.cut = true;
	}
	if (state == CUT_NMI)
		vp->event = (struct event){
			.pending = true, .cut = true, .type = HvX64PendingNmi, .vector = VECTOR_NMI
		};
	vp->recheck |= vp->event.pending; // backend.h
	vp->regs.interrupt_shadow = state == SHADOW;
	vp->regs.rflags = state == STEPPING ? RFLAGS_TF : RFLAGS_IF;
	if (state == OFFERED)
		vapic_interrupt(vp, 0x40, VAPIC_EDGE);
}

// A guest that comes out again at once, each time in the same way.
static void looping_guest(struct vp *entered, struct vp_exit *exit)
{
	bool hidden = machine_vp(vp)->delivered.pending || vp->regs.interrupt_shadow;

	cr_assert(!hidden || machine_windows > windows_at_exit,
		"exit %u, state %u: an entry without a window", reason, state);
	if (++entries >= entries_max)
		stop();
	*exit = (struct vp_exit){ .reason = reason, .insn_length = 2 };
	exit->cpu_mode = machine_vp(vp)->mode;
	if (reason == EXIT_GPA_FAULT)
		exit->fault.gpa = 0x3000;
	vp->regs.gpr[RCX] = HvCallPostMessage; // also an MSR that there is not, and no XCR
	set_state();
	windows_at_exit = machine_windows;
}

static void run_loop(void)
{
	entries = 0;
	vp->explicit_suspend = vp->intercept_suspend = false;
	vp->activity = VP_ACTIVE;
	windows_at_exit = machine_windows;
	for (unsigned int i = 0; i < entries_max && !vp->explicit_suspend; i++) {
		run();
		// The parent lets it go on, without having mended anything.
		vp->intercept_suspend = false;
		vp->activity = VP_ACTIVE;
		vapic_reset(vp, true);
		vp->apic.svr = 0x1ff;
	}
}

Test(event, no_way_from_an_exit_to_an_entry_without_a_window)
{
	machine_guest = looping_guest;
	entries_max = 8;
	cr_assert(msr_write(vp, HV_X64_MSR_HYPERCALL, 0x3001));
	for (reason = EXIT_NONE; reason < EXIT_REASONS; reason++) {
		if (reason == EXIT_WBINVD)
			continue; // executes it
		for (state = NOTHING; state < STATES; state++) {
			vp->event.pending = vp->nmi_waits = false;
			run_loop();
			cr_assert(entries > 1, "exit %u, state %u: it never comes back", reason,
				state);
		}
	}
}

// An exit whose handler wants the instruction executed again keeps an interrupt shadow.
static void retrying_guest(struct vp *entered, struct vp_exit *exit)
{
	cr_assert(machine_windows > windows_at_exit || !vp->regs.interrupt_shadow);
	if (++entries == 4)
		stop();
	*exit = (struct vp_exit){ .reason = EXIT_HYPERCALL,
		.cpu_mode = CPU_MODE_PROTECTED | CPU_MODE_64BIT };
	vp->regs.gpr[RCX] = HvCallStartVirtualProcessor;
	vp->regs.gpr[RDX] = 4 * PAGE_SIZE;
	vp->regs.interrupt_shadow = true;
	windows_at_exit = machine_windows;
}

Test(event, a_hypercall_that_is_repeated_in_an_interrupt_shadow_lets_interrupts_in)
{
	const uint64_t in[2] = { HV_PARTITION_ID_SELF, 1 };

	child->vps[1]->examined = true; // by somebody who takes his time
	memcpy(machine_memory(child, 4 * PAGE_SIZE), in, sizeof(in));
	machine_guest = retrying_guest;
	entries = 0;
	run();
	cr_assert_eq(entries, 4);
	cr_assert_eq(vp->regs.rip, 0xfff0, "it is repeated");
}

// The stack is where it cannot be written, and the guest is one instruction long.
static void stuck_guest(struct vp *entered, struct vp_exit *exit)
{
	struct event delivered = machine_vp(vp)->delivered;

	cr_assert(++entries < 10, "it goes on for ever");
	*exit = (struct vp_exit){ .reason = EXIT_GPA_FAULT,
		.fault = { .gpa = 0x3000, .access = GPA_WRITE } };
	vp->event = delivered.pending ? delivered : exception(VECTOR_UD);
	vp->event.cut = true;
}

Test(event, a_delivery_that_can_never_be_done_ends_in_a_triple_fault)
{
	static const struct {
		uint64_t gpa;
		uint32_t msr;
	} pages[] = { { 0x3000, HV_X64_MSR_HYPERCALL }, { 0x3000, HV_X64_MSR_REFERENCE_TSC } };

	machine_guest = stuck_guest;
	for (unsigned int i = 0; i < ARRAY_SIZE(pages); i++) {
		cr_assert(msr_write(vp, pages[i].msr, pages[i].gpa | 1));
		entries = 0;
		vp->intercept_suspend = false;
		run();
		cr_assert(vp->intercept_suspend);
		cr_assert_eq(vp->intercept.body.header.message_type,
			HvMessageTypeUnrecoverableException);
		cr_assert_eq(entries, 3, "#UD, #GP, #DF: %u", entries);
		cr_assert(msr_write(vp, pages[i].msr, 0));
	}
}

// --- faults that are not of the instruction at RIP ---

Test(event, what_no_instruction_did_is_not_emulated)
{
	struct vp_exit exit = { .reason = EXIT_GPA_FAULT,
		.fault = { .gpa = 0xfee00080, .access = GPA_WRITE } };
	const uint8_t mov[] = { 0x89, 0x07 }; // mov %eax, (%rdi)
	const struct hv_x64_memory_intercept_message *m = (const void *)((
		struct hv_x64_intercept_message_header *)vp->intercept.body.payload);

	memcpy(machine_memory(child, 0x1000), mov, sizeof(mov));
	vp->regs.rip = 0x1000;
	vp->regs.gpr[RAX] = 0x50;
	vp_handle_other_exit(vp, &exit);
	cr_assert_eq(vp->apic.tpr, 0);
	cr_assert_eq(vp->regs.rip, 0x1000);
	cr_assert_not(vp->intercept_suspend, "nor does the parent get the APIC's page");
	cr_assert_eq(machine_exception(vp), VECTOR_GP);
	exit.fault.gpa = 0x10000000;
	vp->event = exception(VECTOR_UD);
	vp->event.cut = true;
	vp_handle_other_exit(vp, &exit);
	cr_assert(vp->intercept_suspend);
	cr_assert_eq(m->instruction_byte_count, 0);
	cr_assert(m->header.execution_state & HV_X64_EXECUTION_STATE_INTERRUPTION_PENDING);
	exit.fault.by_insn = true;
	vp->event.pending = false;
	vp_handle_other_exit(vp, &exit);
	cr_assert(m->instruction_byte_count > 0);
	cr_assert_not(m->header.execution_state & HV_X64_EXECUTION_STATE_INTERRUPTION_PENDING);
}

// --- sleep ---

static void halt_once(struct vp *entered, struct vp_exit *exit)
{
	*exit = (struct vp_exit){ .reason = EXIT_HLT, .insn_length = 1 };
	if (entries++)
		vp->regs.rflags &= ~RFLAGS_TF;
}

Test(event, a_single_step_over_hlt_does_not_sleep)
{
	machine_guest = halt_once;
	vp->regs.rflags |= RFLAGS_TF;
	run();
	cr_assert_eq(entries, 2);
	cr_assert_eq(machine_vp(vp)->exceptions, 1);
	cr_assert_eq(machine_vp(vp)->delivered.vector, VECTOR_DB);
	cr_assert_eq(vp->activity, VP_HALTED, "without TF it does");
}

Test(event, what_the_parent_makes_pending_ends_a_sleep)
{
	static const uint8_t asleep[] = { VP_HALTED, VP_IDLE };
	const struct hv_register_value ud = { .reg64 = HV_PENDING_EVENT_PENDING |
						       6 << HV_PENDING_EVENT_VECTOR_SHIFT };

	for (unsigned int i = 0; i < ARRAY_SIZE(asleep); i++) {
		vp->activity = asleep[i];
		cr_assert_not(vp_runnable(vp));
		cr_assert_eq(vp_set_register(vp, HvRegisterPendingEvent0, &ud), 0);
		cr_assert(vp_runnable(vp));
		vp->event.pending = false;
	}
	vp->activity = VP_WAIT_FOR_SIPI;
	cr_assert_eq(vp_set_register(vp, HvRegisterPendingEvent0, &ud), 0);
	cr_assert_not(vp_runnable(vp), "the wait for a SIPI ends by one");
}

// --- NMI ---

static struct event log_of[4];

static void logging_guest(struct vp *entered, struct vp_exit *exit)
{
	log_of[entries] = machine_vp(vp)->delivered;
	if (++entries == 4)
		stop();
	exit->reason = EXIT_INTERRUPT;
}

Test(event, an_nmi_comes_right_behind_the_exception_that_goes_first)
{
	unsigned int kicks = machine_kicks;

	machine_guest = logging_guest;
	vp->run_state = VP_RUNNING;
	vp_inject_gp(vp);
	vp_request(vp, VP_REQ_NMI);
	vp_run(vp);
	cr_assert_eq(log_of[0].vector, VECTOR_GP);
	cr_assert_eq(machine_kicks, kicks + 1, "out again at once");
	cr_assert_eq(log_of[1].type, HvX64PendingNmi);
	cr_assert_not(log_of[2].pending);
}

// --- RIP ---

struct step {
	unsigned int mode;
	uint64_t from, length, to;
};

static const struct step steps[] = {
	{ CPU_MODE_PROTECTED | CPU_MODE_64BIT, 0xfffffffe, 2, 0x100000000 },
	{ CPU_MODE_PROTECTED | CPU_MODE_64BIT, 0xffffffff80000000, 2, 0xffffffff80000002 },
	{ CPU_MODE_PROTECTED, 0xfffffffe, 2, 0 },
	{ CPU_MODE_PROTECTED, 0xffffffff, 2, 1 },
	{ CPU_MODE_PROTECTED | 3, 0xfffffffe, 2, 0 },
	{ 0, 0xfffffffe, 2, 0 },
	{ 0, 0x1000, 2, 0x1002 },
};

Test(event, rip_has_32_bits_outside_64_bit_mode)
{
	const struct vp_exit exit = { .reason = EXIT_CPUID, .insn_length = 2 };

	for (unsigned int i = 0; i < ARRAY_SIZE(steps); i++) {
		machine_vp(vp)->mode = steps[i].mode;
		vp->regs.rip = steps[i].from;
		vp_skip_insn(vp, steps[i].length);
		cr_assert_eq(vp->regs.rip, steps[i].to, "%u: %lx", i, vp->regs.rip);
		vp->regs.rip = steps[i].from;
		vp_handle_other_exit(vp, &exit);
		cr_assert_eq(vp->regs.rip, steps[i].to, "%u: %lx", i, vp->regs.rip);
	}
}

static uint64_t rip_entered;

static void noting_guest(struct vp *entered, struct vp_exit *exit)
{
	rip_entered = vp->regs.rip;
	stop();
	exit->reason = EXIT_INTERRUPT;
}

// A parent may set RIP first and the mode afterwards.
Test(event, what_a_parent_sets_rip_to_is_truncated_at_the_entry)
{
	const struct hv_register_value rip = { .reg64 = 0x100000002 };

	machine_guest = noting_guest;
	for (unsigned int i = 0; i < 2; i++) {
		machine_vp(vp)->mode = CPU_MODE_PROTECTED | (i ? CPU_MODE_64BIT : 0);
		cr_assert_eq(vp_set_register(vp, HvX64RegisterRip, &rip), 0);
		vp->explicit_suspend = false;
		run();
		cr_assert_eq(rip_entered, i ? 0x100000002 : 2);
	}
}

// --- debug exceptions of emulated instructions ---

Test(event, int1_is_a_trap_without_a_condition)
{
	const struct vp_exit exit = { .reason = EXIT_ICEBP, .insn_length = 1 };
	struct hv_register_value dr6 = { 0 };

	vp->regs.rip = 0x1000;
	vp_handle_other_exit(vp, &exit);
	cr_assert_eq(vp->regs.rip, 0x1001);
	cr_assert_eq(machine_exception(vp), VECTOR_DB);
	backend->get_register(vp, HvX64RegisterDr6, &dr6);
	cr_assert_eq(dr6.reg64 & DR6_BS, 0);
	vp->regs.rflags |= RFLAGS_TF;
	vp_handle_other_exit(vp, &exit);
	backend->get_register(vp, HvX64RegisterDr6, &dr6);
	cr_assert_eq(dr6.reg64 & DR6_BS, DR6_BS);
	cr_assert_eq(machine_exception(vp), VECTOR_DB, "one for both");
}

// SDM volume 3, 17.3.1.1: RF lasts until the instruction is done.
Test(event, an_emulated_instruction_ends_rf_and_the_shadow)
{
	const struct vp_exit exit = { .reason = EXIT_RDMSR, .insn_length = 2 };

	vp->regs.rflags = RFLAGS_RF | 2;
	vp->regs.interrupt_shadow = true;
	vp->regs.gpr[RCX] = HV_X64_MSR_VP_INDEX;
	vp_handle_other_exit(vp, &exit);
	cr_assert_eq(vp->regs.rflags, 2);
	cr_assert_not(vp->regs.interrupt_shadow);
	cr_assert_not(vp->event.pending);
}

// --- registers ---

static uint64_t get(enum hv_register_name name)
{
	struct hv_register_value value;

	cr_assert_eq(vp_get_register(vp, name, &value), 0, "%x", name);
	return value.reg64;
}

static hv_status set(enum hv_register_name name, uint64_t value)
{
	const struct hv_register_value v = { .reg64 = value };

	return vp_set_register(vp, name, &v);
}

#define PI_UD  (1 | 3 << 1 | 6 << 16)
#define PI_GP  (1 | 3 << 1 | 1 << 4 | 13 << 16 | 0x18ull << 32)
#define PI_NMI (1 | 2 << 1 | 2 << 16)
#define PE_GP  (1 | 1 << 8 | 13 << 16 | 0x18ull << 32)

Test(event, pending_interruption_and_event_are_views_of_one_state)
{
	cr_assert_eq(get(HvRegisterPendingInterruption), 0);
	cr_assert_eq(get(HvRegisterPendingEvent0), 0);
	cr_assert_eq(set(HvRegisterPendingInterruption, PI_GP), 0);
	cr_assert_eq(get(HvRegisterPendingInterruption), PI_GP);
	cr_assert_eq(get(HvRegisterPendingEvent0), 0);
	cr_assert_eq(set(HvRegisterPendingEvent0, 0), 0);
	cr_assert_eq(get(HvRegisterPendingInterruption), PI_GP, "takes back what was raised only");
	cr_assert_eq(set(HvRegisterPendingInterruption, 0), 0);
	cr_assert_eq(get(HvRegisterPendingInterruption), 0);

	cr_assert_eq(set(HvRegisterPendingEvent0, PE_GP), 0);
	cr_assert_eq(get(HvRegisterPendingEvent0), PE_GP);
	cr_assert_eq(get(HvRegisterPendingInterruption), 0);
	cr_assert_eq(set(HvRegisterPendingEvent0, PE_GP), 0);
	cr_assert_eq(get(HvRegisterPendingEvent0), PE_GP, "set again is no double fault");
	cr_assert_eq(set(HvRegisterPendingInterruption, 0), 0);
	cr_assert_eq(get(HvRegisterPendingEvent0), PE_GP);
	cr_assert_eq(set(HvRegisterPendingEvent0, 0), 0);
	cr_assert_eq(get(HvRegisterPendingEvent0), 0);

	cr_assert_eq(set(HvRegisterPendingInterruption, PI_GP), 0);
	cr_assert_eq(set(HvRegisterPendingEvent0, PE_GP), 0);
	cr_assert_eq(machine_exception(vp), VECTOR_DF, "#GP in the delivery of #GP");
	cr_assert_eq(set(HvRegisterPendingInterruption, PI_NMI), 0);
	cr_assert_eq(get(HvRegisterPendingInterruption), PI_NMI);
}

Test(event, what_cannot_be_delivered_is_refused)
{
	static const uint64_t interruptions[] = {
		1 | 0 << 1 | 0x40 << 16, // external interrupt: the virtual APIC's
		1 | 4 << 1 | 0x80 << 16, // INT n
		1 | 5 << 1 | 1 << 16, 1 | 6 << 1 | 3 << 16, 1 | 7 << 1, 1 | 1 << 1,
		1 | 3 << 1 | 2 << 16, 1 | 3 << 1 | 32 << 16, 1 | 3 << 1 | 0xffffull << 16,
		1 | 2 << 1 | 3 << 16
	};
	static const uint64_t events[] = { 1 | 2 << 16, 1 | 32 << 16, 1 | 5 << 1 | 0x40 << 8,
		1 | 7 << 1, 1 | 0xffffull << 16 };

	cr_assert_eq(set(HvRegisterPendingInterruption, PI_UD), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(interruptions); i++)
		cr_assert_eq(set(HvRegisterPendingInterruption, interruptions[i]),
			HV_STATUS_INVALID_REGISTER_VALUE, "%u", i);
	for (unsigned int i = 0; i < ARRAY_SIZE(events); i++)
		cr_assert_eq(set(HvRegisterPendingEvent0, events[i]),
			HV_STATUS_INVALID_REGISTER_VALUE, "%u", i);
	cr_assert_eq(get(HvRegisterPendingInterruption), PI_UD);
}

Test(event, interrupt_state)
{
	for (uint64_t state_bits = 0; state_bits < 4; state_bits++) {
		cr_assert_eq(set(HvRegisterInterruptState, state_bits), 0);
		cr_assert_eq(get(HvRegisterInterruptState), state_bits);
		cr_assert_eq(vp->regs.interrupt_shadow, state_bits & 1);
		cr_assert_eq(machine_vp(vp)->nmi_blocked, state_bits >> 1);
	}
	cr_assert_eq(set(HvRegisterInterruptState, 4), HV_STATUS_INVALID_REGISTER_VALUE);
}

Test(event, a_reset_forgets_all)
{
	vp_inject_gp(vp);
	vp->nmi_waits = true;
	vp_reset(vp, false);
	cr_assert_not(vp->event.pending);
	cr_assert_not(vp->nmi_waits);
}
