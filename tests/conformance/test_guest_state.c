// SPDX-License-Identifier: BSD-2-Clause
// What a guest tells the hypervisor of itself: long spin waits, idleness, crashes. The crash
// registers are written and read back; CrashNotify is never written, as it may end the machine.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

// --- HvCallNotifyLongSpinWait: advice that always succeeds ---

static const struct {
	const char *name;
	uint32_t count;
	bool fast;
} spins[] = {
	{ "fast, 0", 0, true },
	{ "fast, as CPUID recommends", 0xfff, true },
	{ "fast, 2^32 - 1", UINT32_MAX, true },
	{ "in memory, 0", 0, false },
	{ "in memory, 2^32 - 1", UINT32_MAX, false },
};

static bool spin_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "HvCallNotifyLongSpinWait: %s", spins[row].name);
	return true;
}

static bool spin_is_advertised(void)
{
	uint32_t retries = cpuid(HV_CPUID_ENLIGHTENMENT_INFO, 0).ebx;

	return retries && retries != HV_SPINLOCK_RETRIES_NEVER;
}

TEST(long_spin, "succeeds", "HvCallNotifyLongSpinWait", .rows = ARRAY_SIZE(spins),
	.row_name = spin_row_name)
{
	const struct hv_input_notify_long_spin_wait in = { .spin_count = spins[row].count };
	hv_status status;

	if (!spin_is_advertised())
		SKIP("CPUID says that long spin waits are never to be notified");
	for (unsigned int i = 0; i < 20; i++) {
		status = spins[row].fast
				 ? call_fast(HvCallNotifyLongSpinWait, spins[row].count, 0)
				 : call_memory(HvCallNotifyLongSpinWait, &in, sizeof(in), NULL, 0);
		expect_status(status, HV_STATUS_SUCCESS, "the call");
	}
}

static uint32_t lock, shared;

static void lock_and_count(void *argument)
{
	(void)argument;
	for (unsigned int i = 0; i < 500; i++) {
		unsigned int spins_done = 0;

		while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) {
			__builtin_ia32_pause();
			if (++spins_done % 256 == 0)
				call_fast(HvCallNotifyLongSpinWait, spins_done, 0);
		}
		shared++;
		__atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
	}
}

TEST(long_spin_lock, "HvCallNotifyLongSpinWait: VPs that wait for each other get on",
	"HvCallNotifyLongSpinWait", .vps = 2)
{
	if (!spin_is_advertised())
		SKIP("CPUID says that long spin waits are never to be notified");
	lock = shared = 0;
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, lock_and_count, NULL);
	lock_and_count(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
	EXPECT_EQ(shared, 500 * machine.vps, "what was counted under the lock");
}

// --- guest idle ---

TEST(idle_wakes, "Guest idle: an interrupt that is masked ends it",
	"Virtual Processor Idle Sleep State", .privileges = HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG)
{
	// Requested before: the VP must not sleep at all.
	self_ipi(0x51);
	(void)rdmsr(HV_X64_MSR_GUEST_IDLE);
	EXPECT_EQ(interrupt_count(0, 0x51), 0, "interrupts taken with interrupts off");
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, 0x51), 1, "interrupts");
}

TEST(idle_timer, "Guest idle: a timer ends it", "Virtual Processor Idle Sleep State",
	.privileges = HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG | NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	uint64_t due;

	for (unsigned int i = 1; i <= 5; i++) {
		due = reference_time() + 5 * MS_100NS;
		stimer_start(0, STIMER_DIRECT(0x51), due);
		while (reference_time() < due)
			(void)rdmsr(HV_X64_MSR_GUEST_IDLE);
		EXPECT(WAIT(requested(0x51), SLOW_MS), "the timer's interrupt is not requested");
		interrupts_take();
		EXPECT_EQ(interrupt_count(0, 0x51), i, "interrupts");
	}
}

TEST(idle_absent, "Guest idle: without the privilege its register is none",
	"Virtual Processor Idle Sleep State")
{
	if (has_privilege(HV_PRIVILEGE_ACCESS_GUEST_IDLE_REG))
		SKIP("the partition has the privilege");
	expect_rdmsr_gp(HV_X64_MSR_GUEST_IDLE);
}

// --- crash registers ---

static bool crash_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Crash registers: P%u", row);
	return true;
}

TEST(crash_parameter, "keeps what is written", "Partition Crash Enlightenment",
	.edx = HV_FEATURE_EDX_GUEST_CRASH_REGS, .rows = HV_X64_MSR_CRASH_P_COUNT,
	.row_name = crash_row_name)
{
	static const uint64_t values[] = { 1, 0xfedcba9876543210, UINT64_MAX, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++) {
		wrmsr(HV_X64_MSR_CRASH_Pn(row), values[i]);
		EXPECT_EQ(rdmsr(HV_X64_MSR_CRASH_Pn(row)), values[i], "the register");
	}
}

TEST(crash_own, "Crash registers: P0 to P4 are five registers", "Partition Crash Enlightenment",
	.edx = HV_FEATURE_EDX_GUEST_CRASH_REGS)
{
	for (unsigned int i = 0; i < HV_X64_MSR_CRASH_P_COUNT; i++)
		wrmsr(HV_X64_MSR_CRASH_Pn(i), 0x1000 + i);
	for (unsigned int i = 0; i < HV_X64_MSR_CRASH_P_COUNT; i++) {
		EXPECT_EQ(rdmsr(HV_X64_MSR_CRASH_Pn(i)), 0x1000 + i, "the register");
		wrmsr(HV_X64_MSR_CRASH_Pn(i), 0);
	}
}

TEST(crash_capabilities, "Crash registers: CTL says that CrashNotify can be used",
	"Determining Guest Crash Capabilities", .edx = HV_FEATURE_EDX_GUEST_CRASH_REGS)
{
	uint64_t ctl = rdmsr(HV_X64_MSR_CRASH_CTL);

	EXPECT(ctl & HV_CRASH_CTL_CRASH_NOTIFY, "CTL reads 0x%lx", ctl);
}

TEST(crash_no_notify, "Crash registers: CTL without CrashNotify does nothing",
	"Invoking Guest Crash Capabilities", .edx = HV_FEATURE_EDX_GUEST_CRASH_REGS)
{
	uint64_t ctl = rdmsr(HV_X64_MSR_CRASH_CTL);

	wrmsr(HV_X64_MSR_CRASH_P0, 0x77);
	wrmsr(HV_X64_MSR_CRASH_CTL, 0);
	EXPECT_EQ(rdmsr(HV_X64_MSR_CRASH_P0), 0x77, "P0");
	EXPECT_EQ(rdmsr(HV_X64_MSR_CRASH_CTL), ctl, "CTL, which reads as what is supported");
	wrmsr(HV_X64_MSR_CRASH_P0, 0);
}
