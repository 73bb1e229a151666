// SPDX-License-Identifier: BSD-2-Clause
// EOI, ICR and TPR as MSRs (TLFS: Local APIC MSR Accesses): the same registers as those of the
// local APIC, in whichever mode it is. The ICR has the layout of the mode: in xAPIC mode the
// destination is in bits 63:56, in x2APIC mode in bits 63:32.
#include "tests/conformance/synthetic.h"

#define VECTOR 0x51
#define HIGHER 0x81

#define MSR_APIC_BASE	 0x1b
#define APIC_BASE_X2APIC (1u << 10)

#define ICR_SELF   (1u << 18)
#define ICR_ALL	   (2u << 18)
#define ICR_OTHERS (3u << 18)
#define ICR_ASSERT (1u << 14)

#define NEEDS_APIC_MSRS HV_PRIVILEGE_ACCESS_INTR_CTRL_REGS

static uint64_t icr_to(unsigned int vp)
{
	bool x2apic = rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;

	return (uint64_t)apic_id(vp) << (x2apic ? 32 : 56);
}

static bool came(unsigned int vp, unsigned int vector, unsigned int count)
{
	return WAIT(interrupt_count(vp, vector) >= count, SLOW_MS);
}

static unsigned int handled, in_service_before, in_service_after;

static void eoi_by_msr(unsigned int vector)
{
	in_service_before += in_service(vector);
	wrmsr(HV_X64_MSR_EOI, 0);
	in_service_after += in_service(vector);
	handled++;
}

TEST(eoi_msr, "APIC MSRs: EOI ends the interrupt in service", "HV_X64_MSR_EOI",
	.privileges = NEEDS_APIC_MSRS)
{
	handled = in_service_before = in_service_after = 0;
	interrupt_set_handler(VECTOR, eoi_by_msr);
	for (unsigned int i = 1; i <= 5; i++) {
		self_ipi(VECTOR);
		interrupts_on();
		EXPECT(came(0, VECTOR, i), "interrupt %u has not come", i);
		interrupts_off();
	}
	EXPECT_EQ(in_service_before, 5, "times that the ISR bit was set before EOI");
	EXPECT_EQ(in_service_after, 0, "times that the ISR bit was set after EOI");
}

TEST(eoi_nothing, "APIC MSRs: EOI with nothing in service does nothing", "HV_X64_MSR_EOI",
	.privileges = NEEDS_APIC_MSRS)
{
	wrmsr(HV_X64_MSR_EOI, 0);
	wrmsr(HV_X64_MSR_EOI, 0);
	self_ipi(VECTOR);
	interrupts_on();
	EXPECT(came(0, VECTOR, 1), "the interrupt after it has not come");
	interrupts_off();
}

static bool low_in_service;

static void nested_high(unsigned int vector)
{
	(void)vector;
	wrmsr(HV_X64_MSR_EOI, 0);
	low_in_service = in_service(VECTOR);
}

static void nesting_low(unsigned int vector)
{
	self_ipi(HIGHER);
	interrupts_on();
	(void)WAIT(interrupt_count(this_vp(), HIGHER), SLOW_MS);
	interrupts_off();
	(void)vector;
	wrmsr(HV_X64_MSR_EOI, 0);
}

TEST(eoi_highest, "APIC MSRs: EOI ends the highest interrupt in service only", "HV_X64_MSR_EOI",
	.privileges = NEEDS_APIC_MSRS)
{
	low_in_service = false;
	interrupt_set_handler(VECTOR, nesting_low);
	interrupt_set_handler(HIGHER, nested_high);
	self_ipi(VECTOR);
	interrupts_on();
	EXPECT(came(0, HIGHER, 1), "the nested interrupt has not come");
	interrupts_off();
	EXPECT(low_in_service, "the lower vector was not in service after the higher one's EOI");
	EXPECT(!in_service(VECTOR), "the lower vector is still in service");
}

static const struct {
	const char *name;
	uint32_t icr;
	bool self, others;
} shorthands[] = {
	{ "to its own APIC id", 0, true, false },
	{ "self", ICR_SELF, true, false },
	{ "all including self", ICR_ALL, true, true },
	{ "all excluding self", ICR_OTHERS, false, true },
};

static bool icr_row_name(unsigned int row, char *text, size_t size)
{
	text_format(text, size, "APIC MSRs: ICR, %s", shorthands[row].name);
	return true;
}

struct listening {
	unsigned int ready;
	bool stop;
};

// On the other VPs: interrupts on until told to stop.
static void listen(void *argument)
{
	struct listening *listening = argument;

	interrupts_on();
	__atomic_fetch_add(&listening->ready, 1, __ATOMIC_SEQ_CST);
	(void)WAIT(__atomic_load_n(&listening->stop, __ATOMIC_SEQ_CST), SLOW_MS);
	interrupts_off();
}

