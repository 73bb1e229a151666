// SPDX-License-Identifier: BSD-2-Clause
// The SDK's platform interface (<lumen/platform.h>) on this kernel base. Memory is mapped one to
// one, and RFLAGS.IF keeps interrupts off: there the defaults are right.
#include "examples/kernel/internal.h"

#include "hypercall/cpuid.h"
#include "hypercall/msr.h"
#include "lumen/platform.h"

#define APIC_TIMER	  0x320
#define APIC_TIMER_COUNT  0x380
#define APIC_TIMER_DIVIDE 0x3e0
#define TIMER_PERIODIC	  (1u << 17)
#define TIMER_BY_16	  3u
#define TICK_COUNT	  625000u // 10 ms if the bus has 1 GHz, as QEMU's has

uint32_t lumen_this_vp(void)
{
	struct kernel_cpu *cpu = this_cpu();
	uint64_t index = cpu->index;

	if (cpu->vp_index_known)
		return cpu->vp_index;
	// TLFS: Virtual Processor Index. Without a hypervisor it is our own number.
	if (kernel_cpuid(1, 0).ecx >> 31)
		kernel_try_rdmsr(HV_X64_MSR_VP_INDEX, &index);
	cpu->vp_index = (uint32_t)index;
	cpu->vp_index_known = true;
	return cpu->vp_index;
}

static void tick_handler(struct kernel_frame *frame)
{
	(void)frame;
	kernel_eoi();
}

// From the first wait on, this processor gets an interrupt now and then: waits end in time.
static void start_ticks(struct kernel_cpu *cpu)
{
	cpu->ticks = true;
	wait_start();
	kernel_set_handler(VECTOR_TICK, tick_handler);
	kernel_apic_write(APIC_TIMER_DIVIDE, TIMER_BY_16);
	kernel_apic_write(APIC_TIMER, TIMER_PERIODIC | VECTOR_TICK);
	kernel_apic_write(APIC_TIMER_COUNT, TICK_COUNT);
}

void lumen_wait(const uint32_t *word, uint32_t value, uint64_t deadline_ns)
{
	(void)deadline_ns; // the SDK looks at the clock again after each tick
	if (!this_cpu()->ticks)
		start_ticks(this_cpu());
	wait_while(word, value);
}

void lumen_wake(const uint32_t *word)
{
	(void)word;
	wake_all();
}

void lumen_log(enum lumen_log_level level, const char *line)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	kernel_print("lumen: %s: %s\n", names[level], line);
}

_Noreturn void lumen_panic(const char *line)
{
	kernel_panic("lumen: %s", line);
}
