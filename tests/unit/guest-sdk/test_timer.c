// SPDX-License-Identifier: BSD-2-Clause
// Synthetic timers: what is written, and in which order.
#include "machine.h"

#include "base/macros.h"
#include "lumen/timer.h"

static void prepare(uint32_t features)
{
	machine_set_hyperv(HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS, features, 0);
	for (unsigned int timer = 0; timer < LUMEN_TIMER_COUNT; timer++) {
		machine_set_msr(HV_X64_MSR_STIMERn_CONFIG(timer), 0);
		machine_set_msr(HV_X64_MSR_STIMERn_COUNT(timer), 0);
	}
}

static const struct {
	struct lumen_timer_config config;
	uint64_t value; // 0: not valid
} rows[] = {
	{ { .sint = 2, .count_100ns = 1 }, 0x20001 },
	{ { .sint = 15, .periodic = true, .count_100ns = 1 }, 0xf0003 },
	{ { .sint = 1, .periodic = true, .lazy = true, .count_100ns = 1 }, 0x10007 },
	{ { .sint = 1, .one_write = true }, 0x10009 },
	{ { .vector = 0xec, .count_100ns = 1 }, 0x1ec1 },
	{ { .vector = 16, .periodic = true, .count_100ns = 1 }, 0x1103 },
	{ { .vector = 255, .one_write = true }, 0x1ff9 },
	{ { .count_100ns = 1 }, 0 },			      // no way to expire
	{ { .vector = 15, .count_100ns = 1 }, 0 },	      // an exception's
	{ { .sint = 16, .count_100ns = 1 }, 0 },	      // there are 16
	{ { .sint = 1, .vector = 32, .count_100ns = 1 }, 0 }, // both
	{ { .sint = 1 }, 0 },				      // no time
	{ { .sint = 1, .lazy = true, .count_100ns = 1 }, 0 }, // lazy once
};

Test(timer, encoding)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		cr_expect_eq(lumen_timer_encode(&rows[i].config), rows[i].value, "row %zu: %lx", i,
			lumen_timer_encode(&rows[i].config));
}

Test(timer, bad_arguments)
{
	static const struct lumen_timer_config good = { .sint = 1, .count_100ns = 1 };
	static const struct lumen_timer_config bad = { .count_100ns = 1 };

	prepare(0);
	cr_expect_eq(lumen_timer_start(LUMEN_TIMER_COUNT, &good), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(lumen_timer_start(0, &bad), LUMEN_BAD_ARGUMENT);
	cr_expect_eq(machine_write_count, 0);
}

// Off, count, on.
Test(timer, order_of_writes)
{
	static const struct lumen_timer_config config = { .sint = 3, .count_100ns = 5000 };

	prepare(0);
	cr_assert_eq(lumen_timer_start(2, &config), LUMEN_OK);
	cr_assert_eq(machine_write_count, 3);
	cr_expect_eq(machine_writes[0].msr, HV_X64_MSR_STIMER2_CONFIG);
	cr_expect_eq(machine_writes[0].value, 0x30000);
	cr_expect_eq(machine_writes[1].msr, HV_X64_MSR_STIMER2_COUNT);
	cr_expect_eq(machine_writes[1].value, 5000);
	cr_expect_eq(machine_writes[2].msr, HV_X64_MSR_STIMER2_CONFIG);
	cr_expect_eq(machine_writes[2].value, 0x30001);
	lumen_timer_stop(2);
	cr_expect_eq(machine_msr(HV_X64_MSR_STIMER2_CONFIG), 0);
}

// With AutoEnable the count enables it.
Test(timer, one_write)
{
	static const struct lumen_timer_config config = { .vector = 0x40, .one_write = true };

	prepare(HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS);
	cr_assert_eq(lumen_timer_start(1, &config), LUMEN_OK);
	cr_expect_eq(machine_msr(HV_X64_MSR_STIMER1_CONFIG), 0x1408);
	machine_forget_writes();
	lumen_timer_set(1, 777);
	cr_expect_eq(machine_write_count, 1);
	cr_expect_eq(machine_msr(HV_X64_MSR_STIMER1_COUNT), 777);
}

Test(timer, not_offered)
{
	static const struct lumen_timer_config direct = { .vector = 0x40, .count_100ns = 1 };

	cr_expect_eq(lumen_timer_start(0, &direct), LUMEN_NO_HYPERVISOR);
}

Test(timer, no_privilege)
{
	static const struct lumen_timer_config direct = { .vector = 0x40, .count_100ns = 1 };

	machine_set_hyperv(0, 0, 0);
	cr_expect_eq(lumen_timer_start(0, &direct), LUMEN_NO_PRIVILEGE);
}

Test(timer, no_direct_mode)
{
	static const struct lumen_timer_config direct = { .vector = 0x40, .count_100ns = 1 };

	prepare(0);
	cr_expect_eq(lumen_timer_start(0, &direct), LUMEN_NOT_SUPPORTED);
}
