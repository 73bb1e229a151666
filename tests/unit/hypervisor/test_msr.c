// SPDX-License-Identifier: BSD-2-Clause
// MSRs and CPUID: what is there, what is not, and the TLFS's rules for the synthetic ones.
#include "tests/unit/hypervisor/rig.h"

#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/cpuid_features.h"
#include "hypervisor/x86/msr_table.h"
#include "hypervisor/x86/vapic_internal.h"

static struct vp *vp;

static void setup(void)
{
	rig_setup();
	vp = &rig.vp[0];
}

static uint64_t rd(uint32_t msr)
{
	uint64_t value;

	cr_assert(msr_read(vp, msr, &value), "MSR %x", msr);
	return value;
}

static void wr(uint32_t msr, uint64_t value)
{
	cr_assert(msr_write(vp, msr, value), "MSR %x", msr);
}

static bool no_rd(uint32_t msr)
{
	uint64_t value;

	return !msr_read(vp, msr, &value);
}

static bool no_wr(uint32_t msr, uint64_t value)
{
	return !msr_write(vp, msr, value);
}

static struct cpuid_result id(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_result r;

	cpuid_read(vp, leaf, subleaf, &r);
	return r;
}

// --- the tables ---

Test(msr, every_row_is_found, .init = setup)
{
	for (size_t i = 0; i < msr_hv_row_count; i++) {
		cr_expect_eq(msr_find(vp, msr_hv_rows[i].first), &msr_hv_rows[i], "row %zu", i);
		cr_expect_eq(msr_find(vp, msr_hv_rows[i].last), &msr_hv_rows[i], "row %zu", i);
		cr_expect(i == 0 || msr_hv_rows[i - 1].last < msr_hv_rows[i].first, "row %zu", i);
	}
}

// What is found has the number in its range and the VP's role, wherever MSRs can be.
Test(msr, what_is_found_is_right, .init = setup)
{
	static const uint32_t blocks[] = { 0, 0x40000000, 0xc0000000, 0xc0010000 };
	unsigned int found[2] = { 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(blocks) * 0x2000 * 2; i++) {
		uint32_t msr = blocks[i >> 14] + (i >> 1) % 0x2000;
		const struct msr_row *row;

		rig.partition.is_root = i & 1;
		row = msr_find(vp, msr);
		if (!row)
			continue;
		found[i & 1]++;
		cr_assert(row->first <= msr && msr <= row->last);
		cr_assert(row->roles & (i & 1 ? MSR_ROOT : MSR_CHILD));
	}
	// The x2APIC's 256 and some for both; MTRRs and machine check banks for the root.
	cr_expect_gt(found[0], 256 + 40);
	cr_expect_gt(found[1], found[0] + 200);
}

Test(msr, the_processors_rows_are_in_order, .init = setup)
{
	static const uint32_t child[] = { MSR_TSC, MSR_APIC_BASE, 0x8b, MSR_MTRR_CAP, 0x179, 0x17a,
		0x1d9, MSR_PAT, MSR_MTRR_DEF_TYPE, MSR_TSC_DEADLINE, MSR_X2APIC_FIRST,
		MSR_X2APIC_LAST, MSR_EFER, MSR_TSC_AUX, 0xc0010000, 0xc0010007, 0xc0010010,
		0xc0010015, 0xc0010055, 0xc0011029 };
	static const uint32_t root[] = { 0x17b, 0x200, 0x26f, 0x400, 0x47f, 0xc0010016, 0xc001001d,
		0xc001001f, 0xc0010058, 0xc0010111, 0xc0010113 };

	for (size_t i = 0; i < ARRAY_SIZE(child); i++)
		cr_expect_not_null(msr_find(vp, child[i]), "%x", child[i]);
	for (size_t i = 0; i < ARRAY_SIZE(root); i++)
		cr_expect_null(msr_find(vp, root[i]), "%x", root[i]);
	rig.partition.is_root = true;
	for (size_t i = 0; i < ARRAY_SIZE(child); i++)
		cr_expect_not_null(msr_find(vp, child[i]), "%x", child[i]);
	for (size_t i = 0; i < ARRAY_SIZE(root); i++)
		cr_expect_not_null(msr_find(vp, root[i]), "%x", root[i]);
}

