// SPDX-License-Identifier: BSD-2-Clause
// Reference counter, frequency registers and VP run time. A rate is measured between two readings
// of which each lies between two readings of the clock that it is compared with: the true interval
// is then known to lie between two bounds, whatever the machine does in between.
#include "tests/conformance/synthetic.h"

#define NEEDS_COUNTER HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER
#define NEEDS_RATES   (NEEDS_COUNTER | HV_PRIVILEGE_ACCESS_FREQUENCY_REGS)
#define NEEDS_RUNTIME (NEEDS_COUNTER | HV_PRIVILEGE_ACCESS_VP_RUNTIME)

#define SECOND_100NS  10000000ull
#define PERCENT_SLACK 2 // of the rates: clocks are calibrated against each other

// A reading of the reference counter, and the TSC right before and after it.
struct sample {
	uint64_t tsc_before, time, tsc_after;
};

static struct sample sample_take(void)
{
	struct sample s;

	s.tsc_before = tsc();
	s.time = reference_time();
	s.tsc_after = tsc();
	return s;
}

TEST(counter_monotonic, "Reference counter: strictly monotonic", "Reference Counter",
	.privileges = NEEDS_COUNTER)
{
	uint64_t last = reference_time(), now;

	for (unsigned int i = 0; i < 2000; i++) {
		now = reference_time();
		EXPECT(now > last, "%lu after %lu", now, last);
		last = now;
	}
}

#define TURNS 400 // of all VPs

static struct {
	uint64_t last;
	uint32_t turn, vps;
} ring;

// Each VP in turn reads the counter once: no reading may be behind the one of the VP before it.
static void take_turns(void *argument)
{
	uint32_t me = this_vp();

	for (unsigned int i = 0; i < TURNS / ring.vps; i++) {
		uint64_t now;

		EXPECT(WAIT(__atomic_load_n(&ring.turn, __ATOMIC_ACQUIRE) == me, SLOW_MS),
			"VP %u's turn does not come", me);
		now = reference_time();
		EXPECT(now > ring.last, "VP %u reads %lu after %lu on the VP before", me, now,
			ring.last);
		ring.last = now;
		__atomic_store_n(&ring.turn, (me + 1) % ring.vps, __ATOMIC_RELEASE);
	}
	(void)argument;
}

TEST(counter_across_vps, "Reference counter: strictly monotonic across VPs", "Reference Counter",
	.privileges = NEEDS_COUNTER, .vps = 2)
{
	ring.last = 0;
	ring.turn = 0;
	ring.vps = machine.vps;
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, take_turns, NULL);
	take_turns(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
}

TEST(counter_halted, "Reference counter: runs while the VP is halted", "Reference Counter",
	.privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	uint64_t before = reference_time();

	stimer_start(0, STIMER_DIRECT(0x51), before + 20 * MS_100NS);
	while (!interrupt_count(0, 0x51))
		halt_once();
	EXPECT(reference_time() >= before + 20 * MS_100NS, "the counter has stood still");
}

// a * b / c without overflow in between.
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t high, low;

	__asm__("mulq %3" : "=a"(low), "=d"(high) : "0"(a), "rm"(b) : "cc");
	__asm__("divq %4" : "=a"(low), "=d"(high) : "0"(low), "1"(high), "rm"(c) : "cc");
	return low;
}

TEST(counter_rate, "Reference counter: counts 100 ns by the TSC frequency register",
	"Reference Counter", .privileges = NEEDS_RATES)
{
	uint64_t hz = rdmsr(HV_X64_MSR_TSC_FREQUENCY), elapsed, least, most;
	struct sample start, end;

	EXPECT(hz > 1000000, "a TSC frequency of %lu Hz", hz);
	start = sample_take();
	pass_ms(200);
	end = sample_take();
	elapsed = end.time - start.time;
	least = scale(end.tsc_before - start.tsc_after, SECOND_100NS, hz);
	most = scale(end.tsc_after - start.tsc_before, SECOND_100NS, hz);
	EXPECT(elapsed >= least - least / 100 * PERCENT_SLACK,
		"%lu units of 100 ns, at least %lu by the TSC", elapsed, least);
	EXPECT(elapsed <= most + most / 100 * PERCENT_SLACK,
		"%lu units of 100 ns, at most %lu by the TSC", elapsed, most);
}

TEST(frequency_constant, "Frequency registers: the same on every read and VP",
	"HV_X64_MSR_TSC_FREQUENCY, HV_X64_MSR_APIC_FREQUENCY",
	.privileges = HV_PRIVILEGE_ACCESS_FREQUENCY_REGS)
{
	uint64_t hz = rdmsr(HV_X64_MSR_TSC_FREQUENCY), apic = rdmsr(HV_X64_MSR_APIC_FREQUENCY);

	EXPECT(apic > 0, "an APIC frequency of 0");
	for (int i = 0; i < 10; i++) {
		EXPECT_EQ(rdmsr(HV_X64_MSR_TSC_FREQUENCY), hz, "TSC frequency");
		EXPECT_EQ(rdmsr(HV_X64_MSR_APIC_FREQUENCY), apic, "APIC frequency");
	}
}

static void read_frequencies(void *argument)
{
	uint64_t *frequencies = argument;

	frequencies[0] = rdmsr(HV_X64_MSR_TSC_FREQUENCY);
	frequencies[1] = rdmsr(HV_X64_MSR_APIC_FREQUENCY);
}

