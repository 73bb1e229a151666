// SPDX-License-Identifier: BSD-2-Clause
// What guests get of the processor: instructions that exit, bits of control registers, and what
// stands between partitions that take turns on it.
#include "tests/unit/hypervisor/machine.h"

#include <criterion/criterion.h>

#include "hypervisor/core/run.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/msr.h"
#include "hypervisor/x86/speculation.h"

enum { CODE = MACHINE_IN_PAGE * 4096, CHILD_CODE = 2 * 4096 };

static struct vp *root;

static void setup(void)
{
	machine_setup();
	root = root_vp(0);
	speculation = (struct speculation){ 0 };
	machine_msr_writes = 0;
}

TestSuite(processor, .init = setup, .fini = machine_check, .timeout = 60);

// --- instructions ---

static int exception;

// VP exits for REASON with the COUNT bytes of CODE as its instruction. By how much RIP goes on.
static uint64_t exits(struct vp *vp, enum exit_reason reason, const char *code, unsigned int count)
{
	const struct vp_exit exit = { .reason = reason };
	struct machine_vp *m = machine_vp(vp);
	uint64_t rip = vp->partition->is_root ? CODE : CHILD_CODE;

	memcpy(machine_memory(vp->partition, rip), code, count);
	vp->regs.rip = rip;
	m->exceptions = 0;
	machine_run(vp);
	vp_handle_exit(vp, &exit);
	exception = m->exceptions ? (int)m->last_exception : -1;
	return vp->regs.rip - rip;
}

Test(processor, only_the_root_flushes_the_caches)
{
	struct vp *child = machine_child(0, 1, 16)->vps[0];

	cr_assert_eq(exits(root, EXIT_WBINVD, "\x0f\x09", 2), 2);
	cr_assert_eq(machine_wbinvds, 1);
	cr_assert_eq(exits(root, EXIT_WBINVD, "\xf3\x0f\x09", 3), 3, "WBNOINVD");
	cr_assert_eq(exits(root, EXIT_WBINVD, "\x66\x2e\x0f\x08", 4), 4, "INVD with prefixes");
	cr_assert_eq(machine_wbinvds, 3);
	cr_assert_eq(exits(child, EXIT_WBINVD, "\x0f\x09", 2), 2);
	cr_assert_eq(exits(child, EXIT_WBINVD, "\xf3\x0f\x09", 3), 3);
	cr_assert_eq(exits(child, EXIT_WBINVD, "\x0f\x08", 2), 2);
	cr_assert_eq(machine_wbinvds, 3);
}

Test(processor, instructions_that_guests_have_no_use_for)
{
	cr_assert_eq(exits(root, EXIT_DENIED, "\x0f\x33", 2), 0); // RDPMC
	cr_assert_eq(exception, 13);
	cr_assert_eq(exits(root, EXIT_UNDEFINED, "\x0f\x01\xfd", 3), 0); // RDPRU
	cr_assert_eq(exception, 6);
	cr_assert_eq(exits(root, EXIT_FPU_FREEZE, "\x9b", 1), 0);
	cr_assert_eq(exception, 16);
}

// --- CR4 ---

static uint64_t control(enum hv_register_name name)
{
	struct hv_register_value value;

	vp_get_register(root, name, &value);
	return value.reg64;
}

static void set_control(enum hv_register_name name, uint64_t value)
{
	const struct hv_register_value v = { .reg64 = value };

	cr_assert_eq(vp_set_register(root, name, &v), HV_STATUS_SUCCESS);
}

// MOV CR4, EAX; bits beyond 32 can only be set in 64-bit mode, where MOV is the same.
static bool sets_cr4(uint64_t value)
{
	root->regs.gpr[RAX] = value;
	exits(root, EXIT_CR_WRITE, "\x0f\x22\xe0", 3);
	cr_assert_eq(root->regs.rip, exception < 0 ? CODE + 3 : CODE);
	cr_assert(exception == -1 || exception == 13);
	return exception < 0;
}

static bool cpuid_offers(uint32_t leaf, size_t reg, unsigned int bit)
{
	struct cpuid_result r;

	cpuid_read(root, leaf, 0, &r);
	return *(uint32_t *)((char *)&r + reg) >> bit & 1;
}

