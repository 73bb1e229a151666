// SPDX-License-Identifier: BSD-2-Clause
// The registers of the synthetic timers: which bits they keep, what enables and disables a timer,
// and what does not. Nothing expires here but to be seen not to.
#include "tests/conformance/synthetic.h"

#include "base/macros.h"

#define VECTOR 0x51
#define SINT   3

// A periodic timer, or a one-shot timer of a far future, will not expire during a test.
#define FAR (3600 * 1000 * MS_100NS)

#define CONFIG(n) rdmsr(HV_X64_MSR_STIMERn_CONFIG(n))
#define COUNT(n)  rdmsr(HV_X64_MSR_STIMERn_COUNT(n))

static void set_config(unsigned int timer, uint64_t value)
{
	wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), value);
}

static void set_count(unsigned int timer, uint64_t value)
{
	wrmsr(HV_X64_MSR_STIMERn_COUNT(timer), value);
}

TEST(stimer_reset, "disabled after reset", "Synthetic Timer Configuration Register",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	EXPECT_EQ(CONFIG(row), 0, "config");
}

static const struct {
	const char *name;
	uint64_t bits;
	uint32_t edx;
} config_bits[] = {
	{ "Periodic", HV_STIMER_CONFIG_PERIODIC, 0 },
	{ "Lazy", HV_STIMER_CONFIG_LAZY, 0 },
	{ "AutoEnable", HV_STIMER_CONFIG_AUTO_ENABLE, 0 },
	{ "SINTx 1", STIMER_SINT(1), 0 },
	{ "SINTx 15", STIMER_SINT(15), 0 },
	{ "DirectMode", STIMER_DIRECT(VECTOR), NEEDS_DIRECT },
	{ "ApicVector", STIMER_VECTOR(0xff) | HV_STIMER_CONFIG_DIRECT_MODE, NEEDS_DIRECT },
};

static bool bits_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Synthetic timers: config %s", config_bits[row].name);
	return true;
}

TEST(stimer_config_bits, "is kept while the timer is disabled",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = ARRAY_SIZE(config_bits), .row_name = bits_row_name)
{
	if (!has_edx(config_bits[row].edx))
		SKIP("direct mode is not advertised");
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		set_config(timer, config_bits[row].bits);
		EXPECT_EQ(CONFIG(timer), config_bits[row].bits, "config");
		set_config(timer, 0);
		EXPECT_EQ(CONFIG(timer), 0, "config, cleared");
	}
}

TEST(stimer_enabled_bits, "is kept by an enabled timer", "Synthetic Timer Configuration Register",
	.privileges = NEEDS_STIMER, .rows = ARRAY_SIZE(config_bits), .row_name = bits_row_name)
{
	uint64_t config = config_bits[row].bits;

	if (!has_edx(config_bits[row].edx))
		SKIP("direct mode is not advertised");
	if (!(config & (HV_STIMER_CONFIG_SINTX_MASK | HV_STIMER_CONFIG_DIRECT_MODE)))
		config |= STIMER_SINT(SINT);
	stimer_start(1, config, reference_time() + FAR);
	EXPECT_EQ(CONFIG(1), config | HV_STIMER_CONFIG_ENABLE, "config");
}

TEST(stimer_count_kept, "keeps its count", "Synthetic Timer Count Register",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	static const uint64_t counts[] = { 1, 0x123456789abcdef0, UINT64_MAX, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(counts); i++) {
		set_count(row, counts[i]);
		EXPECT_EQ(COUNT(row), counts[i], "count");
	}
}

TEST(stimer_own_registers, "Synthetic timers: each has its own registers",
	"Synthetic Timer Registers", .privileges = NEEDS_STIMER)
{
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		set_config(timer, STIMER_SINT(timer + 1));
		set_count(timer, FAR + timer);
	}
	for (unsigned int timer = 0; timer < HV_SYNIC_STIMER_COUNT; timer++) {
		EXPECT_EQ(CONFIG(timer), STIMER_SINT(timer + 1), "config");
		EXPECT_EQ(COUNT(timer), FAR + timer, "count");
	}
}

static void check_other_vp(void *argument)
{
	(void)argument;
	EXPECT_EQ(CONFIG(0), 0, "config of VP 1");
	set_config(0, STIMER_SINT(7));
}

TEST(stimer_per_vp, "Synthetic timers: each VP has its own", "Synthetic Timer Registers",
	.privileges = NEEDS_STIMER, .vps = 2)
{
	set_config(0, STIMER_SINT(SINT));
	vp_run(1, check_other_vp, NULL);
	EXPECT_EQ(CONFIG(0), STIMER_SINT(SINT), "config of VP 0");
}

