// SPDX-License-Identifier: BSD-2-Clause
// The expiry of synthetic timers, by message and directly: when it may come, how often, and what
// the message says. "The hypervisor guarantees that a timer expiration signal will never be
// delivered before the expiration time. The signal may arrive any time after": so the tests ask for
// "not before" exactly, and for "after" only that it comes.
#include "tests/conformance/synthetic.h"

#define VECTOR 0x51
#define SINT   3
#define SOON   (2 * MS_100NS)

static slot_t *slot_at(const struct synic_pages *synic, unsigned int sint)
{
	return &synic->messages->sint_message[sint];
}

static void expect_expiry(slot_t *slot)
{
	EXPECT(WAIT(slot_full(slot), SLOW_MS), "the timer has not expired");
	EXPECT_EQ(slot->header.message_type, HvMessageTypeTimerExpired, "message type");
}

static bool direct_came(unsigned int count)
{
	return WAIT(interrupt_count(0, VECTOR) >= count, SLOW_MS);
}

TEST(stimer_past, "a count in the past expires at once", "Synthetic Timer Registers",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	stimer_start(row, STIMER_SINT(SINT), STIMER_PAST);
	expect_expiry(slot_at(&synic, SINT));
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
	EXPECT_EQ(timer_payload(slot_at(&synic, SINT)).timer_index, row, "timer index");
}

TEST(stimer_future, "expires when its time has come", "Synthetic Timer Count Register",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	struct hv_timer_message_payload payload;
	uint64_t count, seen_at;

	sint_set(SINT, VECTOR, 0);
	count = reference_time() + SOON;
	stimer_start(row, STIMER_SINT(SINT), count);
	expect_expiry(slot);
	seen_at = reference_time();
	payload = timer_payload(slot);
	EXPECT_EQ(payload.timer_index, row, "timer index");
	EXPECT_EQ(payload.rsvd, 0, "reserved field of the payload");
	EXPECT_EQ(payload.expiration_time, count, "expiration time");
	EXPECT(payload.delivery_time >= count, "delivered at %lu, before %lu",
		payload.delivery_time, count);
	EXPECT(payload.delivery_time <= seen_at, "delivery time %lu, seen at %lu",
		payload.delivery_time, seen_at);
}

TEST(stimer_one_shot, "a one-shot timer disables itself", "Synthetic Timer Registers",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	stimer_start(row, STIMER_SINT(SINT), reference_time() + SOON);
	expect_expiry(slot);
	EXPECT_EQ(rdmsr(HV_X64_MSR_STIMERn_CONFIG(row)), STIMER_SINT(SINT), "config");
	slot_release(slot);
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(slot), "the timer has expired again");
}

TEST(stimer_direct, "in direct mode asserts its vector, and sends no message",
	"Direct Synthetic Timers", .privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();

	interrupts_on();
	stimer_start(row, STIMER_DIRECT(VECTOR) | STIMER_SINT(SINT), reference_time() + SOON);
	EXPECT(direct_came(1), "the timer has not expired");
	pass_ms(QUIET_MS);
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts");
	EXPECT(!slot_full(slot_at(&synic, SINT)), "a message has come as well");
	EXPECT(!stimer_enabled(row), "the timer is still enabled");
}

static uint64_t direct_seen_at;

static void note_time(unsigned int vector)
{
	(void)vector;
	direct_seen_at = reference_time();
	apic_eoi();
}

TEST(stimer_direct_time, "in direct mode does not expire early", "Synthetic Timers",
	.privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT, .rows = HV_SYNIC_STIMER_COUNT,
	.row_name = stimer_row_name)
{
	uint64_t count;

	interrupt_set_handler(VECTOR, note_time);
	interrupts_on();
	for (unsigned int i = 1; i <= 10; i++) {
		count = reference_time() + i * MS_100NS / 5;
		stimer_start(row, STIMER_DIRECT(VECTOR), count);
		EXPECT(direct_came(i), "the timer has not expired");
		EXPECT(direct_seen_at >= count, "interrupt at %lu, before %lu", direct_seen_at,
			count);
	}
	interrupts_off();
}

TEST(stimer_direct_past, "in direct mode a count in the past expires at once",
	"Synthetic Timer Registers", .privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	interrupts_on();
	stimer_start(row, STIMER_DIRECT(VECTOR), STIMER_PAST);
	EXPECT(direct_came(1), "the timer has not expired");
	interrupts_off();
	EXPECT(!stimer_enabled(row), "the timer is still enabled");
}

TEST(stimer_direct_alone, "Synthetic timers: direct mode needs no SynIC pages",
	"Direct Synthetic Timers", .privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	interrupts_on();
	stimer_start(0, STIMER_DIRECT(VECTOR) | HV_STIMER_CONFIG_PERIODIC, 2 * MS_100NS);
	EXPECT(direct_came(3), "%u expiries", interrupt_count(0, VECTOR));
	interrupts_off();
}