// --- exits ---

static const struct vp_exit two_bytes = { .insn_length = 2 };

Test(msr_exit, unknown_ones_fault, .init = setup)
{
	vp->regs.gpr[RCX] = 0xc0010117; // VM_HSAVE_PA
	msr_read_exit(vp, &two_bytes);
	cr_assert_eq(rig_of(vp)->exception, 13);
	cr_assert_eq(rig_skipped(vp), 0);
	rig_of(vp)->exception = RIG_NO_EXCEPTION;
	msr_write_exit(vp, &two_bytes);
	cr_assert_eq(rig_of(vp)->exception, 13);
}

Test(msr_exit, or_are_ignored_if_the_parent_says_so, .init = setup)
{
	rig.partition.unimplemented_msr_action = 1;
	vp->regs.gpr[RCX] = 0xc0010117;
	vp->regs.gpr[RAX] = vp->regs.gpr[RDX] = 5;
	msr_read_exit(vp, &two_bytes);
	cr_assert_eq(rig_of(vp)->exception, RIG_NO_EXCEPTION);
	cr_assert_eq(rig_skipped(vp), 2);
	cr_assert_eq(vp->regs.gpr[RAX] | vp->regs.gpr[RDX], 0);
	vp->regs.gpr[RCX] = MSR_PAT; // a known one with a bad value faults all the same
	vp->regs.gpr[RAX] = 2;
	msr_write_exit(vp, &two_bytes);
	cr_assert_eq(rig_of(vp)->exception, 13);
}

Test(msr_exit, values_in_halves, .init = setup)
{
	vp->regs.gpr[RCX] = 0xdeadbeef00000000 | HV_X64_MSR_CRASH_P0;
	vp->regs.gpr[RAX] = 0xdeadbeef12345678;
	vp->regs.gpr[RDX] = 0xdeadbeefffff8000;
	msr_write_exit(vp, &two_bytes);
	cr_assert_eq(rd(HV_X64_MSR_CRASH_P0), 0xffff800012345678);
	vp->regs.gpr[RAX] = vp->regs.gpr[RDX] = UINT64_MAX;
	msr_read_exit(vp, &two_bytes);
	cr_assert_eq(vp->regs.gpr[RAX], 0x12345678);
	cr_assert_eq(vp->regs.gpr[RDX], 0xffff8000);
	cr_assert_eq(rig_skipped(vp), 4);
}

Test(msr_exit, the_parent_comes_first, .init = setup)
{
	rig.intercept_msrs = true;
	vp->regs.gpr[RCX] = HV_X64_MSR_CRASH_P0;
	vp->regs.gpr[RAX] = 0x1000;
	msr_write_exit(vp, &two_bytes);
	cr_assert_eq(rd(HV_X64_MSR_CRASH_P0), 0);
	cr_assert_eq(rig_skipped(vp), 0);
}

// --- the processor's ---

Test(msr, pat_types, .init = setup)
{
	wr(MSR_PAT, 0x0007040600070406);
	cr_assert_eq(rd(MSR_PAT), 0x0007040600070406);
	wr(MSR_PAT, 0x0007040500070106);
	for (uint64_t bad = 0; bad < 256; bad++)
		if (bad > 7 || bad == 2 || bad == 3)
			cr_expect(no_wr(MSR_PAT, bad << 40), "%lx", bad);
	cr_assert_eq(rd(MSR_PAT), 0x0007040500070106);
}