TEST(icr_msr, "reaches whom it should", "HV_X64_MSR_ICR", .privileges = NEEDS_APIC_MSRS, .rows = 4,
	.row_name = icr_row_name)
{
	static struct listening listening;

	listening = (struct listening){ 0 };
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_start(vp, listen, &listening);
	EXPECT(WAIT(__atomic_load_n(&listening.ready, __ATOMIC_SEQ_CST) == machine.vps - 1,
		       SLOW_MS),
		"the other VPs are not ready");
	interrupts_on();
	wrmsr(HV_X64_MSR_ICR,
		(shorthands[row].icr ? 0 : icr_to(0)) | shorthands[row].icr | ICR_ASSERT | VECTOR);
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		if (vp ? shorthands[row].others : shorthands[row].self)
			EXPECT(came(vp, VECTOR, 1), "VP %u has got no interrupt", vp);
	pass_ms(QUIET_MS);
	interrupts_off();
	__atomic_store_n(&listening.stop, true, __ATOMIC_SEQ_CST);
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		vp_wait(vp);
	for (unsigned int vp = 0; vp < machine.vps; vp++)
		EXPECT_EQ(interrupt_count(vp, VECTOR),
			vp ? shorthands[row].others : shorthands[row].self, "interrupts");
}

TEST(icr_other, "APIC MSRs: ICR, to another VP's APIC id, reaches that VP alone", "HV_X64_MSR_ICR",
	.privileges = NEEDS_APIC_MSRS, .vps = 2)
{
	static struct listening listening;

	for (unsigned int target = 1; target < machine.vps; target++) {
		listening = (struct listening){ 0 };
		vp_start(target, listen, &listening);
		EXPECT(WAIT(__atomic_load_n(&listening.ready, __ATOMIC_SEQ_CST), SLOW_MS),
			"VP %u is not ready", target);
		wrmsr(HV_X64_MSR_ICR, icr_to(target) | ICR_ASSERT | VECTOR);
		EXPECT(came(target, VECTOR, 1), "VP %u has got no interrupt", target);
		__atomic_store_n(&listening.stop, true, __ATOMIC_SEQ_CST);
		vp_wait(target);
	}
	interrupts_take();
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts on VP 0");
	for (unsigned int vp = 1; vp < machine.vps; vp++)
		EXPECT_EQ(interrupt_count(vp, VECTOR), 1, "interrupts on another VP");
}

static uint64_t read_cr8(void)
{
	uint64_t value;

	__asm__ volatile("mov %%cr8, %0" : "=r"(value));
	return value;
}

static void write_cr8(uint64_t value)
{
	__asm__ volatile("mov %0, %%cr8" : : "r"(value) : "memory");
}

TEST(tpr_msr, "APIC MSRs: TPR is the APIC's, and CR8", "HV_X64_MSR_TPR",
	.privileges = NEEDS_APIC_MSRS)
{
	for (unsigned int priority = 0; priority < 16; priority += 5) {
		wrmsr(HV_X64_MSR_TPR, priority << 4);
		EXPECT_EQ(read_cr8(), priority, "CR8");
		EXPECT_EQ(apic_read(APIC_PAGE_TPR), priority << 4, "the APIC's TPR");
		EXPECT_EQ(rdmsr(HV_X64_MSR_TPR), priority << 4, "the MSR");
	}
	write_cr8(3);
	EXPECT_EQ(rdmsr(HV_X64_MSR_TPR), 0x30, "the MSR after MOV to CR8");
	apic_write(APIC_PAGE_TPR, 0x70);
	EXPECT_EQ(rdmsr(HV_X64_MSR_TPR), 0x70, "the MSR after a write to the APIC");
	wrmsr(HV_X64_MSR_TPR, 0);
}

TEST(tpr_masks, "APIC MSRs: TPR holds up interrupts of its priority", "HV_X64_MSR_TPR",
	.privileges = NEEDS_APIC_MSRS)
{
	wrmsr(HV_X64_MSR_TPR, VECTOR & 0xf0);
	interrupts_on();
	self_ipi(VECTOR);
	self_ipi(HIGHER);
	EXPECT(came(0, HIGHER, 1), "the interrupt above it has not come");
	pass_ms(QUIET_MS);
	EXPECT_EQ(interrupt_count(0, VECTOR), 0, "interrupts of its priority");
	wrmsr(HV_X64_MSR_TPR, 0);
	EXPECT(came(0, VECTOR, 1), "the interrupt has not come after the TPR was lowered");
	interrupts_off();
}

static void other_tpr(void *argument)
{
	(void)argument;
	EXPECT_EQ(rdmsr(HV_X64_MSR_TPR), 0, "TPR of VP 1");
	wrmsr(HV_X64_MSR_TPR, 0x90);
}

TEST(tpr_per_vp, "APIC MSRs: TPR is each VP's own", "HV_X64_MSR_TPR", .privileges = NEEDS_APIC_MSRS,
	.vps = 2)
{
	wrmsr(HV_X64_MSR_TPR, 0x40);
	vp_run(1, other_tpr, NULL);
	EXPECT_EQ(rdmsr(HV_X64_MSR_TPR), 0x40, "TPR of VP 0");
	wrmsr(HV_X64_MSR_TPR, 0);
}
