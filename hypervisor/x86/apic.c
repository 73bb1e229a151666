// SPDX-License-Identifier: BSD-2-Clause
// The physical local APIC (APM2 chapter 16).
#include "hypervisor/x86/apic.h"
#include "hypervisor/core/clock.h"
#include "hypervisor/core/log.h"
#include "hypervisor/core/pcpu.h"
#include "hypervisor/x86/cpu.h"
#include "hypervisor/x86/irq.h"
#include "hypervisor/x86/memory.h"

#define LVT_TSC_DEADLINE BIT(18)
#define LVT_NMI		 0x400
#define ICR_PENDING	 BIT(12)
#define ICR_ASSERT	 BIT(14)

static volatile uint32_t *apic_page; // NULL: x2APIC mode
static bool tsc_deadline;
static uint64_t timer_hz;

static uint32_t reg_read(unsigned int reg)
{
	return apic_page ? apic_page[reg * 4] : (uint32_t)msr_rd(MSR_X2APIC_FIRST + reg);
}

static void reg_write(unsigned int reg, uint32_t value)
{
	if (apic_page)
		apic_page[reg * 4] = value;
	else
		msr_wr(MSR_X2APIC_FIRST + reg, value);
}

uint32_t apic_id(void)
{
	return apic_page ? reg_read(APIC_ID) >> 24 : reg_read(APIC_ID);
}

void apic_send_ipi(uint32_t dest, uint32_t command)
{
	command |= ICR_ASSERT;
	if (!apic_page) {
		msr_wr(MSR_X2APIC_FIRST + APIC_ICR, (uint64_t)dest << 32 | command);
		return;
	}
	while (reg_read(APIC_ICR) & ICR_PENDING)
		cpu_relax();
	reg_write(APIC_ICR_HIGH, dest << 24);
	reg_write(APIC_ICR, command);
}

void apic_eoi(void)
{
	reg_write(APIC_EOI, 0);
}

bool apic_is_level(unsigned int vector)
{
	return reg_read(APIC_TMR + vector / 32) >> vector % 32 & 1;
}

unsigned int apic_highest_in_service(void)
{
	for (int word = 7; word >= 0; word--) {
		uint32_t bits = reg_read(APIC_ISR + word);

		if (bits)
			return word * 32 + 31 - __builtin_clz(bits);
	}
	return 0;
}

static void calibrate_timer(void)
{
	uint64_t start, end;
	uint32_t counted;

	reg_write(APIC_LVT_TIMER, LVT_MASKED);
	reg_write(APIC_TIMER_INITIAL, UINT32_MAX);
	start = tsc_read();
	end = start + tsc_hz / 100;
	while (tsc_read() < end)
		cpu_relax();
	counted = UINT32_MAX - reg_read(APIC_TIMER_CURRENT);
	reg_write(APIC_TIMER_INITIAL, 0);
	timer_hz = mul_div(counted, tsc_hz, tsc_read() - start);
}

void apic_enable(void)
{
	uint64_t base = msr_rd(MSR_APIC_BASE) | APIC_BASE_ENABLE;
	bool first = !timer_hz && !tsc_deadline;

	if (cpuid(1, 0).ecx & 1 << 21)
		base |= APIC_BASE_EXTD;
	msr_wr(MSR_APIC_BASE, base);
	if (!(base & APIC_BASE_EXTD))
		apic_page = map_device(ALIGN_DOWN(base, PAGE_SIZE) & 0xfffffffff000ull);
	if (first)
		tsc_deadline = cpuid(1, 0).ecx & 1 << 24;
	reg_write(APIC_SVR, 0x100 | IRQ_VECTOR_SPURIOUS);
	reg_write(APIC_LVT_LINT0, LVT_MASKED); // an ExtINT would have no vector of ours
	reg_write(APIC_TPR, 0);		       // now: QEMU's forgets an ExtINT that came before
	reg_write(APIC_LVT_LINT1, LVT_NMI);
	reg_write(APIC_LVT_ERROR, LVT_MASKED);
	reg_write(APIC_TIMER_DIVIDE, 3); // by 16
	if (first && !tsc_deadline)
		calibrate_timer();
	reg_write(APIC_LVT_TIMER, IRQ_VECTOR_TIMER | (tsc_deadline ? LVT_TSC_DEADLINE : 0));
}

// What the TSC is when DEADLINE comes, never 0. If that is behind its end the interrupt comes a
// little before the end, and the deadline is set again.
static uint64_t deadline_tsc(uint64_t deadline)
{
	uint64_t tsc, now = tsc_read();

	if (__builtin_add_overflow(tsc_start + now, deadline - MIN(deadline, now), &tsc))
		return UINT64_MAX - tsc_hz / 1000;
	return MAX(tsc, 1);
}

void apic_timer_set(uint64_t deadline)
{
	uint64_t now, ticks;

	if (tsc_deadline) {
		msr_wr(MSR_TSC_DEADLINE, deadline == UINT64_MAX ? 0 : deadline_tsc(deadline));
		return;
	}
	if (deadline == UINT64_MAX) {
		reg_write(APIC_TIMER_INITIAL, 0);
		return;
	}
	now = tsc_read();
	ticks = deadline > now ? mul_div(deadline - now, timer_hz, tsc_hz) + 1 : 1;
	reg_write(APIC_TIMER_INITIAL, MIN(ticks, UINT32_MAX));
}

void phys_apic_mirror_ldr(struct vp *vp)
{
	if (!apic_page)
		return; // x2APIC: the logical id is read-only and the same function of the APIC id
	reg_write(APIC_DFR, vp->apic.dfr);
	reg_write(APIC_LDR, vp->apic.ldr);
}