Test(processor, cr4_bits_are_those_that_cpuid_offers)
{
	static const struct {
		uint64_t bits;
		uint32_t leaf;
		size_t reg;
		unsigned int bit;
	} rows[] = {
		{ CR4_FSGSBASE, 7, offsetof(struct cpuid_result, ebx), 0 },
		{ CR4_SMEP, 7, offsetof(struct cpuid_result, ebx), 7 },
		{ CR4_UMIP, 7, offsetof(struct cpuid_result, ecx), 2 },
		{ CR4_PKE, 7, offsetof(struct cpuid_result, ecx), 3 },
		{ CR4_LA57, 7, offsetof(struct cpuid_result, ecx), 16 },
		{ CR4_PAE, 1, offsetof(struct cpuid_result, edx), 6 },
		{ CR4_OSXSAVE, 1, offsetof(struct cpuid_result, ecx), 26 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(sets_cr4(rows[i].bits),
			cpuid_offers(rows[i].leaf, rows[i].reg, rows[i].bit), "%lx", rows[i].bits);
	cr_expect(sets_cr4(CR4_MCE | CR4_PCE | CR4_PAE | CR4_PGE));
	cr_expect_eq(control(HvX64RegisterCr4), CR4_MCE | CR4_PCE | CR4_PAE | CR4_PGE);
	for (unsigned int bit = 23; bit < 32; bit++)
		cr_expect_not(sets_cr4(BIT(bit)), "%u", bit);
	cr_expect_not(sets_cr4(BIT(13) | CR4_PAE), "VMXE");
	cr_expect_eq(control(HvX64RegisterCr4), CR4_MCE | CR4_PCE | CR4_PAE | CR4_PGE, "as before");
}

Test(processor, cr4_in_long_mode)
{
	set_control(HvX64RegisterEfer, EFER_LME | EFER_LMA);
	set_control(HvX64RegisterCr4, CR4_PAE);
	cr_expect_not(sets_cr4(CR4_PGE), "PAE stays");
	cr_expect(sets_cr4(CR4_PAE | CR4_PGE));
	if (!cpuid_offers(1, offsetof(struct cpuid_result, ecx), 17))
		return;
	set_control(HvX64RegisterCr3, 0x1001);
	cr_expect_not(sets_cr4(CR4_PAE | CR4_PCIDE), "it begins with PCID 0");
	set_control(HvX64RegisterCr3, 0x1000);
	cr_expect(sets_cr4(CR4_PAE | CR4_PCIDE));
	set_control(HvX64RegisterCr3, 0x1001);
	cr_expect(sets_cr4(CR4_PAE | CR4_PCIDE | CR4_PGE), "it is on");
	set_control(HvX64RegisterEfer, 0);
	set_control(HvX64RegisterCr4, 0);
	cr_expect_not(sets_cr4(CR4_PAE | CR4_PCIDE), "long mode only");
}

Test(processor, other_control_registers_do_not_come_here)
{
	exits(root, EXIT_CR_WRITE, "\x0f\x22\xd8", 3); // CR3
	cr_assert_eq(exception, 6);
	root->regs.gpr[RAX] = 16;
	exits(root, EXIT_CR_WRITE, "\xf0\x0f\x22\xc0", 4); // LOCK MOV CR0: CR8
	cr_assert_eq(exception, 13);
	root->regs.gpr[RAX] = 5;
	cr_assert_eq(exits(root, EXIT_CR_WRITE, "\xf0\x0f\x22\xc0", 4), 4);
	cr_assert_eq(vapic_get_cr8(root), 5);
}

// --- speculation ---

// VP gets this processor, and gives it up as it is blocked (a child: suspended).
static void take_turn(struct vp *vp)
{
	vp->explicit_suspend = true;
	vp->run_state = VP_RUNNING;
	machine_cpu->run_queue.current = vp;
	vp_run(vp);
	machine_cpu->run_queue.current = root;
}

static unsigned int ibpbs(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < machine_msr_writes; i++)
		count += machine_msr_log[i].msr == MSR_PRED_CMD && machine_msr_log[i].value == 1;
	return count;
}

Test(processor, branches_are_forgotten_when_partitions_change)
{
	struct partition *a = machine_child(0, 2, 16), *b = machine_child(1, 1, 16);
	static const struct {
		unsigned int whose, before;
	} turns[] = { { 0, 1 }, { 1, 2 }, { 2, 2 }, { 1, 2 }, { 1, 2 }, { 0, 3 }, { 3, 4 },
		{ 2, 5 }, { 3, 6 }, { 0, 7 }, { 0, 7 } };
	struct vp *vps[] = { root, a->vps[0], a->vps[1], b->vps[0] };

	speculation.ibpb = true;
	machine_cpu->predictions_of = 0;
	machine_cpu->loaded = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(turns); i++) {
		take_turn(vps[turns[i].whose]);
		cr_expect_eq(ibpbs(), turns[i].before, "turn %zu: %u", i, ibpbs());
	}
	cr_expect_eq(machine_msr_writes, ibpbs(), "nothing else is written");
}

