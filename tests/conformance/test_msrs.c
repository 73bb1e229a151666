// SPDX-License-Identifier: BSD-2-Clause
// Every synthetic MSR: there if advertised, #GP if not; reading, writing, and whose it is.
#include "examples/kernel/kernel.h"
#include "tests/conformance/internal.h"

#define SECTION "HV_PARTITION_PRIVILEGE_MASK"

enum access {
	READ = 1,
	WRITE = 2,
	KEEPS = 4,   // reads as written: with the row's two values
	PER_VP = 8,  // else it is the partition's
	GROWS = 16,  // a clock
	SAME = 32,   // reads the same twice
	NO_READ = 64 // reading it has an effect
};

static const struct msr {
	uint32_t number;
	const char *name;
	uint64_t privilege;
	uint32_t edx;
	unsigned int access;
	uint64_t values[2];
} msrs[] = {
#define MSR(name, privilege, edx, access, value0, value1)                                          \
	{                                                                                          \
		HV_X64_MSR_##name, "HV_X64_MSR_" #name, HV_PRIVILEGE_ACCESS_##privilege, (edx),    \
			(access),                                                                  \
		{                                                                                  \
			(value0), (value1)                                                         \
		}                                                                                  \
	}
#define STORED(name, privilege, value0, value1)                                                    \
	MSR(name, privilege, 0, READ | WRITE | KEEPS | SAME | PER_VP, value0, value1)
#define SINT(n)                                                                                    \
	{                                                                                          \
		HV_X64_MSR_SINTn(n), "HV_X64_MSR_SINT" #n, HV_PRIVILEGE_ACCESS_SYNIC_REGS, 0,      \
			READ | WRITE | KEEPS | SAME | PER_VP,                                      \
		{                                                                                  \
			HV_SYNIC_SINT_MASKED | 0x40, HV_SYNIC_SINT_MASKED | 0xe0                   \
		}                                                                                  \
	}
#define TIMER(n)                                                                                   \
	{ HV_X64_MSR_STIMERn_CONFIG(n), "HV_X64_MSR_STIMER" #n "_CONFIG",                          \
		HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS, 0, READ | WRITE | KEEPS | SAME | PER_VP, \
		{ 2ull << HV_STIMER_CONFIG_SINTX_SHIFT,                                            \
			15ull << HV_STIMER_CONFIG_SINTX_SHIFT | HV_STIMER_CONFIG_PERIODIC } },     \
	{                                                                                          \
		HV_X64_MSR_STIMERn_COUNT(n), "HV_X64_MSR_STIMER" #n "_COUNT",                      \
			HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS, 0,                               \
			READ | WRITE | KEEPS | SAME | PER_VP,                                      \
		{                                                                                  \
			0x123456789abcdef, 1                                                       \
		}                                                                                  \
	}
#define CRASH(n)                                                                                   \
	{                                                                                          \
		HV_X64_MSR_CRASH_Pn(n), "HV_X64_MSR_CRASH_P" #n, 0,                                \
			HV_FEATURE_EDX_GUEST_CRASH_REGS, READ | WRITE | KEEPS | SAME,              \
		{                                                                                  \
			0xfedcba9876543210, 0                                                      \
		}                                                                                  \
	}
	MSR(GUEST_OS_ID, HYPERCALL_MSRS, 0, READ | WRITE | SAME, 0, 0),
	MSR(HYPERCALL, HYPERCALL_MSRS, 0, READ | WRITE | SAME, 0, 0),
	MSR(VP_INDEX, VP_INDEX, 0, READ | SAME | PER_VP, 0, 0),
	MSR(RESET, RESET_REG, 0, READ | WRITE | SAME, 0, 0),
	MSR(VP_RUNTIME, VP_RUNTIME, 0, READ | GROWS | PER_VP, 0, 0),
	MSR(TIME_REF_COUNT, PARTITION_REFERENCE_COUNTER, 0, READ | GROWS, 0, 0),
	MSR(REFERENCE_TSC, PARTITION_REFERENCE_TSC, 0, READ | WRITE | KEEPS | SAME, 0x7000, 0),
	MSR(TSC_FREQUENCY, FREQUENCY_REGS, HV_FEATURE_EDX_FREQUENCY_REGS, READ | SAME, 0, 0),
	MSR(APIC_FREQUENCY, FREQUENCY_REGS, HV_FEATURE_EDX_FREQUENCY_REGS, READ | SAME, 0, 0),
	{ HV_X64_MSR_NPIEP_CONFIG, "HV_X64_MSR_NPIEP_CONFIG", 0, HV_FEATURE_EDX_NPIEP,
		READ | WRITE | KEEPS | SAME | PER_VP, { 1, 0 } },
	MSR(EOI, INTR_CTRL_REGS, 0, WRITE | PER_VP, 0, 0),
	MSR(ICR, INTR_CTRL_REGS, 0, READ | WRITE | SAME | PER_VP, 0, 0),
	STORED(TPR, INTR_CTRL_REGS, 0x20, 0xf0),
	STORED(VP_ASSIST_PAGE, INTR_CTRL_REGS, 0x7000, 0),
	STORED(SCONTROL, SYNIC_REGS, 1, 0),
	MSR(SVERSION, SYNIC_REGS, 0, READ | SAME | PER_VP, 0, 0),
	STORED(SIEFP, SYNIC_REGS, 0x7000, 0),
	STORED(SIMP, SYNIC_REGS, 0x8000, 0),
	MSR(EOM, SYNIC_REGS, 0, READ | WRITE | SAME | PER_VP, 0, 0),
	SINT(0),
	SINT(1),
	SINT(2),
	SINT(3),
	SINT(4),
	SINT(5),
	SINT(6),
	SINT(7),
	SINT(8),
	SINT(9),
	SINT(10),
	SINT(11),
	SINT(12),
	SINT(13),
	SINT(14),
	SINT(15),
	TIMER(0),
	TIMER(1),
	TIMER(2),
	TIMER(3),
	MSR(GUEST_IDLE, GUEST_IDLE_REG, HV_FEATURE_EDX_GUEST_IDLE, READ | NO_READ, 0, 0),
	CRASH(0),
	CRASH(1),
	CRASH(2),
	CRASH(3),
	CRASH(4),
	{ HV_X64_MSR_CRASH_CTL, "HV_X64_MSR_CRASH_CTL", 0, HV_FEATURE_EDX_GUEST_CRASH_REGS,
		READ | WRITE | SAME, { 0, 0 } },
	MSR(REENLIGHTENMENT_CONTROL, REENLIGHTENMENT_CONTROLS, 0, READ | WRITE | SAME, 0, 0),
	MSR(TSC_EMULATION_CONTROL, REENLIGHTENMENT_CONTROLS, 0, READ | WRITE | SAME, 0, 0),
	MSR(TSC_EMULATION_STATUS, REENLIGHTENMENT_CONTROLS, 0, READ | WRITE | SAME, 0, 0),
	{ HV_X64_MSR_STIME_UNHALTED_TIMER_CONFIG, "HV_X64_MSR_STIME_UNHALTED_TIMER_CONFIG", 0,
		HV_FEATURE_EDX_TIME_UNHALTED_TIMER, READ | WRITE | SAME | PER_VP, { 0, 0 } },
	{ HV_X64_MSR_STIME_UNHALTED_TIMER_COUNT, "HV_X64_MSR_STIME_UNHALTED_TIMER_COUNT", 0,
		HV_FEATURE_EDX_TIME_UNHALTED_TIMER, READ | WRITE | SAME | PER_VP, { 0, 0 } },
	MSR(TSC_INVARIANT_CONTROL, TSC_INVARIANT_CONTROLS, 0, READ | WRITE | SAME, 0, 0),
};