TEST(stimer_auto_enable, "AutoEnable: writing a count enables it",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	set_config(row, HV_STIMER_CONFIG_AUTO_ENABLE | STIMER_SINT(SINT));
	EXPECT(!stimer_enabled(row), "enabled before there is a count");
	set_count(row, reference_time() + FAR);
	EXPECT(stimer_enabled(row), "not enabled by the count");
}

TEST(stimer_no_auto_enable, "without AutoEnable a count does not enable it",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	set_config(row, STIMER_SINT(SINT));
	set_count(row, reference_time() + FAR);
	EXPECT(!stimer_enabled(row), "enabled by the count");
}

TEST(stimer_zero_disables, "a count of 0 disables it", "Synthetic Timer Count Register",
	.privileges = NEEDS_STIMER, .rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	for (unsigned int automatic = 0; automatic < 2; automatic++) {
		stimer_start(row,
			STIMER_SINT(SINT) | (automatic ? HV_STIMER_CONFIG_AUTO_ENABLE : 0),
			reference_time() + FAR);
		EXPECT(stimer_enabled(row), "not enabled");
		set_count(row, 0);
		EXPECT(!stimer_enabled(row), "enabled with a count of 0");
	}
}

TEST(stimer_sint0, "enabling with SINT 0 leaves it disabled",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	struct synic_pages synic = synic_enable();

	stimer_start(row, STIMER_SINT(0), STIMER_PAST);
	EXPECT(!stimer_enabled(row), "enabled with SINT 0");
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(&synic.messages->sint_message[0]), "a message has come at SINT0");
}

TEST(stimer_sint0_later, "SINT 0 disables one that is enabled",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	stimer_start(row, STIMER_SINT(SINT), reference_time() + FAR);
	set_config(row, HV_STIMER_CONFIG_ENABLE | STIMER_SINT(0));
	EXPECT(!stimer_enabled(row), "enabled with SINT 0");
}

TEST(stimer_sint0_direct, "in direct mode may have SINT 0",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER, .edx = NEEDS_DIRECT,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	stimer_start(row, STIMER_DIRECT(VECTOR), reference_time() + FAR);
	EXPECT(stimer_enabled(row), "not enabled");
}

TEST(stimer_sint0_auto, "AutoEnable with SINT 0 leaves it disabled",
	"Synthetic Timer Configuration Register", .privileges = NEEDS_STIMER,
	.rows = HV_SYNIC_STIMER_COUNT, .row_name = stimer_row_name)
{
	set_config(row, HV_STIMER_CONFIG_AUTO_ENABLE | STIMER_SINT(0));
	set_count(row, reference_time() + FAR);
	EXPECT(!stimer_enabled(row), "enabled with SINT 0");
}

static const struct {
	const char *name;
	uint64_t count;
} far_counts[] = {
	{ "2^64 - 1", UINT64_MAX },
	{ "2^64 - 2", UINT64_MAX - 1 },
	{ "2^63", 1ull << 63 },
	{ "2^63 - 1", INT64_MAX },
	{ "2^63 / 100", INT64_MAX / 100 },
	{ "2^64 / 100", UINT64_MAX / 100 },
};

static bool far_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "Synthetic timers: count %s", far_counts[row].name);
	return true;
}

// "The Count register is permitted to wrap": none of the sums overflows into the past.
TEST(stimer_far_one_shot, "a one-shot timer does not expire", "Synthetic Timer Count Register",
	.privileges = NEEDS_STIMER, .rows = ARRAY_SIZE(far_counts), .row_name = far_row_name)
{
	struct synic_pages synic = synic_enable();

	stimer_start(0, STIMER_SINT(SINT), far_counts[row].count);
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(&synic.messages->sint_message[SINT]), "a message has come");
	EXPECT(stimer_enabled(0), "the timer is not enabled any more");
}

TEST(stimer_far_periodic, "a periodic timer does not expire", "Synthetic Timer Count Register",
	.privileges = NEEDS_STIMER, .rows = ARRAY_SIZE(far_counts), .row_name = far_row_name)
{
	struct synic_pages synic = synic_enable();

	stimer_start(0, STIMER_SINT(SINT) | HV_STIMER_CONFIG_PERIODIC, far_counts[row].count);
	pass_ms(QUIET_MS);
	EXPECT(!slot_full(&synic.messages->sint_message[SINT]), "a message has come");
	EXPECT(stimer_enabled(0), "the timer is not enabled any more");
}
