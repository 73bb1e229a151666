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
	uint64_t rip = vp->partition->is_root ? CODE : CHILD_CODE;

	memcpy(machine_memory(vp->partition, rip), code, count);
	vp->regs.rip = rip;
	machine_run(vp);
	vp_handle_exit(vp, &exit);
	exception = machine_exception(vp);
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

// --- all state (core/vp_state.h) ---

static void *page_of(struct vp *vp, unsigned int i)
{
#define PAGE_OF(name, ...) vp->name,
	void *pages[] = { VP_PAGES(PAGE_OF) };

	return pages[i];
}

// Which bytes of a field are not zero after a reset of the kind.
#define LEFT(name)                                                                                 \
	({                                                                                         \
		size_t left = 0;                                                                   \
		for (size_t at = 0; at < sizeof(vp->name); at++)                                   \
			left += ((uint8_t *)&vp->name)[at] == 0xa5;                                \
		left;                                                                              \
	})

Test(processor, init_resets_what_the_table_says)
{
	struct vp *vp = machine_child(0, 1, 16)->vps[0];
	uint64_t before = control(HvX64RegisterCr0);

#define DIRTY(name) memset(&vp->name, 0xa5, sizeof(vp->name))
	DIRTY(regs);
	DIRTY(dr);
	DIRTY(xcr0);
	DIRTY(tsc_aux);
	DIRTY(spec_ctrl);
	DIRTY(virt_spec_ctrl);
	DIRTY(crash);
	DIRTY(eoi_vectors);
	memset(vp->xsave, 0xa5, PAGE_SIZE);
	vp->nmi_waits = true;
	vp_reset(vp, false);
	for (unsigned int i = 0; i < 16; i++)
		cr_expect(i == RDX || !vp->regs.gpr[i], "%u", i);
	cr_expect_not(vp->regs.interrupt_shadow);
	cr_expect_eq(vp->regs.rip, 0xfff0);
	cr_expect_eq(vp->regs.rflags, 2);
	cr_expect_neq(vp->regs.gpr[RDX], 0, "the processor's signature");
	cr_expect_eq(vp->dr[0] | vp->dr[3], 0);
	cr_expect_not(vp->nmi_waits);
	cr_expect_eq(LEFT(xcr0) + LEFT(tsc_aux) + LEFT(spec_ctrl) + LEFT(virt_spec_ctrl), 4 * 8);
	cr_expect_eq(LEFT(crash), sizeof(vp->crash));
	cr_expect_eq(((uint8_t *)vp->xsave)[100], 0xa5, "INIT leaves extended state");
	vp_reset(vp, true);
	cr_expect_eq(vp->xcr0, 1);
	cr_expect_eq(vp->tsc_aux | vp->spec_ctrl | vp->virt_spec_ctrl, 0);
	cr_expect_eq(((uint8_t *)vp->xsave)[100], 0);
	memset(vp->eoi_vectors, 0, sizeof(vp->eoi_vectors));
	cr_expect_eq(control(HvX64RegisterCr0), before, "nobody else's");
}

// Every register of the tables can be read, and what was read can be written.
Test(processor, every_register_of_the_table_has_a_name)
{
	struct vp *vp = machine_child(0, 1, 16)->vps[0];
	struct hv_register_value value;
	struct named {
		uint32_t first, count;
		bool writable;
	};
#define FIELD(...)					 0
#define MSRS(...)					 0
#define EXTENDED(...)					 0
#define R(first, count, get, set, arg)			 { first, count, IS_##set },
#define IS_NULL						 0
#define IS_set_field					 1
#define IS_set_rip					 1
#define IS_set_rflags					 1
#define IS_set_activity					 1
#define IS_set_suspend					 1
#define IS_set_xfem					 1
#define IS_set_msr					 1
#define IS_set_spec_ctrl				 1
#define IS_set_virt_spec_ctrl				 1
#define IS_set_cr8					 1
#define IS_set_extended					 1
#define REGS_NAMES(type, name, array, value, ...)	 __VA_ARGS__
#define STATE_NAMES(type, name, array, when, value, ...) __VA_ARGS__
#define PAGE_NAMES(name, ...)				 __VA_ARGS__
#define SYNIC_NAMES(first, count, arg)			 { first, count, true },
#define BACKEND_NAMES(name, ...)			 { HvX64Register##name, 1, true },
	static const struct named names[] = { VP_REGS(REGS_NAMES) VP_STATE(STATE_NAMES) VP_PAGES(
		PAGE_NAMES) VP_SYNIC_STATE(SYNIC_NAMES) VP_BACKEND_STATE(BACKEND_NAMES) };

	vp->partition->privileges = UINT64_MAX;
	host_xcr0 = 7;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		for (uint32_t n = 0; n < names[i].count; n++) {
			uint32_t name = names[i].first + n;

			if (names[i].first == HvX64RegisterApicId)
				continue; // the APIC's page has holes
			cr_expect_eq(
				vp_get_register(vp, name, &value), HV_STATUS_SUCCESS, "%x", name);
			if (names[i].writable)
				cr_expect_eq(vp_set_register(vp, name, &value), HV_STATUS_SUCCESS,
					"%x", name);
		}
	}
}

Test(processor, the_saved_form_has_all_of_it)
{
	struct vp *vp = machine_child(0, 1, 16)->vps[0];
	size_t fields = 0;

#define ADD_SIZE(type, name, ...)                                                                  \
	fields += sizeof(vp->name);                                                                \
	cr_expect_eq(sizeof(((struct vp_saved *)0)->name), sizeof(vp->name), #name);
	VP_STATE(ADD_SIZE)
	cr_expect_geq(sizeof(struct vp_saved), fields + VP_STATE_PAGES * PAGE_SIZE);
	for (unsigned int i = 0; i < VP_STATE_PAGES; i++)
		cr_expect_not_null(page_of(vp, i));
}
