// SPDX-License-Identifier: BSD-2-Clause
// Synthetic timers (TLFS: Synthetic Timers).
#include "lumen/timer.h"

#include "guest-sdk/arch.h"
#include "lumen/detect.h"

static bool is_valid(const struct lumen_timer_config *config)
{
	bool ends = config->vector ? config->vector >= HV_SYNIC_SINT_VECTOR_MIN && !config->sint
				   : config->sint && config->sint < HV_SYNIC_SINT_COUNT;

	return ends && (!config->lazy || config->periodic) &&
	       (config->count_100ns || config->one_write);
}

uint64_t lumen_timer_encode(const struct lumen_timer_config *config)
{
	uint64_t value = HV_STIMER_CONFIG_ENABLE;

	if (!is_valid(config))
		return 0;
	if (config->periodic)
		value |= HV_STIMER_CONFIG_PERIODIC;
	if (config->lazy)
		value |= HV_STIMER_CONFIG_LAZY;
	if (config->one_write)
		value |= HV_STIMER_CONFIG_AUTO_ENABLE;
	if (config->vector)
		value |= HV_STIMER_CONFIG_DIRECT_MODE |
			 (uint64_t)config->vector << HV_STIMER_CONFIG_APIC_VECTOR_SHIFT;
	return value | (uint64_t)config->sint << HV_STIMER_CONFIG_SINTX_SHIFT;
}

static lumen_status check(const struct lumen_timer_config *config)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS))
		return LUMEN_NO_PRIVILEGE;
	if (config->vector && !lumen_has_features(HV_FEATURE_EDX_DIRECT_SYNTHETIC_TIMERS))
		return LUMEN_NOT_SUPPORTED;
	return LUMEN_OK;
}

lumen_status lumen_timer_start(unsigned int timer, const struct lumen_timer_config *config)
{
	uint64_t value = lumen_timer_encode(config);
	lumen_status status;

	if (timer >= LUMEN_TIMER_COUNT || !value)
		return LUMEN_BAD_ARGUMENT;
	status = check(config);
	if (status)
		return status;
	// Disabled while both change. A count that is written with AutoEnable set enables it; else
	// the second write of the configuration does.
	arch_wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), value & ~HV_STIMER_CONFIG_ENABLE);
	arch_wrmsr(HV_X64_MSR_STIMERn_COUNT(timer), config->count_100ns);
	if (!config->one_write)
		arch_wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), value);
	return LUMEN_OK;
}

void lumen_timer_set(unsigned int timer, uint64_t count_100ns)
{
	arch_wrmsr(HV_X64_MSR_STIMERn_COUNT(timer), count_100ns);
}

void lumen_timer_stop(unsigned int timer)
{
	arch_wrmsr(HV_X64_MSR_STIMERn_CONFIG(timer), 0);
	arch_wrmsr(HV_X64_MSR_STIMERn_COUNT(timer), 0);
}