TEST(frequency_vps, "Frequency registers: the same on all VPs",
	"HV_X64_MSR_TSC_FREQUENCY, HV_X64_MSR_APIC_FREQUENCY",
	.privileges = HV_PRIVILEGE_ACCESS_FREQUENCY_REGS, .vps = 2)
{
	uint64_t own[2], other[2];

	read_frequencies(own);
	for (unsigned int vp = 1; vp < machine.vps; vp++) {
		vp_run(vp, read_frequencies, other);
		EXPECT_EQ(other[0], own[0], "TSC frequency");
		EXPECT_EQ(other[1], own[1], "APIC frequency");
	}
}

#define APIC_PAGE_LVT_TIMER	0x320
#define APIC_PAGE_TIMER_INITIAL 0x380
#define APIC_PAGE_TIMER_CURRENT 0x390
#define APIC_PAGE_TIMER_DIVIDE	0x3e0
#define LVT_MASKED		0x10000

static uint32_t apic_ticks(uint64_t *tsc_before, uint64_t *tsc_after)
{
	uint32_t current;

	*tsc_before = tsc();
	current = apic_read(APIC_PAGE_TIMER_CURRENT);
	*tsc_after = tsc();
	return UINT32_MAX - current;
}

TEST(apic_frequency, "Frequency registers: the APIC timer counts as its register says",
	"HV_X64_MSR_APIC_FREQUENCY", .privileges = NEEDS_RATES)
{
	uint64_t apic_hz = rdmsr(HV_X64_MSR_APIC_FREQUENCY), hz = rdmsr(HV_X64_MSR_TSC_FREQUENCY);
	uint64_t before[2], after[2], least, most, elapsed;
	uint32_t first, second;

	apic_write(APIC_PAGE_LVT_TIMER, LVT_MASKED);
	apic_write(APIC_PAGE_TIMER_DIVIDE, 0xb); // by 1
	apic_write(APIC_PAGE_TIMER_INITIAL, UINT32_MAX);
	first = apic_ticks(&before[0], &after[0]);
	pass_ms(100);
	second = apic_ticks(&before[1], &after[1]);
	apic_write(APIC_PAGE_TIMER_INITIAL, 0);
	elapsed = second - first;
	least = scale(before[1] - after[0], apic_hz, hz);
	most = scale(after[1] - before[0], apic_hz, hz);
	if (most > UINT32_MAX)
		ERROR("the machine was too slow: the APIC's counter may have reached 0");
	EXPECT(elapsed >= least - least / 100 * PERCENT_SLACK, "%lu ticks, at least %lu", elapsed,
		least);
	EXPECT(elapsed <= most + most / 100 * PERCENT_SLACK, "%lu ticks, at most %lu", elapsed,
		most);
}

static uint64_t runtime(void)
{
	return rdmsr(HV_X64_MSR_VP_RUNTIME);
}

TEST(runtime_grows, "VP run time: grows while the VP runs", "Virtual Processor Run Time Register",
	.privileges = NEEDS_RUNTIME)
{
	uint64_t start = runtime(), last = start, now, until = now_ms() + SLOW_MS;

	while (last <= start + 10 * MS_100NS && now_ms() < until) {
		now = runtime();
		EXPECT(now >= last, "%lu after %lu", now, last);
		last = now;
	}
	EXPECT(last > start + 10 * MS_100NS, "it does not grow");
}

TEST(runtime_bounded, "VP run time: is not more than the time that passed",
	"Virtual Processor Run Time Register", .privileges = NEEDS_RUNTIME)
{
	// A hypervisor may account in ticks: what ran before the first reading is within slack.
	const uint64_t slack = 50 * MS_100NS;
	uint64_t time = reference_time(), start = runtime(), ran;

	pass_ms(300);
	ran = runtime() - start;
	time = reference_time() - time;
	EXPECT(ran <= time + time / 10 + slack, "%lu units in %lu", ran, time);
}

TEST(runtime_halted, "VP run time: hardly grows while the VP is halted",
	"Virtual Processor Run Time Register", .privileges = NEEDS_STIMER | NEEDS_RUNTIME,
	.edx = NEEDS_DIRECT)
{
	uint64_t ran = 1, passed = 1;

	for (unsigned int i = 0; i < 8 && ran * 2 >= passed; i++) {
		uint64_t start = reference_time(), ran_start = runtime();
		unsigned int count = interrupt_count(0, 0x51);

		stimer_start(0, STIMER_DIRECT(0x51), start + 200 * MS_100NS);
		while (interrupt_count(0, 0x51) == count)
			halt_once();
		ran = runtime() - ran_start;
		passed = reference_time() - start;
	}
	EXPECT(ran * 2 < passed, "%lu units of %lu while halted", ran, passed);
}

static void read_runtime(void *argument)
{
	*(uint64_t *)argument = runtime();
}

TEST(runtime_per_vp, "VP run time: each VP has its own", "Virtual Processor Run Time Register",
	.privileges = NEEDS_RUNTIME, .vps = 2)
{
	uint64_t other[2];

	vp_run(1, read_runtime, &other[0]);
	pass_ms(50);
	vp_run(1, read_runtime, &other[1]);
	EXPECT(other[1] >= other[0], "%lu after %lu", other[1], other[0]);
	EXPECT(runtime() != other[1], "VP 0 and VP 1 have run for the same time to 100 ns");
}