TEST(stimer_auto, "AutoEnable: each count that is written expires once",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	wrmsr(HV_X64_MSR_STIMERn_CONFIG(row), HV_STIMER_CONFIG_AUTO_ENABLE | STIMER_SINT(SINT));
	for (unsigned int i = 0; i < 4; i++) {
		uint64_t count = reference_time() + MS_100NS;

		wrmsr(HV_X64_MSR_STIMERn_COUNT(row), count);
		expect_expiry(slot);
		EXPECT_EQ(timer_payload(slot).expiration_time, count, "expiration time");
		slot_release(slot);
	}
	EXPECT_EQ(rdmsr(HV_X64_MSR_STIMERn_CONFIG(row)),
		HV_STIMER_CONFIG_AUTO_ENABLE | STIMER_SINT(SINT), "config");
}

// Every message of a periodic timer is one period after the last one, or several.
static void check_periods(unsigned int timer, uint64_t more_bits)
{
	const uint64_t period = 3 * MS_100NS;
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	struct hv_timer_message_payload payload;
	uint64_t start, not_before;

	sint_set(SINT, VECTOR, 0);
	start = reference_time();
	not_before = start + period;
	stimer_start(timer, STIMER_SINT(SINT) | HV_STIMER_CONFIG_PERIODIC | more_bits, period);
	for (unsigned int i = 0; i < 6; i++) {
		expect_expiry(slot);
		payload = timer_payload(slot);
		EXPECT(payload.expiration_time >= not_before, "expiry %u for %lu, before %lu", i,
			payload.expiration_time, not_before);
		EXPECT(payload.delivery_time >= payload.expiration_time,
			"expiry %u at %lu, before %lu", i, payload.delivery_time,
			payload.expiration_time);
		EXPECT(stimer_enabled(timer), "the timer is disabled after expiry %u", i);
		not_before = payload.expiration_time + period;
		slot_release(slot);
	}
	stimer_stop(timer);
	slot_release(slot);
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(slot), "the timer expires after it was disabled");
}

TEST(stimer_periodic, "a periodic timer expires period by period", "Periodic Timers",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	check_periods(row, 0);
}

TEST(stimer_lazy, "a lazy one does too", "Periodic Timers", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	check_periods(row, HV_STIMER_CONFIG_LAZY);
}

TEST(stimer_lazy_one_shot, "Synthetic timers: a lazy one-shot timer expires once",
	"Periodic Timers", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR, 0);
	stimer_start(0, STIMER_SINT(SINT) | HV_STIMER_CONFIG_LAZY, reference_time() + SOON);
	expect_expiry(slot_at(&synic, SINT));
	EXPECT(!stimer_enabled(0), "the timer is still enabled");
}

// How many expiries there were cannot be more than the time had periods.
TEST(stimer_period, "Synthetic timers: a period is not too short", "Periodic Timers",
	.privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	const uint64_t period = 5 * MS_100NS;
	uint64_t start = reference_time(), periods;
	unsigned int count;

	interrupts_on();
	stimer_start(0, STIMER_DIRECT(VECTOR) | HV_STIMER_CONFIG_PERIODIC, period);
	EXPECT(direct_came(20), "%u expiries only", interrupt_count(0, VECTOR));
	stimer_stop(0);
	interrupts_off();
	count = interrupt_count(0, VECTOR);
	periods = (reference_time() - start) / period;
	EXPECT(count <= periods, "%u expiries in %lu periods", count, periods);
}

// Over a long time few are lost, if the machine lets the VP run: several tries, one has to do.
TEST(stimer_accuracy, "Synthetic timers: most periods have their expiry", "Periodic Timers",
	.privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	const uint64_t period = 20 * MS_100NS;
	unsigned int before, count = 0;
	uint64_t start, periods = 1;

	interrupts_on();
	for (unsigned int i = 0; i < 8 && count * 2 < periods; i++) {
		before = interrupt_count(0, VECTOR);
		start = reference_time();
		stimer_start(0, STIMER_DIRECT(VECTOR) | HV_STIMER_CONFIG_PERIODIC, period);
		while (reference_time() < start + 10 * period)
			__builtin_ia32_pause();
		stimer_stop(0);
		count = interrupt_count(0, VECTOR) - before;
		periods = (reference_time() - start) / period;
	}
	interrupts_off();
	EXPECT(count * 2 >= periods, "%u expiries in %lu periods", count, periods);
}

TEST(stimer_disable, "disabled in time, it does not expire", "Synthetic Timer Registers",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	uint64_t count = reference_time() + 5 * MS_100NS;

	sint_set(SINT, VECTOR, 0);
	stimer_start(row, STIMER_SINT(SINT), count);
	stimer_stop(row);
	if (reference_time() >= count)
		slot->header.message_type = HvMessageTypeNone; // too slow: it may have expired
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(slot), "the timer has expired");
}

TEST(stimer_count_zero, "a count of 0 stops it", "Synthetic Timer Count Register",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);

	sint_set(SINT, VECTOR, 0);
	stimer_start(row, STIMER_SINT(SINT) | HV_STIMER_CONFIG_PERIODIC, 2 * MS_100NS);
	expect_expiry(slot);
	wrmsr(HV_X64_MSR_STIMERn_COUNT(row), 0);
	slot_release(slot);
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(slot), "the timer has expired again");
}