Test(processor, a_partition_that_comes_back_at_the_same_place_is_another_one)
{
	struct partition *a = machine_child(0, 1, 16);
	unsigned int before;

	speculation.ibpb = true;
	take_turn(a->vps[0]);
	before = ibpbs();
	vp_unload(a->vps[0]);
	a->id += 1000; // as one that was made of the same pages later
	take_turn(a->vps[0]);
	a->id -= 1000;
	cr_expect_eq(ibpbs(), before + 1);
}

Test(processor, speculation_controls_go_with_the_vp)
{
	struct partition *a = machine_child(0, 2, 16);

	speculation.spec_ctrl = speculation.virt_spec_ctrl = true;
	a->vps[0]->spec_ctrl = SPEC_CTRL_SSBD;
	a->vps[1]->virt_spec_ctrl = SPEC_CTRL_SSBD;
	take_turn(a->vps[0]);
	cr_expect_eq(machine_msr(MSR_SPEC_CTRL), SPEC_CTRL_SSBD);
	cr_expect_eq(machine_msr(MSR_VIRT_SPEC_CTRL), 0);
	msr_wr_safe(MSR_SPEC_CTRL, SPEC_CTRL_IBRS | SPEC_CTRL_STIBP); // the guest itself
	take_turn(a->vps[1]);
	cr_expect_eq(a->vps[0]->spec_ctrl, SPEC_CTRL_IBRS | SPEC_CTRL_STIBP);
	cr_expect_eq(machine_msr(MSR_SPEC_CTRL), 0);
	cr_expect_eq(machine_msr(MSR_VIRT_SPEC_CTRL), SPEC_CTRL_SSBD);
	take_turn(a->vps[0]);
	cr_expect_eq(machine_msr(MSR_SPEC_CTRL), SPEC_CTRL_IBRS | SPEC_CTRL_STIBP);
	cr_expect_eq(machine_msr(MSR_VIRT_SPEC_CTRL), 0);
	cr_expect_eq(a->vps[1]->virt_spec_ctrl, SPEC_CTRL_SSBD);
	cr_expect_eq(ibpbs(), 0, "this processor has none");
}

Test(processor, what_it_does_not_have_is_not_touched)
{
	struct partition *a = machine_child(0, 2, 16);

	take_turn(a->vps[0]);
	take_turn(a->vps[1]);
	take_turn(root);
	cr_expect_eq(machine_msr_writes, 0);
}

// A parent can set no bit that the guest could not.
Test(processor, speculation_controls_by_register)
{
	struct vp *child = machine_child(0, 1, 16)->vps[0];
	uint64_t valid = guest_control_bits(GUEST_SPEC_CTRL);
	struct hv_register_value value = { .reg64 = BIT(5) };

	cr_expect_eq(vp_set_register(child, HvX64RegisterSpecCtrl, &value),
		HV_STATUS_INVALID_REGISTER_VALUE);
	value.reg64 = BIT(1);
	cr_expect_eq(vp_set_register(child, HvX64RegisterVirtSpecCtrl, &value),
		HV_STATUS_INVALID_REGISTER_VALUE);
	value.reg64 = valid;
	cr_expect_eq(vp_set_register(child, HvX64RegisterSpecCtrl, &value), HV_STATUS_SUCCESS);
	cr_expect_eq(child->spec_ctrl, valid);
	vp_get_register(child, HvX64RegisterSpecCtrl, &value);
	cr_expect_eq(value.reg64, valid);
	cr_expect_eq(vp_get_register(root, HvX64RegisterSpecCtrl, &value),
		HV_STATUS_INVALID_VP_STATE, "the processor has it");
}

Test(processor, indices_beyond_are_zero)
{
	for (size_t i = 0; i < 300; i++)
		cr_expect_eq(index_nospec(i, 16), i < 16 ? i : 0);
	cr_expect_eq(index_nospec(SIZE_MAX, 16), 0);
	cr_expect_eq(index_nospec(5, 0), 0);
	cr_expect_eq(index_nospec(SIZE_MAX - 1, SIZE_MAX), SIZE_MAX - 1);
}
