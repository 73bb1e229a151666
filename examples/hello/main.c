// SPDX-License-Identifier: BSD-2-Clause
// The smallest kernel on the SDK: it finds out what is below it, starts the clock, and prints.
// Nothing here needs interrupts, memory or hypercalls.
#include "examples/kernel/kernel.h"
#include "lumen/clock.h"
#include "lumen/detect.h"

#define MS 1000000ul // in ns

static void print_hypervisor(const struct lumen_hypervisor *hv)
{
	kernel_print("Hypervisor \"%s\", Hyper-V interface %u.%u.%u, leaves to 0x%x\n", hv->vendor,
		hv->major, hv->minor, hv->build, hv->last_leaf);
	if (hv->lumen_leaf)
		kernel_print("It is Lumen %u.%u.\n", hv->lumen_version >> 16,
			hv->lumen_version & 0xffff);
	if (hv->kvm_leaf)
		kernel_print("It is KVM.\n");
	if (hv->xen_leaf)
		kernel_print("It is Xen.\n");
	kernel_print("Privileges %016lx, features %08x, hints %08x\n", hv->privileges, hv->features,
		hv->hints);
}

static void print_clock(void)
{
	static const char *const names[] = { "none", "the reference counter",
		"the reference TSC page" };
	uint64_t now = lumen_clock_ns();

	kernel_print("The clock is %s: %lu.%09lu s since the partition was made\n",
		names[lumen_clock_source()], now / (1000 * MS), now % (1000 * MS));
	kernel_print(
		"TSC %lu kHz, APIC timer %lu kHz\n", lumen_tsc_hz() / 1000, lumen_apic_hz() / 1000);
}

// The clock never goes back, and 20 ms of it are as many ticks of the TSC as its frequency says.
static void check_clock(void)
{
	uint64_t start = lumen_clock_ns(), last = start, now = start, tsc = kernel_tsc();
	uint64_t expected;
	bool monotonic = true;

	while (now < start + 20 * MS) {
		now = lumen_clock_ns();
		monotonic = monotonic && now >= last;
		last = now;
	}
	tsc = kernel_tsc() - tsc;
	kernel_check(monotonic, "the clock does not go backwards");
	if (!lumen_tsc_hz())
		return; // the hypervisor does not say
	expected = lumen_tsc_hz() / 1000 * (now - start) / MS;
	kernel_check(tsc > expected - expected / 20 && tsc < expected + expected / 20,
		"clock and TSC agree: %lu ticks in %lu ns", tsc, now - start);
}

int kernel_main(void)
{
	struct lumen_hypervisor hv;
	lumen_status status;

	if (!kernel_check(lumen_detect(&hv), "there is a Hyper-V interface"))
		return kernel_failures();
	print_hypervisor(&hv);
	status = lumen_clock_start();
	if (!kernel_check(!status, "the clock has started (%x)", status))
		return kernel_failures();
	print_clock();
	check_clock();
	kernel_print("Hello from VP 0.\n");
	return kernel_failures();
}