Test(msr, efer, .init = setup)
{
	rig_set(vp, HvX64RegisterCr0, CR0_PE);
	rig_set(vp, HvX64RegisterEfer, 0);
	wr(MSR_EFER, EFER_SCE | EFER_LME | EFER_NXE);
	cr_assert_eq(rd(MSR_EFER), EFER_SCE | EFER_LME | EFER_NXE);
	cr_expect(no_wr(MSR_EFER, EFER_SVME));
	cr_expect(no_wr(MSR_EFER, BIT(1)));
	cr_expect(no_wr(MSR_EFER, BIT(63)));
	wr(MSR_EFER, EFER_LME | EFER_LMA);
	cr_assert_eq(rd(MSR_EFER), EFER_LME, "LMA is the processor's");
	rig_set(vp, HvX64RegisterCr0, CR0_PE | CR0_PG);
	rig_set(vp, HvX64RegisterEfer, EFER_LME | EFER_LMA);
	cr_expect(no_wr(MSR_EFER, 0), "LME under paging");
	wr(MSR_EFER, EFER_LME | EFER_SCE);
	cr_assert_eq(rd(MSR_EFER), EFER_LME | EFER_LMA | EFER_SCE);
}

Test(msr, tsc, .init = setup)
{
	uint64_t now = tsc_read() + rig.partition.tsc_offset;

	cr_assert_geq(rd(MSR_TSC), now);
	cr_assert_lt(rd(MSR_TSC), now + RIG_TSC_HZ);
	wr(MSR_TSC, 1000);
	cr_assert_lt(rd(MSR_TSC), 1000 + RIG_TSC_HZ);
	cr_assert_eq(rig_register(vp, HvX64RegisterTsc)->reg64, 1000);
	cr_assert(no_wr(MSR_TSC_AUX, 1ull << 32));
	wr(MSR_TSC_AUX, 7);
	cr_assert_eq(vp->tsc_aux, 7);
}

Test(msr, svm_is_hidden, .init = setup)
{
	cr_expect(no_rd(MSR_VM_CR));
	cr_expect(no_rd(MSR_VM_HSAVE_PA));
	cr_expect(no_wr(MSR_VM_HSAVE_PA, 0x1000));
	cr_expect_eq(id(0x80000001, 0).ecx & 1 << 2, 0);
	cr_expect_eq(id(0x8000000a, 0).eax, 0);
	rig.partition.is_root = true;
	cr_expect(no_wr(MSR_VM_HSAVE_PA, 0x1000));
	cr_expect_eq(id(0x80000001, 0).ecx & 1 << 2, 0);
}

Test(msr, what_a_linux_child_touches, .init = setup)
{
	cr_expect_eq(rd(0xc0010000), 0);
	wr(0xc0010004, 0xabcd);
	rd(0x8b);
	rd(0xc0010015);
	cr_expect_eq(rd(0xc0010055), 0);
	rd(0xc0011029);
	cr_expect_eq(rd(MSR_MTRR_CAP) & 0xff, 0, "no variable MTRRs");
	cr_expect_eq(rd(MSR_MTRR_DEF_TYPE), 0x806);
	wr(MSR_MTRR_DEF_TYPE, 0);
	cr_expect_eq(rd(MSR_MTRR_DEF_TYPE), 0x806);
	cr_expect(no_rd(0x200));
	cr_expect(no_rd(0x400));
}

// --- synthetic ---

#define PAGE_AT(page) ((uint64_t)(page) << 12 | 1)

Test(msr_hv, hypercall_page_needs_an_identity, .init = setup)
{
	struct overlay *overlay = &rig.partition.hypercall_overlay;

	wr(HV_X64_MSR_HYPERCALL, PAGE_AT(5));
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), 5 << 12, "the enable bit remains zero");
	cr_assert_not(overlay->active);
	wr(HV_X64_MSR_GUEST_OS_ID, 0x8100000000000000);
	wr(HV_X64_MSR_HYPERCALL, PAGE_AT(5));
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), PAGE_AT(5));
	cr_assert(overlay->active && overlay->gpa_page == 5);
	cr_assert_eq(overlay->leaf, GPA_READ | GPA_EXECUTE);
	cr_assert_eq(memcmp(rig.hypercall_page, "\x0f\x01\xd9\xc3\xcc", 5), 0);
	vp = &rig.vp[1]; // partition-wide
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), PAGE_AT(5));
	wr(HV_X64_MSR_GUEST_OS_ID, 0);
	cr_assert_not(overlay->active);
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), 5 << 12);
}

