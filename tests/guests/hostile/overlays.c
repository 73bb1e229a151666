// SPDX-License-Identifier: BSD-2-Clause
// Pages of the hypervisor's that move about: where nothing is, so that second-level tables come and
// go with them while other processors look up addresses nearby; and through all of the memory.
#include "tests/guests/hostile/hostile.h"

#include "base/macros.h"
#include "hypercall/call.h"
#include "hypercall/msr.h"
#include "hypercall/table.h"
#include "lumen/clock.h"
#include "lumen/hypercall.h"

#define S      10000000ul // in units of 100 ns
#define ENABLE HV_X64_MSR_PAGE_ENABLE
#define MIB    (1ull << 20)
#define NEAR   (1ull << 33) // nothing is there, but it can be mapped
#define APART  (1ull << 39) // a processor moves between two places
#define OTHER  (1ull << 46) // that have no second-level table in common

// --- moving apart ---

static uint64_t end; // of the attack
static uint32_t moves, calls;

// What the hypervisor must not take for a table of its own: each entry leads to where no memory is.
static bool fill_sim(void)
{
	volatile uint64_t *page = (volatile uint64_t *)(NEAR + kernel_this_processor() * 4096ull);
	volatile uint64_t *pte = kernel_pte(page);

	if (!pte)
		return false;
	kernel_wrmsr(HV_X64_MSR_SIMP, (uint64_t)page | ENABLE);
	*pte = (uint64_t)page | KERNEL_PTE_PRESENT | KERNEL_PTE_WRITABLE;
	kernel_invlpg(page);
	for (unsigned int i = 0; i < 512; i++)
		page[i] = 0x000ffffffff00000ull | KERNEL_PTE_PRESENT | KERNEL_PTE_WRITABLE |
			  KERNEL_PTE_USER;
	return true;
}

static void move(void *context)
{
	uint64_t place = (1 + kernel_this_processor()) * APART;

	(void)context;
	kernel_check(fill_sim(), "processor %u has a SIM page", kernel_this_processor());
	for (; lumen_clock_100ns() < end; place ^= OTHER) {
		kernel_wrmsr(HV_X64_MSR_SIMP, place | ENABLE);
		__atomic_fetch_add(&moves, 1, __ATOMIC_RELAXED);
	}
	kernel_wrmsr(HV_X64_MSR_SIMP, 0);
}

static void call(void *context)
{
	uint64_t place = kernel_this_processor() * APART; // its neighbour's

	(void)context;
	for (uint64_t n = 0; lumen_clock_100ns() < end; n++, place ^= OTHER) {
		lumen_hypercall_issue(HvCallSignalEvent, place + n / 2 % 2 * 4096, 0);
		__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	}
}

// Half of the processors move, the others call.
static void move_apart(uint64_t seconds)
{
	uint32_t processors = kernel_processors();

	kernel_check(!lumen_hypercall_enable(0) && !lumen_clock_start(), "hypercalls and a clock");
	end = lumen_clock_100ns() + kernel_option_number("seconds", seconds) * S;
	for (uint32_t i = 1; i < processors; i++)
		if (kernel_check(kernel_start(i), "processor %u runs", i))
			kernel_run(i, i % 2 ? call : move, NULL);
	move(NULL);
	for (uint32_t i = 1; i < processors; i++)
		kernel_join(i);
	kernel_check(moves && (calls || processors == 1), "%u moves, %u calls", moves, calls);
}

// --- through all of the memory ---

static void touch(uint64_t place)
{
	for (uint64_t at = place; at < place + 2 * MIB; at += 4096)
		*(volatile uint64_t *)(at + 8) += 0;
}

static bool placed(uint32_t msr, uint64_t place)
{
	uint64_t value;

	touch(place & -2 * MIB);
	if (kernel_try_wrmsr(msr, place | ENABLE) || kernel_try_rdmsr(msr, &value) ||
		value != (place | ENABLE))
		return false;
	return !kernel_try_read((const volatile uint64_t *)place, &value);
}

// As a kernel does that is loaded again and again: each page goes through COUNT large pages, each
// of which has been used.
static void tour(uint64_t count)
{
	static const uint32_t msrs[] = { HV_X64_MSR_SIMP, HV_X64_MSR_SIEFP, HV_X64_MSR_HYPERCALL,
		HV_X64_MSR_REFERENCE_TSC, HV_X64_MSR_VP_ASSIST_PAGE };
	uint32_t stays = 0;

	kernel_wrmsr(HV_X64_MSR_GUEST_OS_ID, 1);
	for (unsigned int m = 0; m < ARRAY_SIZE(msrs); m++) {
		for (uint64_t i = 0; i < count; i++)
			stays += placed(msrs[m], 32 * MIB + i * 2 * MIB + m * 4096);
		kernel_wrmsr(msrs[m], 0);
	}
	kernel_check(stays == ARRAY_SIZE(msrs) * count, "all moves (%u)", stays);
}

const struct mode overlay_modes[] = {
	{ "move-apart", move_apart, 10 },
	{ "tour", tour, 80 },
	{ NULL, NULL, 0 },
};
