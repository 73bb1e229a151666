// SPDX-License-Identifier: BSD-2-Clause
// Random registers: MSRs, page registers, control and debug registers, CPUID.
#include "tests/guests/hostile/random.h"

#include "base/macros.h"
#include "hypercall/msr.h"

#define MSR_APIC_BASE 0x1bu
#define MSR_EFER      0xc0000080u
#define CR0_PAGING    0x80000001ull // and protection
#define CR0_NW	      (1ull << 29)
#define CR0_CD	      (1ull << 30)
#define DR7_EXECUTE   0x455ull // all four, locally, where an instruction begins
#define EFER_NXE      0x800ull

// --- MSRs ---

static const struct {
	uint32_t first, count;
} msrs[] = {
	{ HV_X64_MSR_GUEST_OS_ID, 3 },
	{ HV_X64_MSR_VP_RUNTIME, 1 },
	{ HV_X64_MSR_TIME_REF_COUNT, 4 },
	{ HV_X64_MSR_EOI, 4 },
	{ HV_X64_MSR_SCONTROL, 6 },
	{ HV_X64_MSR_SINT0, 16 },
	{ HV_X64_MSR_STIMER0_CONFIG, 8 },
	{ HV_X64_MSR_REENLIGHTENMENT_CONTROL, 3 },
	{ HV_X64_MSR_STIME_UNHALTED_TIMER_CONFIG, 5 },
	{ HV_X64_MSR_CRASH_P0, HV_X64_MSR_CRASH_P_COUNT },
	{ HV_X64_MSR_SYNTHETIC_FIRST, 0x200 },
	{ 0, 0x200 },	       // TSC, APIC base, SPEC_CTRL, microcode, SYSENTER, MCG
	{ 0x200, 0x100 },      // MTRRs, PAT
	{ 0x400, 0x80 },       // machine checks
	{ 0x6e0, 1 },	       // TSC deadline
	{ 0x800, 0x100 },      // x2APIC
	{ 0xc0000080, 5 },     // EFER, system calls
	{ 0xc0000100, 4 },     // bases, TSC_AUX
	{ 0xc0010000, 0x120 }, // SYSCFG, HWCR, SVM
	{ 0xc0011000, 0x40 },
};

static uint32_t any_msr(struct random_vp *vp)
{
	uint64_t i = random_below(vp, ARRAY_SIZE(msrs));

	if (random_one_in(vp, 64))
		return (uint32_t)random_value(vp);
	return msrs[i].first + (uint32_t)random_below(vp, msrs[i].count);
}

static bool read_msr(struct random_vp *vp)
{
	kernel_rdmsr(any_msr(vp));
	return true;
}

// A reset, the report of a crash, and what the stacks need: once in a while.
static bool is_end(uint32_t msr)
{
	return msr == HV_X64_MSR_RESET || msr == HV_X64_MSR_CRASH_CTL || msr == MSR_EFER;
}

static bool write_msr(struct random_vp *vp)
{
	uint32_t msr = any_msr(vp);

	if (is_end(msr) && !random_one_in(vp, 200))
		return false;
	kernel_wrmsr(msr, random_value(vp));
	return true;
}

// --- page registers ---

static bool place_page(struct random_vp *vp)
{
	uint64_t page = random_page(vp);

	if (random_one_in(vp, 8))
		page |= random_below(vp, 0x1000);
	kernel_wrmsr(random_page_register(vp), page | !random_one_in(vp, 8));
	return true;
}

// Two places far apart, in turns, without a pause: tables come and go.
static bool move_page(struct random_vp *vp)
{
	uint64_t here = random_page(vp), there = random_page(vp);

	for (unsigned int i = 0; i < 32; i++)
		kernel_wrmsr(HV_X64_MSR_SIMP, (i % 2 ? here : there) | HV_X64_MSR_PAGE_ENABLE);
	return true;
}

static bool move_apic(struct random_vp *vp)
{
	uint64_t value = kernel_rdmsr(MSR_APIC_BASE);

	value ^= random_one_in(vp, 2) ? 0x400 : 0x800;
	if (random_one_in(vp, 4))
		value = (value & 0xfff) | random_page(vp);
	kernel_wrmsr(MSR_APIC_BASE, value);
	return true;
}

// --- control and debug registers ---

static uint64_t flip(struct random_vp *vp, uint64_t value)
{
	do
		value ^= 1ull << random_below(vp, random_one_in(vp, 4) ? 64 : 32);
	while (random_one_in(vp, 2));
	return value;
}