Test(msr_hv, hypercall_page_moves_and_goes, .init = setup)
{
	struct overlay *overlay = &rig.partition.hypercall_overlay;

	wr(HV_X64_MSR_GUEST_OS_ID, 1);
	wr(HV_X64_MSR_HYPERCALL, PAGE_AT(5));
	wr(HV_X64_MSR_HYPERCALL, PAGE_AT(6) | 0xff0); // reserved bits are preserved
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), PAGE_AT(6) | 0xff0);
	cr_assert_eq(overlay->gpa_page, 6);
	cr_assert_eq(rig.flushes, 2);
	cr_assert(no_wr(HV_X64_MSR_HYPERCALL, BIT(guest_address_bits()) | 1),
		"beyond the GPA space that CPUID tells of");
	cr_assert_eq(overlay->gpa_page, 6);
	wr(HV_X64_MSR_HYPERCALL, BIT(guest_address_bits() - 1) | 1);
	wr(HV_X64_MSR_HYPERCALL, 0);
	cr_assert_not(overlay->active);
	cr_assert_eq(rig.flushes, 4);
}

Test(msr_hv, a_locked_hypercall_page_stays, .init = setup)
{
	wr(HV_X64_MSR_GUEST_OS_ID, 1);
	wr(HV_X64_MSR_HYPERCALL, PAGE_AT(5) | HV_X64_MSR_HYPERCALL_LOCKED);
	cr_assert(no_wr(HV_X64_MSR_HYPERCALL, PAGE_AT(6)));
	cr_assert(no_wr(HV_X64_MSR_HYPERCALL, 0));
	wr(HV_X64_MSR_GUEST_OS_ID, 0);
	cr_assert(rig.partition.hypercall_overlay.active);
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), PAGE_AT(5) | HV_X64_MSR_HYPERCALL_LOCKED);
}

Test(msr_hv, reference_time_and_its_page_agree, .init = setup)
{
	const struct hv_reference_tsc_page *page = (const void *)rig.reference_tsc_page;
	uint64_t before, after, computed;

	wr(HV_X64_MSR_REFERENCE_TSC, PAGE_AT(9));
	cr_assert_eq(rd(HV_X64_MSR_REFERENCE_TSC), PAGE_AT(9));
	cr_assert_eq(rig.partition.reference_tsc_overlay.leaf, GPA_READ);
	cr_assert_neq(page->tsc_sequence, 0);
	before = rd(HV_X64_MSR_TIME_REF_COUNT);
	computed = mul_hi(rd(MSR_TSC), page->tsc_scale) + page->tsc_offset;
	after = rd(HV_X64_MSR_TIME_REF_COUNT);
	cr_assert_geq(computed + 1, before);
	cr_assert_leq(computed, after + 1);
	cr_assert_geq(before, 50000000, "five seconds since the origin");
	cr_assert_lt(before, 100000000);
	cr_assert(no_wr(HV_X64_MSR_TIME_REF_COUNT, 0));
}

Test(msr_hv, reference_page_of_a_partition_with_another_tsc, .init = setup)
{
	const struct hv_reference_tsc_page *page = (const void *)rig.reference_tsc_page;
	uint64_t before, computed;

	rig.partition.tsc_offset += 0x123456789abc;
	wr(HV_X64_MSR_REFERENCE_TSC, PAGE_AT(9));
	before = rd(HV_X64_MSR_TIME_REF_COUNT);
	computed = mul_hi(rd(MSR_TSC), page->tsc_scale) + page->tsc_offset;
	cr_assert_geq(computed + 1, before);
	cr_assert_leq(computed, rd(HV_X64_MSR_TIME_REF_COUNT) + 1);
}