static bool name_of(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "%s", msrs[row].name);
	return true;
}

static bool name_if(bool wanted, unsigned int row, char *text, size_t size)
{
	return wanted && name_of(row, text, size);
}

static bool name_read_only(unsigned int row, char *text, size_t size)
{
	return name_if(!(msrs[row].access & WRITE), row, text, size);
}

static bool name_keeps(unsigned int row, char *text, size_t size)
{
	return name_if(msrs[row].access & KEEPS, row, text, size);
}

#define MSR_NAMES(function) .rows = COUNT(msrs), .row_name = (function)

static bool is_advertised(const struct msr *msr)
{
	return has_privilege(msr->privilege) && has_edx(msr->edx);
}

static void require(const struct msr *msr)
{
	if (!is_advertised(msr))
		SKIP("feature not advertised");
}

// One line for each MSR: what is advertised can be read, what is not gives #GP either way.
TEST(msr_there, "there if advertised, #GP if not", SECTION, MSR_NAMES(name_of))
{
	const struct msr *msr = &msrs[row];
	uint64_t first, second;

	if (!is_advertised(msr)) {
		expect_rdmsr_gp(msr->number);
		expect_wrmsr_gp(msr->number, 0);
		return;
	}
	if (!(msr->access & READ) || msr->access & NO_READ)
		return;
	first = rdmsr(msr->number);
	second = rdmsr(msr->number);
	if (msr->access & SAME)
		EXPECT_EQ(second, first, "the second read");
	if (msr->access & GROWS)
		EXPECT(second >= first, "it went back: from 0x%lx to 0x%lx", first, second);
}

