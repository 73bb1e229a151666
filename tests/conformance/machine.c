// SPDX-License-Identifier: BSD-2-Clause
// The machine as tests find it: what CPUID says, memory, MSRs, time; and what puts it back to that
// after each test.
#include "examples/kernel/kernel.h"
#include "guest-sdk/include/lumen/platform.h"
#include "tests/conformance/internal.h"

enum { PAGES_MAX = 64 };

struct machine machine;

bool has_privilege(uint64_t privileges)
{
	return (machine.privileges & privileges) == privileges;
}

bool has_edx(uint32_t bits)
{
	return (machine.features_edx & bits) == bits;
}

bool has_hint(uint32_t bits)
{
	return (machine.hints & bits) == bits;
}

struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct kernel_cpuid r = kernel_cpuid(leaf, subleaf);

	return (struct cpuid_regs){ r.eax, r.ebx, r.ecx, r.edx };
}

// --- MSRs ---

int try_rdmsr(uint32_t msr, uint64_t *value)
{
	int vector = kernel_try_rdmsr(msr, value);

	return vector ? vector : NO_EXCEPTION;
}

int try_wrmsr(uint32_t msr, uint64_t value)
{
	int vector;

	machine_touch(msr);
	vector = kernel_try_wrmsr(msr, value);
	return vector ? vector : NO_EXCEPTION;
}

uint64_t rdmsr(uint32_t msr)
{
	uint64_t value = 0;
	int vector = try_rdmsr(msr, &value);

	if (vector != NO_EXCEPTION)
		test_fail("RDMSR 0x%x: exception %d", msr, vector);
	return value;
}

void wrmsr(uint32_t msr, uint64_t value)
{
	int vector = try_wrmsr(msr, value);

	if (vector != NO_EXCEPTION)
		test_fail("WRMSR 0x%x of 0x%lx: exception %d", msr, value, vector);
}

void expect_rdmsr_gp(uint32_t msr)
{
	uint64_t value = 0;
	int vector = try_rdmsr(msr, &value);

	if (vector == NO_EXCEPTION)
		test_fail("RDMSR 0x%x: expected #GP, got 0x%lx", msr, value);
	if (vector != EXCEPTION_GP)
		test_fail("RDMSR 0x%x: expected #GP, got exception %d", msr, vector);
}

void expect_wrmsr_gp(uint32_t msr, uint64_t value)
{
	int vector = try_wrmsr(msr, value);

	if (vector == NO_EXCEPTION)
		test_fail("WRMSR 0x%x of 0x%lx: expected #GP, got none", msr, value);
	if (vector != EXCEPTION_GP)
		test_fail(
			"WRMSR 0x%x of 0x%lx: expected #GP, got exception %d", msr, value, vector);
}

// --- memory ---

static uint8_t pages[PAGES_MAX][HV_PAGE_SIZE] __attribute__((aligned(HV_PAGE_SIZE)));
static unsigned int pages_used;

void *page_get(void)
{
	unsigned int page = __atomic_fetch_add(&pages_used, 1, __ATOMIC_RELAXED);

	if (page >= PAGES_MAX)
		test_error("no page is left");
	__builtin_memset(pages[page], 0, HV_PAGE_SIZE);
	return pages[page];
}

hv_gpa gpa_of(const void *address)
{
	return (uintptr_t)address;
}

hv_gpa gpa_unmapped(void)
{
	return (machine.memory_end | 0xfffff) + 1 + (16 << 20);
}

hv_gpa gpa_beyond(void)
{
	return 1ull << machine.gpa_bits;
}

static hv_gpa find_memory_end(void)
{
	struct kernel_region region;
	hv_gpa end = 0;

	for (uint32_t i = 0; kernel_memory_region(i, &region); i++) {
		uint64_t region_end = region.base + region.size;

		if (region.ram && region_end <= 1ull << 32 && region_end > end)
			end = region_end;
	}
	return end;
}

// --- time ---

uint64_t tsc(void)
{
	return kernel_tsc();
}

static uint64_t tsc_start;