Test(msr_hv, a_reference_page_beyond_the_gpa_space_is_just_not_there, .init = setup)
{
	wr(HV_X64_MSR_REFERENCE_TSC, PAGE_AT(9));
	wr(HV_X64_MSR_REFERENCE_TSC, BIT(guest_address_bits()) | 1);
	cr_assert_eq(rd(HV_X64_MSR_REFERENCE_TSC), BIT(guest_address_bits()) | 1);
	cr_assert_not(rig.partition.reference_tsc_overlay.active);
}

Test(msr_hv, assist_page, .init = setup)
{
	memset(vp->assist_page, 0xee, PAGE_SIZE);
	wr(HV_X64_MSR_VP_ASSIST_PAGE, PAGE_AT(7));
	cr_assert_eq(*(uint32_t *)vp->assist_page, 0);
	cr_assert_eq(vp->assist_overlay.leaf, GPA_READ | GPA_WRITE);
	cr_assert_not(rig.vp[1].assist_overlay.active, "each VP has its own");
	*(uint32_t *)vp->assist_page = 0x10;
	wr(HV_X64_MSR_VP_ASSIST_PAGE, PAGE_AT(8));
	cr_assert_eq(*(uint32_t *)vp->assist_page, 0x10, "moving it changes nothing");
	cr_assert(no_wr(HV_X64_MSR_VP_ASSIST_PAGE, BIT(guest_address_bits()) | 1));
	wr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
	cr_assert_not(vp->assist_overlay.active);
}

// A page that cannot be placed now: nothing has changed, and the write is to be made again.
Test(msr_hv, a_page_that_cannot_be_placed_now, .init = setup)
{
	static const uint32_t msrs[] = { HV_X64_MSR_HYPERCALL, HV_X64_MSR_REFERENCE_TSC,
		HV_X64_MSR_VP_ASSIST_PAGE };

	wr(HV_X64_MSR_GUEST_OS_ID, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(msrs); i++) {
		wr(msrs[i], PAGE_AT(5 + i));
		rig.place_again = true;
		cr_assert_eq(msr_write(vp, msrs[i], PAGE_AT(9)), MSR_AGAIN);
		cr_assert_eq(msr_write(vp, msrs[i], 0), MSR_AGAIN);
		cr_assert_eq(rd(msrs[i]), PAGE_AT(5 + i));
		rig.place_again = false;
	}
	rig.place_again = true;
	cr_assert_eq(msr_write(vp, HV_X64_MSR_GUEST_OS_ID, 0), MSR_AGAIN);
	cr_assert_eq(rd(HV_X64_MSR_GUEST_OS_ID), 1);
	cr_assert_eq(rd(HV_X64_MSR_HYPERCALL), PAGE_AT(5));
	cr_assert(no_wr(HV_X64_MSR_HYPERCALL, BIT(guest_address_bits()) | 1));
}

Test(msr_hv, constants, .init = setup)
{
	vp = &rig.vp[2];
	cr_expect_eq(rd(HV_X64_MSR_VP_INDEX), 2);
	cr_expect_eq(rd(HV_X64_MSR_TSC_FREQUENCY), RIG_TSC_HZ);
	cr_expect_eq(rd(HV_X64_MSR_APIC_FREQUENCY), VAPIC_TIMER_HZ);
	cr_expect(no_wr(HV_X64_MSR_VP_INDEX, 0));
	cr_expect(no_wr(HV_X64_MSR_TSC_FREQUENCY, 0));
	cr_expect(no_rd(HV_X64_MSR_RESET));
	cr_expect(no_wr(HV_X64_MSR_GUEST_IDLE, 0));
	cr_expect(no_rd(0x40000200));
}

Test(msr_hv, the_synics_go_to_it, .init = setup)
{
	cr_expect_eq(rd(HV_X64_MSR_SINTn(7)), HV_X64_MSR_SINTn(7));
	wr(HV_X64_MSR_STIMERn_COUNT(3), 1);
	cr_expect_eq(rig.synic_written, HV_X64_MSR_STIMERn_COUNT(3));
	wr(HV_X64_MSR_EOM, 0);
	cr_expect_eq(rig.synic_written, HV_X64_MSR_EOM);
}