TEST(msr_read_only, "cannot be written: #GP", SECTION, MSR_NAMES(name_read_only))
{
	require(&msrs[row]);
	expect_wrmsr_gp(msrs[row].number, 0);
	expect_wrmsr_gp(msrs[row].number, 1);
}

TEST(msr_keeps, "reads as written", SECTION, MSR_NAMES(name_keeps))
{
	const struct msr *msr = &msrs[row];

	require(msr);
	for (unsigned int i = 0; i < 2; i++) {
		wrmsr(msr->number, msr->values[i]);
		EXPECT_EQ(rdmsr(msr->number), msr->values[i], "read after write");
	}
}

// --- whose it is ---

struct other {
	const struct msr *msr;
	uint64_t seen;
};

static void read_other(void *argument)
{
	struct other *other = argument;

	other->seen = rdmsr(other->msr->number);
}

static void write_other(void *argument)
{
	struct other *other = argument;

	wrmsr(other->msr->number, other->msr->values[0]);
}

static bool name_keeps_own(unsigned int row, char *text, size_t size)
{
	return name_if(msrs[row].access & KEEPS && msrs[row].access & PER_VP, row, text, size);
}

static bool name_keeps_shared(unsigned int row, char *text, size_t size)
{
	return name_if(msrs[row].access & KEEPS && !(msrs[row].access & PER_VP) && !msrs[row].edx,
		row, text, size);
}

TEST(msr_own, "each VP has its own", "Virtual Processors", MSR_NAMES(name_keeps_own), .vps = 2)
{
	struct other other = { &msrs[row], 0 };
	uint64_t before;

	require(other.msr);
	before = rdmsr(other.msr->number);
	vp_run(1, write_other, &other);
	EXPECT_EQ(rdmsr(other.msr->number), before, "on VP 0, after VP 1 has written its own");
	vp_run(1, read_other, &other);
	EXPECT_EQ(other.seen, other.msr->values[0], "on VP 1");
}

TEST(msr_shared, "all VPs share it", "Partitions", MSR_NAMES(name_keeps_shared), .vps = 2)
{
	struct other other = { &msrs[row], 0 };

	require(other.msr);
	vp_run(1, write_other, &other);
	EXPECT_EQ(rdmsr(other.msr->number), other.msr->values[0], "on VP 0");
}

// --- single ones ---

static void read_vp_index(void *argument)
{
	*(uint64_t *)argument = rdmsr(HV_X64_MSR_VP_INDEX);
}