static bool write_cr0(struct random_vp *vp)
{
	uint64_t value;

	__asm__ volatile("mov %%cr0, %0" : "=r"(value));
	value = flip(vp, value);
	if (!random_one_in(vp, 500))
		value |= CR0_PAGING; // without it there is no way back
	// #GP, but not on QEMU 7.2, where the next VMRUN fails instead, and the child ends.
	if (value & CR0_NW)
		value |= CR0_CD;
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
	return true;
}

static bool write_cr4(struct random_vp *vp)
{
	uint64_t value;

	__asm__ volatile("mov %%cr4, %0" : "=r"(value));
	__asm__ volatile("mov %0, %%cr4" : : "r"(flip(vp, value)) : "memory");
	return true;
}

static bool write_cr8(struct random_vp *vp)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(random_one_in(vp, 2) ? 0 : random_value(vp)));
	return true;
}

static bool write_cr2(struct random_vp *vp)
{
	__asm__ volatile("mov %0, %%cr2" : : "r"(random_value(vp)));
	return true;
}

static bool write_efer(struct random_vp *vp)
{
	uint64_t value = kernel_rdmsr(MSR_EFER);

	value = flip(vp, value);
	if (!random_one_in(vp, 500))
		value |= EFER_NXE; // without it there is no stack
	kernel_wrmsr(MSR_EFER, value);
	return true;
}

static bool set_xcr0(struct random_vp *vp)
{
	uint64_t cr4, value = random_one_in(vp, 2) ? 7 & random_u64(vp) : random_value(vp);

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 1 << 18));
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
	return true;
}

// No breakpoints on data: one that is hit in the delivery of an exception aborts QEMU 7.2, not only
// the child (docs/hacking.md).
static bool write_dr(struct random_vp *vp)
{
	__asm__ volatile("mov %0, %%dr0" : : "r"(random_value(vp)));
	__asm__ volatile("mov %0, %%dr1" : : "r"((uint64_t)write_dr));
	__asm__ volatile("mov %0, %%dr2" : : "r"(random_solid_address(vp)));
	__asm__ volatile("mov %0, %%dr6" : : "r"(random_value(vp)));
	__asm__ volatile("mov %0, %%dr7" : : "r"(DR7_EXECUTE | (random_u64(vp) & 0x2300)));
	return true;
}

static bool read_cpuid(struct random_vp *vp)
{
	static const uint32_t leaves[] = { 0, 0x40000000, 0x80000000, 0xc0000000 };
	uint32_t leaf = random_of(vp, leaves) + (uint32_t)random_below(vp, 0x30);

	kernel_cpuid(random_one_in(vp, 8) ? (uint32_t)random_value(vp) : leaf,
		(uint32_t)random_value(vp));
	return true;
}

// Back to what is useful: with what all the others leave behind, most interrupts would soon be off.
static bool calm(struct random_vp *vp)
{
	kernel_wrmsr(MSR_APIC_BASE, 0xfee00800 | (vp->index ? 0 : 0x100));
	__asm__ volatile("mov %0, %%cr8" : : "r"(0ull));
	*(volatile uint32_t *)0xfee000f0ull = 0x1ff;
	*(volatile uint32_t *)0xfee00080ull = 0;
	for (unsigned int i = 0; i < HV_SYNIC_STIMER_COUNT; i++)
		kernel_wrmsr(HV_X64_MSR_STIMERn_CONFIG(i), 0);
	kernel_wrmsr(HV_X64_MSR_GUEST_OS_ID, 1);
	kernel_wrmsr(HV_X64_MSR_SCONTROL, HV_SYNIC_CONTROL_ENABLE);
	return true;
}

struct random_action random_registers[] = {
	{ .name = "msr-read", .run = read_msr, .weight = 500 },
	{ .name = "msr-write", .run = write_msr, .weight = 500 },
	{ .name = "place-page", .run = place_page, .weight = 500 },
	{ .name = "move-page", .run = move_page, .weight = 100 },
	{ .name = "move-apic", .run = move_apic, .weight = 50 },
	{ .name = "cr0", .run = write_cr0, .weight = 100 },
	{ .name = "cr2", .run = write_cr2, .weight = 20 },
	{ .name = "cr4", .run = write_cr4, .weight = 100 },
	{ .name = "cr8", .run = write_cr8, .weight = 100 },
	{ .name = "efer", .run = write_efer, .weight = 100 },
	{ .name = "xcr0", .run = set_xcr0, .weight = 100 },
	{ .name = "dr", .run = write_dr, .weight = 100 },
	{ .name = "cpuid", .run = read_cpuid, .weight = 100 },
	{ .name = "calm", .run = calm, .weight = 100 },
	{ .name = NULL },
};
