// SPDX-License-Identifier: BSD-2-Clause
// The reference time (TLFS: Partition Reference Counter, Partition Reference TSC Mechanism).
#include "lumen/clock.h"

#include "guest-sdk/arch.h"
#include "guest-sdk/page_register.h"
#include "guest-sdk/tsc_page.h"
#include "lumen/detect.h"

#define NS_PER_TICK 100u

__extension__ typedef unsigned __int128 product128;

_Alignas(HV_PAGE_SIZE) struct hv_reference_tsc_page lumen_tsc_page;

// Written before other processors are started.
static enum lumen_clock_source source;

lumen_status lumen_clock_start(void)
{
	if (!lumen_has(HV_PRIVILEGE_NONE))
		return LUMEN_NO_HYPERVISOR;
	if (!lumen_has(HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_COUNTER))
		return LUMEN_NO_PRIVILEGE;
	source = LUMEN_CLOCK_COUNTER;
	if (lumen_has(HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC)) {
		page_register_enable(HV_X64_MSR_REFERENCE_TSC, &lumen_tsc_page);
		source = LUMEN_CLOCK_TSC_PAGE;
	}
	return LUMEN_OK;
}

void lumen_clock_stop(void)
{
	if (source == LUMEN_CLOCK_TSC_PAGE)
		page_register_disable(HV_X64_MSR_REFERENCE_TSC);
	source = LUMEN_CLOCK_NONE;
}

enum lumen_clock_source lumen_clock_source(void)
{
	return source;
}

uint64_t lumen_clock_counter_100ns(void)
{
	return arch_rdmsr(HV_X64_MSR_TIME_REF_COUNT);
}

// The time by the page: ticks of 100 ns, and the rest as a fraction of 2^64. False: the page is not
// valid now.
static bool read_page(uint64_t *ticks, uint64_t *fraction)
{
	struct tsc_page_values page;
	product128 product;
	uint64_t tsc;

	do {
		if (!tsc_page_begin(&page))
			return false;
		tsc = arch_rdtsc();
	} while (!tsc_page_end(&page));
	product = (product128)tsc * page.scale;
	*ticks = (uint64_t)(product >> 64) + (uint64_t)page.offset;
	*fraction = (uint64_t)product;
	return true;
}

uint64_t lumen_clock_100ns(void)
{
	uint64_t ticks, fraction;

	if (source == LUMEN_CLOCK_TSC_PAGE && read_page(&ticks, &fraction))
		return ticks;
	return source == LUMEN_CLOCK_NONE ? 0 : lumen_clock_counter_100ns();
}

uint64_t lumen_clock_ns(void)
{
	uint64_t ticks, fraction;

	if (source == LUMEN_CLOCK_TSC_PAGE && read_page(&ticks, &fraction))
		return ticks * NS_PER_TICK + (uint64_t)((product128)fraction * NS_PER_TICK >> 64);
	if (source == LUMEN_CLOCK_NONE)
		return 0;
	// The end of the tick: not before what the page, if it was valid until now, has said in the
	// same tick. The other way round, the counter takes longer to read than a tick lasts.
	return lumen_clock_counter_100ns() * NS_PER_TICK + (NS_PER_TICK - 1);
}
