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

// A reading of the clock, between two of the TSC: this processor may be taken away in between.
struct moment {
	uint64_t before, ns, after;
};

static struct moment look(void)
{
	struct moment moment;

	moment.before = kernel_tsc();
	moment.ns = lumen_clock_ns();
	moment.after = kernel_tsc();
	return moment;
}

// The clock never goes back, and 20 ms of it are as many ticks of the TSC as its frequency says.
static void check_clock(void)
{
	struct moment start = look(), last = start, now = start;
	bool monotonic = true;
	uint64_t least, most, ticks;

	while (now.ns < start.ns + 20 * MS) {
		now = look();
		monotonic = monotonic && now.ns >= last.ns;
		last = now;
	}
	kernel_check(monotonic, "the clock does not go backwards");
	if (!lumen_tsc_hz())
		return; // the hypervisor does not say
	ticks = lumen_tsc_hz() / 1000 * (now.ns - start.ns) / MS;
	least = now.before - start.after;
	most = now.after - start.before;
	kernel_check(ticks > least - least / 100 && ticks < most + most / 100,
		"%lu ns are %lu ticks of the TSC: from %lu to %lu were seen", now.ns - start.ns,
		ticks, least, most);
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