// Without its privilege, each synthetic MSR that asks for one is not there.
Test(msr_hv, privileges, .init = setup)
{
	for (size_t i = 0; i < msr_hv_row_count; i++) {
		const struct msr_row *row = &msr_hv_rows[i];

		if (row->first == HV_X64_MSR_VP_RUNTIME)
			continue; // reads the processor's run queue
		rig.partition.privileges = ~row->privilege;
		cr_expect_eq(no_rd(row->first) && no_wr(row->first, 0), row->privilege != 0, "%x",
			row->first);
	}
}

Test(msr_hv, crash, .init = setup)
{
	cr_assert_eq(
		rd(HV_X64_MSR_CRASH_CTL), HV_CRASH_CTL_CRASH_NOTIFY | HV_CRASH_CTL_CRASH_MESSAGE);
	for (unsigned int i = 0; i < HV_X64_MSR_CRASH_P_COUNT; i++) {
		wr(HV_X64_MSR_CRASH_Pn(i), 0x1000 + i);
		cr_expect_eq(rd(HV_X64_MSR_CRASH_Pn(i)), 0x1000 + i);
	}
	wr(HV_X64_MSR_CRASH_CTL, HV_CRASH_CTL_CRASH_NOTIFY);
	cr_assert_eq(rig.intercepted_crashes, 0, "a register hypercall is no crash");
	vp->regs.gpr[RCX] = HV_X64_MSR_CRASH_CTL;
	vp->regs.gpr[RDX] = 0x80000000;
	msr_write_exit(vp, &two_bytes);
	cr_assert_eq(rig.intercepted_crashes, 1);
	cr_assert_eq(rig_skipped(vp), 0, "the parent goes on from there");
}

Test(msr_hv, invariant_tsc_on_demand, .init = setup)
{
	cr_assert_eq(id(0x80000007, 0).edx, 0);
	cr_assert(no_wr(HV_X64_MSR_TSC_INVARIANT_CONTROL, 2));
	wr(HV_X64_MSR_TSC_INVARIANT_CONTROL, 1);
	cr_assert_eq(id(0x80000007, 0).edx, 1u << 8);
	wr(HV_X64_MSR_TSC_INVARIANT_CONTROL, 0);
	cr_assert_eq(rd(HV_X64_MSR_TSC_INVARIANT_CONTROL), 1, "stays");
}

// --- CPUID ---

Test(cpuid, hypervisor_leaves, .init = setup)
{
	struct cpuid_result r = id(HV_CPUID_VENDOR, 0);
	char vendor[13] = { 0 };

	cr_expect_eq(r.eax, 0x40000006);
	memcpy(vendor, &r.ebx, 4);
	memcpy(vendor + 4, &r.ecx, 4);
	memcpy(vendor + 8, &r.edx, 4);
	cr_expect_str_eq(vendor, "Microsoft Hv");
	cr_expect_eq(memcmp(&(uint32_t){ id(HV_CPUID_INTERFACE, 0).eax }, "Hv#1", 4), 0);
	rig.partition.privileges = 0x0000000300000e7f;
	r = id(HV_CPUID_FEATURES, 0);
	cr_expect_eq(r.eax, 0xe7f);
	cr_expect_eq(r.ebx, 3);
	cr_expect_eq(id(0x40000007, 0).eax, 0);
	cr_expect_eq(id(0x40000080, 0).eax, 0);
}

Test(cpuid, the_trace_ring_is_the_roots, .init = setup)
{
	cr_expect_eq(id(LUMEN_CPUID_TRACE, 0).ecx, 0);
	rig.partition.is_root = true;
	cr_expect_eq(id(LUMEN_CPUID_TRACE, 0).eax, 0x23456000);
	cr_expect_eq(id(LUMEN_CPUID_TRACE, 0).ebx, 1);
	cr_expect_eq(id(LUMEN_CPUID_TRACE, 0).ecx, 0x10000);
}

