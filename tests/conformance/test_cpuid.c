// SPDX-License-Identifier: BSD-2-Clause
// CPUID: the structure of the hypervisor's leaves, and that they fit together. That what they
// advertise is there, and the rest is not, is for the tests of MSRs and calls.
#include "tests/conformance/internal.h"

#define SECTION "Feature and Interface Discovery"

TEST(cpuid_present, "CPUID: leaf 1 says that a hypervisor is present", "Hypervisor Discovery")
{
	EXPECT(cpuid(1, 0).ecx & HV_CPUID_1_ECX_HYPERVISOR_PRESENT, "ECX bit 31 is clear");
}

TEST(cpuid_max, "CPUID: leaf 0x40000000, the highest leaf is at least 0x40000005", SECTION)
{
	EXPECT(machine.hv_leaves >= HV_CPUID_LIMITS && machine.hv_leaves <= 0x400000ff,
		"the highest leaf is 0x%x", machine.hv_leaves);
}

TEST(cpuid_interface, "CPUID: leaf 0x40000001, the interface is Hv'1", SECTION)
{
	EXPECT_EQ(cpuid(HV_CPUID_INTERFACE, 0).eax, HV_INTERFACE_SIGNATURE, "EAX");
}

// Reserved bits of each leaf, by register.
static const struct reserved {
	uint32_t leaf, eax, ebx, ecx, edx;
} reserved[] = {
	{ HV_CPUID_INTERFACE, 0, ~0u, ~0u, ~0u },
	// Bits that the published mask has as reserved, but other documents name, are not counted.
	{ HV_CPUID_FEATURES, 0xffff0000, 0xff000000, 0xfffffe00, 0 },
	{ HV_CPUID_ENLIGHTENMENT_INFO, 0xfff80000, 0, 0xffffff80, ~0u },
	{ HV_CPUID_LIMITS, 0, 0, 0, ~0u },
	{ HV_CPUID_HARDWARE_FEATURES, 0xfe000000, ~0u, ~0u, ~0u },
};

static bool name_leaf(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "CPUID: leaf 0x%x", reserved[row].leaf);
	return true;
}

TEST(cpuid_reserved, "reserved bits are zero", SECTION, .rows = COUNT(reserved),
	.row_name = name_leaf)
{
	const struct reserved *r = &reserved[row];
	struct cpuid_regs seen = cpuid(r->leaf, 0);

	if (r->leaf > machine.hv_leaves)
		SKIP("there is no such leaf");
	EXPECT_EQ(seen.eax & r->eax, 0, "EAX");
	EXPECT_EQ(seen.ebx & r->ebx, 0, "EBX");
	EXPECT_EQ(seen.ecx & r->ecx, 0, "ECX");
	EXPECT_EQ(seen.edx & r->edx, 0, "EDX");
}

static void expect_same(struct cpuid_regs a, struct cpuid_regs b, const char *what)
{
	EXPECT(a.eax == b.eax && a.ebx == b.ebx && a.ecx == b.ecx && a.edx == b.edx,
		"%s: expected %08x %08x %08x %08x, got %08x %08x %08x %08x", what, a.eax, a.ebx,
		a.ecx, a.edx, b.eax, b.ebx, b.ecx, b.edx);
}

static bool name_any_leaf(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "CPUID: leaf 0x%x", HV_CPUID_VENDOR + row);
	return true;
}

static void require_leaf(uint32_t leaf)
{
	if (leaf > machine.hv_leaves)
		SKIP("there is no such leaf");
}

TEST(cpuid_subleaf, "does not look at ECX", SECTION, .rows = 7, .row_name = name_any_leaf)
{
	require_leaf(HV_CPUID_VENDOR + row);
	expect_same(cpuid(HV_CPUID_VENDOR + row, 0), cpuid(HV_CPUID_VENDOR + row, 1), "subleaf 1");
	expect_same(cpuid(HV_CPUID_VENDOR + row, 0), cpuid(HV_CPUID_VENDOR + row, ~0u),
		"subleaf 0xffffffff");
}

struct other {
	uint32_t leaf;
	struct cpuid_regs seen;
};

static void read_leaf(void *argument)
{
	struct other *other = argument;

	other->seen = cpuid(other->leaf, 0);
}

