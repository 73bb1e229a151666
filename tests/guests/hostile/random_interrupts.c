// SPDX-License-Identifier: BSD-2-Clause
// Random interrupts: their controller, timers, SINTs, and waiting for them.
#include "tests/guests/hostile/random.h"

#include "hypercall/msr.h"

#define MSR_APIC_BASE	 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_ICR	 0x830u
#define APIC		 0xfee00000ull
#define APIC_BASE_EXTD	 0x400ull
#define APIC_BASE_ENABLE 0x800ull
#define APIC_ICR	 0x300
#define APIC_ICR_HIGH	 0x310
#define APIC_TIMER	 0x320
#define APIC_TIMER_COUNT 0x380
#define MS		 10000ull // in units of 100 ns

static void apic_write(uint32_t offset, uint32_t value)
{
	uint64_t base = kernel_rdmsr(MSR_APIC_BASE);

	if ((base & APIC_BASE_EXTD) && (base & APIC_BASE_ENABLE))
		kernel_wrmsr(0x800 + offset / 16, value);
	else
		*(volatile uint32_t *)(APIC + offset) = value;
}

void random_ipi(uint32_t apic_id, uint32_t command)
{
	if (kernel_rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD) {
		kernel_wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | command);
		return;
	}
	*(volatile uint32_t *)(APIC + APIC_ICR_HIGH) = apic_id << 24;
	*(volatile uint32_t *)(APIC + APIC_ICR) = command;
}

// --- sending ---

// Of all kinds, but those that stop a processor: random_vps.c has them.
static bool send(struct random_vp *vp)
{
	static const uint32_t deliveries[] = { 0x000, 0x000, 0x100, 0x200, 0x300, 0x400, 0x700 };
	uint32_t command = random_of(vp, deliveries) | (uint32_t)random_below(vp, 256) |
			   (uint32_t)(random_u64(vp) & 0xce800);
	uint32_t dest = random_one_in(vp, 4) ? (uint32_t)random_value(vp)
					     : (uint32_t)random_below(vp, RANDOM_VPS);

	if (random_one_in(vp, 4))
		kernel_wrmsr(HV_X64_MSR_ICR, (uint64_t)dest << 56 | command);
	else
		random_ipi(dest, command);
	return true;
}

static bool apic_register(struct random_vp *vp)
{
	static const uint16_t offsets[] = { 0x80, 0xb0, 0xd0, 0xe0, 0xf0, 0x280, 0x2f0, 0x320,
		0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0, 0x3f0 };
	uint32_t offset =
		random_one_in(vp, 4) ? (uint32_t)random_below(vp, 0x1000) : random_of(vp, offsets);

	apic_write(offset, (uint32_t)random_value(vp));
	return true;
}

static bool software_interrupt(struct random_vp *vp)
{
	vp->code[0] = 0xcd; // INT n
	vp->code[1] = (uint8_t)random_u64(vp);
	__asm__ volatile("call *%0" : : "r"(vp->code) : "memory");
	return true;
}

static bool end_of_interrupt(struct random_vp *vp)
{
	static const uint32_t msrs[] = { HV_X64_MSR_EOI, HV_X64_MSR_EOM };

	kernel_wrmsr(random_of(vp, msrs), random_one_in(vp, 8) ? random_value(vp) : 0);
	return true;
}

// --- timers ---

static bool synthetic_timer(struct random_vp *vp)
{
	uint32_t n = (uint32_t)random_below(vp, HV_SYNIC_STIMER_COUNT);
	uint64_t now = kernel_rdmsr(HV_X64_MSR_TIME_REF_COUNT);
	uint64_t config = random_one_in(vp, 4) ? random_value(vp)
					       : random_u64(vp) & HV_STIMER_CONFIG_VALID_MASK;

	if (random_one_in(vp, 2))
		kernel_wrmsr(HV_X64_MSR_STIMERn_CONFIG(n), config);
	kernel_wrmsr(HV_X64_MSR_STIMERn_COUNT(n),
		random_one_in(vp, 4)
			? random_value(vp)
			: (random_one_in(vp, 2) ? now : 0) + random_below(vp, 10 * MS));
	kernel_wrmsr(HV_X64_MSR_STIMERn_CONFIG(n), config | HV_STIMER_CONFIG_ENABLE);
	return true;
}

static bool apic_timer(struct random_vp *vp)
{
	uint32_t mode = (uint32_t)random_below(vp, 4) << 17;

	apic_write(APIC_TIMER, mode | (uint32_t)random_below(vp, 256));
	if (mode == 2 << 17)
		kernel_wrmsr(MSR_TSC_DEADLINE, kernel_tsc() + random_below(vp, 10000000));
	else
		apic_write(APIC_TIMER_COUNT, (uint32_t)random_below(vp, 10000000));
	return true;
}

static bool sint(struct random_vp *vp)
{
	uint32_t n = (uint32_t)random_below(vp, HV_SYNIC_SINT_COUNT);
	uint64_t value = random_one_in(vp, 4) ? random_value(vp)
					      : (random_u64(vp) & 0x60000) | random_below(vp, 256);

	kernel_wrmsr(HV_X64_MSR_SINTn(n), value);
	return true;
}

// --- waiting ---

// Wakes this processor soon, if its APIC is what it was.
static void alarm(struct random_vp *vp)
{
	apic_write(APIC_TIMER, 32 + (uint32_t)random_below(vp, 224));
	apic_write(APIC_TIMER_COUNT, (uint32_t)random_below(vp, 1000000));
}

static bool halt(struct random_vp *vp)
{
	alarm(vp);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	return true;
}

static bool idle(struct random_vp *vp)
{
	alarm(vp);
	kernel_rdmsr(HV_X64_MSR_GUEST_IDLE);
	return true;
}

// Until the others look after it.
static bool halt_for_good(struct random_vp *vp)
{
	(void)vp;
	__asm__ volatile("cli; hlt" : : : "memory");
	return true;
}

static bool interrupts_on(struct random_vp *vp)
{
	uint64_t count = random_below(vp, 200);

	kernel_irq_on();
	while (count--)
		kernel_relax();
	kernel_irq_off();
	return true;
}

struct random_action random_interrupts[] = {
	{ .name = "send", .run = send, .weight = 500 },
	{ .name = "apic", .run = apic_register, .weight = 300 },
	{ .name = "int", .run = software_interrupt, .weight = 100 },
	{ .name = "end", .run = end_of_interrupt, .weight = 100 },
	{ .name = "synthetic-timer", .run = synthetic_timer, .weight = 300 },
	{ .name = "apic-timer", .run = apic_timer, .weight = 200 },
	{ .name = "sint", .run = sint, .weight = 200 },
	{ .name = "halt", .run = halt, .weight = 20 },
	{ .name = "idle", .run = idle, .weight = 20 },
	{ .name = "halt-for-good", .run = halt_for_good, .weight = 2 },
	{ .name = "interrupts-on", .run = interrupts_on, .weight = 200 },
	{ .name = NULL },
};