TEST(stimer_new_count, "a new count takes the place of the old one",
	"Synthetic Timer Count Register", .privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT,
	.row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	uint64_t count;

	sint_set(SINT, VECTOR, 0);
	stimer_start(row, STIMER_SINT(SINT), reference_time() + 3600 * 1000 * MS_100NS);
	count = reference_time() + SOON;
	wrmsr(HV_X64_MSR_STIMERn_COUNT(row), count);
	expect_expiry(slot);
	EXPECT_EQ(timer_payload(slot).expiration_time, count, "expiration time");
}

TEST(stimer_disabled_waiting, "disabled while its message waits, it sends none",
	"Synthetic Timer Registers", .privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT,
	.row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();
	slot_t *slot = slot_at(&synic, SINT);
	unsigned int other = (row + 1) % HV_SYNIC_STIMER_COUNT;

	sint_set(SINT, VECTOR, 0);
	stimer_start(other, STIMER_SINT(SINT), STIMER_PAST);
	expect_expiry(slot);
	stimer_start(row, STIMER_SINT(SINT), STIMER_PAST);
	EXPECT(WAIT(slot->header.message_flags & HV_MESSAGE_FLAG_PENDING, SLOW_MS),
		"MessagePending is not set");
	stimer_stop(row);
	slot_release(slot);
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(slot), "the disabled timer's message has come");
}

TEST(stimer_four, "Synthetic timers: four at once, to four SINTs", "Synthetic Timers",
	.privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();
	uint64_t count = reference_time() + 10 * MS_100NS;

	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		sint_set(timer + 1, VECTOR + timer, 0);
		stimer_start(timer, STIMER_SINT(timer + 1), count);
	}
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		slot_t *slot = slot_at(&synic, timer + 1);

		expect_expiry(slot);
		EXPECT_EQ(timer_payload(slot).timer_index, timer, "timer index");
		EXPECT_EQ(timer_payload(slot).expiration_time, count, "expiration time");
	}
	interrupts_take();
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++)
		EXPECT_EQ(interrupt_count(0, VECTOR + timer), 1, "interrupts of a timer");
}

TEST(stimer_mixed, "Synthetic timers: message and direct mode side by side",
	"Direct Synthetic Timers", .privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	struct synic_pages synic = synic_enable();

	sint_set(SINT, VECTOR + 1, 0);
	interrupts_on();
	stimer_start(0, STIMER_DIRECT(VECTOR), reference_time() + SOON);
	stimer_start(1, STIMER_SINT(SINT), reference_time() + SOON);
	EXPECT(direct_came(1), "the timer in direct mode has not expired");
	expect_expiry(slot_at(&synic, SINT));
	interrupts_off();
	EXPECT_EQ(interrupt_count(0, VECTOR), 1, "interrupts of the timer in direct mode");
}

TEST(stimer_masked, "Synthetic timers: a message to a masked SINT ends a one-shot timer",
	"Synthetic Timer Registers, SynIC Messages", .privileges = NEEDS_STIMER)
{
	struct synic_pages synic = synic_enable();

	wrmsr(HV_X64_MSR_SINTn(SINT), HV_SYNIC_SINT_MASKED);
	stimer_start(0, STIMER_SINT(SINT), reference_time() + SOON);
	expect_expiry(slot_at(&synic, SINT));
	EXPECT(WAIT(!stimer_enabled(0), 10 * QUIET_MS), "the timer is still enabled");
}

TEST(stimer_halted, "Synthetic timers: in direct mode wake a VP from HLT",
	"Direct Synthetic Timers", .privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT)
{
	for (unsigned int i = 0; i < 10; i++) {
		stimer_start(0, STIMER_DIRECT(VECTOR), reference_time() + 3 * MS_100NS);
		while (interrupt_count(0, VECTOR) == i)
			halt_once();
	}
	EXPECT_EQ(interrupt_count(0, VECTOR), 10, "interrupts");
}

static void run_timer(void *argument)
{
	unsigned int vp = this_vp();
	uint64_t count;

	(void)argument;
	for (unsigned int i = 1; i <= 20; i++) {
		count = reference_time() + (vp + 1) * MS_100NS / 2;
		interrupts_on();
		stimer_start(0, STIMER_DIRECT(VECTOR + vp), count);
		EXPECT(WAIT(interrupt_count(vp, VECTOR + vp) >= i, SLOW_MS),
			"VP %u's timer has not expired", vp);
		interrupts_off();
		EXPECT(reference_time() >= count, "VP %u's timer has expired early", vp);
	}
	EXPECT_EQ(interrupt_count(vp, VECTOR + vp), 20, "interrupts on the VP");
}

TEST(stimer_vps, "Synthetic timers: those of all VPs run side by side", "Synthetic Timer Registers",
	.privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT, .vps = 2)
{
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, run_timer, NULL);
	run_timer(NULL);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		for (unsigned int other = 0; other < machine.vps; other++)
			EXPECT(vp == other || !interrupt_count(vp, VECTOR + other),
				"VP %u has got the interrupt of VP %u's timer", vp, other);
}