// The suite's clock must not depend on what it tests more than it has to: where there is no
// frequency register, it takes a processor of 1 GHz, and its times are longer or shorter.
static uint64_t find_tsc_hz(void)
{
	uint64_t hz = 0;

	if (kernel_try_rdmsr(HV_X64_MSR_TSC_FREQUENCY, &hz) || hz < 10000000)
		return 1000000000;
	return hz;
}

uint64_t now_ms(void)
{
	return (kernel_tsc() - tsc_start) / (machine.tsc_hz / 1000);
}

bool wait_for(bool (*condition)(void *), void *argument, unsigned int ms)
{
	return WAIT(condition(argument), ms);
}

void pass_ms(unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (now_ms() < until)
		kernel_relax();
}

// --- start, and back to the start ---

static bool vp_touched[MAX_VPS], partition_touched;

void machine_touch(uint32_t msr)
{
	if (msr <= HV_X64_MSR_HYPERCALL || msr == HV_X64_MSR_REFERENCE_TSC)
		partition_touched = true;
	if (msr >= HV_X64_MSR_EOI && msr < HV_X64_MSR_GUEST_IDLE)
		vp_touched[this_vp()] = true;
}

static void synic_reset(void)
{
	wrmsr(HV_X64_MSR_SCONTROL, 0);
	wrmsr(HV_X64_MSR_SIEFP, 0);
	wrmsr(HV_X64_MSR_SIMP, 0);
	for (unsigned int i = 0; i < HV_SYNIC_SINT_COUNT; i++)
		wrmsr(HV_X64_MSR_SINTn(i), HV_SYNIC_SINT_MASKED);
}

// One VP's registers, on it. Timers first: they send messages.
static void vp_reset(void *argument)
{
	if (has_privilege(HV_PRIVILEGE_ACCESS_SYNTHETIC_TIMER_REGS))
		for (unsigned int i = 0; i < HV_SYNIC_STIMER_COUNT; i++)
			wrmsr(HV_X64_MSR_STIMERn_CONFIG(i), 0);
	if (has_privilege(HV_PRIVILEGE_ACCESS_SYNIC_REGS))
		synic_reset();
	if (has_privilege(HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS))
		wrmsr(HV_X64_MSR_VP_ASSIST_PAGE, 0);
	apic_write(0x80, 0);
	vp_touched[this_vp()] = false;
}

static void partition_reset(void)
{
	if (has_privilege(HV_PRIVILEGE_ACCESS_PARTITION_REFERENCE_TSC))
		wrmsr(HV_X64_MSR_REFERENCE_TSC, 0);
	if (!hypercall_page_enable())
		test_error("the hypercall page cannot be enabled again");
	partition_touched = false;
}

void machine_reset(void)
{
	kernel_irq_off();
	vps_settle();
	if (partition_touched)
		partition_reset();
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		if (vp_touched[vp] && !vp_is_dead(vp))
			vp_run(vp, vp_reset, NULL);
	interrupts_reset();
	pages_used = 0;
}

static void read_cpuid(void)
{
	struct cpuid_regs features = cpuid(HV_CPUID_FEATURES, 0);

	machine.privileges = (uint64_t)features.ebx << 32 | features.eax;
	machine.features_edx = features.edx;
	machine.hints = cpuid(HV_CPUID_ENLIGHTENMENT_INFO, 0).eax;
	machine.gpa_bits = cpuid(0x80000008, 0).eax & 0xff;
}

const char *machine_start(void)
{
	kernel_irq_off();
	machine.vps = 1;
	if (!(cpuid(1, 0).ecx & HV_CPUID_1_ECX_HYPERVISOR_PRESENT))
		return "no hypervisor is present";
	machine.hv_leaves = cpuid(HV_CPUID_VENDOR, 0).eax;
	if (cpuid(HV_CPUID_INTERFACE, 0).eax != HV_INTERFACE_SIGNATURE)
		return "the hypervisor does not offer the interface Hv'1";
	read_cpuid();
	machine.memory_end = find_memory_end();
	machine.tsc_hz = find_tsc_hz();
	tsc_start = kernel_tsc();
	if (!hypercall_page_enable())
		return "the hypercall page cannot be enabled";
	interrupts_prepare();
	vps_start();
	return NULL;
}