TEST(cpuid_vps, "is the same on all VPs", SECTION, .rows = 7, .row_name = name_any_leaf, .vps = 2)
{
	struct other other = { HV_CPUID_VENDOR + row, { 0 } };

	require_leaf(other.leaf);
	for (unsigned int vp = 1; vp < machine.vps; vp++) {
		vp_run(vp, read_leaf, &other);
		expect_same(cpuid(other.leaf, 0), other.seen, "on another VP");
	}
}

// TLFS: Establishing the Hypercall Interface: "this signature implies that ... are implemented".
TEST(cpuid_implied, "CPUID: Hv'1 implies the hypercall registers and the VP index",
	"Establishing the Hypercall Interface")
{
	EXPECT(has_privilege(HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS), "AccessHypercallMsrs is clear");
	EXPECT(has_privilege(HV_PRIVILEGE_ACCESS_VP_INDEX), "AccessVpIndex is clear");
}

TEST(cpuid_vp_limit, "CPUID: leaf 0x40000005, as many VPs as there are", SECTION)
{
	uint32_t limit = cpuid(HV_CPUID_LIMITS, 0).eax;

	EXPECT(!limit || limit >= machine.vps, "at most %u VPs, but there are %u", limit,
		machine.vps);
}

TEST(cpuid_address_bits, "CPUID: leaf 0x40000004, the width of physical addresses", SECTION)
{
	uint32_t bits =
		cpuid(HV_CPUID_ENLIGHTENMENT_INFO, 0).ecx & HV_HINT_ECX_PHYSICAL_ADDRESS_BITS_MASK;

	EXPECT(!bits || bits >= machine.gpa_bits, "%u bits, but leaf 0x80000008 says %u", bits,
		machine.gpa_bits);
}

// What one bit says that another must say too.
static const struct implication {
	const char *name;
	uint32_t hint, edx; // if this,
	uint64_t privilege; // then this,
	uint32_t then_hint, then_edx;
} implications[] = {
	{ "the hint to use MSRs for the APIC comes with AccessIntrCtrlRegs", HV_HINT_MSR_FOR_APIC,
		0, HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS, 0, 0 },
	{ "the hint to use the reset register comes with AccessResetReg", HV_HINT_MSR_FOR_RESET, 0,
		HV_PRIVILEGE_ACCESS_RESET_REG, 0, 0 },
	{ "direct timers come with AccessSyntheticTimerMsrs", 0,
		HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS, HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS, 0,
		0 },
	{ "SINT polling comes with AccessSynicRegs", 0, HV_FEATURE_EDX_SINT_POLLING,
		HV_PRIVILEGE_ACCESS_SYNIC_REGS, 0, 0 },
	{ "frequency registers come with AccessFrequencyRegs", 0, HV_FEATURE_EDX_FREQUENCY_REGS,
		HV_PRIVILEGE_ACCESS_FREQUENCY_REGS, 0, 0 },
	{ "the idle state comes with AccessGuestIdleReg", 0, HV_FEATURE_EDX_GUEST_IDLE,
		HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG, 0, 0 },
	{ "the lock of the hypercall register comes with AccessHypercallMsrs", 0,
		HV_FEATURE_EDX_HYPERCALL_MSR_LOCK, HV_PRIVILEGE_ACCESS_HYPERCALL_MSRS, 0, 0 },
	{ "XMM output comes with XMM input", 0, HV_FEATURE_EDX_XMM_FAST_OUTPUT, 0, 0,
		HV_FEATURE_EDX_XMM_FAST_INPUT },
};

static bool name_implication(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "CPUID");
	return true;
}

TEST(cpuid_implications, "bits that need each other", SECTION, .rows = 1,
	.row_name = name_implication)
{
	for (unsigned int i = 0; i < COUNT(implications); i++) {
		const struct implication *rule = &implications[i];

		if (!(machine.hints & rule->hint) && !(machine.features_edx & rule->edx))
			continue;
		EXPECT(has_privilege(rule->privilege) && has_hint(rule->then_hint) &&
				has_edx(rule->then_edx),
			"%s: it does not", rule->name);
	}
}

TEST(cpuid_x2apic, "CPUID: the processor's leaf 1 shows as many APIC ids as VPs",
	"Virtual Processors")
{
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		for (unsigned int other = 0; other < vp; other++)
			EXPECT(apic_id(vp) != apic_id(other), "VPs %u and %u have the APIC id %u",
				vp, other, apic_id(vp));
}