enum { X2APIC = 1 << 21, TSC_DEADLINE = 1 << 24, OSXSAVE = 1 << 27 };

Test(cpuid, features, .init = setup)
{
	struct cpuid_result r = id(1, 0);

	cr_expect_eq(r.ecx & (X2APIC | TSC_DEADLINE | OSXSAVE), X2APIC | TSC_DEADLINE);
	cr_expect(r.ecx & 1u << 31, "hypervisor present");
	cr_expect_eq(r.ecx & (1 << 3 | 1 << 5), 0, "neither MONITOR nor VMX");
	cr_expect_eq(r.edx & (1 << 7 | 1 << 14), 0, "a child has no machine check");
	cr_expect(r.edx & 1 << 9, "APIC");
	rig_set(vp, HvX64RegisterCr4, CR4_OSXSAVE);
	cr_expect(id(1, 0).ecx & OSXSAVE);
	cr_assert(vapic_write_msr(vp, MSR_APIC_BASE, APIC_BASE_ADDRESS));
	cr_expect_eq(id(1, 0).edx & 1 << 9, 0, "the APIC is off");
	cr_expect_eq(id(7, 0).ecx & 1 << 16, 0, "no five-level paging");
}

Test(cpuid, ranges, .init = setup)
{
	static const uint32_t none[] = { 3, 5, 8, 9, 0xa, 0xc, 0xe, 0xf, 0x10, 0x12, 0x14, 0x15,
		0x19, 0x1f, 0x20, 0x12345678, 0x40000200, 0x50000000, 0x80000009, 0x8000000a,
		0x8000001b, 0x8000001c, 0x8000001f, 0x80000020, 0x80000022, 0xffffffff };

	cr_expect_eq(id(0, 0).eax, 0xd);
	cr_expect_leq(id(0x80000000, 0).eax, 0x80000021);
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		struct cpuid_result r = id(none[i], 0);

		cr_expect_eq(r.eax | r.ebx | r.ecx | r.edx, 0, "leaf %x", none[i]);
	}
}

Test(cpuid, topology, .init = setup)
{
	vp = &rig.vp[3];
	cr_expect_eq(id(1, 0).ebx >> 24, 3);
	cr_expect_eq(id(1, 0).ebx >> 16 & 0xff, RIG_VPS);
	cr_expect(id(1, 0).edx & 1 << 28);
	cr_expect_eq(id(0xb, 0).eax, 0);
	cr_expect_eq(id(0xb, 0).ebx, 1);
	cr_expect_eq(id(0xb, 0).ecx, 0x100);
	cr_expect_eq(id(0xb, 1).eax, 2);
	cr_expect_eq(id(0xb, 1).ebx, RIG_VPS);
	cr_expect_eq(id(0xb, 1).ecx, 0x201);
	cr_expect_eq(id(0xb, 1).edx, 3);
	cr_expect_eq(id(0xb, 2).ebx, 0);
	cr_expect_eq(id(0xb, 2).ecx, 2);
	cr_expect_eq(id(0x80000008, 0).ecx, 2 << 12 | (RIG_VPS - 1));
	cr_expect_leq(id(0x80000008, 0).eax & 0xff, GPA_BITS);
	cr_expect_eq(id(0x8000001e, 0).eax, 3);
	rig.partition.vp_count = 1;
	cr_expect_eq(id(1, 0).edx & 1 << 28, 0);
	cr_expect_eq(id(0xb, 1).eax, 0);
}

Test(cpuid, xsave_follows_xcr0, .init = setup)
{
	uint32_t x87_only = id(0xd, 0).ebx, host = cpuid(0xd, 0).ecx;

	cr_expect_eq(id(0xd, 0).eax, 7);
	cr_expect_eq(x87_only, 576);
	cr_expect_eq(id(0xd, 0).ecx, 576 + 256);
	cr_expect_leq(id(0xd, 0).ecx, host);
	vp->xcr0 = 7;
	cr_expect_eq(id(0xd, 0).ebx, 576 + 256);
	cr_expect_eq(id(0xd, 1).eax & 8, 0, "no XSAVES");
	cr_expect_eq(id(0xd, 2).eax, 256);
	cr_expect_eq(id(0xd, 18).eax, 0, "no AMX");
	cr_expect_eq(id(0xd, 63).eax, 0);
}