TEST(vp_index, "HV_X64_MSR_VP_INDEX: no two VPs have the same", "Virtual Processor Indices",
	.privileges = HV_PRIVILEGE_ACCESS_VP_INDEX)
{
	uint64_t seen = 0;

	for (unsigned int vp = 0; vp < machine.vps; vp++) {
		uint64_t index = ~0ull;

		vp_run(vp, read_vp_index, &index);
		EXPECT(index < 64, "the index 0x%lx", index);
		EXPECT(!(seen >> index & 1), "the index %lu is there twice", index);
		seen |= 1ull << index;
	}
}

TEST(sversion, "HV_X64_MSR_SVERSION: version 1 of the SynIC", "SynIC MSRs",
	.privileges = HV_PRIVILEGE_ACCESS_SYNIC_REGS)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_SVERSION) & 0xffffffff, HV_SYNIC_VERSION, "version");
}

TEST(eom_reads_zero, "HV_X64_MSR_EOM: reads as zero", "SynIC MSRs",
	.privileges = HV_PRIVILEGE_ACCESS_SYNIC_REGS)
{
	EXPECT_EQ(rdmsr(HV_X64_MSR_EOM), 0, "HV_X64_MSR_EOM");
}

TEST(sint_initial, "HV_X64_MSR_SINT0 to 15: masked at first", "SINTx Registers",
	.privileges = HV_PRIVILEGE_ACCESS_SYNIC_REGS)
{
	for (unsigned int i = 0; i < HV_SYNIC_SINT_COUNT; i++)
		EXPECT(rdmsr(HV_X64_MSR_SINTn(i)) & HV_SYNIC_SINT_MASKED, "SINT%u is not masked",
			i);
}

// TSC ticks in a second of reference time, over a short while.
static uint64_t measure_tsc(void)
{
	uint64_t time0, time1, tsc0, tsc1;

	time0 = rdmsr(HV_X64_MSR_TIME_REF_COUNT);
	tsc0 = tsc();
	pass_ms(100);
	time1 = rdmsr(HV_X64_MSR_TIME_REF_COUNT);
	tsc1 = tsc();
	EXPECT(time1 > time0, "the reference counter stands");
	return (tsc1 - tsc0) * 10000000 / (time1 - time0);
}

// Who is interrupted between the two reads of one end measures nonsense: one good time of some.
TEST(frequencies, "HV_X64_MSR_TSC_FREQUENCY: agrees with the reference counter",
	"Partition Reference Time",
	.privileges = HV_PRIVILEGE_ACCESS_FREQUENCY_REGS |
		      HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER,
	.edx = HV_FEATURE_EDX_FREQUENCY_REGS)
{
	uint64_t hz = rdmsr(HV_X64_MSR_TSC_FREQUENCY), seen = 0;

	for (unsigned int i = 0; i < 10; i++) {
		seen = measure_tsc();
		if (seen > hz - hz / 20 && seen < hz + hz / 20)
			return;
	}
	FAIL("the TSC makes %lu a second, the register says %lu", seen, hz);
}

TEST(apic_frequency, "HV_X64_MSR_APIC_FREQUENCY: is not zero", "Partition Reference Time",
	.privileges = HV_PRIVILEGE_ACCESS_FREQUENCY_REGS, .edx = HV_FEATURE_EDX_FREQUENCY_REGS)
{
	EXPECT(rdmsr(HV_X64_MSR_APIC_FREQUENCY), "it is zero");
}

TEST(tpr_is_apics, "HV_X64_MSR_TPR: is the APIC's task priority", "Virtual Interrupt Control",
	.privileges = HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS)
{
	wrmsr(HV_X64_MSR_TPR, 0x50);
	EXPECT_EQ(apic_read(0x80), 0x50, "the APIC's TPR");
	apic_write(0x80, 0x30);
	EXPECT_EQ(rdmsr(HV_X64_MSR_TPR), 0x30, "HV_X64_MSR_TPR");
}