Test(cpuid, exit_skips_what_the_processor_says, .init = setup)
{
	const struct vp_exit three_bytes = { .insn_length = 3 }; // a prefix

	vp->regs.gpr[RAX] = 0xdeadbeef40000001;
	vp->regs.gpr[RBX] = UINT64_MAX;
	cpuid_exit(vp, &three_bytes);
	cr_assert_eq(vp->regs.gpr[RAX], HV_INTERFACE_SIGNATURE);
	cr_assert_eq(vp->regs.gpr[RBX], 0);
	cr_assert_eq(rig_skipped(vp), 3);
}

// What backs each bit that is offered is there: no bit without its MSR (or its bit of a control
// register).
Test(cpuid, no_feature_without_what_backs_it, .init = setup)
{
	enum { INSN, FACT, OURS, XSTATE, CR4, EFER, SPEC_CTRL, VIRT_SPEC_CTRL, MSR };

	for (unsigned int root = 0; root < 2; root++) {
		rig.partition.is_root = root;
		// SYSENTER and PRED_CMD are left to guests.
#define CHECK(bit, name, backing, what)                                                            \
	if (backing == MSR && (what) != 0x174 && (uint32_t)(what) != MSR_PRED_CMD)                 \
		cr_expect_not_null(msr_find(vp, what), #name);
		CPUID_1_ECX(CHECK)
		CPUID_1_EDX(CHECK)
		CPUID_7_EBX(CHECK)
		CPUID_7_ECX(CHECK)
		CPUID_7_EDX(CHECK)
		CPUID_7_1_EAX(CHECK)
		CPUID_D_1_EAX(CHECK)
		CPUID_81_ECX(CHECK)
		CPUID_81_EDX(CHECK)
		CPUID_88_EBX(CHECK)
		CPUID_821_EAX(CHECK)
	}
	cr_expect_eq(id(0x80000001, 0).ecx & 1 << 26, 0, "data breakpoint masks have no MSRs");
	cr_expect(no_rd(0xc0011027));
}

Test(cpuid, features_go_with_extended_state, .init = setup)
{
	enum { AVX = 1 << 28, FMA = 1 << 12, F16C = 1 << 29 };
	uint32_t before = id(1, 0).ecx;

	host_xcr0 = 3;
	cr_expect_eq(id(1, 0).ecx, before & ~(AVX | FMA | F16C));
	cr_expect_eq(id(7, 0).ebx & 1 << 5, 0, "AVX2");
	host_xcr0 = 7;
}

Test(cpuid, control_bits, .init = setup)
{
	cr_expect_eq(guest_control_bits(GUEST_CR4) & (CR4_LA57 | BIT(13) | BIT(23) | BIT(24)), 0);
	cr_expect_eq(guest_control_bits(GUEST_CR4) & (CR4_PAE | CR4_MCE | CR4_PCE | CR4_PGE),
		CR4_PAE | CR4_MCE | CR4_PCE | CR4_PGE);
	cr_expect_eq(guest_control_bits(GUEST_EFER) & (EFER_SVME | EFER_LME | EFER_LMA),
		EFER_LME | EFER_LMA);
	cr_expect_eq(guest_control_bits(GUEST_EFER) & EFER_AIBRSE,
		id(0x80000021, 0).eax & 1 << 8 ? EFER_AIBRSE : 0);
	cr_expect_eq(guest_control_bits(GUEST_SPEC_CTRL) & SPEC_CTRL_SSBD,
		(id(0x80000008, 0).ebx & 1 << 24) || (id(7, 0).edx & 1u << 31) ? SPEC_CTRL_SSBD
									       : 0);
}