TEST(icr_is_apics, "HV_X64_MSR_ICR: sends an interrupt to this VP", "Virtual Interrupt Control",
	.privileges = HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS)
{
	wrmsr(HV_X64_MSR_ICR, (uint64_t)apic_id(0) << 56 | 0x41);
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, 0x41), 1, "interrupts of vector 0x41");
}

static void eoi_by_msr(unsigned int vector)
{
	kernel_wrmsr(HV_X64_MSR_EOI, 0);
}

TEST(eoi_is_apics, "HV_X64_MSR_EOI: ends the interrupt in service", "Virtual Interrupt Control",
	.privileges = HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS)
{
	interrupt_set_handler(0x42, eoi_by_msr);
	for (unsigned int i = 1; i <= 3; i++) {
		apic_ipi(apic_id(0), 0x42);
		interrupts_take();
		EXPECT_EQ(interrupt_count(0, 0x42), i, "interrupts of vector 0x42");
	}
	for (unsigned int i = 0; i < 8; i++)
		EXPECT_EQ(apic_read(0x100 + 0x10 * i), 0, "the APIC's ISR");
}

TEST(invariant_tsc, "HV_X64_MSR_TSC_INVARIANT_CONTROL: shows the invariant TSC in CPUID",
	"HV_X64_MSR_TSC_INVARIANT_CONTROL",
	.privileges = HV_PRIVILEGE_ACCESS_TSC_INVARIANT_CONTROLS)
{
	expect_wrmsr_gp(HV_X64_MSR_TSC_INVARIANT_CONTROL, 2);
	expect_wrmsr_gp(HV_X64_MSR_TSC_INVARIANT_CONTROL, 1ull << 63);
	wrmsr(HV_X64_MSR_TSC_INVARIANT_CONTROL, 1);
	EXPECT_EQ(rdmsr(HV_X64_MSR_TSC_INVARIANT_CONTROL), 1, "read after write");
	EXPECT(cpuid(0x80000007, 0).edx & 1u << 8, "CPUID 0x80000007 EDX bit 8 is clear");
}

TEST(crash_ctl, "HV_X64_MSR_CRASH_CTL: says what it can do", "Guest Crash Control Register",
	.edx = HV_FEATURE_EDX_GUEST_CRASH_REGS)
{
	EXPECT(rdmsr(HV_X64_MSR_CRASH_CTL) & HV_CRASH_CTL_CRASH_NOTIFY,
		"CrashNotify is not offered: 0x%lx", rdmsr(HV_X64_MSR_CRASH_CTL));
}

// --- what is not there ---

// Numbers that the published TLFS does not have, but some hypervisor or document does.
static bool is_known(uint32_t number)
{
	static const struct {
		uint32_t first, last;
	} others[] = {
		{ HV_X64_MSR_SIRBP, HV_X64_MSR_SIRBP }, // Linux
		{ 0x40000030, 0x4000003f },		// MSRs of the scheduler and of partitions
		{ 0x400000c1, 0x400000ff },		// power states, debugging, idle
		{ 0x40000109, 0x4000011f },
	};

	for (unsigned int i = 0; i < COUNT(msrs); i++)
		if (msrs[i].number == number)
			return true;
	for (unsigned int i = 0; i < COUNT(others); i++)
		if (number >= others[i].first && number <= others[i].last)
			return true;
	return false;
}

static bool name_hole(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "MSR holes 0x%08x to 0x%08x", 0x40000000u + row * 32,
		0x4000001fu + row * 32);
	return true;
}

TEST(msr_holes_read, "RDMSR raises #GP", SECTION, .rows = 16, .row_name = name_hole)
{
	for (uint32_t i = 0; i < 32; i++)
		if (!is_known(0x40000000 + row * 32 + i))
			expect_rdmsr_gp(0x40000000 + row * 32 + i);
}

TEST(msr_holes_write, "WRMSR raises #GP", SECTION, .rows = 16, .row_name = name_hole)
{
	for (uint32_t i = 0; i < 32; i++)
		if (!is_known(0x40000000 + row * 32 + i))
			expect_wrmsr_gp(0x40000000 + row * 32 + i, 0);
}
